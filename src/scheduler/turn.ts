/**
 * One turn of the loop, as one unit of work: record what has finished, then take what is due.
 *
 * Both ride in the same commit, together with the commands of callers that wait at that moment.
 */
import type { Work } from "../store/work.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { holdsClaim } from "../tasks/decide-run.ts";
import type { TaskState } from "../tasks/task-state.ts";
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
  const states = await work.tasksBySeq([...new Set(plan.reports.map(({ handlerRun }) => handlerRun.state.seq))]);
  const recorded: (readonly LifecycleEvent[])[] = [];
  for (const report of plan.reports) {
    const { seq } = report.handlerRun.state;
    const state = states.get(seq);
    if (state === undefined) {
      recorded.push([]);
      continue;
    }
    const { after, events } = await record(work, state, report, plan);
    states.set(seq, after);
    recorded.push(events);
  }
  return { recorded, claimed: plan.freeSlots > 0 ? await claim(work, plan) : [] };
}

async function claim(work: Work, { instance, freeSlots, taskTypes }: TurnPlan): Promise<TaskState[]> {
  // What was just recorded may be due again.
  await work.flush();
  const due = await work.engine.lockDueTasks({ taskTypes, nowMs: work.context.nowMs, limit: freeSlots });
  const claimed: TaskState[] = [];
  for (const state of work.know(due)) {
    const started = await work.dispatch(state, { kind: "start", instance });
    if (started.events.length > 0) claimed.push(started.state);
  }
  return claimed;
}

interface Recorded {
  readonly after: TaskState;
  readonly events: readonly LifecycleEvent[];
}

async function record(work: Work, state: TaskState, report: Report, plan: TurnPlan): Promise<Recorded> {
  const { handlerRun, result, settled } = report;
  if (settled !== undefined) return await note(work, state, report);
  if (result === null) return { after: state, events: [] };
  try {
    return await recordResult(work, state, report, result, plan);
  } catch (error) {
    // The handler's own writes were refused, or its next occurrence cannot be computed on this machine.
    // The attempt fails by it; a rule that cannot be followed at all is not tried again and again.
    const retry = result.writes === null ? "never" : "backoff";
    const failed = failure(failureOf(error), retry);
    return await dispatch(work, state, handlerRun.run, failed);
  }
}

async function recordResult(
  work: Work,
  state: TaskState,
  { handlerRun }: Report,
  result: Result,
  plan: TurnPlan,
): Promise<Recorded> {
  const { run } = handlerRun;
  const { outcome, event, writes } = result;
  if (!holdsClaim(state, run.number)) return await dispatch(work, state, run, result);
  if (outcome.kind === "failed" && handlerRun.stopReason?.code === "SHUTTING_DOWN") {
    // It failed because it was told to stop: that is nobody's fault, and it runs again soon.
    const detail = "The handler stopped at the scheduler's shutdown.";
    const release = { kind: "release", run: run.number, because: "shutdown", detail, maxLostClaims: plan.maxLostClaims } as const;
    const { state: after, events } = await work.dispatch(state, release);
    return { after, events };
  }
  const identity = { task: state.seq, run: run.number };
  const complete = async () => {
    if (writes !== null) await writes.apply(work, identity);
    if (event !== null) work.append({ ...event, ...identity, meta: null });
    // Its own writes may have touched this very task.
    const current = writes === null ? state : ((await work.task(state.taskId)) ?? state);
    return await dispatch(work, current, run, result);
  };
  return await (writes === null ? work.attempt(complete) : work.attemptNested(complete));
}

async function dispatch(work: Work, state: TaskState, run: Report["handlerRun"]["run"], result: Result): Promise<Recorded> {
  const finish = { kind: "finish", run: run.number, instance: run.instance, outcome: result.outcome } as const;
  const { state: after, events } = await work.dispatch(state, finish);
  return { after, events };
}

async function note(work: Work, state: TaskState, { handlerRun, settled }: Report): Promise<Recorded> {
  if (settled === undefined) return { after: state, events: [] };
  const { state: after, events } = await work.dispatch(state, {
    kind: "handler-settled",
    run: handlerRun.run.number,
    ...settled,
  });
  return { after, events };
}
