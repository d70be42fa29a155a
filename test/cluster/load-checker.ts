/** What must hold of a store whose workers were under load (`drivers/load.mjs`), once everything has run. */
import type { AzothDb } from "azoth-scheduler";
import { expect } from "vitest";
import type { Child } from "./child.ts";
import { expectOrdersOnce, expectWhole, type Log, taskIdsOf } from "./log-checker.ts";
import type { NotePayload, WorkerConfig } from "./messages.ts";
import { type Desk, dismiss, expectNoComplaint, type Stage, until, untilDone } from "./stage.ts";

/** What the workers were told before their ends. */
export class Promises {
  readonly acknowledged = new Set<string>();
  readonly cancelled = new Set<string>();

  takeFrom(worker: Child): void {
    for (const { taskIds } of worker.all("acknowledged")) for (const taskId of taskIds) this.acknowledged.add(taskId);
    for (const { taskId } of worker.all("cancelled")) this.cancelled.add(taskId);
    expectNoComplaint(worker);
  }

  async expectKeptIn(db: AzothDb): Promise<void> {
    const stored = new Set((await db.query("SELECT id FROM azoth_tasks")).map(({ id }) => id));
    expect([...this.acknowledged].filter((taskId) => !stored.has(taskId))).toEqual([]);
  }
}

/** Lets one more worker do what is left, and holds the store to what was promised. */
export async function finish(stage: Stage, config: WorkerConfig, promises: Promises): Promise<Log> {
  const last = await stage.worker(config);
  const desk = await stage.desk(config.location);
  await cancelWhatIsLater(desk);
  await untilDone(desk);
  await until(async () => await isTallied(desk.db), "the event handler has come to the end");
  const instances = async () => await desk.db.query("SELECT name FROM azoth_instances");
  await until(async () => (await instances()).length === 1, "whoever was killed is missed, and its place is cleared");
  await dismiss(last);

  const log = await expectWhole(desk.db);
  expectDone(log, promises);
  expectChildrenOnce(log);
  await expectOrdersOnce(desk.db, log);
  const tally = await desk.db.query("SELECT position FROM tally ORDER BY position");
  expect(tally.map(({ position }) => position)).toEqual(log.own("note_taken").map(({ position }) => position));
  expect(await instances()).toEqual([]);
  return log;
}

/** The tasks that would go on: the recurring one, and those whose process died before it could cancel them. */
async function cancelWhatIsLater({ scheduler, db }: Desk): Promise<void> {
  const later = await db.query("SELECT id FROM azoth_tasks WHERE phase = 0 AND id LIKE 'later.%'");
  for (const taskId of ["tick", ...later.map(({ id }) => String(id))]) {
    await scheduler.cancelTask(taskId, "the end of the test");
  }
}

async function isTallied(db: AzothDb): Promise<boolean> {
  const [row] = await db.query("SELECT (SELECT count(*) FROM tally) AS tallied, (SELECT count(*) FROM notes) AS taken");
  return row?.tallied === row?.taken;
}

/** Every acknowledged task has run to its one success, but for those that were cancelled before their time. */
function expectDone(log: Log, { acknowledged, cancelled }: Promises): void {
  const successes = new Map<string, number>();
  for (const { taskId = "", payload } of log.all("TaskExecuted")) {
    if (payload.success) successes.set(taskId, (successes.get(taskId) ?? 0) + 1);
  }
  const wrong = [...acknowledged].filter((taskId) => {
    if (taskId === "tick") return false;
    return (successes.get(taskId) ?? 0) !== (taskId.startsWith("later.") ? 0 : 1);
  });
  expect(wrong).toEqual([]);
  const calledOff = new Set(log.all("TaskCancelled").map(({ taskId }) => taskId));
  expect([...cancelled].filter((taskId) => !calledOff.has(taskId))).toEqual([]);
}

/** What a handler scheduled through its transaction is there once. */
function expectChildrenOnce(log: Log): void {
  const scheduled = log.all("TaskScheduled");
  const parents = scheduled.filter(({ payload }) => (payload.payload as NotePayload).child === true);
  const children = scheduled.filter(({ taskId = "" }) => taskId.endsWith("/child"));
  const expected = parents.map(({ taskId }) => `${taskId}/child`);
  expect(taskIdsOf(children)).toEqual(expected.toSorted());
}
