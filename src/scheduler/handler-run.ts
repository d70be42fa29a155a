/**
 * One run of a handler, from its start to a settled outcome. It decides nothing of the task and writes nothing:
 * it calls the handler, watches the time, and says what happened.
 *
 *   running    the handler has not settled and nobody has told it to stop
 *   stopping   its signal has fired (timeout, cancellation, lost claim, shutdown)
 *   settled    the handler has settled; whatever it does from now on is not looked at
 */
import { sleepThrough } from "../clock.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, messageOf, quote } from "../errors.ts";
import { boundedText } from "../limits.ts";
import { executionIdOf } from "../store/log.ts";
import { refuse } from "../store/sealing.ts";
import type { StoreCore } from "../store/store-core.ts";
import type { Outcome } from "../tasks/command.ts";
import type { Failure } from "../tasks/events.ts";
import { encodeTaskEvent } from "../tasks/task-event.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import { type Logger, withFields } from "../telemetry/logger.ts";
import { checksPayload, type HandlerAdmission, validatePayload } from "./admission.ts";
import { DeferredWrites } from "./deferred-writes.ts";
import { TaskOutcome } from "./outcomes.ts";
import type { AnyTaskHandler, TaskContext } from "./task-handler.ts";

/** What a run came to. */
export interface Result {
  readonly outcome: Outcome;
  /** The handler's own event, encoded. */
  readonly event: { readonly type: string; readonly data: string } | null;
  /** Writes to commit with a success; null if there are none. */
  readonly writes: DeferredWrites | null;
}

export interface HandlerRunOptions {
  readonly core: StoreCore;
  readonly admission: HandlerAdmission;
  readonly logger: Logger;
  readonly state: TaskState;
  readonly run: Run;
}

export class HandlerRun {
  readonly executionId: string;
  readonly state: TaskState;
  readonly run: Run;
  /** Set once the handler has settled. */
  result: Result | undefined;
  /** When the signal fired, in epoch milliseconds. */
  stoppedAtMs: number | undefined;
  /** False while the log knows of the claim only. */
  startIsRecorded: boolean;
  readonly #options: HandlerRunOptions;
  #controller: AbortController | undefined;
  #stopReason: AzothError | undefined;
  #wake: (() => void) | undefined;

  constructor(options: HandlerRunOptions) {
    this.#options = options;
    this.state = options.state;
    this.run = options.run;
    this.executionId = executionIdOf(options.state.seq, options.run.number);
    this.startIsRecorded = options.state.phase === "running";
  }

  get stopReason(): AzothError | undefined {
    return this.#stopReason;
  }

