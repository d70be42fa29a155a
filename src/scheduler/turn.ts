/**
 * One turn of the loop, as two units of work: record what has begun and finished, and take what is due.
 *
 * With one writer both ride in the same commit, together with the commands of callers that wait at that moment.
 */
import { isAzothError } from "../errors.ts";
import { WriteCollision } from "../store/engine.ts";
import { TaskHeld, type Work } from "../store/work.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { holdsClaim } from "../tasks/decide-run.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import type { DeferredWrites } from "./deferred-writes.ts";
import { failure, failureOf, type HandlerRun, type Result } from "./handler-run.ts";
import type { Report } from "./executor.ts";

export interface Recording {
  readonly reports: readonly Report[];
  /** Runs of tasks claimed ahead, which have started since. */
  readonly starts?: readonly HandlerRun[];
  readonly maxLostClaims: number;
}

export interface Recorded {
  /** Of `starts`, those whose start is recorded. */
  readonly begun: readonly HandlerRun[];
  /** What was decided of each report, in their order. */
  readonly recorded: readonly (readonly LifecycleEvent[])[];
  /** Reports that were not recorded, because another transaction holds their tasks. */
  readonly held: readonly Report[];
}

export interface Taking {
  readonly instance: number;
  /** How many tasks may be started. */
  readonly freeSlots: number;
  /** How many more may be claimed, to be started later. */
  readonly ahead: number;
  readonly taskTypes: readonly string[];
}

export interface Taken {
  /** Tasks to be started once this is committed. */
  readonly started: readonly TaskState[];
  /** Tasks that were claimed ahead. */
  readonly claimed: readonly TaskState[];
  /** False if the instance was taken for dead: it can claim nothing before it has a new number. */
  readonly lives: boolean;
}

export async function recordRuns(work: Work, plan: Recording): Promise<Recorded> {
  const { starts = [] } = plan;
  const ended = plan.reports.map(({ handlerRun }) => handlerRun);
  await work.preloadBySeq([...starts, ...ended].map(({ state }) => state.seq));
  const begun: HandlerRun[] = [];
  for (const handlerRun of starts) {
    if (begin(work, handlerRun)) begun.push(handlerRun);
    if (work.pace.isSpent) await work.pace.pause();
  }
  // Before all ends: rows of one kind, one after the other, are written faster.
  for (const handlerRun of ended) {
    if (!handlerRun.startIsRecorded) begin(work, handlerRun);
    if (work.pace.isSpent) await work.pace.pause();
  }
  const recorded: (readonly LifecycleEvent[])[] = [];
  const held: Report[] = [];
  for (const report of plan.reports) {
    try {
      // Only a handler's own writes are waited for.
      const writes = report.result?.writes ?? null;
      recorded.push(writes === null ? record(work, report, plan) : await recordNested(work, report, writes, plan));
    } catch (error) {
      if (!(error instanceof TaskHeld)) throw error;
      recorded.push([]);
      held.push(report);
    }
    if (work.pace.isSpent) await work.pace.pause();
  }
  return { begun, recorded, held };
}

export async function takeDue(work: Work, { instance, freeSlots, ahead, taskTypes }: Taking): Promise<Taken> {
  const limit = freeSlots + ahead;
  if (limit === 0) return { started: [], claimed: [], lives: true };
  // What was just recorded may be due again.
  await work.flush();
  const { nowMs } = work.context;
  const [due, lives] = await Promise.all([
    work.engine.lockDueTasks({ taskTypes, nowMs, limit }),
    // Who was taken for dead claims nothing before it has a new number: nobody would take such a claim over.
    work.engine.holdInstance(instance),
  ]);
  const started: TaskState[] = [];
  const claimed: TaskState[] = [];
  for (const state of work.know(lives ? due : [])) {
    const isStart = started.length < freeSlots;
    const { events, state: after } = work.dispatch(state, { kind: isStart ? "start" : "claim", instance });
    if (events.length > 0) (isStart ? started : claimed).push(after);
    if (work.pace.isSpent) await work.pace.pause();
  }
  return { started, claimed, lives };
}

