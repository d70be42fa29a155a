/**
 * The state of one task: a fold of its events, and one row of the task projection.
 *
 *   phase       allows                         left by
 *   waiting     claim, start, cancel, pause …  TaskClaimed, TaskStarted, TaskCancelled
 *   claimed     begin, finish, release, cancel TaskStarted, TaskReleased, TaskCancelled
 *   running     finish, release, cancel        TaskExecuted, TaskSnoozed, TaskReleased, TaskCancelled
 *   completed   run-now, another definition    TaskRunRequested, TaskScheduled
 *   disabled    resume, run-now, …             TaskResumed, TaskRunRequested, TaskScheduled
 *   cancelled   being scheduled again          TaskScheduled
 *
 * Plain data, no clock: every instant in it came out of an event.
 */
import type { Schedule } from "../schedule/schedule.ts";
import type { RetryPolicy } from "./retry-policy.ts";

export type Phase = "waiting" | "claimed" | "running" | "completed" | "disabled" | "cancelled";

/** "waiting" for its time, "paused", "claimed" by a scheduler that will run it as soon as it can, "running", or ended as "completed", "disabled" (by failures) or "cancelled". */
export type TaskStateName = "waiting" | "paused" | "claimed" | "running" | "completed" | "disabled" | "cancelled";

export const taskStateNames: readonly TaskStateName[] = [
  "waiting",
  "paused",
  "claimed",
  "running",
  "completed",
  "disabled",
  "cancelled",
];

/** What a user defined, with every default resolved, so that a later change of defaults changes no stored task. */
export interface TaskDefinition {
  readonly schedule: Schedule;
  /** Higher runs first among tasks due at the same instant. */
  readonly priority: number;
  /** The attempt at which a failing task is disabled: 3 means three attempts. */
  readonly maxRetries: number;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
}

/** The current run of a claimed or running task: its claim. */
export interface Run {
  /** Counts the starts of this task, and never repeats: with the task it is the execution id, the fencing token. */
  readonly number: number;
  readonly scheduledForMs: number;
  readonly attempt: number;
  /** While it is claimed and not yet started, the instant of the claim. */
  readonly startedAtMs: number;
  /** The scheduler instance that holds the claim. */
  readonly instance: number;
  /** The revision that was started; another one may have replaced it meanwhile. */
  readonly revision: number;
}

export interface TaskState {
  /** The internal number under which the log and the indexes know this task. */
  readonly seq: number;
  readonly taskId: string;
  readonly taskType: string;
  readonly phase: Phase;
  readonly paused: boolean;
  /** Counts the definitions that this task has had. */
  readonly revision: number;
  readonly definition: TaskDefinition;
  /** Encoded JSON, sealed where the store has a codec: opaque to every rule. */
  readonly payload: string;
  /** When this revision was scheduled: the anchor of an interval without one of its own. */
  readonly anchorMs: number;
  /** The nominal time of the pending occurrence; null while nothing is pending. */
  readonly scheduledForMs: number | null;
  /** When the pending occurrence is to run: its nominal time, or later for a retry or snooze. */
  readonly runAtMs: number | null;
  /** The nominal time of the latest run; nominal times of one task only ever rise. */
  readonly lastScheduledForMs: number | null;
  /** Consecutive failures. */
  readonly retryCount: number;
  /** Consecutive lost claims. */
  readonly lostClaims: number;
  /** The number of the latest run. */
  readonly runs: number;
  readonly run: Run | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** When a scheduler may take this task, or null: the one rule behind the due index. */
export function dueAtMs(state: TaskState): number | null {
  return state.phase === "waiting" && !state.paused ? state.runAtMs : null;
}

export function stateNameOf(state: Pick<TaskState, "phase" | "paused">): TaskStateName {
  return state.phase === "waiting" && state.paused ? "paused" : state.phase;
}

/** True while the task will run again without anybody's doing. */
export function isEnabled(state: Pick<TaskState, "phase" | "paused">): boolean {
  const { phase } = state;
  return (phase === "waiting" || phase === "claimed" || phase === "running") && !state.paused;
}

/** The schedule with an interval's anchor filled in. */
export function anchoredSchedule(state: Pick<TaskState, "definition" | "anchorMs">): Schedule {
  const { schedule } = state.definition;
  return schedule.kind === "interval" && schedule.anchorMs === undefined
    ? { ...schedule, anchorMs: state.anchorMs }
    : schedule;
}

/** True for schedules with more than one occurrence. */
export function isRecurring(schedule: Schedule): boolean {
  return schedule.kind === "cron" || schedule.kind === "interval";
}
