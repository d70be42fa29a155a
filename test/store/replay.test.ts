/** replay(log) == state: verify() proves it and finds every contradiction, rebuild() restores it while writers go on. */
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { type AzothDb, coreOf } from "../../src/store/azoth-db.ts";
import type { ReplayOptions, ReplayProgress } from "../../src/store/replay.ts";
import { append, newEvent } from "../contract/subject.ts";
import { engineUnderTest, newLocation, rowNumber } from "../engine-under-test.ts";
import { livelyCopies } from "./lively-copies.ts";
import { eventsOf, openStore, scheduleMany, valueOf } from "./scratch-stores.ts";
import { changed, eventOf, tamper } from "./tampering.ts";

const newCopy = livelyCopies();

/** A copy of the lively store, after somebody ran a statement on its tables. */
async function tampered(sql?: string): Promise<AzothDb> {
  const location = await newCopy();
  if (sql !== undefined) await tamper(location, sql);
  return await openStore(location, { durability: "normal" });
}

const isSqlite = engineUnderTest === "sqlite";
/** A text as the type of the columns that hold JSON, and such a column as a text. */
const json = (text: string) => (isSqlite ? text : `(${text})::json`);
const textOf = (column: string) => (isSqlite ? column : `${column}::text`);

const paused = "(SELECT seq FROM azoth_tasks WHERE id = 'paused')";
const tableOf = (db: AzothDb) => db.query("SELECT * FROM azoth_tasks ORDER BY seq");

