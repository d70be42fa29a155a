/** Payloads that are sealed: nothing of them is readable where they are stored, and everybody with the keys sees them as they were. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import {
  type AesGcmKey,
  aesGcm,
  type AzothDb,
  AzothError,
  copyLog,
  cron,
  eventHandler,
  fail,
  immediate,
  type PayloadCodec,
  retryAfter,
  Scheduler,
  Sealed,
  type ScheduleTaskRequest,
  snooze,
  taskHandler,
} from "azoth-scheduler";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { createTestScheduler, engineUnderTest, newLocation } from "../engine-under-test.ts";
import { schemaOf } from "../postgres/databases.ts";
import { eventsOf, openStore, scratchDirectory } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

/** Stands in everything that must not be readable; some of it is cut off, some stands in quotes. */
const canary = "zyzzyva";
const newKey = (id: string): AesGcmKey => ({ id, key: randomBytes(32) });
const first = newKey("first");
const second = newKey("second");

/** All that is stored, as bytes or as texts. */
async function storedAt(location: string): Promise<string> {
  if (engineUnderTest === "sqlite") {
    const files = readdirSync(location).map((name) => readFileSync(join(location, name), "latin1"));
    expect(files.join("").length).toBeGreaterThan(10_000);
    return files.join("");
  }
  const client = new Client({ connectionString: location });
  await client.connect();
  try {
    const schema = schemaOf(location);
    const tables = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1",
      [schema],
    );
    expect(tables.rows.length).toBeGreaterThan(5);
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ text: string }>(`SELECT t::text AS text FROM ${schema}.${name} t`);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts.join("\n");
  } finally {
    await client.end();
  }
}

const shows = async (location: string, text: string) => (await storedAt(location)).includes(text);

/** A life of a store in which each field that holds a user's words has the canary. */
async function live(location: string, payloadCodec?: PayloadCodec) {
  const seen: unknown[] = [];
  const signals: unknown[] = [];
  const handlers = [
    taskHandler({
      taskType: "telling",
      execute: (ctx, payload: unknown) => {
        seen.push(payload);
        ctx.transaction.append({ eventType: "said", payload: { canary } });
        return { eventType: "told", payload: { payload, at: new Date(0), [canary]: 1n } };
      },
    }),
    taskHandler({
      taskType: "throwing",
      maxRetries: 2,
      retry: { base: "1s" },
      execute: () => {
        const error = new TypeError(`no ${canary}`, { cause: canary });
        error.name = `${canary}Error`;
        throw error;
      },
    }),
    taskHandler({
      taskType: "throwing-text",
      maxRetries: 1,
      execute: () => Promise.reject(canary as unknown as Error),
    }),
    taskHandler({ taskType: "giving-up", execute: () => fail(canary) }),
    taskHandler({ taskType: "delaying", maxRetries: 2, execute: () => retryAfter("1s", canary) }),
    taskHandler({ taskType: "snoozing", execute: () => snooze("1d", canary) }),
    taskHandler({ taskType: "returning", maxRetries: 1, execute: () => canary as never }),
    taskHandler({
      taskType: "picky",
      maxRetries: 1,
      validate: (payload) => {
        if (payload === `${canary} late`) throw new Error(`not ${String(payload)}`);
      },
      execute: () => {},
    }),
  ];
  const told: unknown[] = [];
  const failing = (name: string, then: "stop" | "skip" | "dead-letter") =>
    eventHandler({
      name,
      eventType: "told",
      onError: then,
      handle: ({ payload }) => {
        told.push(payload);
        throw new RangeError(canary);
      },
    });
  const kit = await createTestScheduler({
    location,
    handlers,
    eventHandlers: [
      failing("stopping", "stop"),
      failing("skipping", "skip"),
      failing("dropping", "dead-letter"),
      eventHandler({
        name: "retrying",
        eventType: "said",
        onError: { retry: { maxAttempts: 99, base: "1h" }, then: "stop" },
        handle: () => Promise.reject(new Error(canary)),
      }),
    ],
    onSignal: (signal) => signals.push(signal),
    ...(payloadCodec === undefined ? {} : { payloadCodec }),
  });
  const { scheduler, db } = kit;
  const never = cron("0 0 0 1 1 *");
  const schedule = (request: Omit<ScheduleTaskRequest, "schedule">, when = immediate()) =>
    scheduler.scheduleTask({ schedule: when, ...request } as never);
  await schedule({ taskId: "telling", taskType: "telling", payload: { canary: [canary, 2] } });
  for (const { taskType } of handlers.slice(1, -1)) await schedule({ taskId: taskType, taskType, payload: canary });
  await schedule({ taskId: "again", taskType: "telling", payload: canary }, never as never);
  await schedule({ taskId: "again", taskType: "telling", payload: `${canary} again` }, never as never);
  await scheduler.pauseTask("again", canary);
  await scheduler.resumeTask("again");
  await scheduler.cancelTask("again", canary);
  await db.transaction((tx) => tx.append({ eventType: "noted", payload: canary }));
  await kit.advance("10s");
  const [letter] = await scheduler.eventHandlers.deadLetters();
  const before = {
    letters: await scheduler.eventHandlers.deadLetters(),
    statuses: await scheduler.eventHandlers.list(),
  };
  const status = async (id: string) => (await scheduler.history(id)).executions[0]?.error;
  const errors = {
    throwing: await status("throwing"),
    text: await status("throwing-text"),
    fail: await status("giving-up"),
    returning: await status("returning"),
  };
  return { kit, seen, told, signals, letter, errors, ...before };
}

