/** Running handlers: how many at a time, for how long, and whatever they may do. */
import { fail, immediate, interval, oneTime, retryAfter, snooze, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { dataOf, eventsOf, failing, idle, startsOf, timeOf, typesOf } from "./support.ts";

describe("a handler", () => {
  test.each([
    ["sync", () => ({ eventType: "done", payload: 1 })],
    ["async", async () => ({ eventType: "done", payload: 1 })],
  ])("may be %s, and its event is part of the commit that ends its run", async (_, execute) => {
    await using kit = await createTestScheduler({ handlers: [taskHandler({ taskType: "job", execute })] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.settle();
    const events = await kit.log({ taskId: "task" });
    expect(events.map(({ eventType }) => eventType).toSorted()).toEqual(
      ["TaskScheduled", "TaskStarted", "TaskExecuted", "done"].toSorted(),
    );
    const [done] = await eventsOf(kit, "done");
    const [executed] = await eventsOf(kit, "TaskExecuted");
    expect(done).toMatchObject({ taskId: "task", executionId: executed?.executionId, payload: 1 });
    expect(Math.abs((done?.position ?? 0) - (executed?.position ?? 0))).toBe(1);
  });

  test.each([undefined, null])("may return %s, and then there is no event of its own", async (returned) => {
    await using kit = await createTestScheduler({
      handlers: [taskHandler({ taskType: "job", execute: () => returned })],
    });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.settle();
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "TaskExecuted"]);
  });
});

describe("the concurrency limit", () => {
  test("is kept, and used in full", async () => {
    let running = 0;
    const seen: number[] = [];
    const slow = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        seen.push(++running);
        await ctx.sleep("1m");
        running--;
      },
    });
    await using kit = await createTestScheduler({ handlers: [slow], maxConcurrentTasks: 3 });
    const requests = Array.from({ length: 10 }, () => ({ taskType: "job", schedule: immediate() }) as const);
    await kit.scheduler.scheduleTasks(requests);
    await kit.settle();
    expect(await kit.scheduler.countTasks()).toMatchObject({ running: 3, waiting: 7 });
    await kit.advance("3m");
    expect(await kit.scheduler.countTasks()).toMatchObject({ running: 1, completed: 9 });
    await kit.advance("1m");
    expect(Math.max(...seen)).toBe(3);
    expect(seen).toHaveLength(10);
  });

  test("leaves urgent tasks to those that are due first, and of these to the higher priority, then the older", async () => {
    const order: string[] = [];
    const job = taskHandler({ taskType: "job", execute: (ctx) => void order.push(ctx.taskId) });
    await using kit = await createTestScheduler({ handlers: [job], maxConcurrentTasks: 1 });
    const at = (time: string) => oneTime(`2026-01-01T${time}Z`);
    await kit.stop();
    await kit.restart();
    kit.suspend();
    await kit.scheduler.scheduleTasks([
      { taskId: "later", taskType: "job", schedule: at("00:02:00"), priority: 9 },
      { taskId: "low", taskType: "job", schedule: at("00:01:00"), priority: -1 },
      { taskId: "older", taskType: "job", schedule: at("00:01:00") },
      { taskId: "younger", taskType: "job", schedule: at("00:01:00") },
      { taskId: "high", taskType: "job", schedule: at("00:01:00"), priority: 5 },
    ]);
    await kit.advance("3m");
    await kit.resume();
    expect(order).toEqual(["high", "older", "younger", "low", "later"]);
  });
});

