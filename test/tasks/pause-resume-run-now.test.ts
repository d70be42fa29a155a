/** What people do to a task by hand: pausing, resuming, and running it now. */
import { immediate, interval, oneTime } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { at, everyTenMinutes, Story } from "./story.ts";

const once = oneTime("2026-01-01T00:10:00Z");

describe("a paused task", () => {
  test("does not start, and pausing or resuming it twice changes nothing", () => {
    const story = Story.of(everyTenMinutes).pause();
    expect(story.pause().then).toEqual([]);
    expect(story.at("00:10").start().then).toEqual([]);
    story.at("00:05").resume();
    expect(story.resume().then).toEqual([]);
  });

  test("keeps the reason", () => {
    const story = Story.of(everyTenMinutes).when({ kind: "pause", reason: "maintenance" });
    expect(story.data("TaskPaused")).toEqual({ reason: "maintenance" });
  });

  test("that is resumed before its time goes on as planned", () => {
    const story = Story.of(everyTenMinutes).at("00:02").pause().at("00:08").resume();
    expect(story.then).toEqual(["TaskResumed"]);
    expect(story.task.runAtMs).toBe(at("00:10"));
  });

  test("skips what fell into the pause, its pending occurrence included, and says which", () => {
    const story = Story.of(everyTenMinutes).at("00:02").pause().at("00:35").resume();
    expect(story.data("OccurrencesSkipped")).toEqual({
      because: "paused",
      count: 3,
      firstMs: at("00:10"),
      lastMs: at("00:30"),
      sampleMs: [at("00:10"), at("00:20"), at("00:30")],
    });
    expect(story.task).toMatchObject({ paused: false, runAtMs: at("00:40"), scheduledForMs: at("00:40") });
  });

  test("that is not recurring runs at once when it is resumed after its time", () => {
    const story = Story.of(once).pause().at("01:00").resume();
    expect(story.then).toEqual(["TaskResumed"]);
    expect(story.start().data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10") });
  });

  test("keeps a retry that was pending", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().fail().pause().at("00:35").resume();
    expect(story.then).toEqual(["TaskResumed"]);
    expect(story.start().data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10"), attempt: 2 });
  });

  test("that runs finishes its run, and does not start again", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().pause().at("00:11").succeed();
    expect(story.task).toMatchObject({ phase: "waiting", paused: true, runAtMs: at("00:20") });
    expect(story.at("00:20").start().then).toEqual([]);
  });

  test("that is resumed during its run goes on as if nothing had been", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().pause().resume();
    expect(story.data("TaskResumed")).toEqual({});
    expect(story.succeed().task).toMatchObject({ paused: false, runAtMs: at("00:20") });
  });

  test("refuses to be run now", () => {
    expect(Story.of(everyTenMinutes).pause().refusal({ kind: "run-now" })).toBe("TASK_PAUSED");
  });

  test("that completed its last run meanwhile is not paused any more: it can be run again", () => {
    const story = Story.of(immediate()).start().pause().succeed().at("00:30").runNow();
    expect(story.start().then).toEqual(["TaskStarted"]);
  });
});

describe("a disabled task", () => {
  const disabled = (schedule = everyTenMinutes as Parameters<typeof Story.of>[0]) =>
    Story.of(schedule, { maxRetries: 2 }).at("00:10").start().fail().at("00:11").start().fail();

  test("goes on with its next occurrence when it is resumed, with a fresh retry count", () => {
    const story = disabled().at("00:35").resume();
    expect(story.task).toMatchObject({ phase: "waiting", retryCount: 0, runAtMs: at("00:40") });
    expect(story.at("00:40").start().data("TaskStarted")).toMatchObject({ attempt: 1, scheduledForMs: at("00:40") });
  });

  test("that is not recurring runs at once, under its nominal time", () => {
    const story = disabled(once).at("01:00").resume();
    expect(story.task).toMatchObject({ phase: "waiting", retryCount: 0, runAtMs: at("01:00") });
    expect(story.start().data("TaskStarted")).toMatchObject({ attempt: 1, scheduledForMs: at("00:10") });
  });

  test("that failed when it was run once more is resumed under that run's nominal time, not an earlier one", () => {
    const story = Story.of(once, { maxRetries: 1 }).at("00:10").start().succeed().at("01:00").runNow().start().fail();
    expect(story.task.phase).toBe("disabled");
    story.at("02:00").resume().start();
    // That of 00:10 succeeded: its idempotency key must not come again.
    expect(story.data("TaskStarted").scheduledForMs).toBe(at("01:00"));
  });

  test("can be run now, with a fresh retry count", () => {
    const story = disabled().at("00:35").runNow().start();
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 1, scheduledForMs: at("00:35") });
  });

  test("that was paused is resumed as well", () => {
    const story = Story.of(everyTenMinutes, { maxRetries: 1 }).at("00:10").start().pause().fail().at("00:12").resume();
    expect(story.task).toMatchObject({ phase: "waiting", paused: false, runAtMs: at("00:20") });
  });
});

describe("run now", () => {
  test("runs a recurring task once more, and leaves its next occurrence where it was", () => {
    const story = Story.of(everyTenMinutes).at("00:07").runNow();
    expect(story.data("TaskRunRequested")).toEqual({ scheduledForMs: at("00:07"), runAtMs: at("00:07") });
    story.start().at("00:08").succeed();
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:10") });
  });

  test("that lasts past the next occurrence skips it, and says so", () => {
    const story = Story.of(everyTenMinutes).at("00:07").runNow().start().at("00:12").succeed();
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "running", count: 1, firstMs: at("00:10") });
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:20") });
  });

  test("runs a one-time task as itself, only earlier, and not again", () => {
    const story = Story.of(once).at("00:03").runNow().start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10") });
    expect(story.succeed().task.phase).toBe("completed");
  });

  test("makes a pending retry come now, as the attempt that it is", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().fail().at("00:10:05").runNow().start();
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 2, scheduledForMs: at("00:10") });
  });

  test("takes an overdue occurrence for what it is", () => {
    const story = Story.of(everyTenMinutes).at("00:15").runNow().start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10") });
  });

  test("runs a completed task once more, under a nominal time of its own", () => {
    const story = Story.of(once).at("00:10").start().succeed().at("00:30").runNow().start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:30"), attempt: 1 });
    expect(story.succeed().task.phase).toBe("completed");
  });

  test("that could not start before a pause is not forgotten by it", () => {
    const story = Story.of(everyTenMinutes).at("00:07").runNow().pause().at("00:08").resume();
    expect(story.then).toEqual(["TaskResumed"]);
    expect(story.start().data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:07") });
    expect(story.succeed().data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:10") });
  });

  test("passes over no occurrence in silence if the clock was set back and the schedule is another one since", () => {
    const story = Story.of(everyTenMinutes).at("05:00").start().succeed().at("05:10").start().succeed();
    story.at("01:00").schedule(interval("1h")).runNow();
    expect(story.then).toEqual(["OccurrencesSkipped", "TaskRunRequested"]);
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "missed", firstMs: at("02:00") });
    const { firstMs, count } = story.data("OccurrencesSkipped") as { firstMs: number; count: number };
    const { scheduledForMs = 0 } = story.data("TaskRunRequested") as { scheduledForMs?: number };
    expect(firstMs + count * 3_600_000).toBeGreaterThan(scheduledForMs);
  });

  test("twice at one instant gives two nominal times", () => {
    const story = Story.of(everyTenMinutes).at("00:07").runNow().start().succeed().runNow().start();
    expect(story.data("TaskStarted").scheduledForMs).toBe(at("00:07:00.001"));
  });
});
