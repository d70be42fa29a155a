/**
 * One turn of the loop, as one unit of work: record what has finished, then take what is due.
 *
 * Both ride in the same commit, together with the commands of callers that wait at that moment.
 */
import type { AzothError } from "../errors.ts";
import { WriteCollision } from "../store/engine.ts";
import { TaskHeld, type Work } from "../store/work.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { holdsClaim } from "../tasks/decide-run.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import { failure, failureOf, type HandlerRun, type Result } from "./handler-run.ts";
import type { Report } from "./executor.ts";

export interface TurnPlan {
  readonly instance: number;
  readonly reports: readonly Report[];
  /** Runs of tasks claimed ahead, which have started since. */
  readonly starts?: readonly HandlerRun[];
  /** How many tasks may be started. */
  readonly freeSlots: number;
  /** How many more may be claimed, to be started later. */
  readonly ahead?: number;
  readonly taskTypes: readonly string[];
  readonly maxLostClaims: number;
}

export interface TurnResult {
  /** Of `starts`, those whose start is recorded. */
  readonly begun: readonly HandlerRun[];
  /** What was decided of each report, in their order. */
  readonly recorded: readonly (readonly LifecycleEvent[])[];
  /** Reports that were not recorded, because another transaction holds their tasks. */
  readonly held: readonly Report[];
  /** Tasks to be started once this is committed. */
  readonly started: readonly TaskState[];
  /** Tasks that were claimed ahead. */
  readonly claimed: readonly TaskState[];
}

export async function takeTurn(work: Work, plan: TurnPlan): Promise<TurnResult> {
  const { starts = [], freeSlots, ahead = 0 } = plan;
  const concerned = [...starts, ...plan.reports.map(({ handlerRun }) => handlerRun)];
  await work.preloadBySeq(concerned.map(({ state }) => state.seq));
  const begun: HandlerRun[] = [];
  for (const handlerRun of starts) {
    if (await begin(work, handlerRun)) begun.push(handlerRun);
  }
  const recorded: (readonly LifecycleEvent[])[] = [];
  const held: Report[] = [];
  for (const report of plan.reports) {
    try {
      recorded.push(await record(work, report, plan));
    } catch (error) {
      if (!(error instanceof TaskHeld)) throw error;
      recorded.push([]);
      held.push(report);
    }
  }
  const taken = freeSlots + ahead > 0 ? await take(work, plan) : [];
  return {
    begun,
    recorded,
    held,
    started: taken.filter(({ phase }) => phase === "running"),
    claimed: taken.filter(({ phase }) => phase === "claimed"),
  };
}

/** Returns false if another transaction holds the task: its start is recorded with a later turn, or with its end. */
async function begin(work: Work, { state: { seq }, run }: HandlerRun): Promise<boolean> {
  try {
    const state = await work.taskBySeq(seq);
    const command = { kind: "begin", run: run.number, startedAtMs: run.startedAtMs } as const;
    if (state !== null) await work.dispatch(state, command);
    return true;
  } catch (error) {
    if (error instanceof TaskHeld) return false;
    throw error;
  }
}

async function take(work: Work, { instance, freeSlots, ahead = 0, taskTypes }: TurnPlan): Promise<TaskState[]> {
  // What was just recorded may be due again.
  await work.flush();
  const { nowMs } = work.context;
  const [due, lives] = await Promise.all([
    work.engine.lockDueTasks({ taskTypes, nowMs, limit: freeSlots + ahead }),
    // Who was taken for dead claims nothing before it has a new number: nobody would take such a claim over.
    work.engine.holdInstance(instance),
  ]);
  if (!lives) return [];
  const taken: TaskState[] = [];
  for (const state of work.know(due)) {
    const kind = taken.length < freeSlots ? "start" : "claim";
    const { events, state: after } = await work.dispatch(state, { kind, instance });
    if (events.length > 0) taken.push(after);
  }
  return taken;
}

/** Returns what was decided. */
async function record(work: Work, report: Report, plan: TurnPlan): Promise<readonly LifecycleEvent[]> {
  const { handlerRun, result, settled } = report;
  const { run } = handlerRun;
  if (!handlerRun.startIsRecorded) await begin(work, handlerRun);
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
    if (error instanceof TaskHeld || error instanceof WriteCollision) throw error;
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
