/** ctx.transaction: what a handler writes commits with the completion of its run, or not at all. */
import { immediate, oneTime, type TaskContext, taskHandler } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { deferred, eventsOf, idle, openKit, typesOf } from "./support.ts";

const writer = (execute: (ctx: TaskContext) => unknown, more: object = {}) => ({ taskType: "write", execute, ...more });

async function withTable(kit: TestScheduler): Promise<void> {
  await kit.db.transaction((tx) => tx.execute("CREATE TABLE sums (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)"));
}

const rows = (kit: TestScheduler) => kit.db.query("SELECT id, value FROM sums ORDER BY id");
const writeRow = (ctx: TaskContext, id: number) => ctx.transaction.execute("INSERT INTO sums VALUES (?, ?)", [id, id]);
const go = (kit: TestScheduler) =>
  kit.scheduler.scheduleTask({ taskId: "task", taskType: "write", schedule: immediate(), maxRetries: 1 });

test("rows, events and tasks are there when the run is completed, in the order of their writing", async () => {
  const handler = writer(async (ctx) => {
    ctx.transaction.append({ eventType: "first", payload: 1 });
    writeRow(ctx, 1);
    const { taskId } = await ctx.transaction.scheduleTask({ taskType: "job", schedule: immediate() });
    ctx.transaction.cancelTask("doomed", "no longer needed");
    ctx.transaction.append({ eventType: "second", payload: taskId });
    // Not before the end of the run.
    expect(await rows(kit)).toEqual([]);
  });
  await using kit = await openKit({ handlers: [handler, idle] });
  await withTable(kit);
  await kit.scheduler.scheduleTask({ taskId: "doomed", taskType: "job", schedule: oneTime("2026-02-02T00:00:00Z") });
  await go(kit);
  await kit.settle();
  expect(await rows(kit)).toEqual([{ id: 1, value: 1 }]);
  expect((await kit.scheduler.getTask("doomed"))?.state).toBe("cancelled");
  const own = await eventsOf(kit, "first", "second");
  const [executed] = await eventsOf(kit, "TaskExecuted");
  expect(own.map(({ eventType, executionId, taskId }) => [eventType, executionId, taskId])).toEqual([
    ["first", executed?.executionId, "task"],
    ["second", executed?.executionId, "task"],
  ]);
  expect((await kit.scheduler.getTask(String(own[1]?.payload)))?.state).toBe("completed");
});

