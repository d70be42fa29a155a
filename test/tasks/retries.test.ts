/** What follows a failed attempt: the retries as the seed states them, and the ways around them. */
import { interval, oneTime } from "azoth-scheduler";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../src/tasks/command.ts";
import { backoffMs, defaultRetryPolicy } from "../../src/tasks/retry-policy.ts";
import { at, everyTenMinutes, Story } from "./story.ts";

const minute = 60_000;
const once = oneTime("2026-01-01T00:10:00Z");

function failed(parts: Partial<Extract<Outcome, { kind: "failed" }>>): Outcome {
  return { kind: "failed", error: { code: "HANDLER_FAILED", message: "no" }, retry: "backoff", ...parts };
}

describe("the seed's backoff", () => {
  test("waits 1, 2, 4, 8 minutes after the failures, exactly", () => {
    const story = Story.of(once, { maxRetries: 10 });
    let dueMs = at("00:10");
    for (const waitMs of [1, 2, 4, 8].map((minutes) => minutes * minute)) {
      // The attempt takes 7 seconds: the delay counts from the failure, not from the start.
      story.when({ kind: "start", instance: 1 });
      expect(story.then).toEqual([]);
      story.at(timeText(dueMs)).start();
      expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10") });
      story.at(timeText(dueMs + 7_000)).fail();
      dueMs += 7_000 + waitMs;
      expect(story.data("TaskExecuted")).toMatchObject({ success: false, then: "retry", retryAtMs: dueMs });
    }
    expect(story.task).toMatchObject({ phase: "waiting", retryCount: 4, runAtMs: dueMs, scheduledForMs: at("00:10") });
  });

  test("counts the attempts, and disables the task at maxRetries: 3 means three attempts", () => {
    const story = Story.of(once);
    const attempts: unknown[] = [];
    for (const time of ["00:10", "00:11", "00:13"]) {
      story.at(time).start();
      attempts.push(story.data("TaskStarted").attempt);
      story.fail();
    }
    expect(attempts).toEqual([1, 2, 3]);
    expect(story.data("TaskExecuted")).toMatchObject({ success: false, then: "disabled", retryCount: 3 });
    expect(story.task).toMatchObject({ phase: "disabled", retryCount: 3, scheduledForMs: null, runAtMs: null });
  });

  test.each([0, 1])("maxRetries: %i means one attempt", (maxRetries) => {
    const story = Story.of(once, { maxRetries }).at("00:10").start().fail();
    expect(story.data("TaskExecuted")).toMatchObject({ then: "disabled" });
  });

  test("starts anew after a success", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().fail().at("00:11").start().succeed();
    expect(story.task.retryCount).toBe(0);
    story.at("00:20").start();
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 1, scheduledForMs: at("00:20") });
  });

  test("is capped at a day, and never overflows", () => {
    expect(backoffMs(defaultRetryPolicy, 11, 0)).toBe(1_024 * minute);
    expect(backoffMs(defaultRetryPolicy, 12, 0)).toBe(24 * 60 * minute);
    expect(backoffMs(defaultRetryPolicy, 100_000, 0)).toBe(24 * 60 * minute);
  });
});

describe("a backoff of the task's own", () => {
  test("takes base, factor and cap from its definition", () => {
    const retry = { baseMs: 1_000, factor: 3, capMs: 5_000, jitter: 0 };
    const story = Story.of(once, { maxRetries: 9, retry }).at("00:10").start().fail();
    expect(story.data("TaskExecuted").retryAtMs).toBe(at("00:10:01"));
    story.at("00:10:01").start().fail();
    expect(story.data("TaskExecuted").retryAtMs).toBe(at("00:10:04"));
    story.at("00:10:04").start().fail();
    expect(story.data("TaskExecuted").retryAtMs).toBe(at("00:10:09"));
  });

  test("draws its jitter from what is passed in", () => {
    const retry = { ...defaultRetryPolicy, jitter: 0.5 };
    const story = Story.of(once, { retry }).at("00:10").start().draw(0.5).fail();
    expect(story.data("TaskExecuted").retryAtMs).toBe(at("00:10:45"));
  });

  test("stays within its bounds whatever is drawn", () => {
    const policy = fc.record({
      baseMs: fc.nat(10_000_000),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      capMs: fc.nat(1_000_000_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 5_000 }), draw, (policy, count, draw) => {
        const ms = backoffMs(policy, count, draw);
        expect(Number.isInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(policy.capMs);
      }),
    );
  });
});

describe("a handler's own word", () => {
  test("fail for good disables at the first attempt", () => {
    const story = Story.of(everyTenMinutes)
      .at("00:10")
      .start()
      .finish(failed({ retry: "never" }));
    expect(story.data("TaskExecuted")).toMatchObject({ success: false, then: "disabled", retryCount: 1 });
  });

  test("retry-after counts the attempt and replaces the delay", () => {
    const story = Story.of(once)
      .at("00:10")
      .start()
      .finish(failed({ retry: 5_000 }));
    expect(story.data("TaskExecuted")).toMatchObject({ then: "retry", retryAtMs: at("00:10:05"), retryCount: 1 });
    story
      .at("00:10:05")
      .start()
      .fail()
      .at("00:12:05")
      .start()
      .finish(failed({ retry: 5_000 }));
    expect(story.data("TaskExecuted")).toMatchObject({ then: "disabled", retryCount: 3 });
  });

  test("snooze counts no attempt, and keeps the nominal time", () => {
    const snoozed: Outcome = { kind: "snoozed", forMs: 90_000, reason: "not ready" };
    const story = Story.of(once, { maxRetries: 1 }).at("00:10").start().finish(snoozed);
    expect(story.data("TaskSnoozed")).toEqual({ untilMs: at("00:11:30"), reason: "not ready" });
    for (let round = 0; round < 20; round++) story.at("00:11:30").start().finish({ kind: "snoozed", forMs: 0 });
    story.start();
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 1, scheduledForMs: at("00:10") });
    expect(story.task.retryCount).toBe(0);
  });

  test("snooze between failures keeps their count", () => {
    const story = Story.of(once).at("00:10").start().fail().at("00:11").start().finish({ kind: "snoozed", forMs: 0 });
    story.start();
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 2 });
  });
});

