/** Scheduling an id again: without effect if nothing differs, a new definition otherwise. */
import { cron, immediate, interval, oneTime } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { at, everyTenMinutes, everyTenMinutesByInterval, Story } from "./story.ts";

describe("the same definition", () => {
  test("changes nothing, appends nothing, and keeps an interval's phase", () => {
    const story = Story.of(everyTenMinutesByInterval).at("00:07");
    const before = story.task;
    story.schedule(interval("10m"));
    expect(story.then).toEqual([]);
    expect(story.task).toBe(before);
  });

  test.each([
    ["running", () => Story.of(everyTenMinutes).at("00:10").start()],
    ["completed", () => Story.of(immediate()).start().succeed()],
    ["disabled", () => Story.of(everyTenMinutes, { maxRetries: 1 }).at("00:10").start().fail()],
    ["paused", () => Story.of(everyTenMinutes).pause()],
  ])("does not revive a task that is %s", (_, story) => {
    const { schedule, ...parts } = story().task.definition;
    expect(story().schedule(schedule, parts).then).toEqual([]);
  });

  test("is the same if it was written another way", () => {
    const story = Story.of(interval(600_000)).schedule(interval("PT10M"));
    expect(story.then).toEqual([]);
  });
});

describe("another definition", () => {
  test.each([
    ["schedule", (story: Story) => story.schedule(cron("0 */5 * * * *"))],
    ["payload", (story: Story) => story.schedule(everyTenMinutes, { payload: "1" })],
    ["type", (story: Story) => story.schedule(everyTenMinutes, { taskType: "other" })],
    ["priority", (story: Story) => story.schedule(everyTenMinutes, { priority: 1 })],
    ["maxRetries", (story: Story) => story.schedule(everyTenMinutes, { maxRetries: 4 })],
    ["timeout", (story: Story) => story.schedule(everyTenMinutes, { timeoutMs: 1 })],
  ])("by its %s replaces, with a revision of its own", (_, reschedule) => {
    const story = reschedule(Story.of(everyTenMinutes));
    expect(story.data("TaskScheduled")).toMatchObject({ because: "replaced", revision: 2 });
    expect(story.task).toMatchObject({ revision: 2, retryCount: 0 });
  });

  test("forgets the retries of the old one, and tries the same occurrence at once", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().fail().schedule(everyTenMinutes, { payload: "1" });
    expect(story.task).toMatchObject({ retryCount: 0, runAtMs: at("00:10"), scheduledForMs: at("00:10") });
  });

  test("with the same schedule keeps the phase of an interval, however often it comes", () => {
    const story = Story.of(interval("1h"));
    for (const time of ["00:25", "00:50"]) story.at(time).schedule(interval("1h"), { payload: JSON.stringify(time) });
    expect(story.task).toMatchObject({ revision: 3, anchorMs: at("00:00"), runAtMs: at("01:00") });
  });

  test.each([
    ["the same schedule", everyTenMinutes],
    ["another schedule", interval("7h")],
  ])("with %s, during a run, tells of what fell due since that run began", (_, schedule) => {
    const story = Story.of(everyTenMinutes).at("00:10").start().at("00:35").schedule(schedule, { payload: "1" });
    expect(story.then).toEqual(["OccurrencesSkipped", "TaskScheduled"]);
    expect(story.data("OccurrencesSkipped")).toMatchObject({
      because: "running",
      count: 2,
      firstMs: at("00:20"),
      lastMs: at("00:30"),
    });
    // What is pending now is of the new definition: the end of the run, and one more definition, tell nothing again.
    expect(story.schedule(schedule, { payload: "2" }).then).toEqual(["TaskScheduled"]);
    expect(story.succeed().then).toEqual(["TaskExecuted"]);
  });

  test("with another schedule, during a run and for the second time, tells of what was due of the second one", () => {
    const story = Story.of(everyTenMinutes)
      .at("00:10")
      .start()
      .schedule(interval("5m"))
      .at("00:21")
      .schedule(interval("7h"));
    expect(story.then).toEqual(["OccurrencesSkipped", "TaskScheduled"]);
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "replaced", count: 2, firstMs: at("00:15") });
  });

  test("with the same schedule keeps an occurrence that is due and has not run", () => {
    const story = Story.of(everyTenMinutes).at("00:10:01").schedule(everyTenMinutes, { payload: "1" });
    expect(story.task).toMatchObject({ revision: 2, scheduledForMs: at("00:10") });
    expect(story.then).toEqual(["TaskScheduled"]);
  });

  test("with the same schedule, during a run, goes on with the next occurrence of the same grid", () => {
    const story = Story.of(interval("10m")).at("00:10").start().at("00:13").schedule(interval("10m"), { payload: "1" });
    expect(story.task).toMatchObject({ phase: "running", anchorMs: at("00:00"), scheduledForMs: at("00:20") });
  });

  test("with another schedule says which due occurrences of the old one it drops", () => {
    const story = Story.of(everyTenMinutes).at("00:25").schedule(interval("1h"));
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "replaced", count: 2, firstMs: at("00:10") });
    expect(story.task).toMatchObject({ anchorMs: at("00:25"), runAtMs: at("01:25") });
  });

  test("leaves a paused task paused", () => {
    const story = Story.of(everyTenMinutes).pause().schedule(everyTenMinutes, { payload: "1" });
    expect(story.task.paused).toBe(true);
    expect(story.at("00:10").start().then).toEqual([]);
  });

  test("of a cancelled task revives it, even if it is the same, and not paused", () => {
    const story = Story.of(everyTenMinutes).pause().cancel().at("00:15").schedule(everyTenMinutes);
    expect(story.data("TaskScheduled")).toMatchObject({ because: "revived", revision: 2 });
    expect(story.task).toMatchObject({ phase: "waiting", paused: false, runAtMs: at("00:20") });
  });
});

