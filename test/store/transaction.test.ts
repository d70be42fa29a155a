/** The Transaction API: own events, own tables and tasks commit together or not at all. */
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { oneTime } from "../../src/schedule/one-time.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import type { Transaction } from "../../src/store/transaction.ts";
import type { TaskEvent } from "../../src/tasks/task-event.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { engineUnderTest, rowNumber } from "../engine-under-test.ts";
import { eventsOf, openStore, valueOf } from "./scratch-stores.ts";

const notesTable = `CREATE TABLE notes (id ${rowNumber}, body TEXT UNIQUE)`;

async function storeWithNotes(): Promise<AzothDb> {
  const db = await openStore();
  await db.transaction((tx) => tx.execute(notesTable));
  return db;
}

const task = (taskId: string) => ({ taskId, taskType: "work", schedule: immediate(), payload: null });
const readerOf = (db: AzothDb) => new Scheduler(db, { externalTaskTypes: ["work"] });
const countOf = (db: AzothDb) => valueOf(db, "SELECT count(*) FROM notes");

/** A promise and the function that resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("a transaction", () => {
  test("commits events, rows and tasks together, and passes on its callback's result", async () => {
    const db = await storeWithNotes();
    const result = await db.transaction(async (tx) => {
      const first = await tx.append({ eventType: "noted", payload: { at: tx.now } });
      await tx.execute("INSERT INTO notes (body) VALUES (?)", [`at ${first}`]);
      const scheduled = await tx.scheduleTask(task("t"));
      const generated = await tx.scheduleTask({ taskType: "work", schedule: immediate() });
      await tx.cancelTask(generated.taskId, "not needed");
      return { first, scheduled, generated };
    });
    expect(result.first).toBe(1);
    expect(result.scheduled).toMatchObject({ taskId: "t", change: "new" });
    expect(await countOf(db)).toBe(1);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual([
      "noted",
      "TaskScheduled",
      "TaskScheduled",
      "TaskCancelled",
    ]);
    const scheduler = readerOf(db);
    expect(await scheduler.getTask("t")).toMatchObject({ state: "waiting" });
    expect(await scheduler.getTask(result.generated.taskId)).toMatchObject({ state: "cancelled" });
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("sees what it has done itself, and nobody else does", async () => {
    const db = await storeWithNotes();
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "noted" });
      await tx.execute("INSERT INTO notes (body) VALUES ('a')");
      await tx.scheduleTask(task("t"));
      expect(await tx.query("SELECT body FROM notes")).toEqual([{ body: "a" }]);
      expect(await tx.query("SELECT count(*) AS events FROM azoth_events")).toEqual([{ events: 2 }]);
      expect(await tx.query("SELECT id FROM azoth_tasks")).toEqual([{ id: "t" }]);
      expect(await tx.getTask("t")).toMatchObject({ taskId: "t", state: "waiting" });
      expect(await tx.getTask("nobody")).toBeNull();
      await tx.cancelTask("t", "because");
      expect(await tx.getTask("t")).toMatchObject({ state: "cancelled" });
      expect(await countOf(db)).toBe(0);
      expect(await db.lastPosition()).toBe(0);
      expect(await readerOf(db).getTask("t")).toBeNull();
    });
  });

  test("that rejects leaves nothing, and the next one goes on as if it had not been", async () => {
    const db = await storeWithNotes();
    const mine = new Error("mine");
    const positions: number[] = [];
    for (const fail of [
      () => Promise.reject(mine),
      () => {
        throw mine;
      },
    ]) {
      const refused = db.transaction(async (tx) => {
        positions.push(await tx.append({ eventType: "lost type" }));
        await tx.execute("INSERT INTO notes (body) VALUES ('a')");
        await tx.execute("CREATE TABLE more (id INTEGER)");
        await tx.scheduleTask(task("t"));
        await tx.cancelTask("t", "because");
        return await fail();
      });
      await expect(refused).rejects.toBe(mine);
    }
    expect(await countOf(db)).toBe(0);
    expect(await db.lastPosition()).toBe(0);
    expect(await readerOf(db).getTask("t")).toBeNull();
    positions.push(await db.transaction((tx) => tx.append({ eventType: "kept" })));
    // What was drawn in vain is given out again, or never: readers of the log know the difference.
    if (engineUnderTest === "sqlite") expect(positions).toEqual([1, 1, 1]);
    else expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
    await db.transaction((tx) => tx.scheduleTask(task("t")));
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["kept", "TaskScheduled"]);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("has one instant", async () => {
    const clock = new ManualClock("2026-01-01T00:00:00Z");
    const db = await openStore(undefined, { clock });
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "a" });
      clock.jump("1h");
      await tx.append({ eventType: "b" });
      expect(tx.now).toEqual(new Date("2026-01-01T00:00:00Z"));
    });
    for (const { recordedAt } of await eventsOf(db)) expect(recordedAt).toEqual(new Date("2026-01-01T00:00:00Z"));
  });

  test("may be a plain function without any promise", async () => {
    const db = await openStore();
    expect(await db.transaction(() => 5)).toBe(5);
    expect(await db.lastPosition()).toBe(0);
  });

  test("may fail in a part and go on, if the callback catches it", async () => {
    const db = await storeWithNotes();
    const refusals: unknown[] = [];
    const note = (error: unknown) => void refusals.push((error as { code: unknown }).code);
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "first" });
      await tx.append({ eventType: "TaskExecuted" }).catch(note);
      await tx.append({ eventType: "bad", payload: () => {} }).catch(note);
      await tx.append({} as TaskEvent).catch(note);
      await tx.execute("INSERT INTO nowhere VALUES (1)").catch(note);
      await tx.execute("INSERT INTO notes (body) VALUES ('once')");
      await tx.execute("INSERT INTO notes (body) VALUES ('once')").catch(note);
      await tx.query("SELEKT").catch(note);
      await tx.cancelTask("nobody", "because").catch(note);
      await tx.scheduleTask({ ...task("t"), maxRetries: -1 }).catch(note);
      await tx.scheduleTask(task("t"));
      await tx.append({ eventType: "last" });
    });
    expect(refusals).toEqual([
      "RESERVED_EVENT_TYPE",
      "PAYLOAD_NOT_JSON",
      "INVALID_EVENT",
      "INVALID_SQL",
      "INVALID_SQL",
      "INVALID_SQL",
      "TASK_NOT_FOUND",
      "INVALID_TASK",
    ]);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["first", "TaskScheduled", "last"]);
    expect(await countOf(db)).toBe(1);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("checks tasks as its scheduler does", async () => {
    const db = await openStore();
    const work = taskHandler({
      taskType: "work",
      validate: (payload) => payload === "good",
      execute: () => {},
    });
    const scheduler = new Scheduler(db, { handlers: [work] });
    for (const owner of [db, scheduler]) {
      await owner.transaction(async (tx) => {
        await expect(tx.scheduleTask({ ...task("t"), payload: "bad" })).rejects.toMatchObject({
          code: "INVALID_PAYLOAD",
        });
        await expect(tx.scheduleTask({ ...task("t"), taskType: "other" })).rejects.toMatchObject({
          code: "UNKNOWN_TASK_TYPE",
        });
        await tx.scheduleTask({ ...task("t"), payload: "good" });
      });
    }
  });

  test("schedules the same definition again without a trace", async () => {
    const db = await openStore();
    const request = { ...task("t"), schedule: oneTime("2030-01-01T00:00:00Z") };
    const changes: string[] = [];
    for (let round = 0; round < 3; round++) {
      await db.transaction(async (tx) => {
        changes.push((await tx.scheduleTask(request)).change, (await tx.scheduleTask(request)).change);
      });
    }
    expect(changes).toEqual(["new", "unchanged", "unchanged", "unchanged", "unchanged", "unchanged"]);
    expect(await db.lastPosition()).toBe(1);
  });
});

describe("a transaction that takes too long", () => {
  test("is rolled back, and late calls of its callback are refused", async () => {
    const clock = new ManualClock("2026-01-01T00:00:00Z");
    const db = await openStore(undefined, { clock, transactionTimeout: "3s", noticeInterval: 0 });
    await db.transaction((tx) => tx.execute(notesTable));
    const written = gate();
    const late = gate();
    const refusals: unknown[] = [];
    const ended = gate();
    const slow = db.transaction(async (tx) => {
      await tx.append({ eventType: "lost" });
      await tx.execute("INSERT INTO notes (body) VALUES ('lost')");
      written.open();
      await late.opened;
      for (const call of [
        () => tx.append({ eventType: "late" }),
        () => tx.execute("INSERT INTO notes (body) VALUES ('late')"),
        () => tx.query("SELECT 1"),
        () => tx.scheduleTask(task("late")),
        () => tx.cancelTask("late", "because"),
        () => tx.getTask("late"),
      ]) {
        refusals.push(await call().catch((error: unknown) => (error as { code: unknown }).code));
      }
      ended.open();
    });
    const append = () => db.transaction((tx) => tx.append({ eventType: "next" }));
    // With one writer it waits for the slow one; with many it would meet the timeout itself.
    const waiting = engineUnderTest === "sqlite" ? append() : undefined;
    await written.opened;
    await clock.advance("2999ms");
    await Promise.all([
      expect(slow).rejects.toMatchObject({ name: "AzothError", code: "TRANSACTION_TIMEOUT" }),
      clock.advance("1ms"),
    ]);
    expect(await (waiting ?? append())).toBe(await db.lastPosition());
    late.open();
    await ended.opened;
    expect(refusals).toEqual(Array.from({ length: 6 }, () => "TRANSACTION_CLOSED"));
    expect(await countOf(db)).toBe(0);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["next"]);
  });

  test("that never settles does not stop the store", async () => {
    const db = await openStore(undefined, { transactionTimeout: "1s" });
    await expect(db.transaction(() => new Promise(() => {}))).rejects.toMatchObject({ code: "TRANSACTION_TIMEOUT" });
    expect(await db.transaction((tx) => tx.append({ eventType: "next" }))).toBe(1);
  });
});

describe("a transaction that has ended", () => {
  test("refuses every call", async () => {
    const db = await storeWithNotes();
    let kept: Transaction | undefined;
    await db.transaction((tx) => {
      kept = tx;
    });
    for (const call of [
      () => kept?.append({ eventType: "late" }),
      () => kept?.execute("INSERT INTO notes (body) VALUES ('late')"),
      () => kept?.query("SELECT 1"),
      () => kept?.scheduleTask(task("late")),
      () => kept?.cancelTask("late", "because"),
      () => kept?.getTask("late"),
    ]) {
      await expect(call()).rejects.toMatchObject({ name: "AzothError", code: "TRANSACTION_CLOSED" });
    }
    expect(await db.lastPosition()).toBe(0);
    expect(await countOf(db)).toBe(0);
  });

  test("either holds or refuses what its callback did not await", async () => {
    const db = await storeWithNotes();
    for (let ticks = 0; ticks < 30; ticks++) {
      const calls: Promise<unknown>[] = [];
      await db.transaction(async (tx) => {
        const stray = async () => {
          for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
          const made = [
            tx.execute(`INSERT INTO notes (body) VALUES ('${ticks}')`),
            tx.append({ eventType: "stray", payload: ticks }),
            tx.scheduleTask(task(`task-${ticks}`)),
          ];
          for (const call of made) call.catch(() => {});
          return made;
        };
        calls.push(stray());
        await Promise.resolve();
      });
      const made = (await Promise.all(calls)).flat() as Promise<unknown>[];
      const [row, event, scheduled] = (await Promise.allSettled(made)).map(({ status }) => status === "fulfilled");
      const rows = await valueOf(db, `SELECT count(*) FROM notes WHERE body = '${ticks}'`);
      const events = await eventsOf(db, { eventTypes: ["stray"] });
      expect([rows, ticks]).toEqual([row === true ? 1 : 0, ticks]);
      expect([events.filter(({ payload }) => payload === ticks).length, ticks]).toEqual([
        event === true ? 1 : 0,
        ticks,
      ]);
      const stored = await readerOf(db).getTask(`task-${ticks}`);
      expect([stored !== null, ticks]).toEqual([scheduled, ticks]);
    }
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

describe("a callback", () => {
  test("that is none is refused", async () => {
    const db = await openStore();
    const scheduler = new Scheduler(db);
    for (const callback of [undefined, null, 5, "INSERT", {}]) {
      for (const owner of [db, scheduler]) {
        const refused = owner.transaction(callback as () => void);
        await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "INVALID_OPTION" });
      }
    }
  });
});
