/**
 * The scheduler's loop: records what has finished, takes what is due, starts it, and sleeps until there is more.
 *
 * It sleeps until the earliest due time, a finished run or a commit, whichever comes first; the poll interval is
 * only the longest it sleeps. It never sees SQL, and decides nothing about tasks.
 */
import { AzothError } from "../errors.ts";
import { executionIdOf } from "../store/log.ts";
import type { StoreCore } from "../store/store-core.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Executor, Report } from "./executor.ts";
import { runFacts } from "./executor.ts";
import { takeTurn } from "./turn.ts";

/** While rounds follow each other closely, how often to look whether the runs still hold their claims. */
const busyCheckMs = 50;
/** The pause after a round that found nothing to take. */
const idlePauseMs = 10;

export interface TaskLoopOptions {
  readonly core: StoreCore;
  readonly telemetry: Telemetry;
  readonly executor: Executor;
  readonly instance: () => number;
  readonly taskTypes: readonly string[];
  readonly pollIntervalMs: number;
  readonly maxLostClaims: number;
}

export class TaskLoop {
  readonly #options: TaskLoopOptions;
  #accepting = true;
  /** Resolves when the turn in progress has ended, which may be about to start runs. */
  #turning: Promise<void> = Promise.resolve();
  #nextSurveyMs = Number.NEGATIVE_INFINITY;
  #checkedRunsMs = Number.NEGATIVE_INFINITY;

  constructor(options: TaskLoopOptions) {
    this.#options = options;
  }

  /** From now on results are recorded, and nothing is taken. Resolves when what was just being taken is running. */
  stopAccepting(): Promise<void> {
    this.#accepting = false;
    return this.#turning;
  }

  /** One round; resolves with the milliseconds until there may be something to do. */
  async runOnce(): Promise<number> {
    const { core, executor, taskTypes, pollIntervalMs } = this.#options;
    const nowMs = core.clock.now();
    const mayTake = this.#accepting && executor.freeSlots > 0;
    const dueAtMs = mayTake && !executor.hasReports ? await core.engine.reads.nextDueAt(taskTypes) : null;
    if (executor.hasReports || (dueAtMs !== null && dueAtMs <= nowMs)) {
      const turn = this.#turn();
      this.#turning = turn.then(
        () => {},
        () => {},
      );
      const done = await turn;
      if (Math.abs(nowMs - this.#checkedRunsMs) >= busyCheckMs) await this.#checkRuns(nowMs);
      if (executor.hasReports) return 0;
      // What looked due was not there to take: another scheduler had it, or the clock was set back.
      return done ? await this.#msUntilNext() : idlePauseMs;
    }
    await this.#checkRuns(nowMs);
    await this.#survey(nowMs);
    return dueAtMs === null ? pollIntervalMs : Math.min(pollIntervalMs, dueAtMs - nowMs);
  }

  async #msUntilNext(): Promise<number> {
    const { core, executor, taskTypes, pollIntervalMs } = this.#options;
    // Without a free slot the next report is what to wait for.
    if (!this.#accepting || executor.freeSlots === 0) return pollIntervalMs;
    const dueAtMs = await core.engine.reads.nextDueAt(taskTypes);
    return dueAtMs === null ? pollIntervalMs : Math.max(0, Math.min(pollIntervalMs, dueAtMs - core.clock.now()));
  }

  /** Resolves with whether anything was recorded or taken. */
  async #turn(): Promise<boolean> {
    const { core, executor, instance, taskTypes, maxLostClaims } = this.#options;
    const reports = executor.takeReports();
    try {
      const { recorded, claimed } = await core.queue.submit({
        run: (work) => {
          // Only now: the write lock may have been waited for, and the scheduler been told to stop.
          const freeSlots = this.#accepting ? executor.freeSlots : 0;
          return takeTurn(work, { instance: instance(), reports, freeSlots, taskTypes, maxLostClaims });
        },
      });
      executor.start(claimed);
      this.#announce(reports, recorded, claimed);
      return reports.length > 0 || claimed.length > 0;
    } catch (error) {
      // Nothing of it was committed: what was to be recorded waits for the next turn.
      executor.returnReports(reports);
      throw error;
    }
  }

