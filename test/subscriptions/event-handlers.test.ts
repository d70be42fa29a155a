/** EventHandlers: each event in order and exactly once, whatever stops, crashes or doubles the schedulers. */
import { eventHandler, immediate, interval, type RecordedEvent, type SqlRow, taskHandler } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import * as z from "zod";
import { describe, expect, test } from "vitest";
import { createTestScheduler, rowNumber } from "../engine-under-test.ts";
import { codeOf, deferred, eventsOf, idle, openKit } from "../scheduler/support.ts";

/** A handler that writes down what it handled in its own table, which tells doubles and gaps. */
const ledger = (more: object = {}) =>
  eventHandler<number>({
    name: "ledger",
    eventType: "counted",
    setUp: (tx) => tx.execute(`CREATE TABLE IF NOT EXISTS ledger (entry ${rowNumber}, value INTEGER)`),
    handle: (event, tx) => tx.execute("INSERT INTO ledger (value) VALUES (?)", [event.payload]),
    ...more,
  });

const entries = async (kit: Pick<TestScheduler, "db">): Promise<unknown[]> =>
  (await kit.db.query("SELECT value FROM ledger ORDER BY entry")).map(({ value }: SqlRow) => value);

/** Appends events counted from `from` to `to`. */
async function count(kit: Pick<TestScheduler, "db">, from: number, to: number): Promise<void> {
  await kit.db.transaction(async (tx) => {
    for (let value = from; value <= to; value++) await tx.append({ eventType: "counted", payload: value });
  });
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe("an event handler", () => {
  test("gets the events of its types in the order of the log, those of before it was known included", async () => {
    await using kit = await createTestScheduler();
    await count(kit, 1, 150);
    await kit.db.transaction((tx) => tx.append({ eventType: "other" }));
    await kit.restart({ eventHandlers: [ledger()] });
    await count(kit, 151, 300);
    await kit.settle();
    expect(await entries(kit)).toEqual(upTo(300));
  });

  test("gets what task handlers return, with the run that it came from", async () => {
    const seen: RecordedEvent<{ rows: number }>[] = [];
    const job = taskHandler({
      taskType: "job",
      execute: () => ({ eventType: "report_generated", payload: { rows: 3 } }),
    });
    const reader = eventHandler<{ rows: number }>({
      name: "reader",
      eventType: "report_generated",
      handle: (event) => void seen.push(event),
    });
    await using kit = await createTestScheduler({ handlers: [job], eventHandlers: [reader] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.settle();
    const [executed] = await eventsOf(kit, "TaskExecuted");
    expect(seen).toEqual([
      {
        position: seen[0]?.position,
        eventType: "report_generated",
        recordedAt: new Date("2026-01-01T00:00:00Z"),
        taskId: "task",
        executionId: executed?.executionId,
        version: 1,
        payload: { rows: 3 },
      },
    ]);
  });

  test("may take several types, the scheduler's own among them", async () => {
    const seen: string[] = [];
    const reader = eventHandler({
      name: "reader",
      eventTypes: ["TaskScheduled", "TaskCancelled", "noted"],
      handle: ({ eventType, taskId }) => void seen.push(`${eventType} ${taskId ?? "-"}`),
    });
    await using kit = await createTestScheduler({ handlers: [idle], eventHandlers: [reader] });
    await kit.scheduler.scheduleTask({ taskId: "a", taskType: "job", schedule: interval("1h") });
    await kit.db.transaction((tx) => tx.append({ eventType: "noted" }));
    await kit.scheduler.cancelTask("a", "");
    await kit.settle();
    expect(seen).toEqual(["TaskScheduled a", "noted -", "TaskCancelled a"]);
  });

  test("begins with what comes from now on, if it says so, and later goes on where it was", async () => {
    await using kit = await createTestScheduler();
    await count(kit, 1, 5);
    const fromNow = ledger({ startFrom: "now" });
    await kit.restart({ eventHandlers: [fromNow] });
    await count(kit, 6, 7);
    await kit.settle();
    await kit.stop();
    await count(kit, 8, 9);
    await kit.restart();
    await kit.settle();
    expect(await entries(kit)).toEqual([6, 7, 8, 9]);
  });

  test("makes its tables before its first event, in each process", async () => {
    let setUps = 0;
    const counted = ledger({
      setUp: async (tx: { execute: (sql: string) => Promise<number> }) => {
        setUps++;
        await tx.execute(`CREATE TABLE IF NOT EXISTS ledger (entry ${rowNumber}, value INTEGER)`);
      },
    });
    await using kit = await openKit({ eventHandlers: [counted] });
    await count(kit, 1, 1);
    await kit.restart();
    await kit.settle();
    expect(setUps).toBe(2);
    expect(await entries(kit)).toEqual([1]);
  });

  test("checks payloads by its schema, and gets its output", async () => {
    const seen: unknown[] = [];
    const reader = eventHandler({
      name: "reader",
      eventType: "counted",
      payload: z.object({ value: z.coerce.number() }),
      onError: "skip",
      handle: ({ payload }) => void seen.push(payload.value),
    });
    await using kit = await createTestScheduler({ eventHandlers: [reader] });
    for (const payload of [{ value: "7" }, { value: "x" }, null, { value: 8 }]) {
      await kit.db.transaction((tx) => tx.append({ eventType: "counted", payload }));
    }
    await kit.settle();
    expect(seen).toEqual([7, 8]);
    expect(await eventsOf(kit, "EventSkipped")).toHaveLength(2);
  });

  test("that is not well made is refused", async () => {
    const handle = () => {};
    expect(codeOf(() => eventHandler({ name: "", eventType: "x", handle }))).toBe("INVALID_HANDLER");
    expect(codeOf(() => eventHandler({ name: "x", eventTypes: [], handle }))).toBe("INVALID_HANDLER");
    expect(codeOf(() => eventHandler({ name: "x", handle } as never))).toBe("INVALID_HANDLER");
    expect(codeOf(() => eventHandler({ name: "x", eventType: "x", eventTypes: ["y"], handle }))).toBe(
      "INVALID_HANDLER",
    );
    expect(codeOf(() => eventHandler({ name: "x", eventType: "x", handle: 5 } as never))).toBe("INVALID_HANDLER");
    expect(codeOf(() => eventHandler({ name: "x", eventType: "x", handle, onErorr: "skip" } as never))).toBe(
      "INVALID_HANDLER",
    );
    expect(codeOf(() => eventHandler({ name: "x", eventType: "x", handle, onError: "ignore" } as never))).toBe(
      "INVALID_HANDLER",
    );
    await expect(createTestScheduler({ eventHandlers: [ledger(), ledger()] })).rejects.toMatchObject({
      code: "DUPLICATE_HANDLER",
    });
  });
});

describe("exactly once", () => {
  test("across restarts", async () => {
    await using kit = await createTestScheduler({ eventHandlers: [ledger()] });
    for (let round = 0; round < 5; round++) {
      await count(kit, round * 20 + 1, round * 20 + 20);
      await kit.restart();
    }
    await kit.settle();
    expect(await entries(kit)).toEqual(upTo(100));
  });

  test("across a crash in the middle of a batch: what was written is rolled back with the checkpoint", async () => {
    let stuck = true;
    const inside = deferred();
    const handler = ledger({
      handle: async (
        event: RecordedEvent<number>,
        tx: { execute: (sql: string, values: number[]) => Promise<number> },
      ) => {
        await tx.execute("INSERT INTO ledger (value) VALUES (?)", [event.payload]);
        if (!stuck || event.payload !== 7) return;
        inside.resolve();
        await new Promise(() => {});
      },
    });
    await using kit = await openKit({ eventHandlers: [handler], patience: 0 });
    await count(kit, 1, 10);
    await inside.promise;
    await kit.crash();
    expect(await entries(kit)).toEqual([]);
    stuck = false;
    await kit.restart();
    await kit.settle();
    expect(await entries(kit)).toEqual(upTo(10));
  });

  test("when several schedulers have the handler", async () => {
    await using kit = await createTestScheduler({ eventHandlers: [ledger()] });
    await kit.addScheduler();
    const third = await kit.addScheduler();
    for (let value = 1; value <= 60; value++) {
      await count(kit, value, value);
      if (value === 30) await kit.crash();
      if (value === 40) await third.stop();
      if (value % 7 === 0) await kit.settle();
    }
    await kit.settle();
    expect(await entries(kit)).toEqual(upTo(60));
  });

  test("while commits fail now and then", async () => {
    await using kit = await createTestScheduler({ eventHandlers: [ledger()] });
    for (let round = 0; round < 10; round++) {
      await count(kit, round * 10 + 1, round * 10 + 10);
      kit.failNextCommits(2);
      await kit.advance("1s");
    }
    await kit.advance("1m");
    expect(await entries(kit)).toEqual(upTo(100));
  });

  test("after a failure for which the clock is set back, without waiting until it shows that time again", async () => {
    let failures = 1;
    const flaky = ledger({
      onError: { retry: { maxAttempts: 3, base: "1m" }, then: "stop" },
      handle: async (
        event: RecordedEvent<number>,
        tx: { execute: (sql: string, values: number[]) => Promise<number> },
      ) => {
        if (failures-- > 0) throw new Error("not now");
        await tx.execute("INSERT INTO ledger (value) VALUES (?)", [event.payload]);
      },
    });
    await using kit = await createTestScheduler({ eventHandlers: [flaky] });
    kit.clock.jump("5d");
    await count(kit, 1, 1);
    await kit.settle();
    kit.clock.jump(-5 * 86_400_000);
    await kit.advance("1h");
    expect(await entries(kit)).toEqual([1]);
  });

  test("and together with the tasks that it schedules", async () => {
    const mail = taskHandler({ taskType: "mail", execute: (_, to: number) => ({ eventType: "mailed", payload: to }) });
    const mailer = ledger({
      handle: (event: RecordedEvent<number>, tx: { scheduleTask: (request: object) => Promise<unknown> }) =>
        tx.scheduleTask({ taskType: "mail", schedule: immediate(), payload: event.payload }),
    });
    await using kit = await openKit({ handlers: [mail], eventHandlers: [mailer] });
    await count(kit, 1, 20);
    await kit.crash();
    await kit.restart();
    await count(kit, 21, 30);
    await kit.settle();
    const mailed = (await eventsOf(kit, "mailed")).map(({ payload }) => Number(payload));
    expect(mailed.toSorted((left, right) => left - right)).toEqual(upTo(30));
  });

  test("a task of a type that nobody handles, or with a wrong payload, is refused in it as at the door", async () => {
    const scheduling = ledger({
      onError: "dead-letter",
      handle: (_: unknown, tx: { scheduleTask: (request: object) => Promise<unknown> }) =>
        tx.scheduleTask({ taskType: "nope", schedule: immediate() }),
    });
    await using kit = await openKit({ handlers: [idle], eventHandlers: [scheduling] });
    await count(kit, 1, 1);
    await kit.settle();
    const [letter] = await kit.scheduler.eventHandlers.deadLetters();
    expect(letter?.error).toMatch(/nope/);
  });
});

describe("rebuild", () => {
  /** Sums what is counted; doubles when it is rebuilt without a reset. */
  const sums = (factor: number) =>
    eventHandler<number>({
      name: "sums",
      eventType: "counted",
      setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS sums (id INTEGER PRIMARY KEY, total INTEGER)"),
      reset: (tx) => tx.execute("DELETE FROM sums"),
      handle: (event, tx) =>
        tx.execute(
          "INSERT INTO sums VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET total = sums.total + excluded.total",
          [factor * event.payload],
        ),
    });
  const total = async (kit: Pick<TestScheduler, "db">) => (await kit.db.query("SELECT total FROM sums"))[0]?.total;

  test("empties the handler's tables and handles the whole log again, and then goes on", async () => {
    await using kit = await createTestScheduler({ eventHandlers: [sums(1)] });
    await count(kit, 1, 300);
    await kit.settle();
    expect(await total(kit)).toBe(45_150);
    await kit.restart({ eventHandlers: [sums(2)] });
    const progress: number[] = [];
    const position = await kit.scheduler.eventHandlers.rebuild("sums", { onProgress: (at) => progress.push(at) });
    expect(await total(kit)).toBe(90_300);
    expect(progress.at(-1)).toBe(position);
    expect(progress).toEqual(progress.toSorted((left, right) => left - right));
    await count(kit, 1, 1);
    await kit.settle();
    expect(await total(kit)).toBe(90_302);
  });

  test("lets a handler go on that had stopped", async () => {
    let broken = true;
    const handler = { ...sums(1), onError: "stop" as const };
    const { handle } = handler;
    const breakable = {
      ...handler,
      handle: (...args: Parameters<typeof handle>) => {
        if (broken) throw new Error("broken");
        return handle(...args);
      },
    };
    await using kit = await createTestScheduler({ eventHandlers: [breakable] });
    await count(kit, 1, 3);
    await kit.settle();
    broken = false;
    await kit.scheduler.eventHandlers.rebuild("sums");
    await count(kit, 4, 4);
    await kit.settle();
    expect(await total(kit)).toBe(10);
  });

  test("of a handler without reset, or an unknown one, is refused, and a failing one leaves all as it was", async () => {
    await using kit = await createTestScheduler({
      eventHandlers: [
        ledger(),
        {
          ...sums(1),
          handle: (event, tx) => {
            if (kit.clock.now() > Date.parse("2026-01-01T00:30:00Z")) throw new Error("broken");
            return sums(1).handle(event, tx);
          },
        },
      ],
    } as const);
    await count(kit, 1, 4);
    await kit.advance("1h");
    const { eventHandlers } = kit.scheduler;
    await expect(eventHandlers.rebuild("ledger")).rejects.toMatchObject({ code: "INVALID_HANDLER" });
    await expect(eventHandlers.rebuild("nobody")).rejects.toMatchObject({ code: "EVENT_HANDLER_NOT_FOUND" });
    await expect(eventHandlers.rebuild("sums")).rejects.toThrow("broken");
    expect(await total(kit)).toBe(10);
  });
});