const withCodec = async (location: string, keys: readonly AesGcmKey[]) =>
  await openStore(location, { durability: "normal", payloadCodec: aesGcm({ keys }) });

test("without a codec everything is readable, so that the tests below can fail", async () => {
  const location = await newLocation({ shared: true });
  await using kit = (await live(location)).kit;
  expect(await shows(location, canary)).toBe(true);
  expect(await shows(location, "$sealed")).toBe(false);
  expect((await kit.db.verify()).ok).toBe(true);
});

test("nothing of the user's is readable where it is stored, and everybody with the key sees it as it was", async () => {
  const location = await newLocation({ shared: true });
  const codec = aesGcm({ keys: [first] });
  const { kit, seen, told, letter, letters, statuses, errors, signals } = await live(location, codec);
  await using _ = kit;
  // What handlers and event handlers were given.
  const payload = { canary: [canary, 2] };
  expect(seen).toEqual([payload]);
  expect(told).toEqual([1, 2, 3].map(() => ({ payload, at: new Date(0), [canary]: 1n })));
  // What readers see.
  expect((await kit.scheduler.getTask("telling"))?.payload).toEqual(payload);
  expect((await kit.scheduler.listTasks({ idPrefix: "tell" })).tasks[0]?.payload).toEqual(payload);
  const log = await kit.log();
  const payloadsOf = (type: string) => log.filter(({ eventType }) => eventType === type).map((event) => event.payload);
  expect(payloadsOf("TaskScheduled")[0]).toMatchObject({ taskId: "telling", payload });
  expect(payloadsOf("said")).toEqual([{ canary }]);
  expect(payloadsOf("noted")).toEqual([canary]);
  expect(payloadsOf("TaskSnoozed")).toMatchObject([{ reason: canary }]);
  expect(payloadsOf("TaskPaused")).toEqual([{ reason: canary }]);
  expect(payloadsOf("TaskCancelled")).toEqual([{ reason: canary, wasRunning: false }]);
  expect(payloadsOf("EventSkipped")).toMatchObject([{ handler: "skipping", error: `RangeError: ${canary}` }]);
  expect(payloadsOf("EventHandlerStopped")).toMatchObject([{ error: `RangeError: ${canary}` }]);
  expect(payloadsOf("EventDeadLettered")).toMatchObject([{ error: `RangeError: ${canary}`, attempts: 1 }]);
  expect(errors.throwing).toMatchObject({ code: "HANDLER_FAILED", message: `no ${canary}`, name: `${canary}Error` });
  expect(errors.throwing?.stack).toContain(canary);
  expect(errors.text?.message).toContain(canary);
  expect(errors.fail).toEqual({ code: "HANDLER_FAILED", message: canary });
  expect(errors.returning).toMatchObject({ code: "HANDLER_RESULT_INVALID" });
  expect(letters).toMatchObject([{ handler: "dropping", error: `RangeError: ${canary}` }]);
  const errorOf = Object.fromEntries(statuses.map(({ name, error }) => [name, error]));
  expect(errorOf).toMatchObject({ stopping: `RangeError: ${canary}`, retrying: `Error: ${canary}`, skipping: null });
  // What is stored, first with the dead letter, and then with what is said of its end.
  expect(await shows(location, canary)).toBe(false);
  await kit.scheduler.eventHandlers.dropDeadLetter(letter?.id ?? 0, canary);
  expect((await kit.log({ eventTypes: ["DeadLetterDropped"] }))[0]?.payload).toMatchObject({ reason: canary });
  expect(await shows(location, canary)).toBe(false);
  expect(await shows(location, "first.")).toBe(true);
  await kit.db.rebuild();
  expect((await kit.db.verify()).difference).toBeNull();
  expect(await shows(location, canary)).toBe(false);
  const file = join(scratchDirectory(), "backup.db");
  await kit.db.backup(file);
  expect(readFileSync(file, "latin1").includes(canary)).toBe(false);
  // Nor do observers see it.
  expect(inspect(signals, { depth: 9 })).not.toContain(canary);
  expect(signals).toContainEqual(
    expect.objectContaining({ name: "task.failed", code: "HANDLER_FAILED", message: "(sealed)" }),
  );
  expect(signals).toContainEqual(expect.objectContaining({ name: "event-handler.failed", message: "(sealed)" }));
});

