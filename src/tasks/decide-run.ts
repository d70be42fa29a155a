/**
 * The rules of a run: start, finish, release.
 *
 * Every command but `start` names the run it speaks of. If the task no longer holds that run, the claim was
 * lost or the task cancelled, and the result is refused: this fence is what makes outcomes recorded once.
 */
import type { DecisionContext, Outcome, RunCommand } from "./command.ts";
import {
  event,
  type Failure,
  type LifecycleEvent,
  type OccurrencesSkippedData,
  type TaskExecutedData,
} from "./events.ts";
import { plannedAfter, skippedOccurrences } from "./plan.ts";
import { backoffMs } from "./retry-policy.ts";
import { anchoredSchedule, dueAtMs, isRecurring, type Run, type TaskState } from "./task-state.ts";

type Begin = Extract<RunCommand, { kind: "begin" }>;
type Finish = Extract<RunCommand, { kind: "finish" }>;
type Release = Extract<RunCommand, { kind: "release" }>;
type Failed = Extract<Outcome, { kind: "failed" }>;

export function decideRun(state: TaskState, command: RunCommand, context: DecisionContext): LifecycleEvent[] {
  switch (command.kind) {
    case "start":
      return decideStart("TaskStarted", state, command.instance, context);
    case "claim":
      return decideStart("TaskClaimed", state, command.instance, context);
    case "begin":
      return decideBegin(state, command);
    case "finish":
      return decideFinish(state, command, context);
    case "release":
      return decideRelease(state, command, context);
    case "handler-settled": {
      const { how, afterSignalMs } = command;
      return [event("TaskHandlerSettled", { how, afterSignalMs }, context.nowMs, command.run)];
    }
  }
}

/** Starts what is due; nothing otherwise, so that a claim can be offered without harm. */
function decideStart(
  type: "TaskStarted" | "TaskClaimed",
  state: TaskState,
  instance: number,
  { nowMs }: DecisionContext,
): LifecycleEvent[] {
  const due = dueAtMs(state);
  if (due === null || due > nowMs || state.scheduledForMs === null) return [];
  const data = { scheduledForMs: state.scheduledForMs, attempt: state.retryCount + 1, instance };
  return [event(type, data, nowMs, state.runs + 1)];
}

/** Nothing if the claim is gone: what comes of that run is refused. */
function decideBegin(state: TaskState, { run: number, startedAtMs }: Begin): LifecycleEvent[] {
  const { run, phase } = state;
  if (run === null || run.number !== number || phase !== "claimed") return [];
  const { scheduledForMs, attempt, instance } = run;
  return [event("TaskStarted", { scheduledForMs, attempt, instance }, startedAtMs, number)];
}

/** True if the run still holds its claim: the fence. */
export function holdsClaim(state: TaskState | null, run: number): boolean {
  return state?.run?.number === run;
}

function decideFinish(state: TaskState, command: Finish, context: DecisionContext): LifecycleEvent[] {
  const { run } = state;
  const { nowMs } = context;
  const { outcome } = command;
  if (run === null || run.number !== command.run || state.phase !== "running") {
    const because = state.phase === "cancelled" ? "cancelled" : "claim-lost";
    const refusal = { because, instance: command.instance, success: outcome.kind === "succeeded" } as const;
    return [event("TaskResultRefused", refusal, nowMs, command.run)];
  }
  switch (outcome.kind) {
    case "succeeded":
      return succeeded(state, run, context);
    case "failed":
      return failed(state, run, outcome, context);
    case "snoozed": {
      const reason = outcome.reason === undefined ? {} : { reason: outcome.reason };
      return [event("TaskSnoozed", { untilMs: nowMs + outcome.forMs, ...reason }, nowMs, run.number)];
    }
  }
}

function succeeded(state: TaskState, run: Run, context: DecisionContext): LifecycleEvent[] {
  const { nowMs } = context;
  const base = { success: true, durationMs: Math.max(0, nowMs - run.startedAtMs) };
  if (run.revision !== state.revision)
    return [event("TaskExecuted", { ...base, then: "superseded" }, nowMs, run.number)];
  if (!isRecurring(state.definition.schedule)) {
    return [event("TaskExecuted", { ...base, then: "completed" }, nowMs, run.number)];
  }
  const schedule = anchoredSchedule(state);
  // Never before the nominal time that ran: a clock that went back must not fire it again.
  let next = plannedAfter(schedule, run.scheduledForMs, context);
  const skipped: LifecycleEvent[] = [];
  if (next !== undefined && next.scheduledForMs <= nowMs) {
    for (const data of passedOver(state, run, nowMs))
      skipped.push(event("OccurrencesSkipped", data, nowMs, run.number));
    next = plannedAfter(schedule, nowMs, context);
  }
  const then: Pick<TaskExecutedData, "then" | "next"> =
    next === undefined ? { then: "completed" } : { then: "next", next };
  return [event("TaskExecuted", { ...base, ...then }, nowMs, run.number), ...skipped];
}

/** The occurrences after the one that runs, up to now: what a late start has missed, and what fell due during the run. */
export function passedOver(state: TaskState, run: Run, nowMs: number): OccurrencesSkippedData[] {
  const schedule = anchoredSchedule(state);
  const seam = Math.min(Math.max(run.startedAtMs, run.scheduledForMs), nowMs);
  return [
    ...skippedOccurrences(schedule, run.scheduledForMs, seam, run.attempt > 1 ? "retrying" : "missed"),
    ...skippedOccurrences(schedule, seam, nowMs, "running"),
  ];
}

function failed(state: TaskState, run: Run, outcome: Failed, { nowMs, draw }: DecisionContext): LifecycleEvent[] {
  const { error, retry, unsettledForMs } = outcome;
  const base = {
    success: false,
    durationMs: Math.max(0, nowMs - run.startedAtMs),
    error,
    ...(unsettledForMs === undefined ? {} : { handlerUnsettled: true }),
  };
  if (run.revision !== state.revision)
    return [event("TaskExecuted", { ...base, then: "superseded" }, nowMs, run.number)];
  const retryCount = state.retryCount + 1;
  if (retry === "never" || retryCount >= state.definition.maxRetries) {
    return [event("TaskExecuted", { ...base, then: "disabled", retryCount }, nowMs, run.number)];
  }
  const delayMs = retry === "backoff" ? backoffMs(state.definition.retry, retryCount, draw) : retry;
  // A handler that ignores its signal may go on until the grace period ends; the retry must not run beside it.
  const retryAtMs = nowMs + Math.max(delayMs, unsettledForMs ?? 0);
  return [event("TaskExecuted", { ...base, then: "retry", retryAtMs, retryCount }, nowMs, run.number)];
}

function decideRelease(state: TaskState, command: Release, context: DecisionContext): LifecycleEvent[] {
  const { run } = state;
  if (run === null || run.number !== command.run) return [];
  const { because, detail, maxLostClaims } = command;
  // A task that brings down every process that runs it must not do so for ever.
  if (because === "claim-lost" && state.lostClaims + 1 >= maxLostClaims) {
    const message = `The claim was lost ${state.lostClaims + 1} times in a row. ${detail}`;
    const error: Failure = { code: "CLAIM_LOST", message };
    return failed(state, run, { kind: "failed", error, retry: "backoff" }, context);
  }
  const data = { because, instance: run.instance, detail, runAtMs: context.nowMs };
  return [event("TaskReleased", data, context.nowMs, run.number)];
}
