/** Several schedulers on one store: sharing the work, claims, crashes, takeovers, and those taken for dead. */
import { type AnyTaskHandler, immediate, interval, type Signal, taskHandler } from "azoth-scheduler";
import type { TestSchedulerOptions } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { dataOf, deferred, eventsOf, idle, openKit, timeOf, typesOf } from "./support.ts";

const once = { taskId: "task", taskType: "job", schedule: immediate() } as const;

describe("two schedulers", () => {
  test("share the work, and run nothing twice", async () => {
    const job = taskHandler({ taskType: "job", execute: (ctx) => ctx.sleep("1m") });
    await using kit = await createTestScheduler({ handlers: [job], maxConcurrentTasks: 4 });
    await kit.addScheduler();
    await kit.scheduler.scheduleTasks(
      Array.from({ length: 40 }, () => ({ taskType: "job", schedule: immediate() }) as const),
    );
    await kit.advance("10m");
    expect(await kit.scheduler.countTasks()).toMatchObject({ completed: 40 });
    const started = await eventsOf(kit, "TaskStarted");
    expect(started).toHaveLength(40);
    const instances = started.map((event) => dataOf(event).instance);
    expect([1, 2].map((instance) => instances.filter((one) => one === instance).length)).toEqual([20, 20]);
  });

  test("leave to each other the types that only one of them handles", async () => {
    const other = taskHandler({ taskType: "other", execute: () => ({ eventType: "ran" }) });
    await using kit = await createTestScheduler({ handlers: [idle], externalTaskTypes: ["other"] });
    await kit.scheduler.transaction((tx) =>
      tx.scheduleTask({ taskId: "theirs", taskType: "other", schedule: immediate() }),
    );
    await kit.advance("1h");
    expect((await kit.scheduler.getTask("theirs"))?.state).toBe("waiting");
    await kit.addScheduler({ handlers: [other] });
    await kit.settle();
    expect((await kit.scheduler.getTask("theirs"))?.state).toBe("completed");
  });
});

describe("tasks whose type nobody handles", () => {
  test("stay, are reported, and make no loop run hot", async () => {
    const signals: Signal[] = [];
    await using kit = await openKit({
      handlers: [idle],
      externalTaskTypes: ["fax"],
      pollInterval: "1s",
      onSignal: (signal) => signals.push(signal),
    });
    await kit.scheduler.scheduleTasks(Array.from({ length: 5 }, () => ({ taskType: "fax", schedule: immediate() })));
    await kit.settle();
    const { commits, rounds } = kit;
    await kit.advance("10m");
    expect(kit.rounds - rounds).toBeLessThanOrEqual(600 + 5);
    expect(kit.commits - commits).toBeLessThanOrEqual(5);
    const reports = signals.filter(({ name }) => name === "tasks.unhandled");
    expect(reports[0]).toEqual({ name: "tasks.unhandled", types: [{ taskType: "fax", count: 5 }] });
    // Once a minute, not once a round.
    expect(reports.length).toBeLessThanOrEqual(11);
    expect(reports.length).toBeGreaterThanOrEqual(9);
    expect(await kit.scheduler.countTasks()).toMatchObject({ waiting: 5 });
  });

  test("do not get in the way of others", async () => {
    await using kit = await openKit({ handlers: [idle], externalTaskTypes: ["fax"], maxConcurrentTasks: 2 });
    await kit.scheduler.scheduleTasks(
      Array.from({ length: 50 }, () => ({ taskType: "fax", schedule: immediate(), priority: 9 })),
    );
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    expect((await kit.scheduler.getTask("task"))?.state).toBe("completed");
  });
});

describe("idle schedulers", () => {
  test("look no more often than they have to", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: interval("1h") });
    await kit.settle();
    const { rounds } = kit;
    await kit.advance("1d");
    // 24 occurrences with a few rounds each, 24 polls, and 72 heartbeats, each of which wakes the loop once.
    expect(kit.rounds - rounds).toBeLessThan(24 * 5 + 24 + 72 + 10);
  });
});

/** A handler that hangs in the process where `hangs` says so. */
function mortal(hangs: () => boolean): AnyTaskHandler {
  return taskHandler({
    taskType: "job",
    timeout: "10h",
    execute: async (ctx) => {
      if (hangs()) await new Promise(() => {});
      return { eventType: "done", payload: ctx.attempt };
    },
  });
}

const clocked: TestSchedulerOptions = { claimDuration: "30s", patience: 0 };