test.runIf(engineUnderTest === "postgres")("a transaction of the user's own seals as well", async () => {
  const location = await newLocation({ shared: true });
  const db = await withCodec(location, [first]);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  const client = new Client({ connectionString: location });
  await client.connect();
  await client.query("BEGIN");
  const joined = scheduler.joinTransaction(client);
  const request = { taskId: "a", taskType: "work", schedule: immediate(), payload: canary } as const;
  expect((await joined.scheduleTask(request)).change).toBe("new");
  expect((await joined.scheduleTask(request)).change).toBe("unchanged");
  await joined.append({ eventType: "noted", payload: canary });
  expect((await joined.getTask("a"))?.payload).toBe(canary);
  await client.query("COMMIT");
  await client.end();
  expect((await eventsOf(db, { eventTypes: ["noted"] }))[0]?.payload).toBe(canary);
  expect(await shows(location, canary)).toBe(false);
});

describe("without the key", () => {
  test("the log replays, proves, and goes to another store, where the key opens it", async () => {
    const location = await newLocation({ shared: true });
    const lived = await live(location, aesGcm({ keys: [first] }));
    const log = await lived.kit.log();
    await lived.kit.stop();
    await lived.kit[Symbol.asyncDispose]();
    const keyless = await openStore(location);
    expect(await keyless.verify()).toMatchObject({ ok: true, difference: null });
    await keyless.rebuild();
    expect(await keyless.verify()).toMatchObject({ ok: true, difference: null });
    const elsewhere = await newLocation({ shared: true });
    const copy = await openStore(elsewhere);
    // The test's clock has stopped long before the machine's.
    expect((await copyLog(keyless, copy)).verification.ok).toBe(true);
    const opened = await withCodec(elsewhere, [first]);
    const copied = await eventsOf(opened);
    expect(copied.slice(0, log.length)).toEqual(log);
    const scheduler = new Scheduler(opened, { externalTaskTypes: ["telling"] });
    expect((await scheduler.getTask("telling"))?.payload).toEqual({ canary: [canary, 2] });
    expect(await scheduler.eventHandlers.deadLetters()).toMatchObject([{ error: `RangeError: ${canary}` }]);
    expect(await shows(elsewhere, canary)).toBe(false);
  });

  test.each([
    ["no codec", undefined, "without a payloadCodec"],
    ["another key", [second], 'no key "first"'],
    ["another key of the same id", [newKey("first")], 'its key "first" is another'],
  ])("(%s) readers see what is sealed, and all the rest", async (_, keys, why) => {
    const location = await newLocation({ shared: true });
    const lived = await live(location, aesGcm({ keys: [first] }));
    await lived.kit.stop();
    await lived.kit[Symbol.asyncDispose]();
    const db = keys === undefined ? await openStore(location) : await withCodec(location, keys);
    const scheduler = new Scheduler(db);
    const task = await scheduler.getTask("telling");
    expect(task).toMatchObject({ taskType: "telling", state: "completed" });
    expectSealed(task?.payload, why);
    const log = await eventsOf(db);
    const payloadOf = (type: string) => log.find(({ eventType }) => eventType === type)?.payload;
    expectSealed(payloadOf("noted"), why);
    expectSealed((payloadOf("TaskScheduled") as { payload: unknown }).payload, why);
    expect(payloadOf("TaskScheduled")).toMatchObject({ taskId: "telling", taskType: "telling" });
    expect((payloadOf("TaskCancelled") as { reason: string }).reason).toContain(why);
    expect((payloadOf("EventSkipped") as { error: string }).error).toContain(why);
    const [execution] = (await scheduler.history("throwing")).executions;
    expect(execution?.error).toEqual({
      code: "HANDLER_FAILED",
      message: expect.stringContaining(why) as string,
    });
    const [letter] = await scheduler.eventHandlers.deadLetters();
    expect(letter?.error).toContain(why);
    expect(inspect([task, log, execution, letter], { depth: 9 })).not.toContain(canary);
  });

  test("a run is a failed attempt that says so, and an event handler is not given half an event", async () => {
    const location = await newLocation({ shared: true });
    const sealing = await withCodec(location, [first]);
    const external = new Scheduler(sealing, { externalTaskTypes: ["work"] });
    const request = {
      taskId: "sealed",
      taskType: "work",
      schedule: immediate(),
      payload: canary,
      maxRetries: 1,
    } as const;
    await external.scheduleTask(request);
    await sealing.transaction((tx) => tx.append({ eventType: "noted", payload: canary }));
    await sealing.close();
    const given: unknown[] = [];
    const work = taskHandler({
      taskType: "work",
      maxRetries: 1,
      execute: (_, payload: unknown) => void given.push(payload),
    });
    const notes = eventHandler({
      name: "notes",
      eventType: "noted",
      onError: "dead-letter",
      handle: (e) => void given.push(e.payload),
    });
    await using kit = await createTestScheduler({
      location,
      start: new Date(Date.now() + 60_000),
      handlers: [work],
      eventHandlers: [notes],
      payloadCodec: aesGcm({ keys: [second] }),
    });
    await kit.settle();
    expect(given).toEqual([]);
    const [execution] = (await kit.scheduler.history("sealed")).executions;
    expect(execution?.error).toMatchObject({
      code: "PAYLOAD_SEALED",
      message: expect.stringContaining('"first"') as string,
    });
    const [letter] = await kit.scheduler.eventHandlers.deadLetters();
    expect(letter?.error).toContain('no key "first"');
    await expect(kit.scheduler.eventHandlers.replayDeadLetter(letter?.id ?? 0)).rejects.toMatchObject({
      code: "PAYLOAD_SEALED",
    });
    await kit[Symbol.asyncDispose]();
    // With the key again, both can be made good.
    await using mended = await createTestScheduler({
      location,
      start: new Date(Date.now() + 120_000),
      handlers: [work],
      eventHandlers: [notes],
      payloadCodec: aesGcm({ keys: [second, first] }),
    });
    await mended.scheduler.eventHandlers.replayDeadLetter(letter?.id ?? 0);
    await mended.scheduler.runTaskNow("sealed");
    await mended.settle();
    expect(given).toEqual([canary, canary]);
  });

  test("what could not be opened cannot be stored in its stead", async () => {
    const location = await newLocation({ shared: true });
    const sealing = new Scheduler(await withCodec(location, [first]), { externalTaskTypes: ["work"] });
    await sealing.scheduleTask({ taskId: "a", taskType: "work", schedule: immediate(), payload: canary });
    const keyless = new Scheduler(await openStore(location), { externalTaskTypes: ["work"] });
    const task = await keyless.getTask("a");
    await expect(
      keyless.scheduleTask({ taskId: "b", taskType: "work", schedule: immediate(), payload: task?.payload }),
    ).rejects.toMatchObject({ code: "PAYLOAD_NOT_JSON", message: expect.stringContaining("a Sealed") as string });
  });
});