describe("nothing of it happens", () => {
  test("when the attempt fails; a later attempt writes its own", async () => {
    const handler = writer((ctx) => {
      writeRow(ctx, ctx.attempt);
      ctx.transaction.append({ eventType: "wrote", payload: ctx.attempt });
      if (ctx.attempt === 1) throw new Error("after writing");
    });
    await using kit = await openKit({ handlers: [handler] });
    await withTable(kit);
    await kit.scheduler.scheduleTask({ taskType: "write", schedule: immediate() });
    await kit.advance("10m");
    expect(await rows(kit)).toEqual([{ id: 2, value: 2 }]);
    expect(await eventsOf(kit, "wrote")).toHaveLength(1);
  });

  test("when the attempt times out, even if the handler returns in the end", async () => {
    const handler = writer(
      async (ctx) => {
        writeRow(ctx, 1);
        await kit.clock.sleep(35_000);
      },
      { timeout: "30s" },
    );
    await using kit = await openKit({ handlers: [handler] });
    await withTable(kit);
    await go(kit);
    await kit.advance("10m");
    expect(await rows(kit)).toEqual([]);
  });

  test("when the claim was lost meanwhile", async () => {
    const released = deferred();
    const handler = writer(async (ctx) => {
      writeRow(ctx, Number(ctx.executionId.split(".")[1]));
      if (ctx.executionId.endsWith(".1")) await released.promise;
    });
    await using kit = await openKit({
      handlers: [handler],
      claimDuration: "1m",
      patience: 0,
    });
    await withTable(kit);
    await go(kit);
    await kit.settle();
    kit.suspend();
    await kit.addScheduler();
    await kit.advance("3m");
    released.resolve();
    await kit.resume();
    await kit.advance("1m");
    expect(await rows(kit)).toEqual([{ id: 2, value: 2 }]);
    expect(await eventsOf(kit, "TaskResultRefused")).toHaveLength(1);
  });

  test("when the task was cancelled meanwhile", async () => {
    const released = deferred();
    const handler = writer(async (ctx) => {
      writeRow(ctx, 1);
      await released.promise;
    });
    await using kit = await openKit({ handlers: [handler], patience: 0 });
    await withTable(kit);
    await go(kit);
    await kit.settle();
    await kit.scheduler.cancelTask("task", "no longer needed");
    released.resolve();
    await kit.settle();
    expect(await rows(kit)).toEqual([]);
  });

  test("when one of its statements fails: the attempt fails by it", async () => {
    const handler = writer((ctx) => {
      ctx.transaction.append({ eventType: "wrote" });
      writeRow(ctx, 1);
      writeRow(ctx, 1);
      return { eventType: "done" };
    });
    await using kit = await openKit({ handlers: [handler] });
    await withTable(kit);
    await go(kit);
    await kit.settle();
    expect(await rows(kit)).toEqual([]);
    expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskStarted", "TaskExecuted"]);
    const { executions } = await kit.scheduler.history("task");
    expect(executions[0]).toMatchObject({ outcome: "failed", error: { code: "INVALID_SQL" } });
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test.each<[string, (ctx: TaskContext) => unknown, string]>([
    ["a statement that is no text", (ctx) => ctx.transaction.execute(7 as never), "INVALID_SQL"],
    ["a COMMIT", (ctx) => ctx.transaction.execute("COMMIT"), "INVALID_SQL"],
    ["a write to the scheduler's tables", (ctx) => ctx.transaction.execute("DELETE FROM azoth_events"), "INVALID_SQL"],
    [
      "an event of the scheduler's own",
      (ctx) => ctx.transaction.append({ eventType: "TaskStarted" }),
      "RESERVED_EVENT_TYPE",
    ],
    ["cancelling an unknown task", (ctx) => ctx.transaction.cancelTask("nobody", "why"), "TASK_NOT_FOUND"],
    [
      "a task of an unknown type, not awaited",
      (ctx) => void ctx.transaction.scheduleTask({ taskType: "nope", schedule: immediate() }),
      "UNKNOWN_TASK_TYPE",
    ],
  ])("when it holds %s", async (_, act, code) => {
    const handler = writer(async (ctx) => {
      writeRow(ctx, 1);
      await act(ctx);
    });
    await using kit = await openKit({ handlers: [handler, idle] });
    await withTable(kit);
    await go(kit);
    await kit.settle();
    expect((await kit.scheduler.history("task")).executions[0]?.error).toMatchObject({ code });
    expect(await rows(kit)).toEqual([]);
  });

  test("and one failing run harms no other run of the same commit", async () => {
    const handler = writer((ctx) => writeRow(ctx, ctx.taskId === "bad" ? 1 : Number(ctx.taskId)));
    await using kit = await openKit({ handlers: [handler], maxConcurrentTasks: 50 });
    await withTable(kit);
    const ids = ["1", "bad", "2", "3"];
    await kit.scheduler.scheduleTasks(
      ids.map((taskId) => ({ taskId, taskType: "write", schedule: immediate(), maxRetries: 1 })),
    );
    await kit.settle();
    expect((await rows(kit)).map(({ id }) => id)).toEqual([1, 2, 3]);
    const states = (await kit.scheduler.listTasks()).tasks.map(({ taskId, state }) => [taskId, state]);
    expect(states).toEqual([
      ["1", "completed"],
      ["bad", "disabled"],
      ["2", "completed"],
      ["3", "completed"],
    ]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });
});

test("nothing can be written when the run is over", async () => {
  let stray: TaskContext | undefined;
  const handler = writer((ctx) => {
    stray = ctx;
    writeRow(ctx, 1);
  });
  await using kit = await openKit({ handlers: [handler] });
  await withTable(kit);
  await go(kit);
  await kit.settle();
  expect(() => stray?.transaction.append({ eventType: "late" })).toThrow(/ended/);
});

test("a task may cancel, reschedule or run itself through it", async () => {
  const handler = writer(async (ctx) => {
    const schedule = oneTime("2026-01-01T01:00:00Z");
    if (ctx.now().getTime() < schedule.atMs) {
      await ctx.transaction.scheduleTask({ taskId: ctx.taskId, taskType: "write", schedule });
    } else {
      ctx.transaction.cancelTask(ctx.taskId, "done with it");
    }
  });
  await using kit = await openKit({ handlers: [handler] });
  await go(kit);
  await kit.advance("2h");
  expect(await typesOf(kit, "task")).toEqual([
    "TaskScheduled",
    "TaskStarted",
    "TaskExecuted",
    "TaskScheduled",
    "TaskStarted",
    "TaskExecuted",
    "TaskCancelled",
  ]);
  expect(await kit.db.verify()).toMatchObject({ ok: true });
});

test("what is scheduled through it is typed and checked as at the door", async () => {
  const mail = taskHandler({
    taskType: "mail",
    validate: (payload) => typeof payload === "string",
    execute: (_, to: string) => ({ eventType: "mailed", payload: to }),
  });
  const handler = writer(async (ctx) => {
    await ctx.transaction.scheduleTask({ taskType: "mail", schedule: immediate(), payload: "ann" });
    await ctx.transaction.scheduleTask({ taskType: "mail", schedule: immediate(), payload: 5 });
  });
  await using kit = await openKit({ handlers: [handler, mail] });
  await go(kit);
  await kit.settle();
  expect((await kit.scheduler.history("task")).executions[0]?.error?.code).toBe("INVALID_PAYLOAD");
  expect(await eventsOf(kit, "mailed")).toEqual([]);
});
