/**
 * The scheduler's loop: records what has finished, takes what is due, starts it, and sleeps until there is more.
 *
 * It sleeps until the earliest due time, a finished run or a commit, whichever comes first; the poll interval is
 * only the longest it sleeps. It never sees SQL, and decides nothing about tasks.
 */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import { executionIdOf } from "../store/log.ts";
import type { StoreCore } from "../store/store-core.ts";
import type { Work } from "../store/work.ts";
import type { DueListener } from "../store/write-queue.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Executor, Report } from "./executor.ts";
import { announceEnds, announceStarts } from "./announce.ts";
import { recordRuns, type Taken, takeDue } from "./turn.ts";

/** While rounds follow each other closely, how often to look whether the runs still hold their claims. */
const busyCheckMs = 50;
/** The pause after a round that found nothing to take. */
const idlePauseMs = 10;
/** How long finished runs are gathered while more start at once. */
const gatherMs = 5;
/**
 * A task is claimed ahead if it is likely to start within this time, or within that of two turns, and given back when it
 * has waited for longer.
 */
const aheadHorizonMs = 20;
const aheadPatienceMs = 100;
/** The pause before the next try to record a run whose task another transaction holds. */
const heldPauseMs = 20;

export interface TaskLoopOptions {
  readonly core: StoreCore;
  readonly telemetry: Telemetry;
  readonly executor: Executor;
  /** The most tasks to claim beyond the free slots. */
  readonly claimAhead: number;
  readonly instance: () => number;
  readonly taskTypes: readonly string[];
  readonly pollIntervalMs: number;
  readonly maxLostClaims: number;
  /** Called when this instance turns out to have been taken for dead: until it has a new number, it can take nothing. */
  readonly onDeclaredDead: () => void;
}

export class TaskLoop {
  readonly #options: TaskLoopOptions;
  #accepting = true;
  /** The round in progress, or the taking along with another's commit: they do not know of each other's claims. */
  #busy: Promise<unknown> | undefined;
  /** Reports whose tasks other transactions hold, and when to try again. */
  #postponed: readonly Report[] = [];
  #postponedUntilMs = 0;
  /** How many tasks to claim beyond the free slots: many while runs are short, none while they are long. */
  #ahead = 0;
  /** True if the last time as many were due as could be taken. */
  #moreDue = false;
  #lastTurnMs = Number.NEGATIVE_INFINITY;
  /** Runs whose ends were recorded since then. */
  #ended = 0;
  #gatheringSinceMs: number | undefined;
  /** Recordings in transactions of their own. */
  readonly #aside = new Set<Promise<void>>();
  /** The number under which this instance was found to be taken for dead: under it, it claims nothing more. */
  #deadAs: number | undefined;
  #nextSurveyMs = Number.NEGATIVE_INFINITY;
  #checkedRunsMs = Number.NEGATIVE_INFINITY;

  constructor(options: TaskLoopOptions) {
    this.#options = options;
  }

  /**
   * From now on results are recorded, and nothing is taken. Resolves when what was just being taken is running, and
   * what was claimed ahead is given back: with how many that were.
   */
  async stopAccepting(): Promise<number> {
    this.#accepting = false;
    await this.#busy?.catch(() => {});
    return await this.#giveBack("shutdown", "The scheduler stopped before the handler was called.");
  }

  /** Resolves when all that is not in the hands of the executor is recorded, or is back there. */
  async finishAside(): Promise<void> {
    await Promise.all(this.#aside);
    this.#returnPostponed();
  }

  /**
   * Takes what a commit makes due in that same commit, if a slot is free: it starts one fsync sooner.
   * @param ride as the write queue gives it to those it tells
   */
  readonly takeAlong: DueListener = (dueTypes, ride) => {
    const { taskTypes } = this.#options;
    if (!this.#mayTake || this.#busy !== undefined || !taskTypes.some((type) => dueTypes.has(type))) return;
    const taking = this.#take(async (run) => {
      const taken = await ride(run);
      // Whoever scheduled a task hears of it before its handler is called.
      await yieldToEventLoop();
      return taken;
    });
    // If it fails, the next round finds it all due.
    this.#during(taking).catch(() => {});
  };

