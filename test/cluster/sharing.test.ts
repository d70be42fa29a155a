/** Several processes on one directory: they open it at the same moment, share its work, and see each other's. */
import { immediate, type RecordedEvent } from "azoth-scheduler";
import { expect } from "vitest";
import { expectWhole, Log, taskIdsOf } from "./log-checker.ts";
import type { WorkerConfig } from "./messages.ts";
import { dismiss, schedule, test, until, untilDone } from "./stage.ts";

function config(location: string, name: string, further: Partial<WorkerConfig> = {}): WorkerConfig {
  return { location, name, scheduler: {}, taskTypes: ["note", "hold"], ...further };
}

test("three processes share 3,000 tasks: none lost, none twice, nobody idle, nobody told that the store is busy", async ({
  stage,
}) => {
  const location = stage.directory();
  const names = ["one", "two", "three"];
  // All of them at once: one makes the store, and the others find it.
  const further = { tally: true, scheduler: { maxConcurrentTasks: 50 } };
  const workers = await Promise.all(names.map((name) => stage.worker(config(location, name, further))));
  const desk = await stage.desk(location);
  const tasks = Array.from({ length: 3_000 }, (_, number) => ({
    taskId: `task-${number}`,
    taskType: "note",
    schedule: immediate(),
    // Now and then something fails, so that tasks change hands.
    payload: { pauseMs: 10, failures: number % 100 === 0 ? 1 : 0 },
  }));
  for (let from = 0; from < tasks.length; from += 500) {
    await desk.scheduler.scheduleTasks(tasks.slice(from, from + 500));
  }
  await untilDone(desk);
  const tallied = async () => await desk.db.query("SELECT position FROM tally ORDER BY position");
  await until(async () => (await tallied()).length >= tasks.length, "the event handlers have come to the end");
  await dismiss(...workers);

  const log = await expectWhole(desk.db);
  const successes = log.all("TaskExecuted").filter(({ payload }) => payload.success);
  expect(taskIdsOf(successes)).toEqual(tasks.map(({ taskId }) => taskId).toSorted());
  const doers = log.own("note_taken").map(({ payload }) => (payload as { process: string }).process);
  expect(new Set(doers)).toEqual(new Set(names));
  // A busy machine may be too slow for what it claimed ahead, and gives that back: nobody was stopped or lost.
  expect(log.all("TaskReleased").filter(({ payload }) => payload.because !== "unstarted")).toEqual([]);
  // One event handler in three processes: in the order of the log, each event once.
  expect((await tallied()).map(({ position }) => position)).toEqual(
    log.own("note_taken").map(({ position }) => position),
  );
});

/** Longer than the patience of a test: what happens in time was not found by polling. */
const never = { pollInterval: "10m" };

test.concurrent("what a second process schedules starts at once, and what it cancels stops at once", async ({
  stage,
}) => {
  const location = stage.directory();
  const worker = await stage.worker(config(location, "worker", { scheduler: never }));
  const desk = await stage.desk(location);
  const { scheduler } = desk;
  await schedule(desk, "hold", "long");
  await worker.told("started", ({ taskId }) => taskId === "long");
  expect(await scheduler.getTask("long")).toMatchObject({ state: "running", taskType: "hold" });
  expect(await scheduler.countTasks()).toMatchObject({ running: 1, waiting: 0 });
  expect((await scheduler.listTasks({ state: "running" })).tasks.map(({ taskId }) => taskId)).toEqual(["long"]);

  await scheduler.cancelTask("long", "no longer wanted");
  expect(await worker.told("aborted", ({ taskId }) => taskId === "long")).toMatchObject({ code: "TASK_CANCELLED" });
  await until(async () => (await Log.of(desk.db)).all("TaskResultRefused").length === 1, "its result is refused");
  expect((await scheduler.history("long")).executions).toMatchObject([{ outcome: "cancelled" }]);
  await dismiss(worker);
  await expectWhole(desk.db);
});