function expectSealed(value: unknown, why: string): void {
  expect(value).toBeInstanceOf(Sealed);
  expect((value as Sealed).error).toMatchObject({
    code: "PAYLOAD_SEALED",
    message: expect.stringContaining(why) as string,
  });
  expect((value as Sealed).text).toMatch(/^first\./);
}

describe("the same task again", () => {
  const declare = async (db: AzothDb, payload: unknown) => {
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    return (await scheduler.scheduleTask({ taskId: "a", taskType: "work", schedule: cron("0 0 0 1 1 *"), payload }))
      .change;
  };
  const payload = { to: canary, at: new Date(5) };

  test("is unchanged, also when another key seals", async () => {
    const location = await newLocation({ shared: true });
    const before = await withCodec(location, [first]);
    expect(await declare(before, payload)).toBe("new");
    expect(await declare(before, payload)).toBe("unchanged");
    const after = await withCodec(location, [second, first]);
    expect(await declare(after, payload)).toBe("unchanged");
    expect(await declare(before, payload)).toBe("unchanged");
    expect(await eventsOf(after)).toHaveLength(1);
    expect(await declare(after, { ...payload, to: "other" })).toBe("replaced");
    expect(await declare(after, { ...payload, to: "other" })).toBe("unchanged");
    expect(await after.verify()).toMatchObject({ ok: true });
    expect((await eventsOf(after)).map((event) => (event.payload as { payload: unknown }).payload)).toEqual([
      payload,
      { ...payload, to: "other" },
    ]);
  });

  test("is sealed with the new key when another part of it changes", async () => {
    const location = await newLocation({ shared: true });
    await declare(await withCodec(location, [first]), payload);
    const db = await withCodec(location, [second, first]);
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const request = { taskId: "a", taskType: "work", schedule: cron("0 0 0 2 1 *"), payload } as const;
    expect((await scheduler.scheduleTask(request)).change).toBe("replaced");
    const onlySecond = new Scheduler(await withCodec(location, [second]));
    expect((await onlySecond.getTask("a"))?.payload).toEqual(payload);
  });

  test("is replaced if what is stored cannot be opened, which mends it", async () => {
    const location = await newLocation({ shared: true });
    await declare(await withCodec(location, [first]), payload);
    const db = await withCodec(location, [second]);
    expect(await declare(db, payload)).toBe("replaced");
    expect(await declare(db, payload)).toBe("unchanged");
  });

  test("that was stored before there was a codec is unchanged, and sealed with its next definition", async () => {
    const location = await newLocation({ shared: true });
    await declare(await openStore(location), payload);
    const db = await withCodec(location, [first]);
    expect(await declare(db, payload)).toBe("unchanged");
    expect((await new Scheduler(db).getTask("a"))?.payload).toEqual(payload);
    expect(await declare(db, { ...payload, more: "secretly" })).toBe("replaced");
    expect(await shows(location, "secretly")).toBe(false);
  });
});