describe("verify", () => {
  test("is content with what the library wrote", async () => {
    const db = await tampered();
    const { ok, tasks, events, difference } = await db.verify();
    expect(difference).toBeNull();
    expect(ok).toBe(true);
    expect(tasks).toBe(9);
    expect(events).toBe(await valueOf(db, "SELECT count(*) FROM azoth_events WHERE task IS NOT NULL"));
  });

  test("is content with an empty store", async () => {
    expect(await (await openStore()).verify()).toEqual({ ok: true, tasks: 0, events: 0, difference: null });
  });

  test("finds a changed column, and names it; a rebuild mends it", async () => {
    const location = await newCopy();
    const db = await openStore(location, { durability: "normal" });
    for (const [field, sql] of [
      ["taskId", changed("id", "'renamed'", "paused")],
      ["taskType", changed("type", "(SELECT type FROM azoth_tasks WHERE id = 'fail immediate')", "paused")],
      ["taskType", changed("type", "999", "paused")],
      ["phase", changed("phase", "2", "succeed interval")],
      ["phase", changed("phase", "3", "succeed immediate")],
      ["phase", changed("phase", "99", "fail immediate")],
      ["paused", changed("paused", "0", "paused")],
      ["paused", changed("paused", "1", "succeed interval")],
      ["paused", changed("paused", "2", "paused")],
      ["revision", changed("revision", "7", "paused")],
      ["priority", changed("priority", "6", "succeed interval")],
      [
        "definition",
        changed("definition", json(`replace(${textOf("definition")}, '3600000', '3600001')`), "succeed interval"),
      ],
      ["definition", changed("definition", json("'{}'"), "paused")],
      ["payload", changed("payload", json("'5'"), "succeed immediate")],
      ["anchorMs", changed("anchor_ms", "anchor_ms + 1", "paused")],
      ["scheduledForMs", changed("scheduled_for_ms", "scheduled_for_ms + 1", "succeed interval")],
      ["scheduledForMs", changed("scheduled_for_ms", "NULL", "paused")],
      ["runAtMs", changed("run_at_ms", "NULL", "throw immediate")],
      ["dueAtMs", changed("due_at_ms", "NULL", "succeed interval")],
      ["dueAtMs", changed("due_at_ms", "due_at_ms - 1", "succeed interval")],
      ["dueAtMs", changed("due_at_ms", "run_at_ms", "paused")],
      ["dueAtMs", changed("due_at_ms", "1", "cancelled")],
      ["lastScheduledForMs", changed("last_scheduled_for_ms", "1", "succeed interval")],
      ["retryCount", changed("retry_count", "0", "throw immediate")],
      ["lostClaims", changed("lost_claims", "1", "paused")],
      ["runs", changed("runs", "2", "succeed immediate")],
      ["run", changed("run_instance", "run_instance + 1", "hang immediate")],
      ["run", changed("run_instance", "NULL", "hang immediate")],
      ["run", changed("run_instance", "1", "paused")],
      ["run", changed("run_scheduled_for_ms", "1", "hang immediate")],
      ["run", changed("run_attempt", "2", "hang immediate")],
      ["run", changed("run_started_at_ms", "1", "hang immediate")],
      ["run", changed("run_revision", "2", "hang immediate")],
      ["run", changed("run_attempt", "2", "paused")],
      ["createdAtMs", changed("created_at_ms", "1", "paused")],
      ["updatedAtMs", changed("updated_at_ms", "1", "paused")],
    ] as const) {
      await tamper(location, sql);
      const verification = await db.verify();
      const taskId = /id = '([^']*)'$/.exec(sql)?.[1];
      expect(verification, sql).toMatchObject({ ok: false, difference: { taskId, field } });
      expect(verification.difference?.replayed).not.toEqual(verification.difference?.stored);
      expect(await db.verify()).toEqual(verification);
      await db.rebuild();
      expect(await db.verify(), sql).toMatchObject({ ok: true, tasks: 9, difference: null });
    }
  });

  test.each([
    ["row", "DELETE FROM azoth_tasks WHERE id = 'paused'"],
    ["row", "DELETE FROM azoth_tasks WHERE seq = 1"],
    ["row", "DELETE FROM azoth_tasks WHERE seq = (SELECT max(seq) FROM azoth_tasks)"],
    ["file", "UPDATE azoth_tasks SET seq = 1000 WHERE id = 'paused'"],
    [
      "file",
      `INSERT INTO azoth_tasks (seq, id, ${columnsAfterId()}) SELECT 1000, 'stray', ${columnsAfterId()} FROM azoth_tasks WHERE id = 'paused'`,
    ],
    [
      "row",
      `INSERT INTO azoth_tasks (seq, id, ${columnsAfterId()}) SELECT -5, 'stray', ${columnsAfterId()} FROM azoth_tasks WHERE id = 'paused'`,
    ],
    ["file", `${taskCounter(3)}; DELETE FROM azoth_tasks WHERE seq = 7`],
    ["file", taskCounter(3)],
    ["file", positionCounter(3)],
  ])("finds %s: %s", async (field, sql) => {
    const db = await tampered(sql);
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field } });
  });

  test.each([
    ["a definition", eventOf("DELETE FROM azoth_events WHERE", "TaskScheduled", "succeed immediate")],
    ["a start", eventOf("DELETE FROM azoth_events WHERE", "TaskStarted", "hang immediate")],
    ["an end", eventOf("DELETE FROM azoth_events WHERE", "TaskExecuted", "throw immediate")],
    ["the whole log", "DELETE FROM azoth_events"],
  ])("finds that %s was deleted", async (_what, sql) => {
    const db = await tampered(sql);
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field: expect.any(String) as string } });
  });

  test.each([
    ["its instant", eventOf("UPDATE azoth_events SET at_ms = at_ms + 1 WHERE", "TaskExecuted", "throw immediate")],
    [
      "its type",
      eventOf(
        "UPDATE azoth_events SET type = (SELECT id FROM azoth_names WHERE name = 'TaskCancelled') WHERE",
        "TaskPaused",
        "paused",
      ),
    ],
    ["its type to an unknown one", eventOf("UPDATE azoth_events SET type = 999 WHERE", "TaskPaused", "paused")],
    [
      "its type to one of the user's",
      eventOf(
        "UPDATE azoth_events SET type = (SELECT id FROM azoth_names WHERE name = 'done') WHERE",
        "TaskScheduled",
        "paused",
      ),
    ],
    ["its task", eventOf("UPDATE azoth_events SET task = 1 WHERE", "TaskPaused", "paused")],
    ["its task to none", eventOf("UPDATE azoth_events SET task = NULL WHERE", "TaskPaused", "paused")],
    ["its task to one that never was", eventOf("UPDATE azoth_events SET task = 500 WHERE", "TaskPaused", "paused")],
    ["its run", eventOf("UPDATE azoth_events SET run = 9 WHERE", "TaskStarted", "hang immediate")],
    [
      "its data",
      eventOf(
        `UPDATE azoth_events SET data = ${json(`replace(${textOf("data")}, '"instance":', '"attempt":2,"instance":')`)} WHERE`,
        "TaskStarted",
        "hang immediate",
      ),
    ],
    ["its data to null", eventOf("UPDATE azoth_events SET data = 'null' WHERE", "TaskExecuted", "throw immediate")],
    ["its data to an empty object", eventOf("UPDATE azoth_events SET data = '{}' WHERE", "TaskScheduled", "paused")],
    ["its data to a number", eventOf("UPDATE azoth_events SET data = '5' WHERE", "TaskScheduled", "paused")],
    [
      "its order",
      `UPDATE azoth_events SET position = -position WHERE task = ${paused}; UPDATE azoth_events SET position = (SELECT min(-position) + max(-position) FROM azoth_events WHERE position < 0) + position WHERE task = ${paused}`,
    ],
  ])("finds an altered event: %s", async (_what, sql) => {
    const db = await tampered(sql);
    const { ok, difference } = await db.verify();
    expect(ok).toBe(false);
    expect(difference?.field).toEqual(expect.any(String));
  });

  test("changes nothing, tells how far it is, and can be stopped", async () => {
    const db = await openStore(undefined, { durability: "normal" });
    await scheduleMany(db, 1_200);
    const before = await db.lastPosition();
    const progress: ReplayProgress[] = [];
    const controller = new AbortController();
    expect(await db.verify({ onProgress: (each) => void progress.push(each) })).toMatchObject({
      ok: true,
      tasks: 1_200,
    });
    // In steps, and so that the events behind are counted.
    expect(progress.length).toBeGreaterThan(1);
    expect(progress.at(-1)).toEqual({ done: 1_200, total: 1_200, events: 1_200 });
    for (const [index, { done, total, events }] of progress.slice(1).entries()) {
      expect(total).toBe(1_200);
      expect(done).toBeGreaterThan(progress[index]?.done ?? 0);
      expect(events).toBeGreaterThan(progress[index]?.events ?? 0);
    }
    const stopped = db.verify({ signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) });
    await expect(stopped).rejects.toThrow("enough");
    expect(await db.lastPosition()).toBe(before);
  });

  test("is not misled by writers of several connections", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal" });
    const other = await openStore(location, { durability: "normal" });
    const writing = writeUntilStopped([db, other]);
    for (let round = 0; round < 15; round++) expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    await writing.stop();
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

describe("rebuild", () => {
  test("gives the very same table, and says how much it read", async () => {
    const db = await tampered();
    const before = await tableOf(db);
    const progress: ReplayProgress[] = [];
    const { tasks, events } = await db.rebuild({ onProgress: (each) => void progress.push(each) });
    expect(await tableOf(db)).toEqual(before);
    expect({ tasks, events }).toEqual({ tasks: 9, events: (await db.verify()).events });
    expect(progress).toEqual([{ done: 9, total: 9, events }]);
    await db.rebuild();
    expect(await tableOf(db)).toEqual(before);
  });

  test("restores a table that was emptied, and the numbers of tasks stay used", async () => {
    const db = await tampered("DELETE FROM azoth_tasks");
    expect(await db.verify()).toMatchObject({ ok: false });
    await db.rebuild();
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 9 });
    await scheduleMany(db, 1);
    expect(await valueOf(db, "SELECT max(seq) FROM azoth_tasks")).toBe(10);
  });

  test("loses nothing that is written meanwhile", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal" });
    const other = await openStore(location, { durability: "normal" });
    await scheduleMany(db, 700);
    const writing = writeUntilStopped([db, other]);
    for (let round = 0; round < 4; round++) {
      await (round % 2 === 0 ? db : other).rebuild();
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    }
    await writing.stop();
    expect(await other.verify()).toMatchObject({ ok: true, difference: null });
  });

  test("at the same time as others leaves a whole table", async () => {
    const location = await newLocation({ shared: true });
    const stores = [await openStore(location), await openStore(location)];
    const [db] = stores as [AzothDb, AzothDb];
    await scheduleMany(db, 2_600);
    const before = await tableOf(db);
    const settled = await Promise.allSettled([...stores, ...stores, ...stores].map((each) => each.rebuild()));
    expect(settled.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const each of settled) {
      if (each.status === "rejected") expect(each.reason).toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
    }
    expect(await tableOf(db)).toEqual(before);
    await db.rebuild();
    expect(await tableOf(db)).toEqual(before);
  });

  test("that is interrupted leaves everything as it was", async () => {
    const db = await openStore(undefined, { durability: "normal" });
    await scheduleMany(db, 1_200);
    const before = await tableOf(db);
    const interrupted = db.rebuild({
      onProgress: ({ done }) => {
        if (done < 1_200) throw new Error("enough");
      },
    });
    await expect(interrupted).rejects.toThrow("enough");
    const controller = new AbortController();
    const aborted = db.rebuild({ signal: controller.signal, onProgress: () => controller.abort(new Error("stop")) });
    await expect(aborted).rejects.toThrow("stop");
    expect(await tableOf(db)).toEqual(before);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1_200 });
    await scheduleMany(db, 3);
    await db.rebuild();
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1_203 });
  });

  test("of a log that contradicts itself is refused, and changes nothing", async () => {
    for (const sql of [
      eventOf("DELETE FROM azoth_events WHERE", "TaskScheduled", "succeed immediate"),
      eventOf("UPDATE azoth_events SET data = 'null' WHERE", "TaskExecuted", "throw immediate"),
      eventOf("UPDATE azoth_events SET data = '{}' WHERE", "TaskScheduled", "paused"),
    ]) {
      const db = await tampered(sql);
      const before = await tableOf(db);
      await expect(db.rebuild()).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
      expect(await tableOf(db)).toEqual(before);
    }
  });

  test("leaves a user's tables alone", async () => {
    const db = await tampered();
    await db.transaction(async (tx) => {
      await tx.execute(`CREATE TABLE notes (id ${rowNumber}, task TEXT)`);
      await tx.execute("CREATE VIEW mine AS SELECT n.id, t.phase FROM notes n JOIN azoth_tasks t ON t.id = n.task");
      await tx.execute("INSERT INTO notes (task) SELECT id FROM azoth_tasks");
    });
    const before = await db.query("SELECT * FROM mine ORDER BY id");
    expect(before).toHaveLength(9);
    await db.rebuild();
    expect(await db.query("SELECT * FROM mine ORDER BY id")).toEqual(before);
  });
});