describe("another definition during a run", () => {
  const replaced = () => Story.of(everyTenMinutes).at("00:10").start().at("00:11").schedule(immediate());

  test("waits for the run to end: a task never runs twice at the same time", () => {
    const story = replaced();
    expect(story.task).toMatchObject({ phase: "running", revision: 2, runAtMs: at("00:11") });
    expect(story.start().then).toEqual([]);
    story.at("00:12").succeed();
    expect(story.data("TaskExecuted")).toMatchObject({ success: true, then: "superseded" });
    expect(story.task).toMatchObject({ phase: "waiting", run: null, runAtMs: at("00:11") });
    story.start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:11"), attempt: 1 });
  });

  test("stays pending when the task is paused and resumed meanwhile", () => {
    const story = replaced().pause().at("00:12").resume();
    expect(story.task).toMatchObject({ phase: "running", runAtMs: at("00:11") });
    expect(story.start().then).toEqual([]);
    expect(story.succeed().start().then).toEqual(["TaskStarted"]);
  });

  test("is not held back by the failure of the old one", () => {
    const story = replaced().at("00:12").fail();
    expect(story.data("TaskExecuted")).toMatchObject({ success: false, then: "superseded" });
    expect(story.task).toMatchObject({ phase: "waiting", retryCount: 0, runAtMs: at("00:11") });
  });

  test.each([
    ["snooze", (story: Story) => story.finish({ kind: "snoozed", forMs: 3_600_000 })],
    ["shutdown", (story: Story) => story.release("shutdown")],
    ["lost claim", (story: Story) => story.release("claim-lost")],
    ["last lost claim", (story: Story) => story.release("claim-lost", 1)],
  ])("is not moved by the old one's %s", (_, end) => {
    const story = end(replaced().at("00:12"));
    expect(story.task).toMatchObject({ phase: "waiting", run: null, revision: 2, runAtMs: at("00:11"), retryCount: 0 });
  });
});

test("cancelling keeps the history, and says whether it was running", () => {
  const waiting = Story.of(oneTime("2026-01-01T00:10:00Z")).cancel();
  expect(waiting.data("TaskCancelled")).toEqual({ reason: "no longer needed", wasRunning: false });
  const running = Story.of(everyTenMinutes).at("00:10").start().cancel();
  expect(running.data("TaskCancelled")).toEqual({ reason: "no longer needed", wasRunning: true });
  expect(running.last[0]?.run).toBe(1);
  running.succeed();
  expect(running.data("TaskResultRefused")).toMatchObject({ because: "cancelled", success: true });
});

test("a revived task never gives a run's number twice, so that an old result stays refused", () => {
  const story = Story.of(everyTenMinutes).at("00:10").start().cancel().schedule(immediate()).start();
  expect(story.task.run?.number).toBe(2);
  story.finish({ kind: "succeeded" }, 1);
  expect(story.then).toEqual(["TaskResultRefused"]);
  expect(story.task.phase).toBe("running");
});
