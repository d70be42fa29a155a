/**
 * One turn of the loop, as one unit of work: record what has finished, then take what is due.
 *
 * Both ride in the same commit, together with the commands of callers that wait at that moment.
 */
import type { AzothError } from "../errors.ts";
import type { Work } from "../store/work.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { holdsClaim } from "../tasks/decide-run.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import { failure, failureOf, type Result } from "./handler-run.ts";
import type { Report } from "./executor.ts";

export interface TurnPlan {
  readonly instance: number;
  readonly reports: readonly Report[];
  /** How many tasks may be taken. */
  readonly freeSlots: number;
  readonly taskTypes: readonly string[];
  readonly maxLostClaims: number;
}

export interface TurnResult {
  /** What was decided of each report, in their order. */
  readonly recorded: readonly (readonly LifecycleEvent[])[];
  /** Tasks that were claimed, to be started once this is committed. */
  readonly claimed: readonly TaskState[];
}

export async function takeTurn(work: Work, plan: TurnPlan): Promise<TurnResult> {
  await work.preloadBySeq(plan.reports.map(({ handlerRun }) => handlerRun.state.seq));
  const recorded: (readonly LifecycleEvent[])[] = [];
  for (const report of plan.reports) recorded.push(await record(work, report, plan));
  return { recorded, claimed: plan.freeSlots > 0 ? await claim(work, plan) : [] };
}

async function claim(work: Work, { instance, freeSlots, taskTypes }: TurnPlan): Promise<TaskState[]> {
  // What was just recorded may be due again.
  await work.flush();
  const { nowMs } = work.context;
  const due = await work.engine.lockDueTasks({ taskTypes, nowMs, limit: freeSlots });
  // Who was taken for dead claims nothing before it has a new number: nobody would take such a claim over.
  if (due.length === 0 || !(await work.engine.heartbeat(instance, nowMs))) return [];
  const claimed: TaskState[] = [];
  for (const state of work.know(due)) {
    const started = await work.dispatch(state, { kind: "start", instance });
    if (started.events.length > 0) claimed.push(started.state);
  }
  return claimed;
}

/** Returns what was decided. */
async function record(work: Work, report: Report, plan: TurnPlan): Promise<readonly LifecycleEvent[]> {
  const { handlerRun, result, settled } = report;
  const { run } = handlerRun;
  // Read anew for each report: an earlier one of this turn may have changed the task.
  const state = await work.taskBySeq(handlerRun.state.seq);
  if (state === null) return [];
  if (settled !== undefined) {
    return (await work.dispatch(state, { kind: "handler-settled", run: run.number, ...settled })).events;
  }
  if (result === null) return [];
  try {
    return await recordResult(work, state, { run, result, stopReason: handlerRun.stopReason }, plan);
  } catch (error) {
    // The handler's own writes were refused, or its next occurrence cannot be computed on this machine.
    // The attempt fails by it; a rule that cannot be followed at all is not tried again and again.
    const retry = result.writes === null ? "never" : "backoff";
    return await finish(work, state, run, failure(failureOf(error), retry));
  }
}

interface Ended {
  readonly run: Run;
  readonly result: Result;
  readonly stopReason: AzothError | undefined;
}

async function recordResult(
  work: Work,
  state: TaskState,
  { run, result, stopReason }: Ended,
  { maxLostClaims }: TurnPlan,
): Promise<readonly LifecycleEvent[]> {
  const { event, writes, outcome } = result;
  if (!holdsClaim(state, run.number)) return await finish(work, state, run, result);
  if (outcome.kind === "failed" && stopReason?.code === "SHUTTING_DOWN") {
    // It failed because it was told to stop: that is nobody's fault, and the task runs again soon.
    const detail = "The handler stopped at the scheduler's shutdown.";
    const release = { kind: "release", run: run.number, because: "shutdown", detail, maxLostClaims } as const;
    return (await work.dispatch(state, release)).events;
  }
  const identity = { task: state.seq, run: run.number };
  const complete = async () => {
    if (event !== null) work.append({ ...event, ...identity, meta: null });
    const events = await finish(work, state, run, result);
    // After the end of the run: what it writes may cancel or reschedule its own task.
    await writes?.apply(work, identity);
    return events;
  };
  return await (writes === null ? work.attempt(complete) : work.attemptNested(complete));
}

async function finish(work: Work, state: TaskState, run: Run, { outcome }: Result): Promise<readonly LifecycleEvent[]> {
  const command = { kind: "finish", run: run.number, instance: run.instance, outcome } as const;
  return (await work.dispatch(state, command)).events;
}