describe("a timeout", () => {
  const timedOut = (unsettledForMs?: number) =>
    failed({
      error: { code: "TASK_TIMED_OUT", message: "too slow" },
      ...(unsettledForMs === undefined ? {} : { unsettledForMs }),
    });

  test("is a failed attempt like any other", () => {
    const story = Story.of(once).at("00:10").start().at("00:15").finish(timedOut());
    expect(story.data("TaskExecuted")).toMatchObject({ then: "retry", retryAtMs: at("00:16"), durationMs: 300_000 });
    expect(story.data("TaskExecuted")).not.toHaveProperty("handlerUnsettled");
  });

  test("of a handler that still runs lets no retry begin before the grace period is over", () => {
    const retry = { ...defaultRetryPolicy, baseMs: 1_000 };
    const story = Story.of(once, { retry }).at("00:10").start().at("00:15").finish(timedOut(10_000));
    expect(story.data("TaskExecuted")).toMatchObject({ handlerUnsettled: true, retryAtMs: at("00:15:10") });
  });

  test.each(["settled", "abandoned"] as const)("is followed by how the handler ended: %s", (how) => {
    const story = Story.of(once).at("00:10").start().at("00:15").finish(timedOut(10_000));
    const before = story.task;
    story.when({ kind: "handler-settled", run: 1, how, afterSignalMs: 4_000 });
    expect(story.data("TaskHandlerSettled")).toEqual({ how, afterSignalMs: 4_000 });
    expect(story.task).toEqual(before);
  });
});

describe("a lost claim", () => {
  test("makes the same attempt due at once, and counts as none", () => {
    const story = Story.of(once, { maxRetries: 1 }).at("00:10").start(7).at("00:12").release("claim-lost");
    expect(story.data("TaskReleased")).toEqual({
      because: "claim-lost",
      instance: 7,
      detail: "so it was",
      runAtMs: at("00:12"),
    });
    expect(story.task).toMatchObject({ retryCount: 0, lostClaims: 1, scheduledForMs: at("00:10") });
    story.start(8);
    expect(story.data("TaskStarted")).toMatchObject({ attempt: 1, instance: 8 });
  });

  test("counts as a failure when it was lost so many times in a row", () => {
    const story = Story.of(once).at("00:10");
    story.start().release("claim-lost", 3).start().release("claim-lost", 3).start().release("claim-lost", 3);
    expect(story.data("TaskExecuted")).toMatchObject({
      success: false,
      then: "retry",
      retryCount: 1,
      retryAtMs: at("00:11"),
      error: { code: "CLAIM_LOST" },
    });
    expect(story.task.lostClaims).toBe(0);
  });

  test("is forgotten by a run that came to an end", () => {
    const story = Story.of(everyTenMinutes).at("00:10").start().release("claim-lost", 2).start().succeed();
    expect(story.task.lostClaims).toBe(0);
    story.at("00:20").start().release("claim-lost", 2);
    expect(story.then).toEqual(["TaskReleased"]);
  });

  test("by a shutdown counts neither as an attempt nor as a lost claim, however often", () => {
    const story = Story.of(once, { maxRetries: 1 }).at("00:10");
    for (let round = 0; round < 20; round++) story.start().release("shutdown", 1);
    expect(story.task).toMatchObject({ phase: "waiting", retryCount: 0, lostClaims: 0, runAtMs: at("00:10") });
  });

  test("refuses the late result, and says whether it was a success", () => {
    const story = Story.of(once).at("00:10").start().release("claim-lost").start().succeed();
    const before = story.task;
    story.finish({ kind: "succeeded" }, 1);
    expect(story.data("TaskResultRefused")).toEqual({ because: "claim-lost", instance: 1, success: true });
    expect(story.last[0]?.run).toBe(1);
    expect(story.task).toEqual(before);
  });

  test("refuses an old run's result although the attempt's number is the same", () => {
    const story = Story.of(once).at("00:10").start().release("claim-lost").start();
    story.finish({ kind: "succeeded" }, 1);
    expect(story.then).toEqual(["TaskResultRefused"]);
    expect(story.task).toMatchObject({ phase: "running", runs: 2 });
  });
});

test("a retry moves none of a recurring task's later occurrences", () => {
  const retry = { ...defaultRetryPolicy, baseMs: 30_000 };
  const story = Story.of(interval("10m"), { retry }).at("00:10").start().at("00:12:34").fail();
  story.at("00:13:04").start().at("00:13:10").succeed();
  expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:20") });
});

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}