  /** One round; resolves with the milliseconds until there may be something to do. */
  async runOnce(): Promise<number> {
    while (this.#busy !== undefined) await this.#busy.catch(() => {});
    const waitMs = await this.#during(this.#round());
    return this.#postponed.length === 0 ? waitMs : Math.min(waitMs, heldPauseMs);
  }

  async #round(): Promise<number> {
    const { core, executor, taskTypes, pollIntervalMs } = this.#options;
    const nowMs = core.clock.now();
    if (nowMs >= this.#postponedUntilMs) this.#returnPostponed();
    const patienceMs = await this.#msUntilGivenBack(nowMs);
    const lingerMs = this.#lingerMs(nowMs);
    if (lingerMs > 0) return lingerMs;
    const hasNews = executor.hasReports || executor.unrecordedStarts.length > 0;
    const dueAtMs = this.#mayTake && !hasNews ? await core.engine.reads.nextDueAt(taskTypes) : null;
    if (hasNews || (dueAtMs !== null && dueAtMs <= nowMs)) {
      const done = await this.#turn(!hasNews || this.#moreDue);
      if (Math.abs(nowMs - this.#checkedRunsMs) >= busyCheckMs) await this.#checkRuns(nowMs);
      if (executor.hasReports) return 0;
      // What looked due was not there to take: another scheduler had it, or the clock was set back.
      return done ? await this.#msUntilNext() : idlePauseMs;
    }
    await this.#checkRuns(nowMs);
    await this.#survey(nowMs);
    const waitMs = dueAtMs === null ? pollIntervalMs : Math.min(pollIntervalMs, dueAtMs - nowMs);
    return Math.min(waitMs, patienceMs);
  }

  get #mayTake(): boolean {
    const { executor, instance } = this.#options;
    return this.#accepting && executor.freeSlots > 0 && this.#deadAs !== instance();
  }

  async #during<T>(busy: Promise<T>): Promise<T> {
    this.#busy = busy;
    try {
      return await busy;
    } finally {
      this.#busy = undefined;
    }
  }

  /** While claimed tasks start one after the other, what they bring about is gathered for one commit. */
  #lingerMs(nowMs: number): number {
    const { executor } = this.#options;
    const isGathering = executor.waiting > 0 && (executor.hasReports || executor.unrecordedStarts.length > 0);
    if (!isGathering) {
      this.#gatheringSinceMs = undefined;
      return 0;
    }
    this.#gatheringSinceMs ??= nowMs;
    const gatheredMs = Math.abs(nowMs - this.#gatheringSinceMs);
    if (gatheredMs < gatherMs) return gatherMs - gatheredMs;
    this.#gatheringSinceMs = undefined;
    return 0;
  }

  /** What was claimed ahead and got no slot is given back, so that it does not wait while another scheduler idles. */
  async #msUntilGivenBack(nowMs: number): Promise<number> {
    const { executor, pollIntervalMs } = this.#options;
    if (executor.waiting === 0) return pollIntervalMs;
    const waitedMs = Math.abs(nowMs - executor.claimedAtMs);
    if (waitedMs < aheadPatienceMs) return aheadPatienceMs - waitedMs;
    this.#ahead = 0;
    await this.#giveBack("unstarted", "It was claimed ahead, and no slot became free for it.");
    return pollIntervalMs;
  }