test("a text put in another's place is not opened", async () => {
  const location = await newLocation({ shared: true });
  const db = await withCodec(location, [first]);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  const schedule = (taskId: string, payload: number) =>
    scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload });
  await schedule("poor", 1);
  await schedule("rich", 1_000_000);
  const move = "UPDATE azoth_tasks SET payload = (SELECT payload FROM azoth_tasks WHERE id = 'rich') WHERE id = 'poor'";
  await tamper(location, move);
  expectSealed((await scheduler.getTask("poor"))?.payload, "put in another's place");
  expect((await db.verify()).difference).toMatchObject({ taskId: "poor", field: "payload" });
  await db.rebuild();
  expect((await scheduler.getTask("poor"))?.payload).toBe(1);
});

test("equal payloads of different tasks do not look equal", async () => {
  const db = await withCodec(await newLocation({ shared: true }), [first]);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  for (const taskId of ["a", "b"]) {
    await scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload: canary });
  }
  const rows = await db.query("SELECT DISTINCT CAST(payload AS TEXT) AS payload FROM azoth_tasks");
  expect(rows).toHaveLength(2);
});

test("an object of the user's that looks sealed is none", async () => {
  for (const payload of [{ $sealed: "first.AAAA" }, { $sealed: "x", b: 1 }, [{ $sealed: "y" }]]) {
    const scheduler = new Scheduler(await openStore(), { externalTaskTypes: ["work"] });
    await scheduler.scheduleTask({ taskId: "a", taskType: "work", schedule: immediate(), payload });
    expect((await scheduler.getTask("a"))?.payload).toEqual(payload);
  }
});

