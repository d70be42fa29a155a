/**
 * The runs of one scheduler: a limited number of slots, the time each may take, the tasks that were claimed ahead and
 * wait for a slot, and the finished runs that wait to be recorded. A run keeps its slot until its handler has settled or
 * the grace period after its signal is over.
 */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import { executionIdOf } from "../store/log.ts";
import type { StoreCore } from "../store/store-core.ts";
import type { Failure } from "../tasks/events.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { HandlerAdmission } from "./admission.ts";
import { HandlerRun, failure, type Result } from "./handler-run.ts";

/** Something to be recorded of a run. */
export interface Report {
  readonly handlerRun: HandlerRun;
  /** The run's end, or null for a note about a handler whose end is recorded already. */
  readonly result: Result | null;
  /** Set if the handler had ignored its signal: how that ended. */
  readonly settled?: { readonly how: "settled" | "abandoned"; readonly afterSignalMs: number };
}

export interface ExecutorOptions {
  readonly core: StoreCore;
  readonly admission: HandlerAdmission;
  readonly telemetry: Telemetry;
  readonly slots: number;
  readonly gracePeriodMs: number;
  /** Called whenever a report waits. */
  readonly onReport: () => void;
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #running = new Map<string, HandlerRun>();
  /** Claimed ahead, first come first served. */
  readonly #claimed = new Map<string, TaskState>();
  #claimedAtMs = 0;
  #filling = false;
  /** Since when claimed tasks have been started without a pause. */
  #burstSinceMs = 0;
  #pausing: Promise<void> | undefined;
  #reports: Report[] = [];
  /** Executions whose ends are being recorded. */
  readonly #recording = new Set<string>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Slots that neither a run nor a claimed task is about to fill. */
  get freeSlots(): number {
    return Math.max(0, this.#options.slots - this.#running.size - this.#claimed.size);
  }

  /** How many tasks were claimed ahead and wait for a slot. */
  get waiting(): number {
    return this.#claimed.size;
  }

  /** When the latest of them were claimed. */
  get claimedAtMs(): number {
    return this.#claimedAtMs;
  }

  /** Runs of tasks claimed ahead, of which the log does not know that they have started. */
  get unrecordedStarts(): readonly HandlerRun[] {
    return this.running.filter(({ startIsRecorded }) => !startIsRecorded);
  }

  get running(): readonly HandlerRun[] {
    return [...this.#running.values()];
  }

  get hasReports(): boolean {
    return this.#reports.length > 0;
  }

  /** True for a run that has not come to its recorded end. */
  knows(executionId: string): boolean {
    return (
      this.#running.has(executionId) ||
      this.#claimed.has(executionId) ||
      this.#recording.has(executionId) ||
      this.#reports.some(({ handlerRun }) => handlerRun.executionId === executionId)
    );
  }

  /** Each is to be ended by `forgetReports` or `returnReports`. */
  takeReports(): Report[] {
    const reports = this.#reports;
    this.#reports = [];
    for (const { handlerRun } of reports) this.#recording.add(handlerRun.executionId);
    return reports;
  }

  /** They are recorded. */
  forgetReports(reports: readonly Report[]): void {
    for (const { handlerRun } of reports) this.#recording.delete(handlerRun.executionId);
  }

  /** They could not be recorded, and go before newer ones. */
  returnReports(reports: readonly Report[]): void {
    this.forgetReports(reports);
    this.#reports = [...reports, ...this.#reports];
  }

  /** Starts runs whose starts are committed. */
  start(states: readonly TaskState[]): void {
    for (const state of states) {
      if (state.run !== null) this.#launch(state, state.run);
    }
  }

  /** Takes tasks whose claims are committed; each is started when a slot is free. */
  startWhenFree(states: readonly TaskState[]): void {
    if (states.length === 0) return;
    this.#claimedAtMs = this.#options.core.clock.now();
    for (const state of states) {
      if (state.run !== null) this.#claimed.set(executionIdOf(state.seq, state.run.number), state);
    }
    this.#fill();
  }

  /** Forgets claimed tasks that have not started: all, or those whose claims are gone. Returns them. */
  dropClaimed(isGone: (executionId: string) => boolean = () => true): readonly TaskState[] {
    const dropped = [...this.#claimed].filter(([executionId]) => isGone(executionId));
    for (const [executionId] of dropped) this.#claimed.delete(executionId);
    return dropped.map(([, state]) => state);
  }

  /** Starts claimed tasks while slots are free; a burst of short runs pauses, so that the process gets to other things. */
  #fill(): void {
    if (this.#filling) return;
    this.#filling = true;
    const { core, slots } = this.#options;
    for (const [executionId, state] of this.#claimed) {
      if (this.#running.size >= slots) break;
      const nowMs = core.clock.now();
      if (this.#pausing === undefined) this.#burstSinceMs = nowMs;
      const pause = this.#pause();
      if (Math.abs(nowMs - this.#burstSinceMs) >= core.options.eventLoopBudgetMs) {
        void pause.then(() => this.#fill());
        break;
      }
      this.#claimed.delete(executionId);
      if (state.run !== null) this.#launch(state, { ...state.run, startedAtMs: nowMs });
    }
    this.#filling = false;
  }

  /** Resolves when everything else in the process has had its turn: for all that ask until then, the same. */
  #pause(): Promise<void> {
    this.#pausing ??= yieldToEventLoop().then(() => {
      this.#pausing = undefined;
    });
    return this.#pausing;
  }

  #launch(state: TaskState, run: Run): void {
    const { core, admission, telemetry } = this.#options;
    const handler = admission.handlerOf(state.taskType);
    if (handler === undefined) return;
    const handlerRun = new HandlerRun({ core, admission, logger: telemetry.logger, state, run });
    this.#running.set(handlerRun.executionId, handlerRun);
    const settling = handlerRun.start(handler);
    if (settling === undefined) this.#end(handlerRun, { handlerRun, result: handlerRun.result ?? null });
    else void this.#supervise(handlerRun, settling);
  }

  /** Fires the signals of all runs for which `reasonOf` gives a reason. */
  stop(reasonOf: (handlerRun: HandlerRun) => AzothError | undefined): void {
    for (const handlerRun of this.#running.values()) {
      const reason = reasonOf(handlerRun);
      if (reason !== undefined) handlerRun.stop(reason);
    }
  }

  async #supervise(handlerRun: HandlerRun, settling: Promise<void>): Promise<void> {
    const { gracePeriodMs } = this.#options;
    // A handler that settles soon needs no timer.
    await Promise.race([settling, this.#pause()]);
    if (handlerRun.result === undefined && handlerRun.stopReason === undefined) {
      await handlerRun.change(handlerRun.state.definition.timeoutMs);
    }
    const timedOut =
      handlerRun.result === undefined && handlerRun.stopReason === undefined ? timeOut(handlerRun) : null;
    // Most handlers settle as soon as their signal fires: let them, and the log need not speak of it.
    if (timedOut !== null) await yieldToEventLoop();
    if (handlerRun.result === undefined) {
      if (timedOut !== null) this.#report({ handlerRun, result: failure(timedOut, "backoff", gracePeriodMs) });
      await handlerRun.change(gracePeriodMs);
      if (timedOut !== null || handlerRun.result === undefined) return this.#endUnheeding(handlerRun);
    }
    this.#end(handlerRun, { handlerRun, result: timedOut === null ? (handlerRun.result ?? null) : failure(timedOut) });
  }

  /** A handler that ignored its signal has settled at last, or its grace period is over. */
  #endUnheeding(handlerRun: HandlerRun): void {
    const { core, telemetry } = this.#options;
    const how = handlerRun.result === undefined ? "abandoned" : "settled";
    if (how === "abandoned") telemetry.emit({ name: "task.abandoned", ...runFacts(handlerRun) });
    const nowMs = core.clock.now();
    const afterSignalMs = Math.max(0, nowMs - (handlerRun.stoppedAtMs ?? nowMs));
    this.#end(handlerRun, { handlerRun, result: null, settled: { how, afterSignalMs } });
  }

  /** Its slot is free. */
  #end(handlerRun: HandlerRun, report: Report): void {
    this.#running.delete(handlerRun.executionId);
    this.#fill();
    this.#report(report);
  }

  #report(report: Report): void {
    this.#reports.push(report);
    // While more start at once, the loop gathers what they bring about, and looks by itself.
    if (this.#reports.length === 1 || this.#claimed.size === 0) this.#options.onReport();
  }
}

/** Fires the signal of a run whose time is up, and tells its failure. */
function timeOut(handlerRun: HandlerRun): Failure {
  const { timeoutMs } = handlerRun.state.definition;
  const message = `The attempt did not finish within its timeout of ${timeoutMs} ms.`;
  handlerRun.stop(new AzothError("TASK_TIMED_OUT", message, { details: { timeoutMs } }));
  return { code: "TASK_TIMED_OUT", message };
}

/** The fields that every signal about a run has. */
export function runFacts(handlerRun: HandlerRun): {
  taskId: string;
  taskType: string;
  executionId: string;
  attempt: number;
} {
  const { state, run, executionId } = handlerRun;
  return { taskId: state.taskId, taskType: state.taskType, executionId, attempt: run.attempt };
}
