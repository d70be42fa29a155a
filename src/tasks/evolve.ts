/**
 * The fold: the state of a task after one more event.
 *
 * Pure and total: it reads no clock, decides nothing, and gives the same state for the same events on every
 * engine, in a replay, and in a simulation. What a command *means* is in `decide.ts`.
 */
import { AzothError } from "../errors.ts";
import type { LifecycleEvent, TaskExecutedData, TaskScheduledData } from "./events.ts";
import type { Run, TaskState } from "./task-state.ts";

/**
 * @param state the state before, or null before the first TaskScheduled
 * @param seq the internal number of the task, which the log stores beside each event
 * @throws AzothError STORE_CORRUPT if the log of a task does not begin with TaskScheduled
 */
export function evolve(state: TaskState | null, event: LifecycleEvent, seq: number): TaskState {
  if (event.type === "TaskScheduled") return scheduled(state, event.data, event.atMs, seq);
  if (state === null) {
    throw new AzothError("STORE_CORRUPT", `The log of task ${seq} begins with ${event.type} instead of TaskScheduled.`);
  }
  const updatedAtMs = event.atMs;
  switch (event.type) {
    case "TaskClaimed":
    case "TaskStarted": {
      const phase = event.type === "TaskStarted" ? "running" : "claimed";
      if (state.run !== null && state.run.number === event.run) {
        return { ...state, phase, run: { ...state.run, startedAtMs: event.atMs }, updatedAtMs };
      }
      const { scheduledForMs, attempt, instance } = event.data;
      const number = event.run ?? state.runs + 1;
      const run: Run = { number, scheduledForMs, attempt, instance, startedAtMs: event.atMs, revision: state.revision };
      const started = { ...state, phase, run, runs: number, lastScheduledForMs: scheduledForMs } as const;
      return { ...started, scheduledForMs: null, runAtMs: null, updatedAtMs };
    }
    case "TaskExecuted":
      return executed(state, event.data, updatedAtMs);
    case "TaskSnoozed":
      return { ...waitingAgain(state, event.data.untilMs), lostClaims: 0, updatedAtMs };
    case "TaskReleased": {
      const lostClaims = event.data.because === "claim-lost" ? state.lostClaims + 1 : state.lostClaims;
      return { ...waitingAgain(state, event.data.runAtMs), lostClaims, updatedAtMs };
    }
    case "TaskCancelled":
      return { ...state, phase: "cancelled", run: null, scheduledForMs: null, runAtMs: null, updatedAtMs };
    case "TaskPaused":
      return { ...state, paused: true, updatedAtMs };
    case "TaskResumed": {
      const { next, runAtMs } = event.data;
      const resumed = { ...state, paused: false, updatedAtMs };
      if (runAtMs === undefined) return resumed;
      const scheduledForMs = next?.scheduledForMs ?? state.scheduledForMs ?? runAtMs;
      const retryCount = state.phase === "disabled" ? 0 : state.retryCount;
      // A run may be going on while another definition is pending: the run keeps the task.
      const phase = state.run === null ? "waiting" : state.phase;
      return { ...resumed, phase, scheduledForMs, runAtMs, retryCount };
    }
    case "TaskRunRequested": {
      const { scheduledForMs, runAtMs } = event.data;
      const retryCount = state.phase === "waiting" ? state.retryCount : 0;
      return { ...state, phase: "waiting", scheduledForMs, runAtMs, retryCount, lostClaims: 0, updatedAtMs };
    }
    // Facts about a run that change nothing of the task itself.
    case "TaskResultRefused":
    case "TaskHandlerSettled":
    case "OccurrencesSkipped":
      return state;
  }
}

function scheduled(state: TaskState | null, data: TaskScheduledData, atMs: number, seq: number): TaskState {
  return {
    seq,
    taskId: data.taskId,
    taskType: data.taskType,
    // A run may be going on: it keeps the task.
    phase: state !== null && state.run !== null ? state.phase : "waiting",
    paused: data.because === "replaced" && state !== null ? state.paused : false,
    revision: data.revision,
    definition: data.definition,
    payload: data.payload,
    anchorMs: data.anchorMs ?? atMs,
    scheduledForMs: data.next.scheduledForMs,
    runAtMs: data.next.scheduledForMs,
    lastScheduledForMs: state?.lastScheduledForMs ?? null,
    retryCount: 0,
    lostClaims: 0,
    runs: state?.runs ?? 0,
    run: state?.run ?? null,
    createdAtMs: state?.createdAtMs ?? atMs,
    updatedAtMs: atMs,
  };
}

function executed(state: TaskState, data: TaskExecutedData, updatedAtMs: number): TaskState {
  const ended = { ...state, run: null, updatedAtMs };
  switch (data.then) {
    case "superseded":
      // The definition that replaced this one while it ran is already pending.
      return { ...ended, phase: "waiting" };
    case "completed":
      // Nothing is left to be paused: the flag would only stand in the way of a run by hand.
      return { ...ended, phase: "completed", paused: false, retryCount: 0, lostClaims: 0 };
    case "next": {
      const at = data.next?.scheduledForMs ?? null;
      return { ...ended, phase: "waiting", scheduledForMs: at, runAtMs: at, retryCount: 0, lostClaims: 0 };
    }
    case "retry": {
      const pending = waitingAgain(state, data.retryAtMs ?? updatedAtMs);
      return { ...pending, retryCount: data.retryCount ?? state.retryCount + 1, lostClaims: 0, updatedAtMs };
    }
    case "disabled":
      return { ...ended, phase: "disabled", retryCount: data.retryCount ?? state.retryCount + 1, lostClaims: 0 };
  }
}

/** The run ends without an end of its occurrence: that occurrence is pending again, unless a new definition is. */
function waitingAgain(state: TaskState, runAtMs: number): TaskState {
  if (state.run === null || state.run.revision !== state.revision) return { ...state, phase: "waiting", run: null };
  return { ...state, phase: "waiting", run: null, scheduledForMs: state.run.scheduledForMs, runAtMs };
}