  /** Calls the handler. Returns what resolves, and never rejects, when it has settled; undefined if it has at once. */
  start(handler: AnyTaskHandler): Promise<void> | undefined {
    const context = new Context(this, this.#options);
    let returned: unknown;
    const { sealing } = this.#options.core;
    try {
      const stored = sealing.payloadOf(this.state, refuse);
      returned = checksPayload(handler)
        ? executeChecked(handler, context, stored)
        : handler.execute(context, stored as never);
      if (context.writes === undefined && !isThenable(returned)) {
        this.result = this.#resultOf(returned, null);
        return undefined;
      }
    } catch (thrown) {
      return this.#settle(context, () => {
        throw thrown;
      });
    }
    return this.#settle(context, () => returned);
  }

  async #settle(context: Context, outcome: () => unknown): Promise<void> {
    try {
      const value = await outcome();
      await context.writes?.close();
      this.result = this.#resultOf(value, context.writes ?? null);
    } catch (thrown) {
      // Close, so that a handler's stray code cannot write after its failure.
      await context.writes?.close().catch(() => {});
      this.result = isOutcome(thrown) ? this.#resultOf(thrown, null) : failure(failureOf(thrown));
    }
    this.#wake?.();
  }

  /** Resolves when the handler settles or is told to stop, at the latest after `ms`. */
  async change(ms: number): Promise<void> {
    const changed = new AbortController();
    this.#wake = () => changed.abort();
    // Measured by the sleep itself, not by instants: a clock that is set must not time a handler out.
    await sleepThrough(this.#options.core.clock, ms, changed.signal);
    this.#wake = undefined;
  }

  /** Fires the handler's signal, once. */
  stop(reason: AzothError): void {
    if (this.#stopReason !== undefined || this.result !== undefined) return;
    this.#stopReason = reason;
    this.stoppedAtMs = this.#options.core.clock.now();
    this.#controller?.abort(reason);
    this.#wake?.();
  }

  #resultOf(returned: unknown, writes: DeferredWrites | null): Result {
    const kept = writes === null || writes.empty ? null : writes;
    if (returned === undefined || returned === null)
      return { outcome: { kind: "succeeded" }, event: null, writes: kept };
    if (returned instanceof TaskOutcome) return resultOfOutcome(returned);
    try {
      const event = encodeTaskEvent(returned, this.#options.core.payloads);
      return { outcome: { kind: "succeeded" }, event, writes: kept };
    } catch (cause) {
      const message = `The handler returned ${quote(returned)}, which is no event, outcome or nothing. ${messageOf(cause)}`;
      return failure({ code: "HANDLER_RESULT_INVALID", message: boundedText(message) });
    }
  }

  /** Made when it is first asked for: most handlers never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopReason !== undefined) this.#controller.abort(this.#stopReason);
    }
    return this.#controller.signal;
  }
}

/** What a handler sees of its run. A class with getters: with many short runs, what nobody asks for must cost nothing. */
class Context implements TaskContext {
  /** What the handler wrote, if it wrote. */
  writes: DeferredWrites | undefined;
  readonly #run: HandlerRun;
  readonly #options: HandlerRunOptions;

  constructor(run: HandlerRun, options: HandlerRunOptions) {
    this.#run = run;
    this.#options = options;
  }

  get taskId(): string {
    return this.#run.state.taskId;
  }

  get taskType(): string {
    return this.#run.state.taskType;
  }

  get executionId(): string {
    return this.#run.executionId;
  }

  get scheduledFor(): Date {
    return new Date(this.#run.run.scheduledForMs);
  }

  get startedAt(): Date {
    return new Date(this.#run.run.startedAtMs);
  }

  get attempt(): number {
    return this.#run.run.attempt;
  }

  get maxRetries(): number {
    return this.#run.state.definition.maxRetries;
  }

  get idempotencyKey(): string {
    const { revision, scheduledForMs } = this.#run.run;
    return `${this.taskId}/${revision}/${new Date(scheduledForMs).toISOString()}`;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get logger(): Logger {
    const { taskId, taskType, executionId, attempt } = this;
    return withFields(this.#options.logger, { taskId, taskType, executionId, attempt });
  }

  get transaction(): DeferredWrites {
    if (this.writes === undefined) {
      const { core, admission } = this.#options;
      const { ids, clock, payloads } = core;
      this.writes = new DeferredWrites({ admission, ids, nowMs: () => clock.now(), payloads });
    }
    return this.writes;
  }

  // Functions behind getters, not methods: handlers take their context apart.
  get now(): () => Date {
    const { clock } = this.#options.core;
    return () => new Date(clock.now());
  }

  get sleep(): (duration: Duration) => Promise<void> {
    const { clock } = this.#options.core;
    const { signal } = this;
    return async (duration) => {
      await sleepThrough(clock, parseDuration(duration, { what: "sleep" }), signal);
      signal.throwIfAborted();
    };
  }
}

async function executeChecked(handler: AnyTaskHandler, context: Context, stored: unknown): Promise<unknown> {
  return await handler.execute(context, (await validatePayload(handler, stored)) as never);
}

/** @throws whatever a hostile object throws when it is looked at */
function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** Even `instanceof` throws, where a revoked proxy was thrown. */
function isOutcome(thrown: unknown): thrown is TaskOutcome {
  try {
    return thrown instanceof TaskOutcome;
  } catch {
    return false;
  }
}

function resultOfOutcome(outcome: TaskOutcome): Result {
  const { kind, delayMs, reason } = outcome;
  switch (kind) {
    case "snooze":
      return {
        outcome: { kind: "snoozed", forMs: delayMs, ...(reason === "" ? {} : { reason }) },
        event: null,
        writes: null,
      };
    case "fail":
      return failure({ code: "HANDLER_FAILED", message: reason }, "never");
    case "retry-after":
      return failure({ code: "HANDLER_FAILED", message: reason }, delayMs);
  }
}

/** A failed result; what the handler wrote is dropped with it. */
export function failure(
  error: Failure,
  retry: "backoff" | "never" | number = "backoff",
  unsettledForMs?: number,
): Result {
  const unsettled = unsettledForMs === undefined ? {} : { unsettledForMs };
  return { outcome: { kind: "failed", error, retry, ...unsettled }, event: null, writes: null };
}

/** Whatever was thrown, as bounded text. Reading a hostile object's fields may throw as well. */
export function failureOf(thrown: unknown): Failure {
  try {
    if (thrown instanceof Error) {
      const code = thrown instanceof AzothError ? thrown.code : "HANDLER_FAILED";
      const stack = typeof thrown.stack === "string" ? { stack: boundedText(thrown.stack) } : {};
      return {
        code,
        message: boundedText(String(thrown.message)),
        name: boundedText(String(thrown.name), 100),
        ...stack,
      };
    }
  } catch {
    return { code: "HANDLER_FAILED", message: "The handler threw an error that cannot be read." };
  }
  const shown = typeof thrown === "string" ? boundedText(thrown) : quote(thrown);
  return { code: "HANDLER_FAILED", message: `The handler threw ${shown}, which is no Error.` };
}
