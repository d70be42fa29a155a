/** Cancelling tasks that wait, and tasks that run, here or elsewhere. */
import { immediate, interval, oneTime, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { dataOf, deferred, eventsOf, idle, typesOf } from "./support.ts";

/** Runs until its signal fires, and notes why that was. */
function patient(): { reasons: string[]; job: ReturnType<typeof make> } {
  const reasons: string[] = [];
  const make = () =>
    taskHandler({
      taskType: "job",
      timeout: "10h",
      execute: (ctx) =>
        ctx.sleep("9h").catch((error: unknown) => {
          reasons.push((error as { code: string }).code);
          throw error;
        }),
    });
  return { reasons, job: make() };
}

describe("a waiting task", () => {
  test("never runs again, and keeps its history", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1h") });
    await kit.advance("90m");
    const cancelled = await kit.scheduler.cancelTask("task", "no longer needed");
    expect(cancelled).toMatchObject({ state: "cancelled", enabled: false, nextRunAt: null });
    await kit.advance("10h");
    expect((await kit.scheduler.history("task")).executions).toHaveLength(1);
    expect(dataOf((await eventsOf(kit, "TaskCancelled"))[0])).toEqual({
      reason: "no longer needed",
      wasRunning: false,
    });
  });

  test("can be cancelled twice, which is recorded once", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1h") });
    await kit.scheduler.cancelTask("task", "first");
    await kit.scheduler.cancelTask("task", "second");
    expect(await eventsOf(kit, "TaskCancelled")).toHaveLength(1);
  });

  test("that is unknown is an error", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await expect(kit.scheduler.cancelTask("nobody", "why not")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    await expect(kit.scheduler.cancelTask("nobody", 5 as never)).rejects.toMatchObject({ code: "INVALID_TASK" });
    await expect(kit.scheduler.cancelTask("", "why not")).rejects.toMatchObject({ code: "INVALID_TASK_ID" });
  });
});

describe("a running task", () => {
  test.each(["the scheduler that runs it", "another scheduler", "a transaction"])(
    "gets its signal by %s",
    async (who) => {
      const { reasons, job } = patient();
      await using kit = await createTestScheduler({ handlers: [job] });
      await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
      await kit.settle();
      if (who === "a transaction") await kit.db.transaction((tx) => tx.cancelTask("task", "by hand"));
      else {
        const { scheduler } = who === "another scheduler" ? await kit.addScheduler() : kit;
        await scheduler.cancelTask("task", "by hand");
      }
      await kit.settle();
      expect(reasons).toEqual(["TASK_CANCELLED"]);
      expect(await typesOf(kit, "task")).toEqual([
        "TaskScheduled",
        "TaskStarted",
        "TaskCancelled",
        "TaskResultRefused",
      ]);
      expect(dataOf((await eventsOf(kit, "TaskResultRefused"))[0])).toMatchObject({
        because: "cancelled",
        success: false,
      });
      expect((await kit.scheduler.history("task")).executions[0]?.outcome).toBe("cancelled");
      // Its slot is free again.
      expect(await kit.db.verify()).toMatchObject({ ok: true });
    },
  );

  test("gets its signal also while its scheduler has its hands full", async () => {
    const { reasons, job } = patient();
    let links = 0;
    const chain = taskHandler({
      taskType: "chain",
      execute: async (ctx) => {
        if (++links < 500 && reasons.length === 0) {
          await ctx.transaction.scheduleTask({ taskType: "chain", schedule: oneTime(ctx.now().getTime() + 1) });
        }
      },
    });
    await using kit = await createTestScheduler({ handlers: [job, chain] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.scheduler.scheduleTask({ taskType: "chain", schedule: immediate() });
    await kit.advance("20ms");
    await kit.scheduler.cancelTask("task", "by hand");
    await kit.advance("1s");
    expect(reasons).toEqual(["TASK_CANCELLED"]);
    expect(links).toBeLessThan(200);
  });

  test("that ignores its signal cannot record its success any more", async () => {
    const work = deferred();
    const deaf = taskHandler({
      taskType: "job",
      execute: async () => {
        await work.promise;
        return { eventType: "too-late" };
      },
    });
    await using kit = await createTestScheduler({ handlers: [deaf], patience: 0 });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.settle();
    await kit.scheduler.cancelTask("task", "by hand");
    await kit.settle();
    work.resolve();
    await kit.settle();
    expect(dataOf((await eventsOf(kit, "TaskResultRefused"))[0])).toMatchObject({
      because: "cancelled",
      success: true,
    });
    expect(await eventsOf(kit, "too-late")).toEqual([]);
  });

  test("that ignores its signal gives up its slot when the grace period is over", async () => {
    const deaf = taskHandler({ taskType: "job", timeout: "10h", execute: () => new Promise<undefined>(() => {}) });
    const other = taskHandler({ taskType: "other", execute: () => {} });
    await using kit = await createTestScheduler({
      handlers: [deaf, other],
      maxConcurrentTasks: 1,
      gracePeriod: "10s",
      patience: 0,
    });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.scheduler.scheduleTask({ taskId: "next", taskType: "other", schedule: immediate() });
    await kit.settle();
    await kit.scheduler.cancelTask("task", "by hand");
    await kit.advance("9s");
    expect((await kit.scheduler.getTask("next"))?.state).toBe("waiting");
    await kit.advance("2s");
    expect((await kit.scheduler.getTask("next"))?.state).toBe("completed");
    expect(dataOf((await eventsOf(kit, "TaskHandlerSettled"))[0])).toMatchObject({ how: "abandoned" });
  });
});

test("a cancelled id can be scheduled again", async () => {
  await using kit = await createTestScheduler({ handlers: [idle] });
  const request = { taskId: "task", taskType: "job", schedule: interval("1h") } as const;
  await kit.scheduler.scheduleTask(request);
  await kit.scheduler.cancelTask("task", "by hand");
  expect(await kit.scheduler.scheduleTask(request)).toMatchObject({ change: "revived" });
  await kit.advance("1h");
  expect((await kit.scheduler.getTask("task"))?.runs).toBe(1);
});

test("a task that is cancelled and scheduled again while it runs records the new run and refuses the old one", async () => {
  const slow = taskHandler({
    taskType: "job",
    execute: async (ctx) => {
      await kit.clock.sleep(5_000);
      return { eventType: "ran", payload: ctx.executionId };
    },
  });
  await using kit = await createTestScheduler({ handlers: [slow] });
  const request = { taskId: "task", taskType: "job", schedule: immediate() } as const;
  await kit.scheduler.scheduleTask(request);
  await kit.settle();
  const first = (await kit.scheduler.getTask("task"))?.execution?.executionId;
  await kit.scheduler.cancelTask("task", "by hand");
  await kit.scheduler.scheduleTask(request);
  await kit.advance("10m");
  const ran = await eventsOf(kit, "ran");
  expect(ran).toHaveLength(1);
  expect(ran[0]?.executionId).not.toBe(first);
  expect((await eventsOf(kit, "TaskResultRefused")).map(({ executionId }) => executionId)).toEqual([first]);
});