describe("a crash", () => {
  test("is noticed by another scheduler, which runs the tasks again within the claim time and a beat, once", async () => {
    let hangs = true;
    const signals: Signal[] = [];
    await using kit = await openKit({
      ...clocked,
      handlers: [mortal(() => hangs)],
      onSignal: (signal) => signals.push(signal),
    });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    const second = await kit.addScheduler();
    hangs = false;
    await kit.crash();
    await kit.advance("5m");
    expect(await typesOf(kit, "task")).toEqual([
      "TaskScheduled",
      "TaskStarted",
      "TaskReleased",
      "TaskStarted",
      "done",
      "TaskExecuted",
    ]);
    const [released] = await eventsOf(kit, "TaskReleased");
    expect(dataOf(released)).toMatchObject({ because: "claim-lost", instance: 1 });
    expect(String(dataOf(released).detail)).toMatch(
      /Instance 1 .*last heard at 2026-01-01T00:00:00.000Z.*Taken over by instance 2/,
    );
    expect((released?.recordedAt.getTime() ?? 0) - Date.parse("2026-01-01T00:00:00Z")).toBeLessThanOrEqual(40_000);
    const { executions } = await second.scheduler.history("task");
    expect(executions.map(({ outcome, attempt, instance }) => [outcome, attempt, instance])).toEqual([
      ["succeeded", 1, 2],
      ["claim-lost", 1, 1],
    ]);
    expect(dataOf((await eventsOf(kit, "SchedulerLost"))[0])).toMatchObject({ instance: 1, by: 2 });
    expect(signals.filter(({ name }) => name === "scheduler.lost")).toHaveLength(1);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("is noticed by itself when it is started again", async () => {
    let hangs = true;
    await using kit = await openKit({ ...clocked, handlers: [mortal(() => hangs)] });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    await kit.crash();
    hangs = false;
    await kit.advance("1h");
    await kit.restart();
    await kit.settle();
    // The claim had run out long before: nothing has to be waited for.
    expect((await kit.scheduler.getTask("task"))?.state).toBe("completed");
  });

  test("of one of many leaves its tasks to exactly one of the others each", async () => {
    let hangs = true;
    await using kit = await openKit({ ...clocked, handlers: [mortal(() => hangs)], maxConcurrentTasks: 30 });
    await kit.scheduler.scheduleTasks(Array.from({ length: 30 }, () => ({ taskType: "job", schedule: immediate() })));
    await kit.settle();
    hangs = false;
    await kit.addScheduler();
    await kit.addScheduler();
    await kit.crash();
    await kit.advance("5m");
    expect(await eventsOf(kit, "TaskReleased")).toHaveLength(30);
    expect(await eventsOf(kit, "TaskStarted")).toHaveLength(60);
    expect(await eventsOf(kit, "done")).toHaveLength(30);
    expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
  });

  test("again and again of whoever runs a task ends in a failed attempt", async () => {
    await using kit = await openKit({ ...clocked, handlers: [mortal(() => true)], maxLostClaims: 3 });
    await kit.scheduler.scheduleTask({ ...once, maxRetries: 1 });
    for (let life = 0; life < 4; life++) {
      await kit.settle();
      await kit.crash();
      await kit.restart();
      await kit.advance("1m");
    }
    expect(await eventsOf(kit, "TaskStarted")).toHaveLength(3);
    expect(await kit.scheduler.getTask("task")).toMatchObject({ state: "disabled" });
    expect((await kit.scheduler.history("task")).executions[0]?.error?.code).toBe("CLAIM_LOST");
  });

  test("before anything ran loses nothing that was acknowledged", async () => {
    await using kit = await openKit({ handlers: [idle] });
    kit.suspend();
    for (let task = 0; task < 20; task++) await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
    await kit.crash();
    await kit.restart();
    await kit.settle();
    expect(await kit.scheduler.countTasks()).toMatchObject({ completed: 20 });
  });
});

describe("a scheduler that was silent for too long, but lives", () => {
  /** The first scheduler hangs with the task, falls silent, and the second has done the work meanwhile. */
  async function takenForDead(signals: Signal[] = []) {
    const work = deferred();
    const reasons: unknown[] = [];
    let first = true;
    const job = taskHandler({
      taskType: "job",
      timeout: "10h",
      execute: async (ctx) => {
        const isFirst = first;
        first = false;
        if (isFirst) {
          ctx.signal.addEventListener("abort", () => reasons.push((ctx.signal.reason as { code: string }).code));
          await work.promise;
        }
        return { eventType: "done", payload: isFirst ? "zombie" : "successor" };
      },
    });
    const kit = await openKit({ ...clocked, handlers: [job], onSignal: (signal) => signals.push(signal) });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    kit.suspend();
    const second = await kit.addScheduler();
    await kit.advance("2m");
    return { kit, second, work, reasons };
  }

  test("cannot record what its handler returned: it is refused, and the refusal recorded", async () => {
    const { kit, work } = await takenForDead();
    await using _ = kit;
    work.resolve();
    await kit.resume();
    await kit.advance("1m");
    expect((await eventsOf(kit, "done")).map(({ payload }) => payload)).toEqual(["successor"]);
    expect((await eventsOf(kit, "TaskResultRefused")).map(dataOf)).toEqual([
      { because: "claim-lost", instance: 1, success: true },
    ]);
    expect((await kit.scheduler.history("task")).executions.map(({ outcome }) => outcome)).toEqual([
      "succeeded",
      "claim-lost",
    ]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("tells its handlers to stop, and goes on under a new number", async () => {
    const signals: Signal[] = [];
    const { kit, second, reasons } = await takenForDead(signals);
    await using _ = kit;
    await kit.resume();
    await kit.advance("1m");
    expect(reasons).toEqual(["CLAIM_LOST"]);
    expect(signals.filter(({ name }) => name === "scheduler.declared-dead")).toEqual([
      { name: "scheduler.declared-dead", instance: 3 },
    ]);
    await second.stop();
    await kit.scheduler.scheduleTask({ ...once, taskId: "after" });
    await kit.settle();
    expect(
      (await kit.log({ taskId: "after", eventTypes: ["TaskStarted"] })).map((event) => dataOf(event).instance),
    ).toEqual([3]);
  });

  test("loses no task that it claims before it has noticed", async () => {
    let hangs = true;
    await using kit = await openKit({ ...clocked, handlers: [mortal(() => hangs)] });
    kit.suspend();
    await kit.addScheduler({ handlers: [] });
    await kit.advance("2m");
    expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
    await kit.scheduler.scheduleTask(once);
    await kit.resume();
    // What its loop took on waking must be taken over when it dies: nobody may hold a claim without being known.
    expect((await kit.scheduler.getTask("task"))?.state).toBe("running");
    await kit.crash();
    hangs = false;
    await kit.restart();
    await kit.advance("5m");
    expect((await kit.scheduler.getTask("task"))?.state).toBe("completed");
  });
});

describe("a store that fails for a while", () => {
  test("loses nothing, is reported, and the loops go on", async () => {
    const signals: Signal[] = [];
    const done: string[] = [];
    const job = taskHandler({
      taskType: "job",
      execute: (ctx) => {
        done.push(ctx.taskId);
        return { eventType: "done", payload: ctx.taskId };
      },
    });
    await using kit = await openKit({ handlers: [job], onSignal: (signal) => signals.push(signal) });
    await kit.scheduler.scheduleTasks(
      ["a", "b", "c"].map((taskId) => ({ taskId, taskType: "job", schedule: interval("1m") })),
    );
    // The commit that claims fails, and then, some times, the one that records.
    await kit.advance("59s");
    kit.failNextCommits(3);
    await kit.advance("2s");
    expect(await kit.scheduler.countTasks()).toMatchObject({ waiting: 3 });
    expect((await eventsOf(kit, "done")).map(({ payload }) => payload)).toEqual(["a", "b", "c"]);
    expect(done).toEqual(["a", "b", "c"]);
    const failures = signals.filter((signal) => signal.name === "store.failed");
    expect(failures.map(({ retryInMs }) => retryInMs)).toEqual([100, 200, 400]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("keeps a finished result until it can be recorded", async () => {
    const work = deferred();
    let runs = 0;
    const job = taskHandler({
      taskType: "job",
      execute: async () => {
        runs++;
        await work.promise;
        return { eventType: "done" };
      },
    });
    await using kit = await openKit({ handlers: [job], patience: 0 });
    await kit.scheduler.scheduleTask(once);
    await kit.settle();
    kit.failNextCommits(20);
    work.resolve();
    await kit.advance("30s");
    expect(await eventsOf(kit, "done")).toEqual([]);
    kit.failNextCommits(0);
    await kit.advance("10s");
    expect(await eventsOf(kit, "done")).toHaveLength(1);
    expect(runs).toBe(1);
    expect((await kit.scheduler.getTask("task"))?.state).toBe("completed");
  });

  test("refuses callers' commands with its error, and keeps nothing of them", async () => {
    await using kit = await openKit({ handlers: [idle] });
    kit.failNextCommits(1);
    const attempts = await Promise.allSettled([
      kit.scheduler.scheduleTask({ ...once, taskId: "a" }),
      kit.scheduler.scheduleTask({ ...once, taskId: "b" }),
    ]);
    expect(
      attempts.map((attempt) => (attempt.status === "rejected" ? (attempt.reason as { code: string }).code : "ok")),
    ).toEqual(["STORE_FAILED", "STORE_FAILED"]);
    await kit.settle();
    expect((await kit.scheduler.listTasks()).tasks).toEqual([]);
    await kit.scheduler.scheduleTask({ ...once, taskId: "a" });
    await kit.settle();
    expect(timeOf((await kit.scheduler.getTask("a"))?.updatedAt)).toBe("00:00:00");
    expect(await kit.db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });
});

test("a scheduler that was taken for dead registers anew when it finds that it can take nothing, and does not look again and again", async () => {
  const ran: string[] = [];
  const own = taskHandler({ taskType: "own", execute: ({ taskId }) => void ran.push(taskId) });
  await using kit = await openKit({ handlers: [idle], claimDuration: "1h", maxRounds: 200 });
  const other = await kit.addScheduler({ handlers: [own], externalTaskTypes: ["job"] });
  // Set forward, the clock makes the other one look silent to a scheduler that has just come. No time passes.
  kit.clock.jump("3h");
  await kit.restart();
  expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
  const rounds = kit.rounds;
  await other.scheduler.scheduleTask({ taskId: "theirs", taskType: "own", schedule: immediate() });
  await kit.settle();
  expect(ran).toEqual(["theirs"]);
  expect(kit.rounds - rounds).toBeLessThan(30);
});