describe("retries", () => {
  test("come 1, 2, 4 minutes after the failures, and then the task is disabled", async () => {
    await using kit = await createTestScheduler({ handlers: [failing()] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate(), maxRetries: 4 });
    await kit.advance("1h");
    expect(await startsOf(kit, "task")).toEqual(["00:00:00", "00:01:00", "00:03:00", "00:07:00"]);
    const task = await kit.scheduler.getTask("task");
    expect(task).toMatchObject({ state: "disabled", enabled: false, retryCount: 4, nextRunAt: null });
    const { executions } = await kit.scheduler.history("task");
    expect(
      executions.map(({ attempt, outcome, retryAt, error }) => [attempt, outcome, timeOf(retryAt), error?.message]),
    ).toEqual([
      [4, "failed", null, "attempt 4 failed"],
      [3, "failed", "00:07:00", "attempt 3 failed"],
      [2, "failed", "00:03:00", "attempt 2 failed"],
      [1, "failed", "00:01:00", "attempt 1 failed"],
    ]);
  });

  test.each([
    ["the scheduler", { defaultMaxRetries: 2 }, {}, {}, 2],
    ["the handler before the scheduler", { defaultMaxRetries: 2 }, { maxRetries: 5 }, {}, 5],
    ["the task before the handler", { defaultMaxRetries: 2 }, { maxRetries: 5 }, { maxRetries: 1 }, 1],
    ["nobody: three attempts", {}, {}, {}, 3],
  ])("are limited by %s", async (_, scheduler, handler, task, attempts) => {
    await using kit = await createTestScheduler({ handlers: [{ ...failing(), ...handler }], ...scheduler });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate(), ...task });
    await kit.advance("10h");
    expect(await startsOf(kit, "task")).toHaveLength(attempts);
  });

  test.each(["returned", "thrown"])("are over for good when the handler says so: fail %s", async (how) => {
    const job = taskHandler({
      taskType: "job",
      execute: () => {
        // oxlint-disable-next-line typescript/only-throw-error -- an outcome may be thrown from deep inside
        if (how === "thrown") throw fail("no such account");
        return fail("no such account");
      },
    });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1h") });
    await kit.advance("1d");
    const { executions } = await kit.scheduler.history("task");
    expect(executions).toHaveLength(1);
    expect(executions[0]?.error).toMatchObject({ code: "HANDLER_FAILED", message: "no such account" });
    expect((await kit.scheduler.getTask("task"))?.state).toBe("disabled");
  });

  test("come when the handler says, and count", async () => {
    const job = taskHandler({ taskType: "job", execute: () => retryAfter("10m", "rate limited") });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.advance("1d");
    expect(await startsOf(kit, "task")).toEqual(["00:00:00", "00:10:00", "00:20:00"]);
    expect((await kit.scheduler.getTask("task"))?.state).toBe("disabled");
  });

  test("are no matter of a snooze, which counts nothing", async () => {
    let runs = 0;
    const job = taskHandler({ taskType: "job", execute: () => (++runs < 6 ? snooze("10m", "not ready") : undefined) });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate(), maxRetries: 1 });
    await kit.advance("1d");
    const { executions } = await kit.scheduler.history("task");
    expect(executions.map(({ outcome }) => outcome)).toEqual(["succeeded", ...Array<string>(5).fill("snoozed")]);
    expect(executions.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(dataOf((await eventsOf(kit, "TaskSnoozed"))[0])).toMatchObject({ reason: "not ready" });
  });
});