describe("a log that is larger than a page", () => {
  const manyEvents = 2_500;

  /** Three tasks, and the one in the middle has thousands of events: its own, and the user's. */
  async function storeWithLongTask(): Promise<{ location: string; db: AzothDb }> {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal" });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const tasks = ["before", "long", "after"].map((taskId) => ({ taskId, taskType: "work", schedule: immediate() }));
    await scheduler.scheduleTasks(tasks);
    const { seq } = (await coreOf(db).engine.reads.findTask("long")) ?? { seq: 0 };
    await coreOf(db).engine.write(async (transaction) => {
      const [state] = (await transaction.lockTasksBySeq([seq])).tasks;
      if (state === undefined) throw new Error("there is no such task");
      const none = { atMs: state.createdAtMs, task: seq, run: null, meta: null };
      const events = Array.from({ length: manyEvents / 5 }, () => [
        { ...none, type: "TaskPaused", data: "{}" },
        { ...none, type: "noted", data: '"what the user says"' },
        { ...none, type: "TaskResumed", data: "{}" },
        { ...none, type: "noted", data: "2" },
        { ...none, type: "TaskPaused", data: "{}" },
      ]);
      await transaction.append(events.flat());
      await transaction.saveTasks([{ before: state, after: { ...state, paused: true } }]);
    });
    await scheduler.scheduleTasks(tasks.map((task) => ({ ...task, taskId: `${task.taskId} that` })));
    return { location, db };
  }

  test("because one task has so many events is folded on from page to page", async () => {
    const { location, db } = await storeWithLongTask();
    const progress: ReplayProgress[] = [];
    const expected = { tasks: 6, events: manyEvents + 6 };
    expect(await db.verify({ onProgress: (each) => void progress.push(each) })).toMatchObject({
      ok: true,
      ...expected,
    });
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.map(({ done }) => done)).toEqual([...progress.slice(1).map(() => 1), 6]);
    const before = await tableOf(db);
    expect(await db.rebuild()).toEqual(expected);
    expect(await tableOf(db)).toEqual(before);
    // The last of thousands.
    await tamper(
      location,
      `UPDATE azoth_events SET type = (SELECT id FROM azoth_names WHERE name = 'TaskResumed') WHERE position =
        (SELECT max(e.position) FROM azoth_events e JOIN azoth_names n ON n.id = e.type WHERE n.name = 'TaskPaused')`,
    );
    expect(await db.verify()).toMatchObject({ ok: false, difference: { taskId: "long", field: "paused" } });
  });

  test.each([1, 2, 499, 500, 999, 1_000, 1_001, 1_002, 1_003, 1_199, 1_200])(
    "lacks no row: that of task %d",
    async (seq) => {
      const location = await newLocation({ shared: true });
      const db = await openStore(location, { durability: "normal" });
      await scheduleMany(db, 1_200);
      const [row] = await db.query(`SELECT id FROM azoth_tasks WHERE seq = ${seq}`);
      await tamper(location, `DELETE FROM azoth_tasks WHERE seq = ${seq}`);
      expect(await db.verify()).toMatchObject({
        ok: false,
        difference: { taskId: row?.id, field: "row", replayed: { seq }, stored: null },
      });
      expect(await db.rebuild()).toEqual({ tasks: 1_200, events: 1_200 });
      expect(await db.verify()).toMatchObject({ ok: true, tasks: 1_200 });
    },
  );

  test("explains no more rows than it has tasks", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal" });
    await scheduleMany(db, 1_200);
    const events = isSqlite ? "UPDATE azoth_events SET task = NULL" : "DELETE FROM azoth_events";
    await tamper(location, `${events} WHERE task <> 1`);
    expect(await db.verify()).toMatchObject({
      ok: false,
      tasks: 1_002,
      difference: { field: "row", stored: { seq: 2 } },
    });
    expect(await db.rebuild()).toEqual({ tasks: 1, events: 1 });
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1, events: 1 });
  });

  test("of the user's events only has nothing to prove", async () => {
    const db = await openStore(undefined, { durability: "normal" });
    await append(
      coreOf(db).engine,
      Array.from({ length: 2_100 }, (_, index) => newEvent("noted", { data: String(index) })),
    );
    expect(await db.verify()).toEqual({ ok: true, tasks: 0, events: 0, difference: null });
    expect(await db.rebuild()).toEqual({ tasks: 0, events: 0 });
    expect(await db.lastPosition()).toBe(2_100);
  });

  test("and is written to all the while is counted event by event, each once", async () => {
    const db = await openStore(await newLocation(), { durability: "normal" });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    await scheduleMany(db, 2_600);
    await scheduler.scheduleTask({ taskId: "old", taskType: "work", schedule: immediate() });
    let written: Promise<unknown> | undefined;
    const write = async () => {
      await scheduler.cancelTask("old", "because");
      await scheduleMany(db, 3);
    };
    const rebuilt = await db.rebuild({
      onProgress: () => {
        written ??= write();
      },
    });
    await written;
    const { ok, tasks, events } = await db.verify();
    expect(ok).toBe(true);
    // Where many write at a time, some of it may have come after the swap.
    if (isSqlite) expect(rebuilt).toEqual({ tasks, events });
    expect(rebuilt.tasks).toBeGreaterThanOrEqual(2_601);
    expect(rebuilt.events - rebuilt.tasks).toBeGreaterThanOrEqual(0);
    expect(rebuilt.events - rebuilt.tasks).toBeLessThanOrEqual(1);
    expect(events).toBe(2_605);
  });
});