test.concurrent("a cancellation is noticed beside the quickest succession of other tasks", async ({ stage }) => {
  const location = stage.directory();
  const scheduler = { ...never, maxConcurrentTasks: 3 };
  const worker = await stage.worker(config(location, "worker", { scheduler }));
  const desk = await stage.desk(location);
  const held = Array.from({ length: 20 }, (_, number) => `held-${number}`);
  for (const taskId of held) {
    await schedule(desk, "hold", taskId);
    await worker.told("started", (started) => started.taskId === taskId);
    // The round that follows these ends shortly after the cancellation.
    const notes = Array.from({ length: 8 }, () => ({
      taskType: "note",
      schedule: immediate(),
      payload: { pauseMs: 3 },
    }));
    await desk.scheduler.scheduleTasks(notes);
    await desk.scheduler.cancelTask(taskId, "no longer wanted");
    await worker.told("aborted", (aborted) => aborted.taskId === taskId);
  }
  await untilDone(desk);
  await expectWhole(desk.db);
});

test.concurrent("a live subscription sees what another process appends, in order and without loss", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const seen: RecordedEvent[] = [];
  const ending = new AbortController();
  const following = (async () => {
    for await (const event of desk.db.subscribe({ signal: ending.signal })) seen.push(event);
  })();
  const workers = await Promise.all(
    ["one", "two"].map((name, number) => {
      return stage.worker(config(location, name, { load: { seed: number, commands: 100 } }));
    }),
  );
  for (const worker of workers) await worker.told("loaded");
  await desk.scheduler.cancelTask("tick", "the end of the test");
  await untilDone(desk);
  await dismiss(...workers);
  const log = await expectWhole(desk.db);
  await until(async () => seen.length >= log.events.length, "the subscription has come to the end");
  ending.abort();
  await following;
  expect(seen.map(({ position, eventType }) => [position, eventType])).toEqual(
    log.events.map(({ position, eventType }) => [position, eventType]),
  );
});

test.concurrent("schedulers that can do nothing do nothing: all slots taken, tasks overdue, and nobody for their type", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const further = { scheduler: { maxConcurrentTasks: 1 }, taskTypes: ["hold"], tally: true } as const;
  const workers = [
    await stage.worker(config(location, "one", further)),
    await stage.worker(config(location, "two", further)),
  ];
  for (const taskId of ["first", "second", "third", "fourth"]) await schedule(desk, "hold", taskId);
  await schedule(desk, "solo", "nobody's");
  await until(async () => (await desk.scheduler.countTasks()).running === 2, "all slots are taken");
  const usages = async () => {
    for (const worker of workers) worker.order({ do: "usage" });
    return await Promise.all(workers.map((worker) => worker.next("usage")));
  };
  const before = await usages();
  const positionBefore = await desk.db.lastPosition();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const after = await usages();
  // A loop without a pause would take all of the two seconds, or all that a busy machine leaves it.
  for (const [index, { cpuMs }] of after.entries()) expect(cpuMs - (before[index]?.cpuMs ?? 0)).toBeLessThan(400);
  expect(await desk.db.lastPosition()).toBe(positionBefore);
});

test.concurrent("where another process writes for longer than the patience, a scheduler says so, and then goes on", async ({
  stage,
}) => {
  const location = stage.directory();
  const worker = await stage.worker(config(location, "worker", { busyTimeout: "200ms", scheduler: never }));
  const desk = await stage.desk(location);
  await schedule(desk, "note", "running", { pauseMs: 300 });
  await until(async () => (await desk.scheduler.getTask("running"))?.state === "running", "the task runs");
  await desk.db.transaction(async (tx) => {
    await tx.scheduleTask({ taskId: "waiting", taskType: "note", schedule: immediate(), payload: {} });
    await worker.told("store-failed");
  });
  expect(worker.all("store-failed")[0]).toMatchObject({
    code: "STORE_BUSY",
    message: expect.stringContaining("Another process holds the write lock") as string,
  });
  await untilDone(desk);
  const log = await expectWhole(desk.db);
  for (const taskId of ["running", "waiting"]) {
    expect(log.story(taskId).filter((type) => type !== "note_appended" && type !== "note_taken")).toEqual([
      "TaskScheduled",
      "TaskStarted",
      "TaskExecuted",
    ]);
  }
});
