/**
 * The rules: what a command means for a task, as the events that follow from it.
 *
 * Pure: state, command and everything from outside come in, events go out; no events means that nothing changes.
 * The rules live here once, for every engine, for replay and for simulation. See also
 * `decide-run.ts` (start, finish, release) and `plan.ts` (which occurrence is next).
 */
import { AzothError, type ErrorCode, quote } from "../errors.ts";
import type { DecisionContext, TaskCommand } from "./command.ts";
import { decideRun, passedOver } from "./decide-run.ts";
import { encodeDefinition } from "./event-codec.ts";
import { event, type LifecycleEvent, type PlannedOccurrence } from "./events.ts";
import { firstOccurrence, plannedAfter, skippedOccurrences } from "./plan.ts";
import { anchoredSchedule, isRecurring, type TaskDefinition, type TaskState } from "./task-state.ts";

/**
 * @throws AzothError if the command does not fit the state; nothing changes then.
 */
export function decide(state: TaskState | null, command: TaskCommand, context: DecisionContext): LifecycleEvent[] {
  if (command.kind === "schedule") return decideSchedule(state, command, context);
  if (state === null) throw new AzothError("TASK_NOT_FOUND", "There is no such task.");
  switch (command.kind) {
    case "cancel":
      return decideCancel(state, command.reason, context);
    case "pause":
      return decidePause(state, command.reason, context);
    case "resume":
      return decideResume(state, context);
    case "run-now":
      return decideRunNow(state, context);
    default:
      return decideRun(state, command, context);
  }
}

type ScheduleCommand = Extract<TaskCommand, { kind: "schedule" }>;

function decideSchedule(state: TaskState | null, command: ScheduleCommand, context: DecisionContext): LifecycleEvent[] {
  const { taskId, taskType, definition, payload } = command;
  const revived = state?.phase === "cancelled";
  if (state !== null && !revived && isSameTask(state, command)) return [];
  const because = state === null ? "new" : revived ? "revived" : "replaced";
  const revision = (state?.revision ?? 0) + 1;
  const { nowMs } = context;
  if (state === null || revived) {
    const next = firstOccurrence(definition.schedule, context);
    return [event("TaskScheduled", { taskId, taskType, because, revision, definition, payload, next }, nowMs)];
  }
  const data = { taskId, taskType, because, revision, definition, payload } as const;
  if (isRecurring(definition.schedule) && sameSchedule(state, definition)) {
    // Only the rest has changed: a deploy must neither shift an interval's phase nor lose an occurrence that is due.
    const { anchorMs } = state;
    const scheduled = event("TaskScheduled", { ...data, anchorMs, next: keptOccurrence(state, context) }, nowMs);
    return [...skippedByRun(state, nowMs), scheduled];
  }
  const next = firstOccurrence(definition.schedule, context);
  const skipped = [...skippedByRun(state, nowMs), ...skippedByReplacement(state, nowMs)];
  return [...skipped, event("TaskScheduled", { ...data, next }, nowMs)];
}

function sameSchedule(state: TaskState, { schedule }: TaskDefinition): boolean {
  return JSON.stringify(state.definition.schedule) === JSON.stringify(schedule);
}

/** What is pending stays so; if nothing is, the next occurrence on the same grid. */
function keptOccurrence(state: TaskState, context: DecisionContext): PlannedOccurrence {
  if (state.scheduledForMs !== null) return { scheduledForMs: state.scheduledForMs };
  const afterMs = Math.max(context.nowMs, state.lastScheduledForMs ?? context.nowMs);
  return plannedAfter(anchoredSchedule(state), afterMs, context) ?? firstOccurrence(state.definition.schedule, context);
}

/** What has fallen due since the run in progress began: the end of that run, which is of the old definition, does not tell it. */
function skippedByRun(state: TaskState, nowMs: number): LifecycleEvent[] {
  const { run } = state;
  if (run === null || run.revision !== state.revision || !isRecurring(state.definition.schedule)) return [];
  return passedOver(state, run, nowMs).map((data) => event("OccurrencesSkipped", data, nowMs));
}

/** Occurrences of the old schedule that were due and had not run. */
function skippedByReplacement(state: TaskState, nowMs: number): LifecycleEvent[] {
  const schedule = anchoredSchedule(state);
  const { scheduledForMs } = state;
  if (scheduledForMs === null || !isRecurring(schedule)) return [];
  const skipped = skippedOccurrences(schedule, scheduledForMs - 1, nowMs, "replaced");
  return skipped.map((data) => event("OccurrencesSkipped", data, nowMs));
}

/** Applications declare their schedules at every boot: the same definition must change nothing. */
function isSameTask(state: TaskState, command: ScheduleCommand): boolean {
  return (
    state.taskType === command.taskType &&
    (state.payload === command.payload || state.payload === command.alike) &&
    encodeDefinition(state.definition) === encodeDefinition(command.definition)
  );
}

