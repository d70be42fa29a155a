/**
 * The lifecycle events of a task: what the log says of it, and all that its state is made of.
 *
 * Each carries every instant and reason that its state needs, so that `evolve` reads no clock.
 * Instants are epoch milliseconds under names that end in `Ms`. A change of these shapes needs
 * a new event version and an upcaster, because the log is kept for ever.
 */
import type { TaskDefinition } from "./task-state.ts";

/** A nominal time of a schedule as it was chosen, with what daylight saving did to it. */
export interface PlannedOccurrence {
  readonly scheduledForMs: number;
  /** "gap": moved to the first instant after a gap of the clock; "overlap": the first of two passes was chosen. */
  readonly dst?: "gap" | "overlap";
  /** Nominal times that a gap of more than three hours swallowed just before this one. */
  readonly dropped?: number;
  /** The time-zone data that chose it (`process.versions.tz`), where a zone was involved. */
  readonly tzdata?: string;
}

/** Why a run failed, as it is stored: bounded text, never an Error object. */
export interface Failure {
  /** HANDLER_FAILED, HANDLER_RESULT_INVALID, INVALID_PAYLOAD, TASK_TIMED_OUT, CLAIM_LOST, … */
  readonly code: string;
  readonly message: string;
  /** The class name of what was thrown, where it was an Error. */
  readonly name?: string;
  readonly stack?: string;
}

export interface TaskScheduledData {
  readonly taskId: string;
  readonly taskType: string;
  readonly definition: TaskDefinition;
  /** Encoded JSON, sealed where the store has a codec. */
  readonly payload: string;
  readonly revision: number;
  /** "new", "replaced" (another definition), or "revived" (it had been cancelled). */
  readonly because: "new" | "replaced" | "revived";
  /** The anchor that the task keeps, because its schedule has not changed; absent if it is the instant of the event. */
  readonly anchorMs?: number;
  readonly next: PlannedOccurrence;
}

export interface TaskStartedData {
  readonly scheduledForMs: number;
  readonly attempt: number;
  /** The scheduler instance that claimed the run; SchedulerStarted says which process that was. */
  readonly instance: number;
}

/** A scheduler has taken a task that it will start when a slot is free; TaskStarted follows. */
export type TaskClaimedData = TaskStartedData;

export interface TaskExecutedData {
  readonly success: boolean;
  readonly durationMs: number;
  /**
   * What becomes of the task: "completed" (no further occurrence), "next" (see `next`), "retry" (see `retryAtMs`),
   * "disabled" (out of retries, or failed for good), "superseded" (another definition had replaced the one that ran).
   */
  readonly then: "completed" | "next" | "retry" | "disabled" | "superseded";
  readonly next?: PlannedOccurrence;
  readonly retryAtMs?: number;
  /** Consecutive failures, this one included; absent on success. */
  readonly retryCount?: number;
  readonly error?: Failure;
  /** True if the handler still ran when its timeout was recorded; TaskHandlerSettled tells how that ended. */
  readonly handlerUnsettled?: boolean;
}

export interface TaskSnoozedData {
  readonly untilMs: number;
  readonly reason?: string;
}

export interface TaskReleasedData {
  /**
   * "shutdown": given back by a stopping instance; "claim-lost": taken from one that fell silent; "unstarted": claimed
   * ahead, and given back because no slot became free for it.
   */
  readonly because: "shutdown" | "claim-lost" | "unstarted";
  readonly instance: number;
  readonly detail: string;
  readonly runAtMs: number;
}

export interface OccurrencesSkippedData {
  /**
   * "missed": the run came late (no scheduler ran, or all slots were taken); "running": they fell due during a run;
   * "retrying": a retry was pending; "paused" and "disabled": the task was; "replaced": another schedule took the place
   * of one that was due.
   */
  readonly because: "missed" | "running" | "retrying" | "paused" | "disabled" | "replaced";
  readonly count: number;
  /** True if counting stopped at its limit, so that there were more. */
  readonly atLeast?: boolean;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The first of them, at most ten. */
  readonly sampleMs: readonly number[];
}

/** The data of every lifecycle event by its type. */
export interface LifecycleData {
  TaskScheduled: TaskScheduledData;
  TaskClaimed: TaskClaimedData;
  TaskStarted: TaskStartedData;
  TaskExecuted: TaskExecutedData;
  TaskSnoozed: TaskSnoozedData;
  TaskReleased: TaskReleasedData;
  TaskCancelled: { readonly reason: string; readonly wasRunning: boolean };
  TaskPaused: { readonly reason?: string };
  /** `next` is absent if nothing was pending; `retryCount` was reset if the task had been disabled. */
  TaskResumed: { readonly runAtMs?: number; readonly next?: PlannedOccurrence };
  TaskRunRequested: { readonly scheduledForMs: number; readonly runAtMs: number };
  /** A result that came too late to be recorded: the run no longer held the claim. */
  TaskResultRefused: {
    readonly because: "cancelled" | "claim-lost";
    readonly instance: number;
    readonly success: boolean;
  };
  /** How a handler that ignored its abort signal ended: "settled", or "abandoned" at the end of the grace period. */
  TaskHandlerSettled: { readonly how: "settled" | "abandoned"; readonly afterSignalMs: number };
  OccurrencesSkipped: OccurrencesSkippedData;
}

export type LifecycleType = keyof LifecycleData;

/** One lifecycle event, before or after it got its position. */
export type LifecycleEvent = {
  readonly [Type in LifecycleType]: {
    readonly type: Type;
    readonly atMs: number;
    /** The number of the run it belongs to, or null. */
    readonly run: number | null;
    readonly data: LifecycleData[Type];
  };
}[LifecycleType];

const lifecycleTypes: Readonly<Record<LifecycleType, true>> = {
  TaskScheduled: true,
  TaskClaimed: true,
  TaskStarted: true,
  TaskExecuted: true,
  TaskSnoozed: true,
  TaskReleased: true,
  TaskCancelled: true,
  TaskPaused: true,
  TaskResumed: true,
  TaskRunRequested: true,
  TaskResultRefused: true,
  TaskHandlerSettled: true,
  OccurrencesSkipped: true,
};

/** True for the types of {@link LifecycleData}. */
export function isLifecycleType(type: string): type is LifecycleType {
  return Object.hasOwn(lifecycleTypes, type);
}

/** Builds a lifecycle event. */
export function event<Type extends LifecycleType>(
  type: Type,
  data: LifecycleData[Type],
  atMs: number,
  run?: number,
): LifecycleEvent {
  return { type, data, atMs, run: run ?? null } as LifecycleEvent;
}