describe.each(["verify", "rebuild"] as const)("the options of %s", (verb) => {
  test("are refused if they are none", async () => {
    const db = await openStore();
    for (const options of [null, 5, "fast", { onProgress: 5 }, { signal: {} }, { signal: 5 }, { progress: () => {} }]) {
      const refused = db[verb](options as unknown as ReplayOptions);
      await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "INVALID_OPTION" });
    }
  });

  test("an aborted signal ends it at once", async () => {
    const db = await tampered();
    await expect(db[verb]({ signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow("stop");
  });
});

/** A statement that sets the last number of a task that was given out. */
function taskCounter(last: number): string {
  if (isSqlite) return `UPDATE azoth_sequences SET last = ${last} WHERE name = 'task'`;
  return `SELECT setval('azoth_task_seq', ${last})`;
}

/** A statement that sets the last position that was given out. */
function positionCounter(last: number): string {
  if (isSqlite) return `UPDATE sqlite_sequence SET seq = ${last} WHERE name = 'azoth_events'`;
  return `SELECT setval('azoth_events_position_seq', ${last})`;
}

function columnsAfterId(): string {
  return `type, phase, paused, revision, priority, definition, payload, anchor_ms, scheduled_for_ms, run_at_ms, due_at_ms,
    last_scheduled_for_ms, retry_count, lost_claims, runs, run_instance, run_scheduled_for_ms, run_attempt,
    run_started_at_ms, run_revision, created_at_ms, updated_at_ms`;
}

/** Schedules, cancels and replaces tasks through all stores until it is told to stop. */
function writeUntilStopped(stores: readonly AzothDb[]): { stop(): Promise<void> } {
  let stopped = false;
  const writers = stores.map(async (db, writer) => {
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    for (let round = 0; !stopped; round++) {
      const taskId = `writer-${writer}-${round % 40}`;
      await scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload: round });
      await scheduler.scheduleTask({ taskType: "work", schedule: immediate() });
      if (round % 3 === 0) await scheduler.cancelTask(taskId, "because");
      await coreOf(db).queue.submit({ run: async () => {} });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await eventsOf(db, { after: (await db.lastPosition()) - 1 })).length).toBeGreaterThan(0);
  });
  return {
    stop: async () => {
      stopped = true;
      await Promise.all(writers);
    },
  };
}
