/** What the tests and their nodes (`node.mjs`) tell each other: one JSON object a line, over stdin and stdout. */
import type { AzothDbOptions } from "azoth-scheduler";
import type { Child } from "../child.ts";

/** How a node is to be, handed to it as its one argument. */
export interface NodeConfig {
  readonly url: string;
  /** Names the scheduler in the log, and the node's connections at the server. */
  readonly name: string;
  readonly taskTypes: readonly NodeTaskType[];
  /** The file that its handlers write to beside the store: one {@link JournalEntry} a line. */
  readonly journal: string;
  /** Options of the Scheduler that are plain data. */
  readonly scheduler?: NodeSchedulerOptions;
  /** Options of AzothDb that are plain data. */
  readonly db?: Pick<
    AzothDbOptions,
    "busyTimeout" | "transactionTimeout" | "noticeInterval" | "maxConnections" | "schema" | "durability"
  >;
  /** Gives commands of its own, as quickly as they are acknowledged, until it is told to be quiet. */
  readonly load?: { readonly seed: number };
  /** Runs the event handler that counts the orders of loads. */
  readonly tally?: boolean;
  /** How wrong its clock is, and whether the process has it so or only the store. */
  readonly clock?: { readonly of: "process" | "store"; readonly shiftMs: number };
}

export interface NodeSchedulerOptions {
  readonly claimDuration?: string;
  readonly pollInterval?: string;
  readonly gracePeriod?: string;
  readonly maxConcurrentTasks?: number;
  readonly maxLostClaims?: number;
}

/**
 * note, red, blue: write an event and a row through their transaction, and return an event; payload {@link WorkPayload}.
 * By convention any node takes notes, and only some take the red or the blue.
 * plain: as note, without anything but the returned event.
 * hold: goes on until it is told "release", whatever its signal says.
 */
export type NodeTaskType = "note" | "red" | "blue" | "plain" | "hold";

export const allNodeTaskTypes: readonly NodeTaskType[] = ["note", "red", "blue", "plain", "hold"];

export interface WorkPayload {
  /** What the test knows the task by, also where its id was generated. */
  readonly key?: string;
  readonly pauseMs?: number;
  /** Attempts that fail before one succeeds. */
  readonly failures?: number;
}

/** What a handler writes down beside the store, with the machine's own monotonic clock. */
export interface JournalEntry {
  readonly is: "begun" | "done";
  readonly execution: string;
  readonly task: string;
  readonly node: string;
  readonly monotonicMs: number;
}

/** From a node. */
export type NodeMessage =
  | { readonly is: "ready" }
  /** These tasks are on disk: their promise has resolved. */
  | { readonly is: "acknowledged"; readonly keys: readonly string[] }
  /** The command failed, and the error says that it may have been carried out all the same. */
  | { readonly is: "doubtful"; readonly keys: readonly string[] }
  /** The command failed: nothing of it was carried out. */
  | { readonly is: "rejected"; readonly keys: readonly string[]; readonly code: string; readonly message: string }
  | { readonly is: "quiet" }
  | {
      readonly is: "started";
      readonly taskId: string;
      readonly executionId: string;
      readonly monotonicMs: number;
      /** By the machine's clock, however wrong the node's is. */
      readonly atMs: number;
    }
  /** A handler's signal has fired, with this code as its reason. */
  | { readonly is: "aborted"; readonly taskId: string; readonly code: string }
  | { readonly is: "declared-dead"; readonly instance: number }
  /** The store failed, and the scheduler goes on. */
  | { readonly is: "store-failed"; readonly what: string; readonly code: string; readonly message: string }
  /** The answer to "schedule", with the instant at which it was begun. */
  | { readonly is: "scheduled"; readonly taskId: string; readonly monotonicMs: number }
  | { readonly is: "not-opened"; readonly code: string; readonly message: string }
  | { readonly is: "stopped" };

/** To a node. */
export type NodeOrder =
  | { readonly do: "release" }
  | { readonly do: "quiet" }
  | { readonly do: "schedule"; readonly taskId: string; readonly taskType: NodeTaskType }
  /** Sets the node's clock this far from the machine's. */
  | { readonly do: "set-clock"; readonly shiftMs: number };

export type NodeProcess = Child<NodeMessage, NodeOrder>;