  async #giveBack(because: "shutdown" | "unstarted", detail: string): Promise<number> {
    const { core, executor, maxLostClaims } = this.#options;
    const claimed = executor.dropClaimed();
    if (claimed.length === 0) return 0;
    await core.queue.submit({
      run: async (work) => {
        await work.preloadBySeq(claimed.map(({ seq }) => seq));
        for (const { seq, run } of claimed) {
          const state = work.loadedBySeq(seq);
          if (state === null || run === null) continue;
          work.dispatch(state, { kind: "release", run: run.number, because, detail, maxLostClaims });
        }
      },
    });
    return claimed.length;
  }

  async #msUntilNext(): Promise<number> {
    const { core, taskTypes, pollIntervalMs } = this.#options;
    // Without a free slot the next report is what to wait for.
    if (!this.#mayTake) return pollIntervalMs;
    const dueAtMs = await core.engine.reads.nextDueAt(taskTypes);
    return dueAtMs === null ? pollIntervalMs : Math.max(0, Math.min(pollIntervalMs, dueAtMs - core.clock.now()));
  }

  /** Records, and takes what is due. Resolves with whether anything was. */
  async #turn(isDue: boolean): Promise<boolean> {
    const begunAtMs = this.#options.core.clock.now();
    // Submitted at the same time, the two are one commit. Where several may be open, each is done while the other waits.
    const outcomes = await Promise.allSettled([this.#record(), this.#takeIfDue(isDue)]);
    this.#adaptAhead(begunAtMs);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    return outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value);
  }

  async #record(): Promise<boolean> {
    const { core, executor, telemetry, maxLostClaims } = this.#options;
    const { reports, apart } = this.#sorted(executor.takeReports());
    for (const report of apart) this.#recordApart(report);
    const starts = executor.unrecordedStarts;
    if (reports.length + starts.length === 0) return apart.length > 0;
    try {
      const { begun, recorded, held } = await core.queue.submit({
        run: (work) => recordRuns(work, { reports, starts, maxLostClaims }),
      });
      for (const handlerRun of begun) handlerRun.startIsRecorded = true;
      this.#ended += reports.length;
      executor.forgetReports(reports.filter((report) => !held.includes(report)));
      this.#postpone(held);
      announceEnds(telemetry, reports, recorded);
      return true;
    } catch (error) {
      // Nothing of it was committed: what was to be recorded waits for the next turn.
      executor.returnReports(reports);
      throw error;
    }
  }

  /** A transaction of its own that finds nothing due would cost more than to look first. */
  async #takeIfDue(isDue: boolean): Promise<boolean> {
    const { core } = this.#options;
    if (core.engine.writers === "many" && !isDue && (await this.#msUntilNext()) > 0) return false;
    return await this.#take((run) => core.queue.submit({ beside: true, run }));
  }

  async #take(submit: (run: (work: Work) => Promise<Taken>) => Promise<Taken>): Promise<boolean> {
    const { executor, telemetry, instance, taskTypes } = this.#options;
    let limit = 0;
    let claimant = instance();
    const { started, claimed, lives } = await submit((work) => {
      // Only now: the write lock may have been waited for, and the scheduler been told to stop.
      const freeSlots = this.#accepting ? executor.freeSlots : 0;
      const ahead = this.#accepting ? Math.max(0, this.#ahead - executor.waiting) : 0;
      limit = freeSlots + ahead;
      claimant = instance();
      return takeDue(work, { instance: claimant, freeSlots, ahead, taskTypes });
    });
    if (!lives) {
      // Its heartbeat gets it a new number, and may have to wait for the store: until then, each look would be in vain.
      this.#deadAs = claimant;
      this.#options.onDeclaredDead();
    }
    this.#moreDue = limit > 0 && started.length + claimed.length === limit;
    executor.start(started);
    executor.startWhenFree(claimed);
    announceStarts(telemetry, started);
    return started.length + claimed.length > 0;
  }

  /**
   * As many as will find a free slot within a short time, at the rate at which runs have just ended. Where a turn takes
   * long, what a short time brings would not even last until the next one.
   */
  #adaptAhead(turnBegunAtMs: number): void {
    const { core, claimAhead } = this.#options;
    const nowMs = core.clock.now();
    const perMs = this.#ended / Math.max(1, Math.abs(nowMs - this.#lastTurnMs));
    const horizonMs = Math.min(aheadPatienceMs, Math.max(aheadHorizonMs, 2 * Math.abs(nowMs - turnBegunAtMs)));
    this.#lastTurnMs = nowMs;
    this.#ended = 0;
    this.#ahead = Math.min(claimAhead, Math.floor(perMs * horizonMs));
  }

  /** Where several transactions may be open, a handler's own SQL may wait for locks: nothing else is to wait with it. */
  #sorted(reports: readonly Report[]): { readonly reports: readonly Report[]; readonly apart: readonly Report[] } {
    if (this.#options.core.engine.writers === "one") return { reports, apart: [] };
    const isApart = ({ result }: Report) => result !== null && result.writes !== null;
    return { reports: reports.filter((report) => !isApart(report)), apart: reports.filter(isApart) };
  }

  #recordApart(report: Report): void {
    const { core, executor, telemetry, maxLostClaims } = this.#options;
    const reports = [report];
    const record = async () => {
      try {
        const { recorded } = await core.queue.submit({
          exclusive: true,
          run: (work) => recordRuns(work, { reports, maxLostClaims }),
        });
        executor.forgetReports(reports);
        announceEnds(telemetry, reports, recorded);
      } catch (error) {
        const shown = error instanceof Error ? error : new Error(String(error));
        telemetry.emit({ name: "store.failed", what: "a handler's writes", error: shown, retryInMs: heldPauseMs });
        this.#postpone(reports);
      }
    };
    const recording = record().finally(() => this.#aside.delete(recording));
    this.#aside.add(recording);
  }

  #postpone(reports: readonly Report[]): void {
    if (reports.length === 0) return;
    this.#postponed = [...this.#postponed, ...reports];
    this.#postponedUntilMs = this.#options.core.clock.now() + heldPauseMs;
  }

  #returnPostponed(): void {
    if (this.#postponed.length > 0) this.#options.executor.returnReports(this.#postponed);
    this.#postponed = [];
  }

  /** Compares the runs here with the claims in the store, and settles what the two do not have in common. */
  async #checkRuns(nowMs: number): Promise<void> {
    const { core, executor, instance } = this.#options;
    this.#checkedRunsMs = nowMs;
    const held = await core.engine.reads.runsOf(instance());
    const heldIds = new Set(held.map(({ seq, run }) => executionIdOf(seq, run)));
    executor.dropClaimed((executionId) => !heldIds.has(executionId));
    if (executor.running.length > 0) await this.#stopLostRuns(heldIds);
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
        await work.preloadBySeq(claims.map(({ seq }) => seq));
        for (const { seq, run } of claims) {
          const state = work.loadedBySeq(seq);
          if (state !== null)
            work.dispatch(state, { kind: "release", run, because: "claim-lost", detail, maxLostClaims });
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
}
