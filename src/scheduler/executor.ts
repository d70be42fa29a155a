/**
 * The runs of one scheduler: a limited number of slots, the time each may take, and the finished ones that wait
 * to be recorded. A run keeps its slot until its handler has settled or the grace period after its signal is over.
 */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import type { StoreCore } from "../store/store-core.ts";
import type { Failure } from "../tasks/events.ts";
import type { TaskState } from "../tasks/task-state.ts";
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
  #reports: Report[] = [];

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  get freeSlots(): number {
    return Math.max(0, this.#options.slots - this.#running.size);
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
      this.#running.has(executionId) || this.#reports.some(({ handlerRun }) => handlerRun.executionId === executionId)
    );
  }

  takeReports(): Report[] {
    const reports = this.#reports;
    this.#reports = [];
    return reports;
  }

  /** Gives back reports whose commit failed: they go before newer ones. */
  returnReports(reports: readonly Report[]): void {
    this.#reports = [...reports, ...this.#reports];
  }

  /** Starts runs whose claims are committed. */
  start(states: readonly TaskState[]): void {
    const { core, admission, telemetry } = this.#options;
    for (const state of states) {
      if (state.run === null) continue;
      const handlerRun = new HandlerRun({ core, admission, logger: telemetry.logger, state, run: state.run });
      this.#running.set(handlerRun.executionId, handlerRun);
      void this.#supervise(handlerRun);
    }
  }

  /** Fires the signals of all runs for which `reasonOf` gives a reason. */
  stop(reasonOf: (handlerRun: HandlerRun) => AzothError | undefined): void {
    for (const handlerRun of this.#running.values()) {
      const reason = reasonOf(handlerRun);
      if (reason !== undefined) handlerRun.stop(reason);
    }
  }

  async #supervise(handlerRun: HandlerRun): Promise<void> {
    const { admission, gracePeriodMs } = this.#options;
    const handler = admission.handlerOf(handlerRun.state.taskType);
    if (handler === undefined) return;
    const ended = handlerRun.start(handler);
    // A handler that settles at once needs no timer.
    await Promise.race([ended, yieldToEventLoop()]);
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
    this.#running.delete(handlerRun.executionId);
    this.#report({ handlerRun, result: timedOut === null ? (handlerRun.result ?? null) : failure(timedOut) });
  }

  /** A handler that ignored its signal has settled at last, or its grace period is over. */
  #endUnheeding(handlerRun: HandlerRun): void {
    const { core, telemetry } = this.#options;
    const how = handlerRun.result === undefined ? "abandoned" : "settled";
    if (how === "abandoned") telemetry.emit({ name: "task.abandoned", ...runFacts(handlerRun) });
    this.#running.delete(handlerRun.executionId);
    const nowMs = core.clock.now();
    const afterSignalMs = Math.max(0, nowMs - (handlerRun.stoppedAtMs ?? nowMs));
    this.#report({ handlerRun, result: null, settled: { how, afterSignalMs } });
  }

  #report(report: Report): void {
    this.#reports.push(report);
    this.#options.onReport();
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
