/** Shutdown in good order: it waits, then aborts, then releases; and nothing is lost by it. */
import { AzothDb, immediate, interval, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { ManualClock } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler, newLocation } from "../engine-under-test.ts";
import { dataOf, eventsOf, idle, timeOf, typesOf } from "./support.ts";

/** A handler that takes a while, and obeys its signal or not. */
const lasting = (duration: string, obeys: boolean, reasons: string[] = []) =>
  taskHandler({
    taskType: "job",
    timeout: "10h",
    execute: async (ctx) => {
      const { signal } = ctx;
      signal.addEventListener("abort", () => reasons.push((signal.reason as { code: string }).code));
      if (obeys) await ctx.sleep(duration);
      else await new Promise(() => {});
      return { eventType: "done" };
    },
  });

const once = { taskId: "task", taskType: "job", schedule: immediate() } as const;

describe("stop", () => {
  test("waits for handlers that end within the grace period, and records them", async () => {
    const reasons: string[] = [];
    await using kit = await createTestScheduler({ handlers: [lasting("8s", true, reasons)], gracePeriod: "10s" });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    await kit.stop();
    expect(timeOf(kit.clock.now())).toBe("00:00:08");
    expect(reasons).toEqual([]);
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "done", "TaskExecuted"]);
    expect(dataOf((await eventsOf(kit, "SchedulerStopped"))[0])).toMatchObject({ released: 0 });
  });

  test("fires the signals after the grace period; who stops by it is released, without an attempt counted", async () => {
    const reasons: string[] = [];
    await using kit = await createTestScheduler({ handlers: [lasting("1h", true, reasons)], gracePeriod: "10s" });
    await kit.scheduler.scheduleTask({ ...once, maxRetries: 1 });
    await kit.settle();
    await kit.stop();
    expect(timeOf(kit.clock.now())).toBe("00:00:10");
    expect(reasons).toEqual(["SHUTTING_DOWN"]);
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "TaskReleased"]);
    expect(dataOf((await eventsOf(kit, "TaskReleased"))[0])).toMatchObject({ because: "shutdown" });
  });

  test("releases what ignores its signal, and does not wait for it", async () => {
    await using kit = await createTestScheduler({ handlers: [lasting("1h", false)], gracePeriod: "10s", patience: 0 });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    await kit.stop();
    expect(timeOf(kit.clock.now())).toBe("00:00:11");
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "TaskReleased"]);
    expect(dataOf((await eventsOf(kit, "SchedulerStopped"))[0])).toMatchObject({ released: 1 });
  });

  test("takes nothing more, and what was released runs again at once when a scheduler starts", async () => {
    const slow = lasting("30s", true);
    await using kit = await createTestScheduler({
      handlers: [slow, { ...idle, taskType: "other" }],
      gracePeriod: "10s",
    });
    await kit.scheduler.scheduleTask(once);
    await kit.scheduler.scheduleTask({ taskId: "later", taskType: "other", schedule: oneTime("2026-01-01T00:00:05Z") });
    await kit.settle();
    await kit.stop();
    await kit.restart();
    await kit.advance("30s");
    expect(await eventsOf(kit, "done")).toHaveLength(1);
    const starts = (await kit.log({ eventTypes: ["TaskStarted"] })).map(({ taskId, recordedAt }) => [
      taskId,
      timeOf(recordedAt),
    ]);
    expect(starts.map(String).toSorted()).toEqual(["later,00:00:10", "task,00:00:00", "task,00:00:10"]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("leaves the claims valid while it waits: nobody takes its tasks over meanwhile", async () => {
    await using kit = await createTestScheduler({
      handlers: [lasting("8m", true)],
      gracePeriod: "10m",
      claimDuration: "30s",
    });
    await kit.addScheduler();
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    await kit.stop();
    await kit.advance("10m");
    expect(await eventsOf(kit, "SchedulerLost")).toEqual([]);
    expect(await eventsOf(kit, "TaskStarted")).toHaveLength(1);
  });

  test("survives a store that fails for a while", async () => {
    await using kit = await createTestScheduler({ handlers: [lasting("1h", true)], gracePeriod: "10s" });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    kit.failNextCommits(2);
    await kit.stop();
    expect(await eventsOf(kit, "SchedulerStopped")).toHaveLength(1);
    expect((await typesOf(kit, "task")).at(-1)).toBe("TaskReleased");
  });

  test("waits for as long as it is told, and no longer if it is told again", async () => {
    const reasons: string[] = [];
    await using kit = await createTestScheduler({ handlers: [lasting("8h", true, reasons)], gracePeriod: "10s" });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    const stopping = kit.scheduler.stop({ gracePeriod: "2h" });
    // Without a time it only waits along.
    const waiting = kit.scheduler.stop();
    await kit.advance("1h");
    expect(reasons).toEqual([]);
    const hurried = kit.scheduler.stop({ gracePeriod: "30s" });
    await kit.advance("30s");
    expect(reasons).toEqual(["SHUTTING_DOWN"]);
    await Promise.all([stopping, waiting, hurried]);
    expect((await typesOf(kit, "task")).at(-1)).toBe("TaskReleased");
    await expect(kit.scheduler.stop({ gracePeriod: "soon" })).rejects.toMatchObject({ code: "INVALID_DURATION" });
  });

  test("twice, or before a start, does nothing", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await Promise.all([kit.scheduler.stop(), kit.scheduler.stop()]);
    await kit.scheduler.stop();
    expect(await eventsOf(kit, "SchedulerStopped")).toHaveLength(1);
  });
});

describe("commands", () => {
  test("work whether or not the scheduler runs", async () => {
    const location = await newLocation({ shared: true });
    await using kit = await createTestScheduler({ handlers: [idle], location });
    await using db = await AzothDb.open(location, { clock: kit.clock });
    const still = new Scheduler(db, { handlers: [idle] });
    await still.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1h") });
    expect(await still.pauseTask("task")).toMatchObject({ state: "paused" });
    await kit.settle();
    expect((await kit.scheduler.getTask("task"))?.state).toBe("paused");
  });
});

describe("run", () => {
  test("ends when its signal aborts, also if that was while it started, or before", async () => {
    const clock = new ManualClock("2026-01-01T00:00:00Z");
    await using db = await AzothDb.open(":memory:", { clock, noticeInterval: 0 });
    const scheduler = new Scheduler(db, { handlers: [idle] });
    const before = new AbortController();
    before.abort();
    await scheduler.run({ signal: before.signal });
    const during = new AbortController();
    const starting = scheduler.run({ signal: during.signal });
    during.abort();
    await starting;
    const after = new AbortController();
    const running = scheduler.run({ signal: after.signal });
    await clock.advance("1h");
    after.abort();
    await running;
  });

  test("refuses to run twice, and can run again when it has stopped", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await expect(kit.scheduler.start()).rejects.toMatchObject({ code: "SCHEDULER_RUNNING" });
    await kit.scheduler.stop();
    await kit.scheduler.start();
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    expect((await kit.scheduler.getTask("task"))?.state).toBe("completed");
    expect(await eventsOf(kit, "SchedulerStarted")).toHaveLength(2);
  });
});