  /** Compares the runs here with the claims in the store, and settles what the two do not have in common. */
  async #checkRuns(nowMs: number): Promise<void> {
    const { core, executor, instance } = this.#options;
    this.#checkedRunsMs = nowMs;
    const held = await core.engine.reads.runsOf(instance());
    if (executor.running.length > 0) {
      await this.#stopLostRuns(new Set(held.map(({ seq, run }) => executionIdOf(seq, run))));
    }
    const unknown = held.filter(({ seq, run }) => !executor.knows(executionIdOf(seq, run)));
    if (unknown.length > 0) await this.#release(unknown);
  }

  /** Tells handlers whose claims are gone (cancelled, or taken over) to stop. */
  async #stopLostRuns(held: ReadonlySet<string>): Promise<void> {
    const { core, executor } = this.#options;
    for (const handlerRun of executor.running) {
      if (held.has(handlerRun.executionId) || handlerRun.stopReason !== undefined) continue;
      const { taskId } = handlerRun.state;
      const task = await core.engine.reads.findTask(taskId);
      const cancelled = task?.phase === "cancelled";
      const [code, message] = cancelled
        ? (["TASK_CANCELLED", `Task ${taskId} was cancelled.`] as const)
        : (["CLAIM_LOST", `The claim on task ${taskId} is gone.`] as const);
      handlerRun.stop(new AzothError(code, message));
    }
  }

  /** Gives back claims that nobody here knows of: while this instance lives, nobody else would take them over. */
  async #release(claims: readonly { readonly seq: number; readonly run: number }[]): Promise<void> {
    const { core, maxLostClaims } = this.#options;
    const detail = "Its start was committed although the commit seemed to have failed: the handler was not called.";
    await core.queue.submit({
      run: async (work) => {
        for (const { seq, run } of claims) {
          const state = await work.taskBySeq(seq);
          if (state !== null)
            await work.dispatch(state, { kind: "release", run, because: "claim-lost", detail, maxLostClaims });
        }
      },
    });
  }

  /** Now and then, looks for overdue tasks that nobody here can run. */
  async #survey(nowMs: number): Promise<void> {
    const { core, taskTypes, telemetry, pollIntervalMs } = this.#options;
    if (!telemetry.observed || nowMs < this.#nextSurveyMs) return;
    this.#nextSurveyMs = nowMs + 60 * pollIntervalMs;
    const types = await core.engine.reads.overdueOfOtherTypes(taskTypes, nowMs);
    if (types.length > 0) telemetry.emit({ name: "tasks.unhandled", types });
  }

  #announce(
    reports: readonly Report[],
    recorded: readonly (readonly LifecycleEvent[])[],
    claimed: readonly TaskState[],
  ): void {
    const { telemetry } = this.#options;
    if (!telemetry.observed) return;
    for (const [index, { handlerRun }] of reports.entries()) {
      for (const event of recorded[index] ?? []) announceEnd(telemetry, runFacts(handlerRun), event);
    }
    for (const { seq, taskId, taskType, run } of claimed) {
      if (run === null) continue;
      const facts = { taskId, taskType, executionId: `${seq}.${run.number}`, attempt: run.attempt };
      telemetry.emit({ name: "task.started", ...facts, latenessMs: Math.max(0, run.startedAtMs - run.scheduledForMs) });
    }
  }
}

function announceEnd(telemetry: Telemetry, facts: ReturnType<typeof runFacts>, event: LifecycleEvent): void {
  switch (event.type) {
    case "TaskExecuted": {
      const { success, durationMs, error, retryAtMs = null } = event.data;
      if (success) return telemetry.emit({ name: "task.succeeded", ...facts, durationMs });
      const { code = "HANDLER_FAILED", message = "" } = error ?? {};
      return telemetry.emit({ name: "task.failed", ...facts, durationMs, code, message, retryAtMs });
    }
    case "TaskSnoozed":
      return telemetry.emit({ name: "task.snoozed", ...facts, untilMs: event.data.untilMs });
    case "TaskResultRefused":
      return telemetry.emit({ name: "task.refused", ...facts, because: event.data.because });
    default:
  }
}