describe("a timeout", () => {
  test("fires the signal, fails the attempt, and is tried again", async () => {
    const reasons: unknown[] = [];
    const slow = taskHandler({
      taskType: "job",
      timeout: "30s",
      execute: async (ctx) => {
        ctx.signal.addEventListener("abort", () => reasons.push((ctx.signal.reason as { code: string }).code));
        if (ctx.attempt === 1) await ctx.sleep("1h");
      },
    });
    await using kit = await createTestScheduler({ handlers: [slow] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.advance("5m");
    expect(reasons).toEqual(["TASK_TIMED_OUT"]);
    const { executions } = await kit.scheduler.history("task");
    expect(executions.map(({ outcome, startedAt }) => [outcome, timeOf(startedAt)])).toEqual([
      ["succeeded", "00:01:30"],
      ["timed-out", "00:00:00"],
    ]);
    expect(await eventsOf(kit, "TaskHandlerSettled")).toEqual([]);
  });

  test.each([
    ["settles within the grace period", "35s", "settled", 5_000],
    ["never settles", "10h", "abandoned", 10_000],
  ])(
    "of a handler that ignores its signal and %s: the log says so, and its result is dropped",
    async (_, length, how, afterMs) => {
      const deaf = taskHandler({
        taskType: "job",
        timeout: "30s",
        execute: async () => {
          await kit.clock.sleep(length === "35s" ? 35_000 : 36_000_000);
          return { eventType: "too-late" };
        },
      });
      const signals: string[] = [];
      await using kit = await createTestScheduler({
        handlers: [deaf],
        gracePeriod: "10s",
        maxConcurrentTasks: 1,
        onSignal: ({ name }) => signals.push(name),
      });
      await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate(), maxRetries: 1 });
      await kit.scheduler.scheduleTask({ taskId: "next", taskType: "job", schedule: immediate(), maxRetries: 1 });
      await kit.advance("34s");
      // Its slot is not free while its code may still run.
      expect((await kit.scheduler.getTask("next"))?.state).toBe("waiting");
      await kit.advance("10s");
      expect((await kit.scheduler.getTask("next"))?.state).toBe("running");
      expect(await typesOf(kit, "task")).toEqual([
        "TaskScheduled",
        "TaskStarted",
        "TaskExecuted",
        "TaskHandlerSettled",
      ]);
      const [executed] = await eventsOf(kit, "TaskExecuted");
      expect(executed).toMatchObject({
        recordedAt: new Date("2026-01-01T00:00:30Z"),
        payload: { success: false, handlerUnsettled: true, error: { code: "TASK_TIMED_OUT" } },
      });
      expect(dataOf((await eventsOf(kit, "TaskHandlerSettled"))[0])).toEqual({ how, afterSignalMs: afterMs });
      expect(signals.includes("task.abandoned")).toBe(how === "abandoned");
      await kit.advance("11h");
      expect(await eventsOf(kit, "too-late")).toEqual([]);
    },
  );

  test("is measured by the time that passes: setting the clock neither cuts a run short nor lets it run on", async () => {
    const slow = taskHandler({ taskType: "job", timeout: "10m", execute: (ctx) => ctx.sleep("9m") });
    await using kit = await createTestScheduler({ handlers: [slow] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await kit.advance("1m");
    kit.clock.jump("5h");
    await kit.advance("4m");
    kit.clock.jump(-36_000_000);
    await kit.advance("4m");
    expect((await kit.scheduler.history("task")).executions[0]?.outcome).toBe("succeeded");
  });
});

describe("whatever a handler throws", () => {
  const gotcha = () => {
    throw new Error("gotcha");
  };
  // Made when they are thrown: what a test's table holds, the test runner reads.
  test.each<[string, () => unknown]>([
    ["a text", () => "just text"],
    ["nothing", () => undefined],
    ["null", () => null],
    ["a number", () => 42],
    ["a symbol", () => Symbol("odd")],
    ["an object without prototype", () => Object.create(null) as unknown],
    [
      "an error with throwing getters",
      () => Object.defineProperties(new Error("x"), { message: { get: gotcha }, stack: { get: gotcha } }),
    ],
    ["an error whose message is no text", () => Object.assign(new Error("x"), { message: { toString: gotcha } })],
    [
      "an error that is its own cause",
      () => {
        const error = new Error("endless");
        error.cause = error;
        return error;
      },
    ],
    ["a revoked proxy", () => revokedProxy()],
    ["a very long message", () => new Error("x".repeat(1_000_000))],
    ["an object whose toString throws", () => ({ toString: gotcha })],
  ])("is a failed attempt with a readable message: %s", async (_, make) => {
    const job = taskHandler({
      taskType: "job",
      execute: () => {
        throw make();
      },
    });
    await using kit = await createTestScheduler({ handlers: [idle, { ...job, taskType: "hostile" }] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "hostile", schedule: immediate(), maxRetries: 1 });
    await kit.scheduler.scheduleTask({ taskId: "other", taskType: "job", schedule: immediate() });
    await kit.settle();
    const { executions } = await kit.scheduler.history("task");
    const { code, message } = executions[0]?.error ?? {};
    expect(code).toBe("HANDLER_FAILED");
    expect(message?.length).toBeGreaterThan(3);
    expect(message?.length).toBeLessThanOrEqual(2_000);
    expect((await kit.scheduler.getTask("other"))?.state).toBe("completed");
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });
});

describe("whatever a handler returns", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  test.each<[string, () => unknown]>([
    ["a number", () => 42],
    ["a text", () => "done"],
    ["an array", () => []],
    ["an object without eventType", () => ({ payload: 1 })],
    ["an event type that is no text", () => ({ eventType: 7 })],
    ["an event type of the scheduler's own", () => ({ eventType: "TaskExecuted", payload: { success: true } })],
    ["a payload that cannot be stored", () => ({ eventType: "done", payload: () => {} })],
    ["a payload that refers to itself", () => ({ eventType: "done", payload: circular })],
    ["a payload that is too large", () => ({ eventType: "done", payload: "x".repeat(2_000_000) })],
    [
      "getters that throw",
      () => ({
        get eventType() {
          throw new Error("gotcha");
        },
      }),
    ],
    ["a revoked proxy", () => revokedProxy()],
    ["a function", () => () => {}],
  ])("that is no event fails the attempt: %s", async (_, execute) => {
    await using kit = await createTestScheduler({ handlers: [{ taskType: "job", execute }] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate(), maxRetries: 1 });
    await kit.settle();
    const { executions } = await kit.scheduler.history("task");
    expect(executions[0]?.outcome).toBe("failed");
    expect(executions[0]?.error?.message.length).toBeGreaterThan(3);
    expect(executions[0]?.error?.code).toMatch(/^HANDLER_(RESULT_INVALID|FAILED)$/);
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "TaskExecuted"]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });
});

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

test("a handler that never settles takes nothing down but its own slot", async () => {
  const stuck = taskHandler({ taskType: "stuck", timeout: "1m", execute: () => new Promise<undefined>(() => {}) });
  await using kit = await createTestScheduler({ handlers: [stuck, idle], maxConcurrentTasks: 2, patience: 0 });
  await kit.scheduler.scheduleTask({ taskId: "stuck", taskType: "stuck", schedule: immediate(), maxRetries: 2 });
  await kit.scheduler.scheduleTask({ taskId: "busy", taskType: "job", schedule: interval("10s") });
  await kit.advance("10m");
  expect((await kit.scheduler.getTask("busy"))?.runs).toBe(60);
  expect((await kit.scheduler.getTask("stuck"))?.state).toBe("disabled");
});
