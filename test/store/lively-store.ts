/** A store with tasks in every state, made by a real scheduler, to copy and to try things on. */
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { oneTime } from "../../src/schedule/one-time.ts";
import { fail, snooze } from "../../src/scheduler/outcomes.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import { AzothDb } from "../../src/store/azoth-db.ts";
import { until } from "./scratch-stores.ts";

/** Makes it in a directory, and backs it up to a file while a task is running. */
export async function makeLivelyStore(directory: string, file: string): Promise<void> {
  await atItsLiveliest(directory, (db) => db.backup(file));
}

/** Makes it, and calls `act` while a task is running. */
export async function atItsLiveliest(location: string, act: (db: AzothDb) => Promise<void>): Promise<void> {
  await using db = await AzothDb.open(location, { durability: "normal" });
  const scheduler = new Scheduler(db, {
    handlers: [
      taskHandler({ taskType: "succeed", execute: () => ({ eventType: "done" }) }),
      taskHandler({ taskType: "fail", execute: () => fail("no") }),
      taskHandler({ taskType: "throw", execute: () => Promise.reject(new Error("no")) }),
      taskHandler({ taskType: "snooze", execute: () => snooze("1h") }),
      taskHandler({ taskType: "hang", execute: (context) => context.sleep("1h") }),
    ],
    gracePeriod: 0,
  });
  await db.transaction((tx) => tx.append({ eventType: "first" }));
  for (const [taskType, schedule] of [
    ["succeed", immediate()],
    ["succeed", interval("1h", { anchor: 0 })],
    ["succeed", oneTime("2020-01-01T00:00:00Z")],
    ["fail", immediate()],
    ["throw", immediate()],
    ["snooze", immediate()],
    ["hang", immediate()],
  ] as const) {
    const taskId = `${taskType} ${schedule.kind}`;
    await scheduler.scheduleTask({ taskId, taskType, schedule, payload: { of: taskId }, priority: 5 });
  }
  await scheduler.runTaskNow("succeed interval");
  for (const taskId of ["paused", "cancelled"]) {
    await scheduler.scheduleTask({ taskId, taskType: "succeed", schedule: oneTime("2100-01-01T00:00:00Z") });
  }
  await scheduler.pauseTask("paused", "because");
  await scheduler.cancelTask("cancelled", "because");
  await scheduler.start();
  await until(async () => {
    const { completed, disabled, running } = await scheduler.countTasks();
    const snoozed = await scheduler.getTask("snooze immediate");
    const retrying = await scheduler.getTask("throw immediate");
    const [isSnoozed, isRetrying] = [snoozed?.execution === null && snoozed.runs === 1, retrying?.retryCount === 1];
    return completed === 2 && disabled === 1 && running === 1 && isSnoozed && isRetrying;
  }, "every task got where it was to get");
  await db.transaction((tx) => tx.append({ eventType: "last" }));
  await act(db);
  await scheduler.stop();
}