describe("errors of the door", () => {
  const schema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) => ({ issues: [{ message: `not ${inspect(value)}`, path: ["to"] }] }),
    },
  } as const;
  const handlers = [
    taskHandler({ taskType: "schema", payload: schema, execute: () => {} }),
    taskHandler({
      taskType: "validate",
      validate: (value) => {
        throw new Error(`not ${inspect(value)}`);
      },
      execute: () => {},
    }),
    taskHandler({ taskType: "any", execute: () => {} }),
  ];
  const hostile = {
    get to(): never {
      throw new Error(canary);
    },
  };

  test.each<[string, (scheduler: Scheduler, db: AzothDb) => Promise<unknown>, string]>([
    ["a schema's", (s) => s.scheduleTask({ taskType: "schema", schedule: immediate(), payload: canary }), "at to"],
    [
      "a validation's",
      (s) => s.scheduleTask({ taskType: "validate", schedule: immediate(), payload: canary }),
      "refused",
    ],
    [
      "a getter's",
      (s) => s.scheduleTask({ taskType: "any", schedule: immediate(), payload: hostile }),
      "cannot be read",
    ],
    ["an event that is a text", (_, db) => db.transaction((tx) => tx.append(canary as never)), "of type string"],
  ])("say %s place, and nothing of the payload", async (_, act, word) => {
    const db = await withCodec(await newLocation({ shared: true }), [first]);
    const error: unknown = await act(new Scheduler(db, { handlers }), db).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AzothError);
    expect((error as AzothError).message).toContain(word);
    expect(inspect(error, { depth: 9 })).not.toContain(canary);
  });
});