function decideCancel(state: TaskState, reason: string, { nowMs }: DecisionContext): LifecycleEvent[] {
  if (state.phase === "cancelled") return [];
  return [event("TaskCancelled", { reason, wasRunning: state.phase === "running" }, nowMs, state.run?.number)];
}

function decidePause(state: TaskState, reason: string | undefined, { nowMs }: DecisionContext): LifecycleEvent[] {
  refuseEnded(state, "paused");
  if (state.phase === "disabled") throw refused("TASK_FINISHED", state, "is disabled and cannot be paused");
  return state.paused ? [] : [event("TaskPaused", reason === undefined ? {} : { reason }, nowMs)];
}

function decideResume(state: TaskState, context: DecisionContext): LifecycleEvent[] {
  refuseEnded(state, "resumed");
  const { nowMs } = context;
  // Not simply from now on: a clock that went back must not fire a nominal time again.
  const afterMs = Math.max(nowMs, state.lastScheduledForMs ?? nowMs);
  if (state.phase === "disabled") {
    const next = plannedAfter(anchoredSchedule(state), afterMs, context) ?? failedOccurrence(state);
    const recurring = isRecurring(state.definition.schedule);
    const missed = recurring
      ? skippedOccurrences(anchoredSchedule(state), state.lastScheduledForMs ?? nowMs, nowMs, "disabled")
      : [];
    const resumed = event("TaskResumed", { runAtMs: recurring ? next.scheduledForMs : nowMs, next }, nowMs);
    return [...missed.map((data) => event("OccurrencesSkipped", data, nowMs)), resumed];
  }
  if (!state.paused) return [];
  const { scheduledForMs, runAtMs } = state;
  if (scheduledForMs === null || runAtMs === null) return [event("TaskResumed", {}, nowMs)];
  const schedule = anchoredSchedule(state);
  const next = plannedAfter(schedule, afterMs, context);
  // A run that was asked for by hand is on no schedule, and is not skipped with it.
  const planned = plannedAfter(schedule, scheduledForMs - 1, context)?.scheduledForMs === scheduledForMs;
  const overdue = planned && state.retryCount === 0 && runAtMs <= nowMs;
  if (!overdue || next === undefined) return [event("TaskResumed", { runAtMs }, nowMs)];
  // Nobody expects a burst on resuming: what fell into the pause is skipped, and said so.
  const resumed = event("TaskResumed", { runAtMs: next.scheduledForMs, next }, nowMs);
  const skipped = skippedOccurrences(schedule, scheduledForMs - 1, afterMs, "paused");
  return [...skipped.map((data) => event("OccurrencesSkipped", data, nowMs)), resumed];
}

/** The occurrence at which a task was disabled: without a later one, it is what runs again. */
function failedOccurrence(state: TaskState): { scheduledForMs: number } {
  return { scheduledForMs: state.lastScheduledForMs ?? state.anchorMs };
}

function decideRunNow(state: TaskState, { nowMs }: DecisionContext): LifecycleEvent[] {
  if (state.phase === "cancelled") throw refused("TASK_CANCELLED", state, "was cancelled; schedule it again");
  if (state.run !== null) throw refused("TASK_RUNNING", state, "is running already, or about to");
  if (state.paused) throw refused("TASK_PAUSED", state, "is paused; resume it first");
  const { scheduledForMs } = state;
  // A pending retry, an overdue occurrence and a one-off run as themselves, only earlier; a recurring task runs once more.
  const asItself =
    scheduledForMs !== null &&
    (state.retryCount > 0 || scheduledForMs <= nowMs || !isRecurring(state.definition.schedule));
  const extra = Math.max(nowMs, (state.lastScheduledForMs ?? Number.NEGATIVE_INFINITY) + 1);
  // Of a definition that is younger than a clock's being set back, occurrences may lie before the nominal times of an older one.
  const passed =
    asItself || scheduledForMs === null
      ? []
      : skippedOccurrences(anchoredSchedule(state), scheduledForMs - 1, extra, "missed");
  const requested = { scheduledForMs: asItself ? scheduledForMs : extra, runAtMs: nowMs };
  return [
    ...passed.map((data) => event("OccurrencesSkipped", data, nowMs)),
    event("TaskRunRequested", requested, nowMs),
  ];
}

function refuseEnded(state: TaskState, what: string): void {
  if (state.phase === "completed") throw refused("TASK_FINISHED", state, `has completed and cannot be ${what}`);
  if (state.phase === "cancelled") throw refused("TASK_CANCELLED", state, `was cancelled and cannot be ${what}`);
}

function refused(code: ErrorCode, state: TaskState, why: string): AzothError {
  return new AzothError(code, `Task ${quote(state.taskId)} ${why}.`, { details: { taskId: state.taskId } });
}
