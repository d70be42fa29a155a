/**
 * The catalogue: everything that the library lets be observed, with the shape of each signal.
 *
 * Signals are for people and metrics; nothing depends on them. What must be remembered is an event in the log.
 */
import type { AzothError } from "../errors.ts";

/** Fields that every signal about a run has. */
export interface RunFacts {
  readonly taskId: string;
  readonly taskType: string;
  readonly executionId: string;
  readonly attempt: number;
}

/** The payload of each signal by its name. Times are in milliseconds. */
export interface Signals {
  "scheduler.started": { readonly instance: number; readonly instanceName: string };
  "scheduler.stopped": { readonly instance: number; readonly released: number };
  /** An instance fell silent, and its tasks were taken over. */
  "scheduler.lost": {
    readonly instance: number;
    readonly instanceName: string;
    readonly silentMs: number;
    readonly tasks: number;
  };
  /** This instance was declared dead by another one (it was blocked or suspended), and goes on under a new number. */
  "scheduler.declared-dead": { readonly instance: number };
  /** This machine's clock differs from the database's by so much, and is corrected by it: due times are the database's. */
  "scheduler.clock-differs": { readonly instance: number; readonly offsetMs: number };
  /**
   * The event loop of this process stood still for at least so long, a third of the claim time or more: code held it, or
   * the process was suspended. From `claimMs` on, others may have taken over what runs here.
   */
  "event-loop.blocked": { readonly instance: number; readonly blockedMs: number; readonly claimMs: number };
  "task.started": RunFacts & { readonly latenessMs: number };
  "task.succeeded": RunFacts & { readonly durationMs: number };
  "task.failed": RunFacts & {
    readonly durationMs: number;
    readonly code: string;
    /** "(sealed)" where the store has a payload codec. */
    readonly message: string;
    /** When it is tried again, in epoch milliseconds; null if it is not. */
    readonly retryAtMs: number | null;
  };
  "task.snoozed": RunFacts & { readonly untilMs: number };
  /** A result came after the claim was gone, and was not recorded as the outcome. */
  "task.refused": RunFacts & { readonly because: string };
  /** A handler ignored its signal through the whole grace period; its slot was given up, its code may still run. */
  "task.abandoned": RunFacts;
  /** Tasks are overdue whose types no scheduler here handles. */
  "tasks.unhandled": { readonly types: readonly { readonly taskType: string; readonly count: number }[] };
  /** The store failed; nothing acknowledged is lost, and it is tried again. */
  "store.failed": { readonly what: string; readonly error: AzothError | Error; readonly retryInMs: number };
  "event-handler.failed": {
    readonly handler: string;
    readonly position: number;
    readonly attempts: number;
    /** "(sealed)" where the store has a payload codec. */
    readonly message: string;
    readonly then: "retry" | "skip" | "dead-letter" | "stop";
  };
}

export type SignalName = keyof Signals;

/** One signal. */
export type Signal = { readonly [Name in SignalName]: { readonly name: Name } & Signals[Name] }[SignalName];

/** A listener for signals. What it throws is ignored: observing must not change what is observed. */
export type SignalListener = (signal: Signal) => void;
