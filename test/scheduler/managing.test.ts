/** Managing tasks: scheduling many, listing by filters and pages, counting, history, pausing and running by hand. */
import { immediate, interval, oneTime, type ScheduleTaskRequest, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { eventsOf, failing, idle, openKit, timeOf, typesOf } from "./support.ts";

const later = oneTime("2026-02-02T00:00:00Z");

describe("scheduling", () => {
  test("makes time-ordered ids where none is given", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const ids: string[] = [];
    for (let round = 0; round < 20; round++) {
      ids.push((await kit.scheduler.scheduleTask({ taskType: "job", schedule: later })).taskId);
      if (round % 5 === 0) await kit.advance(1);
    }
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(20);
  });

  test("tells what became of it", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const request = { taskId: "task", taskType: "job", schedule: later } as const;
    expect(await kit.scheduler.scheduleTask(request)).toEqual({
      taskId: "task",
      change: "new",
      nextRunAt: new Date("2026-02-02T00:00:00Z"),
    });
    expect(await kit.scheduler.scheduleTask(request)).toMatchObject({ change: "unchanged" });
    expect(await kit.scheduler.scheduleTask({ ...request, priority: 1 })).toMatchObject({ change: "replaced" });
    await kit.scheduler.pauseTask("task");
    expect(await kit.scheduler.scheduleTask({ ...request, priority: 2 })).toMatchObject({ nextRunAt: null });
  });

  test("an interval again at every boot does not move its phase", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const request = { taskId: "task", taskType: "job", schedule: interval("1h") } as const;
    await kit.scheduler.scheduleTask(request);
    for (let boot = 0; boot < 5; boot++) {
      await kit.advance("25m");
      await kit.restart();
      await kit.scheduler.scheduleTask(request);
    }
    expect((await eventsOf(kit, "TaskStarted")).map(({ recordedAt }) => timeOf(recordedAt))).toEqual([
      "01:00:00",
      "02:00:00",
    ]);
    expect(await eventsOf(kit, "TaskScheduled")).toHaveLength(1);
  });

  test("many is one commit", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const before = kit.commits;
    const requests = Array.from({ length: 1_000 }, () => ({ taskType: "job", schedule: later }) as const);
    const scheduled = await kit.scheduler.scheduleTasks(requests);
    expect(new Set(scheduled.map(({ taskId }) => taskId)).size).toBe(1_000);
    expect(kit.commits - before).toBe(1);
    expect(await kit.scheduler.countTasks()).toMatchObject({ waiting: 1_000 });
  });

  test.each<[string, Partial<ScheduleTaskRequest>, string]>([
    ["a type without a handler", { taskType: "nope" }, "UNKNOWN_TASK_TYPE"],
    ["a broken schedule", { schedule: { kind: "interval", everyMs: 0 } }, "INVALID_INTERVAL"],
    ["a payload that cannot be stored", { payload: () => {} }, "PAYLOAD_NOT_JSON"],
    ["an id that is none", { taskId: "line\nbreak" }, "INVALID_TASK_ID"],
    ["an unknown field", { when: "now" } as never, "INVALID_TASK"],
    ["a priority out of range", { priority: 1e9 }, "INVALID_TASK"],
    [
      "a cron that never matches",
      { schedule: { kind: "cron", expression: "0 0 30 2 *", timeZone: "UTC" } },
      "CRON_NEVER_MATCHES",
    ],
  ])("many is all or nothing: %s", async (_, wrong, code) => {
    await using kit = await openKit({ handlers: [idle] });
    const before = await kit.log();
    const good = { taskType: "job", schedule: later };
    const refused = kit.scheduler.scheduleTasks([
      { ...good, taskId: "a" },
      { ...good, ...wrong },
      { ...good, taskId: "b" },
    ]);
    await expect(refused).rejects.toMatchObject({ code });
    expect(await kit.log()).toEqual(before);
    expect((await kit.scheduler.listTasks()).tasks).toEqual([]);
    // The numbers that were drawn for nothing harm nobody.
    await kit.scheduler.scheduleTask({ ...good, taskId: "c" });
    expect(await kit.db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("many is all or nothing also where a rule refuses one in the commit itself; others of that commit are kept", async () => {
    // An hour before the last instant that a Date can hold, an interval of two hours has no next occurrence.
    // On a busy machine, looking at the tasks of one call could take longer than the budget, and the next commit be theirs.
    await using kit = await openKit({ handlers: [idle], start: 8.64e15 - 3_600_000, eventLoopBudget: "1s" });
    const good = { taskType: "job", schedule: oneTime(8.64e15 - 60_000) };
    const { commits } = kit;
    const outcomes = await Promise.allSettled([
      kit.scheduler.scheduleTasks([{ ...good, taskId: "before" }]),
      kit.scheduler.scheduleTasks([
        { ...good, taskId: "a" },
        { ...good, taskId: "b", schedule: interval("2h") },
      ]),
      kit.scheduler.scheduleTasks([{ ...good, taskId: "after" }]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(kit.commits - commits).toBe(1);
    expect((await kit.scheduler.listTasks()).tasks.map(({ taskId }) => taskId)).toEqual(["before", "after"]);
    expect((await eventsOf(kit, "TaskScheduled")).map(({ taskId }) => taskId)).toEqual(["before", "after"]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("the same id twice in one call keeps the last, and both are in the log", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const request = { taskId: "task", taskType: "job", schedule: later } as const;
    const scheduled = await kit.scheduler.scheduleTasks([
      request,
      { ...request, priority: 5 },
      { ...request, priority: 5 },
    ]);
    expect(scheduled.map(({ change }) => change)).toEqual(["new", "replaced", "unchanged"]);
    expect(await kit.scheduler.getTask("task")).toMatchObject({ priority: 5, revision: 2 });
  });

  test("more than ten thousand at once is refused", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const requests = Array.from({ length: 10_001 }, () => ({ taskType: "job", schedule: later }) as const);
    await expect(kit.scheduler.scheduleTasks(requests)).rejects.toMatchObject({ code: "INVALID_TASK" });
  });
});

test("commands that ride in one commit do not harm each other: a refused one takes back only its own", async () => {
  await using kit = await createTestScheduler({ handlers: [idle] });
  await kit.scheduler.scheduleTask({ taskId: "done", taskType: "job", schedule: immediate() });
  await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: later });
  await kit.settle();
  const before = kit.commits;
  const outcomes = await Promise.allSettled([
    kit.scheduler.pauseTask("task"),
    kit.scheduler.pauseTask("done"),
    kit.scheduler.cancelTask("nobody", ""),
    kit.scheduler.resumeTask("task"),
    kit.scheduler.pauseTask("task", "again"),
    kit.scheduler.runTaskNow("task"),
    kit.scheduler.scheduleTask({ taskId: "other", taskType: "job", schedule: later }),
  ]);
  expect(kit.commits - before).toBeLessThanOrEqual(2);
  const codes = outcomes.map((outcome) =>
    outcome.status === "fulfilled" ? "ok" : (outcome.reason as { code: string }).code,
  );
  expect(codes).toEqual(["ok", "TASK_FINISHED", "TASK_NOT_FOUND", "ok", "ok", "TASK_PAUSED", "ok"]);
  expect(await typesOf(kit, "task")).toEqual(["TaskScheduled", "TaskPaused", "TaskResumed", "TaskPaused"]);
  expect((await kit.scheduler.getTask("task"))?.state).toBe("paused");
  expect(await kit.db.verify()).toMatchObject({ ok: true });
});

describe("listing", () => {
  /** One task in each state, and a second type. */
  async function zoo() {
    const slow = taskHandler({ taskType: "slow", execute: (ctx) => ctx.sleep("1h") });
    const kit = await openKit({ handlers: [idle, slow, { ...failing(), taskType: "bad" }] });
    await kit.scheduler.scheduleTasks([
      { taskId: "a-waiting", taskType: "job", schedule: oneTime("2026-01-01T05:00:00Z") },
      { taskId: "a-paused", taskType: "job", schedule: oneTime("2026-01-01T06:00:00Z") },
      { taskId: "b-running", taskType: "slow", schedule: immediate(), timeout: "5h" },
      { taskId: "b-completed", taskType: "job", schedule: immediate() },
      { taskId: "c-disabled", taskType: "bad", schedule: immediate(), maxRetries: 1 },
      { taskId: "c-cancelled", taskType: "bad", schedule: oneTime("2026-01-01T07:00:00Z") },
    ]);
    await kit.scheduler.pauseTask("a-paused");
    await kit.scheduler.cancelTask("c-cancelled", "");
    await kit.settle();
    return kit;
  }

  test("finds by every filter, and by several", async () => {
    await using kit = await zoo();
    const ids = async (filter: Parameters<typeof kit.scheduler.listTasks>[0]) =>
      (await kit.scheduler.listTasks(filter)).tasks.map(({ taskId }) => taskId);
    expect(await ids({})).toHaveLength(6);
    expect(await ids({ enabled: true })).toEqual(["a-waiting", "b-running"]);
    expect(await ids({ enabled: false })).toEqual(["a-paused", "b-completed", "c-disabled", "c-cancelled"]);
    for (const state of ["waiting", "paused", "running", "completed", "disabled", "cancelled"] as const) {
      expect(await ids({ state }), state).toEqual([expect.stringContaining(state)]);
    }
    expect(await ids({ state: ["waiting", "cancelled"] })).toEqual(["a-waiting", "c-cancelled"]);
    expect(await ids({ state: [] })).toEqual([]);
    expect(await ids({ taskType: "bad" })).toEqual(["c-disabled", "c-cancelled"]);
    expect(await ids({ taskType: "nope" })).toEqual([]);
    expect(await ids({ idPrefix: "a-" })).toEqual(["a-waiting", "a-paused"]);
    expect(await ids({ dueFrom: "2026-01-01T05:00:00Z" })).toEqual(["a-waiting"]);
    expect(await ids({ dueUntil: "2026-01-01T05:00:00Z" })).toEqual([]);
    expect(await ids({ dueFrom: "2026-01-01T00:00:00Z", dueUntil: "2026-01-01T05:00:01Z" })).toEqual(["a-waiting"]);
    expect(await ids({ idPrefix: "c-", state: "disabled", enabled: false, taskType: "bad" })).toEqual(["c-disabled"]);
    expect(await ids({ idPrefix: "%" })).toEqual([]);
  });

  test("counts by state", async () => {
    await using kit = await zoo();
    expect(await kit.scheduler.countTasks()).toEqual({
      waiting: 1,
      claimed: 0,
      paused: 1,
      running: 1,
      completed: 1,
      disabled: 1,
      cancelled: 1,
    });
  });

  test("comes in pages, and a task that is added meanwhile is not skipped nor shown twice", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const add = (count: number) =>
      kit.scheduler.scheduleTasks(Array.from({ length: count }, () => ({ taskType: "job", schedule: later }) as const));
    const expected = (await add(7)).map(({ taskId }) => taskId);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await kit.scheduler.listTasks({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.tasks.map(({ taskId }) => taskId));
      if (cursor === undefined) expected.push(...(await add(2)).map(({ taskId }) => taskId));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(expected);
    expect(await kit.scheduler.listTasks({ limit: 9 })).toMatchObject({ nextCursor: null });
  });

  test.each([
    ["an unknown field", { status: "waiting" }],
    ["an unknown state", { state: "asleep" }],
    ["a limit of zero", { limit: 0 }],
    ["a limit above the most", { limit: 1_001 }],
    ["reversed bounds", { dueFrom: "2026-01-02T00:00:00Z", dueUntil: "2026-01-01T00:00:00Z" }],
    ["a made-up cursor", { cursor: "abc" }],
    ["a type that is no text", { taskType: 5 }],
    ["enabled that is no boolean", { enabled: "yes" }],
  ])("refuses %s", async (_, filter) => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await expect(kit.scheduler.listTasks(filter as never)).rejects.toMatchObject({ code: "INVALID_FILTER" });
  });
});

describe("history", () => {
  test("comes in pages, latest first, each execution once", async () => {
    await using kit = await createTestScheduler({ handlers: [failing((attempt) => attempt === 1)] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("10m") });
    await kit.advance("95m");
    const all = (await kit.scheduler.history("task")).executions;
    expect(all).toHaveLength(18);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await kit.scheduler.history("task", { limit: 5, ...(cursor == null ? {} : { cursor }) });
      expect(page.executions.length).toBeLessThanOrEqual(5);
      seen.push(...page.executions.map(({ executionId }) => executionId));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(all.map(({ executionId }) => executionId));
    expect(
      all
        .slice(-2)
        .map(({ attempt, outcome, startedAt, scheduledFor }) => [
          attempt,
          outcome,
          timeOf(startedAt),
          timeOf(scheduledFor),
        ]),
    ).toEqual([
      [2, "succeeded", "00:11:00", "00:10:00"],
      [1, "failed", "00:10:00", "00:10:00"],
    ]);
  });

  test("of a task without runs is empty, and of no task is an error", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: later });
    expect(await kit.scheduler.history("task")).toEqual({ executions: [], nextCursor: null });
    await expect(kit.scheduler.history("nobody")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    await expect(kit.scheduler.history("task", { limit: 0 })).rejects.toMatchObject({ code: "INVALID_FILTER" });
    await expect(kit.scheduler.history("task", { cursor: "x" })).rejects.toMatchObject({ code: "INVALID_FILTER" });
    expect(await kit.scheduler.getTask("nobody")).toBeNull();
  });
});

