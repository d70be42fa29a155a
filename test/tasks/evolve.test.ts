/** The fold as a whole: whatever commands come, the rules stay within their own bounds, and replay gives the state. */
import { cron, immediate, interval, oneTime, type Schedule } from "azoth-scheduler";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AzothError } from "../../src/errors.ts";
import type { TaskCommand } from "../../src/tasks/command.ts";
import { decide } from "../../src/tasks/decide.ts";
import { decodeLifecycleData, encodeLifecycleData } from "../../src/tasks/event-codec.ts";
import type { LifecycleEvent } from "../../src/tasks/events.ts";
import { evolve } from "../../src/tasks/evolve.ts";
import { dueAtMs, isRecurring, type TaskState } from "../../src/tasks/task-state.ts";
import { fcParameters, propertyTimeoutMs } from "../scheduler/support.ts";
import { deepFreeze, definition, midnightMs } from "./story.ts";

const schedules: Schedule[] = [
  cron("0 */10 * * * *"),
  cron("30 2 * * *", { timeZone: "Europe/Rome" }),
  interval("7m"),
  interval("10m", { anchor: "2026-01-01T00:05:00Z" }),
  oneTime("2026-01-01T01:00:00Z"),
  immediate(),
];

const command: fc.Arbitrary<TaskCommand> = fc.oneof(
  fc.record({
    kind: fc.constant("schedule" as const),
    taskId: fc.constant("task"),
    taskType: fc.constant("job"),
    definition: fc
      .tuple(fc.constantFrom(...schedules), fc.nat(3))
      .map(([schedule, maxRetries]) => definition(schedule, { maxRetries })),
    payload: fc.constant("null"),
  }),
  fc.constant({ kind: "cancel", reason: "because" } as const),
  fc.constant({ kind: "pause" } as const),
  fc.constant({ kind: "resume" } as const),
  fc.constant({ kind: "run-now" } as const),
);
const runCommand = fc.oneof(
  fc.constant({ kind: "start", instance: 1 } as const),
  fc.record({
    kind: fc.constant("finish" as const),
    run: fc.integer({ min: 1, max: 12 }),
    instance: fc.constant(1),
    outcome: fc.constantFrom(
      { kind: "succeeded" } as const,
      { kind: "failed", error: { code: "X", message: "" }, retry: "backoff" } as const,
      { kind: "failed", error: { code: "X", message: "" }, retry: "never" } as const,
      { kind: "failed", error: { code: "X", message: "" }, retry: 5_000, unsettledForMs: 10_000 } as const,
      { kind: "snoozed", forMs: 60_000 } as const,
    ),
  }),
  fc.record({
    kind: fc.constant("release" as const),
    run: fc.integer({ min: 1, max: 12 }),
    because: fc.constantFrom("shutdown" as const, "claim-lost" as const),
    detail: fc.constant(""),
    maxLostClaims: fc.constant(2),
  }),
);
/** A command, whether it goes to the present run, and how far the clock moves before it. */
const step = fc.record({
  command: fc.oneof(command, runCommand, runCommand),
  aimed: fc.boolean(),
  byMs: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 1_200_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: -36_000_000, max: 36_000_000 }) },
  ),
});

test(
  "whatever comes, the state is the fold of its log, and stays within its bounds",
  () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        let state: TaskState | null = null;
        const log: LifecycleEvent[] = [];
        let nowMs = midnightMs;
        for (const { command, aimed, byMs } of steps) {
          // Aimed at the task as it is: a start comes when it is due, the rest goes to the run in progress.
          nowMs = Math.max(nowMs + byMs, aimed && command.kind === "start" ? (dueOf(state) ?? 0) : 0);
          state = take(state, aimed ? aim(command, state) : command, nowMs, log);
        }
        expect(replay(log)).toEqual(state);
        checkLog(log);
      }),
      fcParameters(500),
    );
  },
  propertyTimeoutMs,
);

function dueOf(state: TaskState | null): number | null {
  return state === null ? null : dueAtMs(state);
}

function aim(command: TaskCommand, state: TaskState | null): TaskCommand {
  const run = state?.run?.number;
  return run !== undefined && "run" in command ? { ...command, run } : command;
}

function take(before: TaskState | null, command: TaskCommand, nowMs: number, log: LifecycleEvent[]): TaskState | null {
  let state = before;
  for (const event of decided(before, command, nowMs)) {
    log.push(event);
    state = deepFreeze(evolve(state, event, 1));
  }
  if (state !== null) checkState(state, before);
  return state;
}

function decided(state: TaskState | null, command: TaskCommand, nowMs: number): LifecycleEvent[] {
  try {
    return deepFreeze(decide(state, deepFreeze(command), { nowMs, tzdata: "2026a", draw: 0 }));
  } catch (error) {
    if (error instanceof AzothError) return [];
    throw error;
  }
}

/** From the stored texts, as a rebuild does. */
function replay(log: readonly LifecycleEvent[]): TaskState | null {
  let state: TaskState | null = null;
  for (const { type, atMs, run, ...event } of log) {
    const text = encodeLifecycleData({ type, atMs, run, ...event } as LifecycleEvent);
    const data = decodeLifecycleData(type, text, atMs);
    state = evolve(state, { type, atMs, run, data } as LifecycleEvent, 1);
  }
  return state;
}

function checkState(state: TaskState, before: TaskState | null): void {
  const { phase, run, runAtMs, scheduledForMs, definition } = state;
  expect(run !== null).toBe(phase === "running");
  expect(runAtMs === null).toBe(scheduledForMs === null);
  if (phase === "waiting") expect(runAtMs).not.toBeNull();
  if (phase === "completed" || phase === "disabled" || phase === "cancelled") expect(runAtMs).toBeNull();
  if (phase === "completed") expect(isRecurring(definition.schedule)).toBe(false);
  // Something is pending beside a run only if it is of another definition.
  if (phase === "running") expect(runAtMs !== null).toBe(run?.revision !== state.revision);
  expect(dueAtMs(state) === null).toBe(phase !== "waiting" || state.paused);
  expect(state.runs).toBeGreaterThanOrEqual(before?.runs ?? 0);
  expect(state.runs - (before?.runs ?? 0)).toBeLessThanOrEqual(1);
  if (phase === "waiting" || phase === "running") {
    expect(state.retryCount).toBeLessThan(Math.max(1, definition.maxRetries));
  }
}

/** Runs follow each other and never overlap; nominal times of one definition rise, but for retries of the same. */
function checkLog(log: readonly LifecycleEvent[]): void {
  let open: number | null = null;
  let nominalMs = Number.NEGATIVE_INFINITY;
  let succeeded = false;
  for (const { type, run, data } of log) {
    if (type === "TaskScheduled") nominalMs = Number.NEGATIVE_INFINITY;
    if (type === "TaskStarted") {
      expect(open, "a run began beside another").toBeNull();
      open = run;
      expect(data.scheduledForMs).toBeGreaterThanOrEqual(nominalMs);
      if (data.scheduledForMs === nominalMs) expect(succeeded, "an occurrence ran again").toBe(false);
      nominalMs = data.scheduledForMs;
      succeeded = false;
    }
    if (type === "TaskExecuted" || type === "TaskSnoozed" || type === "TaskReleased" || type === "TaskCancelled") {
      if (type !== "TaskCancelled") expect(run).toBe(open);
      open = null;
    }
    // A run of the definition before does not tell of the present one's occurrences.
    if (type === "TaskExecuted" && data.then !== "superseded") succeeded = data.success;
    if (type === "TaskExecuted" && data.then === "superseded") nominalMs = Number.NEGATIVE_INFINITY;
  }
}
