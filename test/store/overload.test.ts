/** More work than the store can write at once: what waits is bounded, and what goes beyond is refused, and harms nobody. */
import { AzothDb, eventHandler, immediate, isAzothError, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test, vi } from "vitest";
import { maxTransactionBytes, queuedCallBytes, queuedTaskBytes } from "../../src/limits.ts";
import { coreOf } from "../../src/store/azoth-db.ts";
import { createTestScheduler } from "../engine-under-test.ts";
import { eventsOf, openStore, until } from "./scratch-stores.ts";

const request = (taskId: string, payload: unknown = null) => ({
  taskId,
  taskType: "work" as const,
  schedule: immediate(),
  payload,
});
const bytesOfCall = queuedCallBytes + queuedTaskBytes + "null".length;

/** How many of these calls were refused for want of room; all others must succeed. */
async function refusals(calls: readonly Promise<unknown>[]): Promise<number> {
  const settled = await Promise.allSettled(calls);
  const reasons = settled.filter((each) => each.status === "rejected").map(({ reason }) => reason as unknown);
  for (const reason of reasons) {
    expect(reason).toMatchObject({ name: "AzothError", code: "STORE_OVERLOADED" });
    expect((reason as Error).message).toContain("Await earlier ones");
  }
  return reasons.length;
}

