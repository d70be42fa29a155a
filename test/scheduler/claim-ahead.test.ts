/** Claiming more tasks than there are free slots: many short ones start without waiting for a commit, and nothing is promised less. */
import { immediate, type TaskContext, taskHandler } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { checkLog } from "./log-rules.ts";
import { dataOf, eventsOf, openKit, typesOf } from "./support.ts";

/** Short ones first, which make the scheduler claim ahead; then two that hold both slots; then those that wait for one. */
async function scheduleBacklog(kit: Pick<TestScheduler, "scheduler">, waiting: number): Promise<void> {
  const named = (name: string, count: number, priority: number) =>
    Array.from({ length: count }, (_, index) => ({
      taskId: `${name}-${index}`,
      taskType: "job",
      schedule: immediate(),
      payload: name,
      priority,
    }));
  await kit.scheduler.scheduleTasks([...named("short", 4, 9), ...named("long", 2, 5), ...named("waiting", waiting, 1)]);
}

/** Runs "long" payloads until `end` is called, all others at once; tells what ran, and how many at one time. */
function jobs() {
  const ran: string[] = [];
  const now = { running: 0, most: 0 };
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const handler = taskHandler({
    taskType: "job",
    execute: async ({ taskId }: TaskContext, payload: unknown) => {
      now.running++;
      now.most = Math.max(now.most, now.running);
      await (payload === "long" ? ended : Promise.resolve());
      now.running--;
      ran.push(taskId);
      return { eventType: "done", payload: taskId };
    },
  });
  return { handler, ran, now, end: () => end() };
}

const settings = { maxConcurrentTasks: 2, patience: 0, claimDuration: "30s" } as const;

describe("a backlog of short tasks", () => {
  test("is claimed ahead, runs each once in no more than the slots, and the log has all of it in order", async () => {
    const { handler, ran, now } = jobs();
    await using kit = await createTestScheduler({ ...settings, handlers: [handler] });
    const tasks = Array.from({ length: 300 }, (_, index) => ({
      taskId: `t${index}`,
      taskType: "job" as const,
      schedule: immediate(),
    }));
    await kit.scheduler.scheduleTasks(tasks);
    await kit.settle();
    expect(ran.toSorted()).toEqual(tasks.map(({ taskId }) => taskId).toSorted());
    expect(now.most).toBe(2);
    expect((await eventsOf(kit, "TaskClaimed")).length).toBeGreaterThan(200);
    expect(await eventsOf(kit, "TaskStarted")).toHaveLength(300);
    expect(await eventsOf(kit, "done")).toHaveLength(300);
    checkLog(await kit.log());
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("is not claimed ahead with claimAhead: 0", async () => {
    const { handler, ran } = jobs();
    await using kit = await createTestScheduler({ ...settings, claimAhead: 0, handlers: [handler] });
    await scheduleBacklog(kit, 20);
    await kit.settle();
    expect(ran).toHaveLength(4);
    expect(await kit.scheduler.countTasks()).toMatchObject({ claimed: 0, running: 2, waiting: 20 });
    expect(await eventsOf(kit, "TaskClaimed")).toEqual([]);
  });
});

describe("a task that is claimed and has not started", () => {
  test("is shown as such, and starts when a slot is free", async () => {
    const { handler, ran, end } = jobs();
    await using kit = await createTestScheduler({ ...settings, handlers: [handler] });
    await scheduleBacklog(kit, 5);
    await kit.settle();
    const task = await kit.scheduler.getTask("waiting-0");
    expect(task).toMatchObject({ state: "claimed", enabled: true, execution: null, nextRunAt: null });
    const listed = await kit.scheduler.listTasks({ state: "claimed" });
    expect(listed.tasks.map(({ taskId }) => taskId)).toHaveLength(5);
    expect((await kit.scheduler.listTasks({ enabled: true })).tasks).toHaveLength(7);
    await expect(kit.scheduler.runTaskNow("waiting-0")).rejects.toMatchObject({ code: "TASK_RUNNING" });
    end();
    await kit.settle();
    expect(ran).toHaveLength(11);
    expect(await typesOf(kit, "waiting-0")).toEqual([
      "TaskScheduled",
      "TaskClaimed",
      "TaskStarted",
      "done",
      "TaskExecuted",
    ]);
  });

  test("is given back before long, and then runs on another scheduler", async () => {
    const { handler, ran } = jobs();
    await using kit = await openKit({ ...settings, handlers: [handler] });
    await scheduleBacklog(kit, 5);
    await kit.settle();
    expect(ran).toHaveLength(4);
    const other = jobs();
    await kit.addScheduler({ handlers: [other.handler] });
    expect(other.ran).toEqual([]);
    await kit.advance("1s");
    expect(other.ran).toHaveLength(5);
    expect(dataOf((await eventsOf(kit, "TaskReleased"))[0])).toMatchObject({ because: "unstarted", instance: 1 });
    expect((await kit.scheduler.getTask("waiting-0"))?.retryCount).toBe(0);
    checkLog(await kit.log());
  });

  test("is given back when its scheduler stops", async () => {
    const { handler, end } = jobs();
    await using kit = await openKit({ ...settings, handlers: [handler] });
    await scheduleBacklog(kit, 3);
    await kit.settle();
    const stopping = kit.stop();
    await kit.settle();
    expect((await eventsOf(kit, "TaskReleased")).map((event) => [event.taskId, dataOf(event).because])).toEqual([
      ["waiting-0", "shutdown"],
      ["waiting-1", "shutdown"],
      ["waiting-2", "shutdown"],
    ]);
    end();
    await stopping;
    expect(await eventsOf(kit, "TaskExecuted")).toHaveLength(6);
    expect(dataOf((await eventsOf(kit, "SchedulerStopped"))[0])).toMatchObject({ released: 3 });
    checkLog(await kit.log());
  });

  test("is taken over when its scheduler dies, and runs", async () => {
    const { handler } = jobs();
    await using kit = await openKit({ ...settings, handlers: [handler] });
    await scheduleBacklog(kit, 3);
    await kit.settle();
    await kit.crash();
    const successor = jobs();
    successor.end();
    await kit.restart({ handlers: [successor.handler] });
    await kit.advance("2m");
    expect(successor.ran.toSorted()).toEqual(["long-0", "long-1", "waiting-0", "waiting-1", "waiting-2"]);
    const released = await eventsOf(kit, "TaskReleased");
    expect(new Set(released.map((event) => dataOf(event).because))).toEqual(new Set(["claim-lost"]));
    checkLog(await kit.log());
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("does not run when it is cancelled, and keeps what is scheduled in its place", async () => {
    const { handler, ran, end } = jobs();
    await using kit = await createTestScheduler({ ...settings, handlers: [handler] });
    await scheduleBacklog(kit, 3);
    await kit.settle();
    expect(await kit.scheduler.cancelTask("waiting-0", "not needed")).toMatchObject({ state: "cancelled" });
    expect(dataOf((await eventsOf(kit, "TaskCancelled"))[0])).toMatchObject({ wasRunning: false });
    await kit.settle();
    end();
    await kit.advance("1m");
    expect(ran).not.toContain("waiting-0");
    expect(ran).toHaveLength(8);
    expect((await kit.scheduler.getTask("waiting-0"))?.state).toBe("cancelled");
  });
});
