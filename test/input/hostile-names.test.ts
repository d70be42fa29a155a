/** Ids, types, names, reasons and payloads are data: never SQL, a pattern, a path or a field of an object. */
import { AzothDb, eventHandler, oneTime, Scheduler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { newLocation } from "../engine-under-test.ts";

const hostile = [
  `'; DROP TABLE azoth_tasks; --`,
  `"; DELETE FROM azoth_events; --`,
  `x' OR '1'='1`,
  `\\'; SELECT 1; --`,
  "$$; DROP SCHEMA azoth CASCADE; $$",
  "$1 ? ?1 :a @a",
  "%",
  "_",
  "*",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "{}",
  "[1]",
  "null",
  "🦊",
];

const later = oneTime("2100-01-01T00:00:00Z");

describe("what looks like something else", () => {
  test("is an id, a type, a reason, a prefix and a name like any other", async () => {
    await using db = await AzothDb.open(await newLocation());
    const scheduler = new Scheduler(db, {
      externalTaskTypes: hostile,
      name: hostile[0] ?? "",
      eventHandlers: hostile.map((name) => eventHandler({ name, eventType: name, handle: () => {} })),
    });
    await scheduler.start();
    for (const text of hostile) {
      await scheduler.scheduleTask({ taskId: text, taskType: text, schedule: later, payload: { [text]: text } });
      await db.transaction((tx) => tx.append({ eventType: `own ${text}`, payload: text }));
    }
    for (const text of hostile) {
      const task = await scheduler.getTask(text);
      expect(task).toMatchObject({ taskId: text, taskType: text, state: "waiting" });
      expect(Object.entries(task?.payload as object)).toEqual([[text, text]]);
      const ids = async (filter: object) => (await scheduler.listTasks(filter)).tasks.map(({ taskId }) => taskId);
      expect(await ids({ idPrefix: text })).toEqual(hostile.filter((other) => other.startsWith(text)));
      expect(await ids({ taskType: text })).toEqual([text]);
      const own: unknown[] = [];
      for await (const { payload } of db.readLog({ eventTypes: [`own ${text}`] })) own.push(payload);
      expect(own).toEqual([text]);
      await scheduler.cancelTask(text, text);
      const history: unknown[] = [];
      for await (const { payload } of db.readLog({ taskId: text, eventTypes: ["TaskCancelled"] }))
        history.push(payload);
      expect(history).toMatchObject([{ reason: text }]);
    }
    expect((await scheduler.eventHandlers.list()).map(({ name }) => name).toSorted()).toEqual(hostile.toSorted());
    await scheduler.stop();
    expect(await scheduler.countTasks()).toMatchObject({ cancelled: hostile.length, waiting: 0 });
    expect(await db.verify()).toMatchObject({ ok: true, tasks: hostile.length });
  });

  test("is a value of the user's own SQL where it is passed as one", async () => {
    await using db = await AzothDb.open(await newLocation());
    await db.transaction(async (tx) => {
      await tx.execute("CREATE TABLE words (word TEXT)");
      for (const text of hostile) await tx.execute("INSERT INTO words VALUES (?)", [text]);
    });
    for (const text of hostile) {
      expect(await db.query("SELECT word FROM words WHERE word = ?", [text])).toEqual([{ word: text }]);
    }
  });
});

describe("what is too large or too deep", () => {
  test("is refused at the door, and quickly", async () => {
    await using db = await AzothDb.open(await newLocation());
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    let deep: unknown = [];
    for (let depth = 0; depth < 200_000; depth++) deep = [deep];
    const startedAt = performance.now();
    for (const [refused, code] of [
      [{ taskId: "x".repeat(1_000_000) }, "INVALID_TASK_ID"],
      [{ taskType: "x".repeat(1_000_000) }, "INVALID_TASK"],
      [{ payload: "x".repeat(2_000_000) }, "PAYLOAD_TOO_LARGE"],
      [{ payload: deep }, "PAYLOAD_NOT_JSON"],
      [{ schedule: { kind: "cron", expression: "*,".repeat(1_000_000), timeZone: "UTC" } }, "INVALID_CRON"],
      [{ schedule: { kind: "cron", expression: "* * * * *", timeZone: "x".repeat(1_000_000) } }, "INVALID_TIME_ZONE"],
    ] as const) {
      const task = { taskType: "work", schedule: later, ...refused } as Parameters<typeof scheduler.scheduleTask>[0];
      const error: unknown = await scheduler.scheduleTask(task).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: "AzothError", code });
      expect((error as Error).message.length).toBeLessThan(1_000);
    }
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(await db.lastPosition()).toBe(0);
  });
});