describe("calls that nobody awaits", () => {
  test("are taken up to the limit, and refused beyond it with nothing written", async () => {
    const room = 100;
    const db = await openStore(undefined, { maxQueuedBytes: room * bytesOfCall });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const schedule = (name: string) =>
      refusals(Array.from({ length: 250 }, (_, index) => scheduler.scheduleTask(request(`${name} ${index}`))));
    expect(await schedule("first")).toBe(150);
    // What was answered, in whichever way, takes no room any more.
    expect(await schedule("second")).toBe(150);
    const commands = Array.from({ length: 250 }, () => scheduler.pauseTask("first 0"));
    expect(await refusals(commands)).toBe(250 - Math.floor((room * bytesOfCall) / queuedCallBytes));
    const gone = await Promise.allSettled(Array.from({ length: 120 }, () => scheduler.pauseTask("nobody")));
    for (const each of gone) expect(each).toMatchObject({ reason: { code: "TASK_NOT_FOUND" } });
    expect(await schedule("third")).toBe(150);
    const { tasks } = await scheduler.listTasks({ limit: 1_000 });
    expect(tasks).toHaveLength(3 * room);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 3 * room });
  });

  test("count by what they hold, and a single one is never too large", async () => {
    const db = await openStore(undefined, { maxQueuedBytes: 100_000 });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const large = "x".repeat(60_000);
    expect(await refusals(["a", "b", "c"].map((id) => scheduler.scheduleTask(request(id, large))))).toBe(2);
    const many = Array.from({ length: 10 }, (_, index) => request(`of many ${index}`, large));
    await scheduler.scheduleTasks(many);
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 11 });
  });

  test("of transactions count as well", async () => {
    const db = await openStore(undefined, { maxQueuedBytes: 5 * queuedCallBytes });
    const scheduler = new Scheduler(db);
    const noted = (payload: number) => db.transaction((tx) => tx.append({ eventType: "noted", payload }));
    expect(await refusals(Array.from({ length: 20 }, (_, index) => noted(index)))).toBe(15);
    const fails = () => scheduler.transaction(() => Promise.reject(new Error("mine")));
    await Promise.allSettled([fails(), fails(), fails()]);
    expect(await refusals(Array.from({ length: 20 }, (_, index) => noted(index)))).toBe(15);
    expect(await eventsOf(db)).toHaveLength(10);
  });

  test("keep the scheduler itself from nothing: tasks run, and event handlers handle", async () => {
    const db = await openStore(undefined, { maxQueuedBytes: 1 });
    const seen: unknown[] = [];
    const work = taskHandler({ taskType: "work", execute: ({ taskId }) => ({ eventType: "worked", payload: taskId }) });
    const reader = eventHandler({
      name: "reader",
      eventType: "worked",
      handle: ({ payload }) => void seen.push(payload),
    });
    await using scheduler = new Scheduler(db, { handlers: [work], eventHandlers: [reader] });
    await scheduler.scheduleTasks(Array.from({ length: 30 }, (_, index) => request(`task ${index}`)));
    await scheduler.start();
    let refused = 0;
    await until(async () => {
      const calls = Array.from({ length: 10 }, (_, index) => scheduler.scheduleTask(request(`task ${index}`)));
      refused += await refusals(calls);
      return seen.length >= 30;
    }, "all tasks have run, and their events are handled");
    expect(refused).toBeGreaterThan(0);
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

test("calls with many tasks are committed by so many that no commit grows without bound", async () => {
  const db = await openStore();
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  const { engine } = coreOf(db);
  const write = engine.write.bind(engine);
  const added: number[] = [];
  vi.spyOn(engine, "write").mockImplementation(async (work, mode) => {
    return await write((transaction) => {
      const save = vi.spyOn(transaction, "saveTasks");
      return work(transaction).finally(() => {
        added.push(save.mock.calls.reduce((sum, [changes]) => sum + changes.length, 0));
      });
    }, mode);
  });
  const payload = "x".repeat(100_000);
  const tasksOf = (call: number) => Array.from({ length: 10 }, (_, index) => request(`${call} ${index}`, payload));
  await Promise.all(Array.from({ length: 20 }, (_, call) => scheduler.scheduleTasks(tasksOf(call))));
  // 8 MiB in one commit, and each call has one.
  expect(added.reduce((sum, count) => sum + count)).toBe(200);
  expect(Math.max(...added)).toBeLessThanOrEqual(80);
  expect(Math.max(...added)).toBeGreaterThan(10);
});

describe("a transaction", () => {
  const payload = "x".repeat(1_000_000);
  const fitting = Math.floor(maxTransactionBytes / (payload.length + 2 + queuedTaskBytes));

  test("takes so much to schedule, and what goes beyond is refused together with the rest", async () => {
    const db = await openStore(undefined, { transactionTimeout: "1m" });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const schedule = (count: number) =>
      scheduler.transaction(async (tx) => {
        for (let index = 0; index < count; index++) await tx.scheduleTask(request(`task ${index}`, payload));
      });
    const error: unknown = await schedule(fitting + 1).catch((thrown: unknown) => thrown);
    expect(isAzothError(error, "TRANSACTION_TOO_LARGE"), String(error)).toBe(true);
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 0 });
    expect(await db.lastPosition()).toBe(0);
  });

  test("of a handler's run as well: the attempt fails by it, whatever it wrote", async () => {
    const floods = {
      schedule: taskHandler({
        taskType: "schedule",
        execute: ({ transaction }) => {
          for (let index = 0; index <= fitting; index++) void transaction.scheduleTask(request(`${index}`, payload));
        },
      }),
      execute: taskHandler({
        taskType: "execute",
        execute: ({ transaction }) => {
          for (let index = 0; index <= fitting; index++) transaction.execute("SELECT ?", [payload]);
        },
      }),
    };
    await using kit = await createTestScheduler({ handlers: Object.values(floods), externalTaskTypes: ["work"] });
    for (const taskType of ["schedule", "execute"] as const) {
      await kit.scheduler.scheduleTask({ taskId: taskType, taskType, schedule: immediate(), maxRetries: 1 });
    }
    await kit.settle();
    for (const taskId of Object.keys(floods)) {
      const { executions } = await kit.scheduler.history(taskId);
      expect(executions).toMatchObject([{ outcome: "failed", error: { code: "TRANSACTION_TOO_LARGE" } }]);
    }
    expect(await kit.scheduler.countTasks()).toMatchObject({ waiting: 0, disabled: 2 });
  });
});

test("a limit that is none is refused", async () => {
  for (const maxQueuedBytes of [0, -1, 1.5, Number.NaN, "5MB" as never]) {
    await expect(AzothDb.open(":memory:", { maxQueuedBytes })).rejects.toMatchObject({ code: "INVALID_OPTION" });
  }
});
