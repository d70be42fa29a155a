/** What can be asked of a task: the vocabulary of `decide`. Plain data; whoever sends it has checked its form. */
import type { Failure } from "./events.ts";
import type { TaskDefinition } from "./task-state.ts";

/** How one run of a handler ended, in the terms of the rules. */
export type Outcome =
  | { readonly kind: "succeeded" }
  | {
      readonly kind: "failed";
      readonly error: Failure;
      /** "backoff": by the retry policy; "never": disable at once; a number: after so many milliseconds. */
      readonly retry: "backoff" | "never" | number;
      /** Set if the handler still runs after its timeout: it may go on for so many milliseconds before it is abandoned. */
      readonly unsettledForMs?: number;
    }
  | { readonly kind: "snoozed"; readonly forMs: number; readonly reason?: string };

export type TaskCommand =
  | {
      readonly kind: "schedule";
      readonly taskId: string;
      readonly taskType: string;
      readonly definition: TaskDefinition;
      readonly payload: string;
      /** A stored payload that says the same as `payload` although it is another text: what is sealed shows only to whoever has the key. */
      readonly alike?: string;
    }
  | { readonly kind: "cancel"; readonly reason: string }
  | { readonly kind: "pause"; readonly reason?: string }
  | { readonly kind: "resume" }
  | { readonly kind: "run-now" }
  | RunCommand;

/** What a scheduler says of the runs it claims. `run` is the fencing token. */
export type RunCommand =
  | { readonly kind: "start"; readonly instance: number }
  /** Takes the task, to start it later. */
  | { readonly kind: "claim"; readonly instance: number }
  /** The run that was claimed has started. */
  | { readonly kind: "begin"; readonly run: number; readonly startedAtMs: number }
  | { readonly kind: "finish"; readonly run: number; readonly instance: number; readonly outcome: Outcome }
  | {
      readonly kind: "release";
      readonly run: number;
      readonly because: "shutdown" | "claim-lost" | "unstarted";
      readonly detail: string;
      /** How many consecutive lost claims count as one failed attempt. */
      readonly maxLostClaims: number;
    }
  | {
      readonly kind: "handler-settled";
      readonly run: number;
      readonly how: "settled" | "abandoned";
      readonly afterSignalMs: number;
    };

/** Everything from outside that a decision may depend on, passed in. */
export interface DecisionContext {
  readonly nowMs: number;
  /** The version of the time-zone data, noted beside every instant that a zone chose. */
  readonly tzdata: string;
  /** A number in [0, 1) for the jitter of retries. */
  readonly draw: number;
}