describe("by hand", () => {
  test("a paused task waits, and skips what fell into the pause", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("10m") });
    await kit.scheduler.pauseTask("task", "maintenance");
    await kit.advance("35m");
    expect(await kit.scheduler.getTask("task")).toMatchObject({ state: "paused", runs: 0, nextRunAt: null });
    const resumed = await kit.scheduler.resumeTask("task");
    expect(timeOf(resumed.nextRunAt)).toBe("00:40:00");
    await kit.advance("10m");
    expect((await kit.scheduler.getTask("task"))?.runs).toBe(1);
    const [skipped] = await eventsOf(kit, "OccurrencesSkipped");
    expect(skipped).toMatchObject({ taskId: "task", payload: { because: "paused", count: 3 } });
  });

  test("a disabled task goes on when it is resumed", async () => {
    let broken = true;
    await using kit = await createTestScheduler({ handlers: [failing(() => broken)] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("10m"), maxRetries: 1 });
    await kit.advance("65m");
    expect((await kit.scheduler.getTask("task"))?.state).toBe("disabled");
    broken = false;
    await kit.scheduler.resumeTask("task");
    await kit.advance("10m");
    expect(await kit.scheduler.getTask("task")).toMatchObject({ state: "waiting", runs: 2, retryCount: 0 });
  });

  test("run now starts at once, and once", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1h") });
    await kit.advance("7m");
    await kit.scheduler.runTaskNow("task");
    await kit.advance("55m");
    expect((await eventsOf(kit, "TaskStarted")).map(({ recordedAt }) => timeOf(recordedAt))).toEqual([
      "00:07:00",
      "01:00:00",
    ]);
  });

  test.each(["pauseTask", "resumeTask", "runTaskNow"] as const)("%s of no task is an error", async (verb) => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await expect(kit.scheduler[verb]("nobody")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });
});
