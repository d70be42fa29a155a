/** Payloads: typed and checked by any Standard Schema or a function, when they are scheduled and before each run. */
import { type AnyTaskHandler, immediate, oneTime, type PayloadOf, taskHandler } from "azoth-scheduler";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import { createTestScheduler } from "../engine-under-test.ts";
import { eventsOf } from "./support.ts";

const echo = (taskType: string, schema: AnyTaskHandler["payload"]): AnyTaskHandler => ({
  taskType,
  ...(schema === undefined ? {} : { payload: schema }),
  execute: (_: unknown, payload: unknown) => ({ eventType: "echo", payload }),
});

describe.each<[string, AnyTaskHandler["payload"]]>([
  ["zod", z.object({ region: z.string().min(2), day: z.number().default(7) })],
  ["valibot", v.object({ region: v.pipe(v.string(), v.minLength(2)), day: v.optional(v.number(), 7) })],
  ["arktype", type({ region: "string >= 2", day: "number = 7" })],
])("a schema by %s", (_, schema) => {
  test("gives the handler its output", async () => {
    await using kit = await createTestScheduler({ handlers: [echo("report", schema)] });
    await kit.scheduler.scheduleTask({ taskType: "report", schedule: immediate(), payload: { region: "eu" } });
    await kit.settle();
    expect((await eventsOf(kit, "echo")).map(({ payload }) => payload)).toEqual([{ region: "eu", day: 7 }]);
  });

  test("refuses what does not fit, says where, and leaves nothing behind", async () => {
    await using kit = await createTestScheduler({ handlers: [echo("report", schema)] });
    const before = await kit.log();
    const refused = kit.scheduler.scheduleTask({ taskType: "report", schedule: immediate(), payload: { region: 5 } });
    await expect(refused).rejects.toThrow(/region/);
    await expect(refused).rejects.toMatchObject({ code: "INVALID_PAYLOAD" });
    expect(await kit.log()).toEqual(before);
  });

  test("refuses a stored payload that a new version's schema does not take, before the handler sees it", async () => {
    await using kit = await createTestScheduler({ handlers: [echo("report", undefined)] });
    await kit.scheduler.scheduleTask({ taskId: "old", taskType: "report", schedule: oneTime("2026-01-02T00:00:00Z") });
    await kit.restart({ handlers: [echo("report", schema)] });
    await kit.advance("1d");
    const { executions } = await kit.scheduler.history("old");
    expect(executions[0]).toMatchObject({ outcome: "failed", error: { code: "INVALID_PAYLOAD" } });
    expect(await eventsOf(kit, "echo")).toEqual([]);
  });
});

describe("types", () => {
  const report = taskHandler({
    taskType: "report",
    payload: z.object({ region: z.string(), at: z.string().transform((text) => text.length) }),
    execute: (_, payload) => {
      expectTypeOf(payload).toEqualTypeOf<{ region: string; at: number }>();
      return { eventType: "done", payload: payload.at };
    },
  });
  const mail = taskHandler({ taskType: "mail", execute: (_, payload: { to: string }) => void payload.to });

  test("of a payload come from its schema's input, or the handler's annotation", () => {
    expectTypeOf<PayloadOf<typeof report>>().toEqualTypeOf<{ region: string; at: string }>();
    expectTypeOf<PayloadOf<typeof mail>>().toEqualTypeOf<{ to: string }>();
  });

  test("of requests are held to the type's own payload", async () => {
    await using kit = await createTestScheduler({ handlers: [report, mail] });
    const schedule = immediate();
    await kit.scheduler.scheduleTask({ taskType: "report", schedule, payload: { region: "eu", at: "noon" } });
    // @ts-expect-error the schema wants a text
    const wrong = kit.scheduler.scheduleTask({ taskType: "report", schedule, payload: { region: "eu", at: 12 } });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_PAYLOAD" });
    // @ts-expect-error there is no such type
    const unknown = kit.scheduler.scheduleTask({ taskType: "fax", schedule });
    await expect(unknown).rejects.toMatchObject({ code: "UNKNOWN_TASK_TYPE" });
    await kit.settle();
    expect((await eventsOf(kit, "done")).map(({ payload }) => payload)).toEqual([4]);
  });
});

describe("a validate function", () => {
  test.each<[string, (payload: unknown) => unknown]>([
    [
      "throws",
      (payload) => {
        if (payload !== "good") throw new Error("only good ones");
      },
    ],
    ["returns false", (payload) => payload === "good"],
    [
      "rejects",
      async (payload) => {
        if (payload !== "good") throw new Error("only good ones");
      },
    ],
  ])("refuses when it %s", async (_, validate) => {
    const job = taskHandler({
      taskType: "job",
      validate,
      execute: (_, payload: string) => ({ eventType: "ran", payload }),
    });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload: "good" });
    const refused = kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload: "bad" });
    await expect(refused).rejects.toMatchObject({ code: "INVALID_PAYLOAD" });
    await kit.settle();
    expect((await eventsOf(kit, "ran")).map(({ payload }) => payload)).toEqual(["good"]);
  });
});

describe("stored payloads", () => {
  test.each<[string, unknown]>([
    ["nothing", null],
    ["a date", new Date("2026-03-04T05:06:07.008Z")],
    ["a big integer", 2n ** 80n],
    ["bytes", new Uint8Array([0, 255, 7])],
    ["an object that looks like our own encoding", { $date: "2026-01-01T00:00:00.000Z" }],
    ["a key named __proto__", JSON.parse('{"__proto__": {"admin": true}}')],
    ["text of all kinds", "käse \u{1F9C0} \u0000 \u2028 '; DROP TABLE azoth_tasks; --"],
    ["deep and wide", { a: [1, [2, [3, { b: new Date(0) }]]], c: { d: { e: null } } }],
  ])("come to the handler as they were: %s", async (_, payload) => {
    const seen: unknown[] = [];
    const job = taskHandler({ taskType: "job", execute: (_, payload: unknown) => void seen.push(payload) });
    await using kit = await createTestScheduler({ handlers: [job] });
    const { taskId } = await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload });
    await kit.settle();
    expect(seen).toEqual([payload]);
    expect((await kit.scheduler.getTask(taskId))?.payload).toEqual(payload);
  });

  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each<[string, unknown, string]>([
    ["a function", () => {}, "PAYLOAD_NOT_JSON"],
    ["not a number", Number.NaN, "PAYLOAD_NOT_JSON"],
    ["a class instance", { cache: new Map() }, "PAYLOAD_NOT_JSON"],
    ["a circle", circular, "PAYLOAD_NOT_JSON"],
    ["an invalid date", new Date(Number.NaN), "PAYLOAD_NOT_JSON"],
    ["too much", "x".repeat(1_048_577), "PAYLOAD_TOO_LARGE"],
  ])("refuse %s", async (_, payload, code) => {
    await using kit = await createTestScheduler({ handlers: [echo("job", undefined)] });
    const refused = kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload });
    await expect(refused).rejects.toMatchObject({ code });
    expect((await kit.scheduler.listTasks()).tasks).toEqual([]);
  });
});