describe("a codec of the user's own", () => {
  const reversed = (text: string) => Array.from(text).toReversed().join("");
  const own: PayloadCodec = {
    seal: (text, context) => reversed(`${context}\n${text}`),
    open: (s) => reversed(s).split("\n")[1] ?? "",
  };

  test("is asked for everything, once it is ready", async () => {
    const asked: string[] = [];
    const location = await newLocation({ shared: true });
    const codec: PayloadCodec = {
      prepare: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        asked.push("prepare");
      },
      seal: (text, context) => {
        asked.push(`seal ${context}`);
        return own.seal(text, context);
      },
      open: own.open,
    };
    const db = await openStore(location, { payloadCodec: codec });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    await scheduler.scheduleTask({ taskId: "a", taskType: "work", schedule: immediate(), payload: canary });
    expect(asked).toEqual(["prepare", 'seal ["payload","a"]']);
    expect((await scheduler.getTask("a"))?.payload).toBe(canary);
    expect(await shows(location, reversed(canary))).toBe(true);
  });

  test("that seals the same otherwise each time changes no task that is declared again", async () => {
    let times = 0;
    const codec: PayloadCodec = {
      seal: (text, context) => own.seal(text, `${context} ${++times}`),
      open: own.open,
    };
    const db = await openStore(undefined, { payloadCodec: codec });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const request = { taskId: "a", taskType: "work", schedule: immediate(), payload: canary } as const;
    expect((await scheduler.scheduleTask(request)).change).toBe("new");
    expect((await scheduler.scheduleTask(request)).change).toBe("unchanged");
    expect((await scheduler.scheduleTask({ ...request, payload: "else" })).change).toBe("replaced");
  });

  test.each<[string, Partial<PayloadCodec>, string]>([
    [
      "throws",
      {
        seal: () => {
          throw new Error("no");
        },
      },
      "seal threw",
    ],
    ["promises", { seal: (() => Promise.resolve("x")) as never }, "a promise"],
    ["gives nothing", { seal: (() => undefined) as never }, "of type undefined"],
  ])("that %s stores nothing", async (_, parts, word) => {
    const db = await openStore(undefined, { payloadCodec: { ...own, ...parts } });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const request = { taskId: "a", taskType: "work", schedule: immediate(), payload: canary } as const;
    await expect(scheduler.scheduleTask(request)).rejects.toMatchObject({
      code: "CODEC_FAILED",
      message: expect.stringContaining(word) as string,
    });
    await expect(db.transaction((tx) => tx.append({ eventType: "noted" }))).rejects.toMatchObject({
      code: "CODEC_FAILED",
    });
    expect(await db.lastPosition()).toBe(0);
  });

  test.each<[string, Partial<PayloadCodec>]>([
    [
      "throws",
      {
        open: () => {
          throw new Error("no");
        },
      },
    ],
    ["gives garbage", { open: () => `${canary}, which is no JSON` }],
    ["promises", { open: (() => Promise.resolve("1")) as never }],
  ])("whose open %s leaves it sealed", async (_, parts) => {
    const db = await openStore(undefined, { payloadCodec: { ...own, ...parts } });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    await scheduler.scheduleTask({ taskId: "a", taskType: "work", schedule: immediate(), payload: 1 });
    const payload = (await scheduler.getTask("a"))?.payload;
    expect(payload).toBeInstanceOf(Sealed);
    expect((payload as Sealed).error.message).toContain("open threw, or returned");
    expect(inspect(payload, { depth: 9 })).not.toContain(canary);
  });

  test("that cannot be made ready keeps the store closed", async () => {
    const payloadCodec = { ...own, prepare: () => Promise.reject(new Error("KMS is away")) };
    await expect(openStore(undefined, { payloadCodec })).rejects.toMatchObject({ code: "CODEC_FAILED" });
  });

  test("that fails while a result is recorded does not lose it", async () => {
    let failures = 0;
    let runs = 0;
    const codec: PayloadCodec = {
      ...own,
      seal: (text, context) => {
        if (context.includes("made") && failures++ < 3) throw new Error("not now");
        return own.seal(text, context);
      },
    };
    const make = taskHandler({ taskType: "make", execute: () => ({ eventType: "made", payload: ++runs }) });
    const write = taskHandler({
      taskType: "write",
      execute: (ctx) => ctx.transaction.append({ eventType: "made too", payload: ++runs }),
    });
    await using kit = await createTestScheduler({ handlers: [make, write], payloadCodec: codec });
    await kit.scheduler.scheduleTask({ taskId: "a", taskType: "make", schedule: immediate() });
    await kit.advance("5h");
    failures = 0;
    await kit.scheduler.scheduleTask({ taskId: "b", taskType: "write", schedule: immediate() });
    await kit.advance("5h");
    expect(runs).toBe(2);
    for (const id of ["a", "b"]) {
      expect((await kit.scheduler.history(id)).executions.map(({ outcome }) => outcome)).toEqual(["succeeded"]);
    }
    expect((await kit.log({ eventTypes: ["made", "made too"] })).map(({ payload }) => payload)).toEqual([1, 2]);
  });
});
