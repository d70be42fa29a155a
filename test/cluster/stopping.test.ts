/** An orderly end on SIGTERM, as every deploy brings it: nothing is lost, nothing waits for a claim to run out. */
import { immediate } from "azoth-scheduler";
import { expect } from "vitest";
import { expectWhole } from "./log-checker.ts";
import type { WorkerConfig } from "./messages.ts";
import { dismiss, schedule, test, until, untilDone } from "./stage.ts";

/** Neither a poll nor the end of a claim can be what starts a task in the time of a test. */
const patient = { pollInterval: "10m", claimDuration: "10m" };

function config(location: string, name: string, further: Partial<WorkerConfig> = {}): WorkerConfig {
  return { location, name, scheduler: patient, taskTypes: ["note", "hold"], ...further };
}

test.concurrent("what is running is waited for, then told to stop, then released: another process runs it at once", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const scheduler = { ...patient, gracePeriod: "400ms" };
  const leaving = await stage.worker(config(location, "leaving", { scheduler, tellsStarts: true }));
  await schedule(desk, "note", "short", { pauseMs: 150 });
  await schedule(desk, "hold", "heeding");
  await schedule(desk, "hold", "stubborn", { stubborn: true });
  for (const taskId of ["short", "heeding", "stubborn"])
    await leaving.told("started", (told) => told.taskId === taskId);
  const staying = await stage.worker(config(location, "staying", { holds: false }));
  await dismiss(leaving);
  await untilDone(desk);
  await dismiss(staying);

  const log = await expectWhole(desk.db);
  expect(log.story("short")).not.toContain("TaskReleased");
  for (const taskId of ["heeding", "stubborn"]) {
    expect(log.all("TaskReleased", taskId).map(({ payload }) => payload)).toMatchObject([{ because: "shutdown" }]);
    const starts = log.all("TaskStarted", taskId).map(({ payload }) => payload);
    expect(starts.map(({ instance, attempt }) => [log.nameOf(instance), attempt])).toEqual([
      ["leaving", 1],
      ["staying", 1],
    ]);
  }
  expect(leaving.all("aborted").map(({ taskId, code }) => [taskId, code])).toEqual([
    ["heeding", "SHUTTING_DOWN"],
    ["stubborn", "SHUTTING_DOWN"],
  ]);
  // The one that heeded its signal was recorded before the others were given up.
  expect(log.all("SchedulerStopped").map(({ payload }) => payload.released)).toEqual([1, 0]);
  expect(log.all("SchedulerLost")).toEqual([]);
  expect(await desk.db.query("SELECT * FROM azoth_instances")).toEqual([]);
});

test.concurrent("at whatever moment it comes, everything that was started is waited for", async ({ stage }) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const tasks = Array.from({ length: 300 }, (_, number) => {
    return { taskId: `task-${number}`, taskType: "note", schedule: immediate(), payload: { pauseMs: 5 } };
  });
  await desk.scheduler.scheduleTasks(tasks);
  for (let stop = 1; stop <= 4; stop++) {
    const worker = await stage.worker(config(location, `worker-${stop}`));
    await until(async () => (await desk.scheduler.countTasks()).completed >= stop * 40, "some of them are done");
    await dismiss(worker);
  }
  const last = await stage.worker(config(location, "last"));
  await untilDone(desk);
  await dismiss(last);

  const log = await expectWhole(desk.db);
  // A task of a few milliseconds needs no release in a grace period of ten seconds.
  // What was claimed ahead is given back: before the stop by a busy machine that was too slow for it, and by the stop.
  const started = new Set(log.all("TaskStarted").map(({ executionId }) => executionId));
  const released = log.all("TaskReleased");
  expect(released.filter(({ executionId }) => started.has(executionId))).toEqual([]);
  expect(started.size).toBe(tasks.length);
  const told = log.all("SchedulerStopped").reduce((sum, { payload }) => sum + payload.released, 0);
  expect(told).toBe(released.filter(({ payload }) => payload.because === "shutdown").length);
});

test.concurrent("a claim that is being committed when it comes is waited for as well", async ({ stage }) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const worker = await stage.worker(config(location, "worker"));
  await schedule(desk, "note", "task", { pauseMs: 300 });
  // Keeps the worker from committing its claim until it has heard that it is to stop.
  await desk.db.transaction(async () => {
    await new Promise((resolve) => setTimeout(resolve, 400));
    worker.signal("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  await dismiss(worker);
  const log = await expectWhole(desk.db);
  expect(log.all("TaskReleased")).toEqual([]);
  expect(log.all("TaskStarted").length).toBe(log.all("TaskExecuted").length);
});