/** Returns false if another transaction holds the task: its start is recorded with a later turn, or with its end. */
function begin(work: Work, { state: { seq }, run }: HandlerRun): boolean {
  try {
    const state = work.loadedBySeq(seq);
    if (state !== null) work.dispatch(state, { kind: "begin", run: run.number, startedAtMs: run.startedAtMs });
    return true;
  } catch (error) {
    if (error instanceof TaskHeld) return false;
    throw error;
  }
}

/** Records what a report tells, and returns what was decided. */
function record(work: Work, report: Report, plan: Recording): readonly LifecycleEvent[] {
  const { handlerRun, result, settled } = report;
  const { run } = handlerRun;
  // As it is by now: an earlier report of this turn may have changed the task.
  const state = work.loadedBySeq(handlerRun.state.seq);
  if (state === null) return [];
  if (settled !== undefined) {
    return work.dispatch(state, { kind: "handler-settled", run: run.number, ...settled }).events;
  }
  if (result === null) return [];
  try {
    return work.attemptNow(() => end(work, state, { handlerRun, result }, plan));
  } catch (error) {
    if (error instanceof TaskHeld || isAzothError(error, "CODEC_FAILED")) throw error;
    // Its next occurrence cannot be computed on this machine. A rule that cannot be followed at all is not tried again and again.
    return finish(work, state, run, failure(failureOf(error), "never"));
  }
}

/** As `record`, together with what the handler wrote. */
async function recordNested(
  work: Work,
  report: Report,
  writes: DeferredWrites,
  plan: Recording,
): Promise<readonly LifecycleEvent[]> {
  const { handlerRun, result } = report;
  const { run } = handlerRun;
  const state = work.loadedBySeq(handlerRun.state.seq);
  if (state === null || result === null) return [];
  // A result that is refused takes its writes with it.
  if (!holdsClaim(state, run.number)) return finish(work, state, run, result);
  try {
    return await work.attemptNested(async () => {
      const events = end(work, state, { handlerRun, result }, plan);
      // After the end of the run: what it writes may cancel or reschedule its own task.
      await writes.apply(work, { task: state.seq, run: run.number });
      return events;
    });
  } catch (error) {
    if (error instanceof TaskHeld || error instanceof WriteCollision) throw error;
    // The outcome stands, and is recorded as soon as it can be sealed.
    if (isAzothError(error, "CODEC_FAILED")) throw error;
    // They were refused: the attempt fails by it.
    return finish(work, state, run, failure(failureOf(error), "backoff"));
  }
}

interface Ended {
  readonly handlerRun: HandlerRun;
  readonly result: Result;
}

/** The end of a run, with the event that its handler returned. */
function end(
  work: Work,
  state: TaskState,
  { handlerRun: { run, stopReason }, result }: Ended,
  { maxLostClaims }: Recording,
): readonly LifecycleEvent[] {
  const { event, outcome } = result;
  if (holdsClaim(state, run.number)) {
    if (outcome.kind === "failed" && stopReason?.code === "SHUTTING_DOWN") {
      // It failed because it was told to stop: that is nobody's fault, and the task runs again soon.
      const detail = "The handler stopped at the scheduler's shutdown.";
      const release = { kind: "release", run: run.number, because: "shutdown", detail, maxLostClaims } as const;
      return work.dispatch(state, release).events;
    }
    if (event !== null) work.append({ ...event, task: state.seq, run: run.number, meta: null });
  }
  return finish(work, state, run, result);
}

function finish(work: Work, state: TaskState, run: Run, { outcome }: Result): readonly LifecycleEvent[] {
  return work.dispatch(state, { kind: "finish", run: run.number, instance: run.instance, outcome }).events;
}
