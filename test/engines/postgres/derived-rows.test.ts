/** What is due, and what is being run, has rows of its own: they follow from the tasks, and are held against them. */
import { immediate, interval, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { tamper } from "../../store/tampering.ts";
import { until } from "../../store/scratch-stores.ts";
import { connect, openDb } from "./clients.ts";
import { atEnd, eachInScope, inScope, ownUrl } from "./scope.ts";

const later = oneTime("2100-01-01T00:00:00Z");

/** A store with a waiting task, a paused one, one that runs and one that has ended. */
async function livelyStore() {
  const url = ownUrl();
  const db = await openDb(url);
  let release = () => {};
  const released = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  const handlers = [
    taskHandler({ taskType: "held", execute: () => released }),
    taskHandler({ taskType: "short", execute: () => undefined }),
  ];
  const scheduler = new Scheduler(db, { handlers });
  await scheduler.scheduleTasks([
    { taskId: "waiting", taskType: "short", schedule: later, priority: 3 },
    { taskId: "paused", taskType: "short", schedule: interval("1h") },
    { taskId: "running", taskType: "held", schedule: immediate() },
    { taskId: "ended", taskType: "short", schedule: immediate() },
  ]);
  await scheduler.pauseTask("paused");
  await scheduler.start();
  const stateOf = async (taskId: string) => (await scheduler.getTask(taskId))?.state;
  await until(async () => (await stateOf("ended")) === "completed", "the short task has ended");
  await until(async () => (await stateOf("running")) === "running", "the held task runs");
  atEnd(async () => {
    release();
    await scheduler.stop();
  });
  const client = await connect(url);
  const rows = async (sql: string) => (await client.query<Record<string, string>>(sql)).rows;
  const due = () => rows("SELECT t.id, d.priority FROM azoth_due d JOIN azoth_tasks t USING (seq) ORDER BY seq");
  const runs = () => rows("SELECT t.id FROM azoth_runs r JOIN azoth_tasks t USING (seq, run_instance) ORDER BY seq");
  return { url, db, scheduler, due, runs };
}

const seqOf = (taskId: string): string => `(SELECT seq FROM azoth_tasks WHERE id = '${taskId}')`;

describe("the rows of what is due and of what runs", () => {
  test.concurrent(
    "are there for such tasks alone, and go with their cancelling",
    inScope(async () => {
      const { scheduler, due, runs } = await livelyStore();
      expect(await due()).toEqual([{ id: "waiting", priority: 3 }]);
      expect(await runs()).toEqual([{ id: "running" }]);
      await scheduler.resumeTask("paused");
      await scheduler.scheduleTask({ taskId: "waiting", taskType: "short", schedule: later, priority: 4 });
      expect(await due()).toEqual([
        { id: "waiting", priority: 4 },
        { id: "paused", priority: 0 },
      ]);
      for (const taskId of ["waiting", "paused", "running"]) await scheduler.cancelTask(taskId, "because");
      expect([await due(), await runs()]).toEqual([[], []]);
    }),
  );

  test.concurrent.for([
    ["one is missing that is due", "azoth_due", "waiting", "DELETE FROM azoth_due"],
    ["one is due at another time", "azoth_due", "waiting", "UPDATE azoth_due SET due_at_ms = due_at_ms + 1"],
    ["one is of another type", "azoth_due", "waiting", "UPDATE azoth_due SET type = type + 1"],
    ["one has another priority", "azoth_due", "waiting", "UPDATE azoth_due SET priority = 0"],
    ["one is due that has ended", "azoth_due", "ended", `INSERT INTO azoth_due VALUES (${seqOf("ended")}, 1, 1, 0)`],
    ["one is missing that runs", "azoth_runs", "running", "DELETE FROM azoth_runs"],
    ["somebody else runs one", "azoth_runs", "running", "UPDATE azoth_runs SET run_instance = run_instance + 1"],
    ["one runs that has ended", "azoth_runs", "ended", `INSERT INTO azoth_runs VALUES (1, ${seqOf("ended")})`],
    ["one is due that never was", "file", undefined, "INSERT INTO azoth_due VALUES (1000, 1, 1, 0)"],
    ["one runs that never was", "file", undefined, "INSERT INTO azoth_runs VALUES (1, 1000)"],
  ] as const)(
    "are found wrong, and mended by a rebuild: %s",
    eachInScope(async ([_what, field, taskId, sql]) => {
      const { url, db, due, runs } = await livelyStore();
      const before = [await due(), await runs()];
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
      await tamper(url, sql);
      const { ok, difference } = await db.verify();
      expect(ok).toBe(false);
      expect(difference).toMatchObject(taskId === undefined ? { field } : { field, taskId });
      expect(difference?.replayed).not.toEqual(difference?.stored);
      await db.rebuild();
      expect([await due(), await runs()]).toEqual(before);
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    }),
  );
});
