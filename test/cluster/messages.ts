/** What the tests and their child processes tell each other: one JSON object a line, over stdin and stdout. */

/** How a worker process is to be, handed to it as its one argument. */
export interface WorkerConfig {
  readonly location: string;
  /** Names the scheduler in the log. */
  readonly name: string;
  /** Options of the Scheduler that are plain data. */
  readonly scheduler: WorkerSchedulerOptions;
  readonly taskTypes: readonly TaskType[];
  /** As of AzothDb. */
  readonly busyTimeout?: string;
  /** What "hold" and "block" tasks do here: hold on (the default), or end at once. */
  readonly holds?: boolean;
  /** Schedules tasks of its own as quickly as they are acknowledged. */
  readonly load?: { readonly seed: number; readonly commands: number };
  /** Runs the event handler that counts the events of "note" tasks. */
  readonly tally?: boolean;
  /** Tells of each start of a handler; those of hold and block tasks are always told. */
  readonly tellsStarts?: boolean;
  /** Listens for what nobody has caught, so that it does not end the process. */
  readonly listens?: boolean;
  /** Node's own options for the process. */
  readonly nodeOptions?: readonly string[];
}

export interface WorkerSchedulerOptions {
  readonly claimDuration?: string;
  readonly pollInterval?: string;
  readonly gracePeriod?: string;
  readonly maxConcurrentTasks?: number;
  readonly maxLostClaims?: number;
  readonly defaultMaxRetries?: number;
}

/**
 * note: writes an event and a row through its transaction, returns an event; payload {@link NotePayload}.
 * hold: goes on until its signal fires; with `stubborn`, until it is told "release", whatever its signal says.
 * block: once it is told "release", keeps the event loop busy for `blockMs`.
 * poison: ends its process, in the way that its payload tells; where the process lives on, it ends as a note.
 * solo: as note, for a type that only some workers take.
 */
export type TaskType = "note" | "hold" | "block" | "poison" | "solo";

export const allTaskTypes: readonly TaskType[] = ["note", "hold", "block", "poison", "solo"];

export interface NotePayload {
  readonly pauseMs?: number;
  /** Attempts that fail before one succeeds. */
  readonly failures?: number;
  /** Schedules a task "<id>/child" through its transaction. */
  readonly child?: boolean;
  readonly stubborn?: boolean;
  readonly blockMs?: number;
  /**
   * How a poison ends its process: by SIGKILL, by taking all of its memory, or by code that nobody waits for and that
   * rejects or throws. Defaults to "kill".
   */
  readonly by?: "kill" | "memory" | "rejection" | "throw";
}

/** How a process is to die, handed to it as its one argument. */
export interface DoomedConfig {
  readonly location: string;
  readonly action: "create" | "rebuild";
  /** The step before which it is killed: 1 is the first. Absent: it lives, and tells its steps. */
  readonly crashAt?: number;
}

/** From a child process. */
export type Message =
  | { readonly is: "ready" }
  /** These tasks are on disk: their promise has resolved. */
  | { readonly is: "acknowledged"; readonly taskIds: readonly string[] }
  | { readonly is: "cancelled"; readonly taskId: string }
  /** All commands of its load are acknowledged. */
  | { readonly is: "loaded" }
  | { readonly is: "started"; readonly taskId: string; readonly executionId: string; readonly atMs: number }
  /** A handler's signal has fired, with this code as its reason. */
  | { readonly is: "aborted"; readonly taskId: string; readonly code: string; readonly atMs: number }
  | { readonly is: "declared-dead"; readonly instance: number }
  /** The event loop stood still for so long. */
  | { readonly is: "blocked"; readonly blockedMs: number; readonly claimMs: number }
  /** What nobody has caught came to the process's own listener. */
  | { readonly is: "uncaught"; readonly message: string }
  /** Events of the whole process that somebody listens for while the scheduler is at work. */
  | { readonly is: "listeners"; readonly names: readonly string[] }
  | { readonly is: "usage"; readonly cpuMs: number }
  /** The store failed, and the scheduler goes on. */
  | { readonly is: "store-failed"; readonly code: string; readonly message: string }
  /** A command was refused: no test expects it. */
  | { readonly is: "refused"; readonly code: string; readonly message: string }
  | { readonly is: "steps"; readonly steps: readonly string[] }
  | { readonly is: "stopped" };

/** The messages of a name, of these or of another set. */
export type MessageOf<Name, Told = Message> = Extract<Told, { readonly is: Name }>;

/** To a worker. */
export type Order = { readonly do: "release" } | { readonly do: "usage" };
