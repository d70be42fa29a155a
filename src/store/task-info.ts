/** A task as users see it. */
import type { Schedule } from "../schedule/schedule.ts";
import type { RetryPolicy } from "../tasks/retry-policy.ts";
import {
  anchoredSchedule,
  dueAtMs,
  isEnabled,
  stateNameOf,
  type TaskState,
  type TaskStateName,
} from "../tasks/task-state.ts";
import { executionIdOf } from "./log.ts";
import type { Sealing } from "./sealing.ts";

/** A task, its definition and where it stands. */
export interface TaskInfo<Payload = unknown> {
  readonly taskId: string;
  readonly taskType: string;
  readonly state: TaskStateName;
  /** True while it will run again without anybody's doing: waiting or running, and not paused. */
  readonly enabled: boolean;
  readonly schedule: Schedule;
  /** A {@link Sealed} if it cannot be opened. */
  readonly payload: Payload;
  readonly priority: number;
  readonly maxRetries: number;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  /** Counts the definitions that this id has had. */
  readonly revision: number;
  /** When it will run, if it waits: a nominal time, or that of a retry or snooze. */
  readonly nextRunAt: Date | null;
  /** The nominal time of the pending occurrence. */
  readonly scheduledFor: Date | null;
  /** Consecutive failures. */
  readonly retryCount: number;
  /** How many times it was started. */
  readonly runs: number;
  /** The nominal time of the latest run. */
  readonly lastScheduledFor: Date | null;
  /** The present run, while running. */
  readonly execution: TaskExecution | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A run in progress. */
export interface TaskExecution {
  readonly executionId: string;
  readonly scheduledFor: Date;
  /** 1 for the first attempt at an occurrence. */
  readonly attempt: number;
  readonly startedAt: Date;
  /** The number of the scheduler instance that runs it. */
  readonly instance: number;
}

export function taskInfo(state: TaskState, sealing: Sealing): TaskInfo {
  const { definition, run } = state;
  return {
    taskId: state.taskId,
    taskType: state.taskType,
    state: stateNameOf(state),
    enabled: isEnabled(state),
    schedule: anchoredSchedule(state),
    payload: sealing.payloadOf(state),
    priority: definition.priority,
    maxRetries: definition.maxRetries,
    retry: definition.retry,
    timeoutMs: definition.timeoutMs,
    revision: state.revision,
    nextRunAt: dateOf(dueAtMs(state)),
    scheduledFor: dateOf(state.scheduledForMs),
    retryCount: state.retryCount,
    runs: state.runs,
    lastScheduledFor: dateOf(state.lastScheduledForMs),
    execution:
      run === null || state.phase !== "running"
        ? null
        : {
            executionId: executionIdOf(state.seq, run.number),
            scheduledFor: new Date(run.scheduledForMs),
            attempt: run.attempt,
            startedAt: new Date(run.startedAtMs),
            instance: run.instance,
          },
    createdAt: new Date(state.createdAtMs),
    updatedAt: new Date(state.updatedAtMs),
  };
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
