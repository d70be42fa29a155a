/** An idle scheduler takes what a commit makes due in that very commit. In real time: on a test's clock it does not. */
import { type AnyTaskHandler, immediate, Scheduler, type SchedulerOptions, taskHandler } from "azoth-scheduler";
import { expect, onTestFinished, test } from "vitest";
import { eventsOf, openStore, until } from "../store/scratch-stores.ts";
import { checkLog } from "./log-rules.ts";
import { deferred } from "./support.ts";

/** A scheduler that has nothing to do. It looks by itself so rarely, that nothing in the test comes of that. */
async function idle(handlers: readonly AnyTaskHandler[], options: Omit<SchedulerOptions, "handlers"> = {}) {
  const db = await openStore(undefined, { noticeInterval: "10m" });
  const scheduler = new Scheduler(db, { ...options, handlers, pollInterval: "10m" });
  await scheduler.start();
  onTestFinished(() => scheduler.stop());
  return { db, scheduler };
}

const job = (taskId: string, priority = 0) => ({ taskId, taskType: "job", schedule: immediate(), priority });

test("a task starts with the commit that schedules it, and whoever scheduled it hears of that before", async () => {
  const order: string[] = [];
  const handler = taskHandler({ taskType: "job", execute: () => void order.push("runs") });
  const { db, scheduler } = await idle([handler]);
  for (let round = 0; round < 20; round++) {
    order.length = 0;
    await scheduler.scheduleTask(job(`job-${round}`));
    order.push("scheduled");
    await until(() => order.length === 2, "it runs");
    expect(order).toEqual(["scheduled", "runs"]);
    await until(async () => (await scheduler.getTask(`job-${round}`))?.state === "completed", "its end is recorded");
  }
  let together = 0;
  for (let round = 0; round < 20; round++) {
    const events = await eventsOf(db, { taskId: `job-${round}` });
    expect(events.map(({ eventType }) => eventType)).toEqual(["TaskScheduled", "TaskStarted", "TaskExecuted"]);
    const [scheduled, started] = events;
    // One commit has one time, and nothing comes between its events.
    const isOneTime = started?.recordedAt.getTime() === scheduled?.recordedAt.getTime();
    if (isOneTime && started?.position === (scheduled?.position ?? 0) + 1) together++;
  }
  // On a busy machine the round before may not have come to its end, and the scheduler is not idle yet.
  expect(together).toBeGreaterThan(10);
});

test("no more start than there are slots, the most urgent first, and the others after them", async () => {
  const ran: string[] = [];
  const gate = deferred<void>();
  const handler = taskHandler({
    taskType: "job",
    execute: async ({ taskId }) => {
      ran.push(taskId);
      await gate.promise;
    },
  });
  const { db, scheduler } = await idle([handler], { maxConcurrentTasks: 2, claimAhead: 0 });
  await scheduler.scheduleTasks([job("low"), job("high", 5), job("lower", -1), job("highest", 9)]);
  await until(() => ran.length === 2, "two run");
  expect(ran).toEqual(["highest", "high"]);
  await scheduler.scheduleTask(job("late", 10));
  expect(await scheduler.countTasks()).toMatchObject({ running: 2, waiting: 3 });
  gate.resolve();
  await until(async () => (await scheduler.countTasks()).completed === 5, "all have run");
  expect(ran.slice(2)).toEqual(["low", "lower", "late"]);
  checkLog(await eventsOf(db));
});

test("what another scheduler of the store can run as well is run once", async () => {
  const ran: string[] = [];
  const handler = taskHandler({ taskType: "job", execute: ({ taskId }) => void ran.push(taskId) });
  const { db, scheduler } = await idle([handler]);
  const other = new Scheduler(db, { handlers: [handler] });
  await other.start();
  onTestFinished(() => other.stop());
  const ids = Array.from({ length: 200 }, (_, number) => `job-${number}`);
  for (const id of ids) await scheduler.scheduleTask(job(id));
  await until(async () => (await scheduler.countTasks()).completed === ids.length, "all have run");
  expect(ran.toSorted()).toEqual(ids.toSorted());
  checkLog(await eventsOf(db));
});

test("a commit that fails starts nothing, and the next one starts what was scheduled again", async () => {
  const ran: string[] = [];
  const handler = taskHandler({ taskType: "job", execute: ({ taskId }) => void ran.push(taskId) });
  const { scheduler } = await idle([handler]);
  const scheduled = scheduler.transaction(async (tx) => {
    await tx.scheduleTask(job("job"));
    throw new Error("no");
  });
  await expect(scheduled).rejects.toThrow("no");
  expect(await scheduler.getTask("job")).toBeNull();
  await scheduler.scheduleTask(job("job"));
  await until(() => ran.length > 0, "it runs");
  expect(ran).toEqual(["job"]);
});

test("a scheduler that stops meanwhile leaves no claim behind", async () => {
  for (let round = 0; round < 20; round++) {
    const handler = taskHandler({ taskType: "job", execute: () => undefined });
    const { db, scheduler } = await idle([handler]);
    const scheduling = Promise.all(Array.from({ length: 5 }, (_, number) => scheduler.scheduleTask(job(`${number}`))));
    for (let hops = 0; hops < round; hops++) await Promise.resolve();
    await Promise.all([scheduling, scheduler.stop()]);
    const counts = await scheduler.countTasks();
    expect(counts).toMatchObject({ running: 0, claimed: 0 });
    expect(counts.completed + counts.waiting).toBe(5);
    checkLog(await eventsOf(db));
  }
});
