/** What a handler knows of its run, and the promises of the idempotency key. */
import { immediate, interval, oneTime, type TaskContext, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { eventsOf } from "./support.ts";

test("the context tells which task, which occurrence and which attempt", async () => {
  const seen: Record<string, unknown>[] = [];
  const job = taskHandler({
    taskType: "job",
    maxRetries: 5,
    execute: (ctx) => {
      const { taskId, taskType, executionId, scheduledFor, startedAt, attempt, maxRetries, idempotencyKey } = ctx;
      seen.push({ taskId, taskType, executionId, scheduledFor, startedAt, attempt, maxRetries, idempotencyKey });
      if (attempt === 1) throw new Error("once");
    },
  });
  await using kit = await createTestScheduler({ handlers: [job] });
  await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: oneTime("2026-01-01T00:10:00Z") });
  await kit.advance("11m");
  const [first, second] = seen;
  expect(first).toEqual({
    taskId: "task",
    taskType: "job",
    executionId: first?.executionId,
    scheduledFor: new Date("2026-01-01T00:10:00Z"),
    startedAt: new Date("2026-01-01T00:10:00Z"),
    attempt: 1,
    maxRetries: 5,
    idempotencyKey: first?.idempotencyKey,
  });
  expect(second).toEqual({
    ...first,
    executionId: second?.executionId,
    startedAt: new Date("2026-01-01T00:11:00Z"),
    attempt: 2,
  });
  expect(second?.executionId).not.toBe(first?.executionId);
  // The executions of the history and the log go by the same names.
  const { executions } = await kit.scheduler.history("task");
  expect(executions.map(({ executionId }) => executionId)).toEqual([second?.executionId, first?.executionId]);
  const started = await eventsOf(kit, "TaskStarted");
  expect(started.map(({ executionId }) => executionId)).toEqual([first?.executionId, second?.executionId]);
});

test("the context can be taken apart, and its clock is the scheduler's", async () => {
  const seen: string[] = [];
  const job = taskHandler({
    taskType: "job",
    execute: async ({ now, sleep, signal }) => {
      seen.push(now().toISOString());
      await sleep("90s");
      seen.push(now().toISOString(), String(signal.aborted));
    },
  });
  await using kit = await createTestScheduler({ handlers: [job] });
  await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
  await kit.advance("90s");
  expect(seen).toEqual(["2026-01-01T00:00:00.000Z", "2026-01-01T00:01:30.000Z", "false"]);
});

test("ctx.sleep sleeps through days, and rejects with the reason of the signal", async () => {
  const outcomes: string[] = [];
  const sleepy = (taskType: string, timeout: string) =>
    taskHandler({
      taskType,
      timeout,
      execute: async (ctx) => {
        await ctx.sleep("3d").catch((error: unknown) => {
          outcomes.push(`${taskType} ${(error as { code: string }).code}`);
          throw error;
        });
        outcomes.push(`${taskType} ${ctx.now().toISOString()}`);
      },
    });
  await using kit = await createTestScheduler({ handlers: [sleepy("long", "10d"), sleepy("short", "1d")] });
  await kit.scheduler.scheduleTask({ taskType: "long", schedule: immediate(), maxRetries: 1 });
  await kit.scheduler.scheduleTask({ taskType: "short", schedule: immediate(), maxRetries: 1 });
  await kit.advance("4d");
  expect(outcomes).toEqual(["short TASK_TIMED_OUT", "long 2026-01-04T00:00:00.000Z"]);
});

test("the logger adds which run it was", async () => {
  const lines: [string, object, string][] = [];
  const note = (level: string) => (fields: object, message: string) => void lines.push([level, fields, message]);
  const logger = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
  const job = taskHandler({ taskType: "job", execute: (ctx) => ctx.logger.info({ rows: 3 }, "counted") });
  await using kit = await createTestScheduler({ handlers: [job], logger });
  await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
  await kit.settle();
  const line = lines.find(([, , message]) => message === "counted");
  expect(line?.[1]).toMatchObject({ rows: 3, taskId: "task", taskType: "job", attempt: 1 });
});

describe("the idempotency key", () => {
  /** Notes each run's key, and does as it is told. */
  const recorder = (act: (ctx: TaskContext) => unknown) => {
    const keys: string[] = [];
    const job = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        keys.push(ctx.idempotencyKey);
        await act(ctx);
      },
    });
    return { keys, job };
  };

  test("is the same for each attempt, and another one for each occurrence", async () => {
    const { keys, job } = recorder(({ attempt }) => {
      if (attempt < 3) throw new Error("not yet");
    });
    await using kit = await createTestScheduler({ handlers: [job], defaultRetry: { base: "1s" } });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: interval("1h") });
    await kit.advance("2h1m");
    expect(keys).toHaveLength(6);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set(keys.slice(3)).size).toBe(1);
    expect(new Set(keys).size).toBe(2);
  });

  test("is the same after a crash and takeover, and after a shutdown", async () => {
    const { keys, job } = recorder(() => new Promise(() => {}));
    await using kit = await createTestScheduler({ handlers: [job], claimDuration: "1m", patience: 0 });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), timeout: "10h" });
    await kit.settle();
    await kit.crash();
    await kit.restart();
    await kit.advance("3m");
    await kit.restart();
    await kit.advance("3m");
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  test("is another one for a run by hand, and for another definition at the same nominal time", async () => {
    const { keys, job } = recorder(() => {});
    await using kit = await createTestScheduler({ handlers: [job] });
    const request = { taskId: "task", taskType: "job", schedule: oneTime("2026-01-01T01:00:00Z") } as const;
    await kit.scheduler.scheduleTask(request);
    await kit.advance("1h");
    await kit.scheduler.runTaskNow("task");
    await kit.settle();
    await kit.scheduler.scheduleTask({ ...request, priority: 1 });
    await kit.settle();
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(3);
  });
});
