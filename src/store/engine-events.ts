/** Events as an engine takes and gives them, and the log as it is read task by task. */
import type { TaskState } from "../tasks/task-state.ts";

/** An event on its way into the log. */
export interface NewEvent {
  readonly type: string;
  readonly atMs: number;
  /** The task's internal number, or null. */
  readonly task: number | null;
  readonly run: number | null;
  /** Encoded JSON. */
  readonly data: string;
  /** Encoded JSON for what does not concern the event itself, or null. */
  readonly meta: string | null;
}

/** An event as the log keeps it, and as it is copied to another log. */
export interface LoggedEvent extends NewEvent {
  /**
   * Growing, from 1. On an engine with one writer without gaps and in the order of commits; with many writers a number
   * that was drawn by a transaction that rolled back stays a hole, and a lower one may be committed later.
   */
  readonly position: number;
  /** The version of the shape of `data` for this type. */
  readonly version: number;
}

/** An event as it is read. */
export interface StoredEvent extends LoggedEvent {
  readonly taskId: string | null;
}

/** An event of a task, as far as a fold needs it. */
export interface TaskLogEvent extends Pick<LoggedEvent, "position" | "type" | "atMs" | "run"> {
  readonly task: number;
  /** Null if nobody asked for the data of its type. */
  readonly data: string | null;
}

/** A place in the log as it is read task by task: behind an event of a task. */
export interface TaskLogPlace {
  readonly seq: number;
  readonly position: number;
}

/** A page of the log as it is read task by task. */
export interface TaskLogQuery {
  readonly after: TaskLogPlace;
  /** The last task. */
  readonly toSeq: number;
  /** The last position. */
  readonly upTo: number;
  /** The most events of one page; events of large data make it end earlier, and never before the first. */
  readonly limit: number;
  /** Whether the data of a type is wanted. */
  readonly wants: (type: string) => boolean;
}

export interface TaskLogPage {
  /** By task and position. */
  readonly events: readonly TaskLogEvent[];
  /** Where the next page begins: all tasks before it are complete. Null at the end. */
  readonly next: TaskLogPlace | null;
}

/** Tasks as the log tells of them, and as they are stored. */
export interface TasksWithEvents extends TaskLogPage {
  /** Those from the task at the beginning of the page to the last one that is complete; if they are more than the page can explain, not all. */
  readonly rows: readonly TaskState[];
  /** What the rows hold beside the states, and hold wrongly. */
  readonly contradictions: readonly Contradiction[];
}

/** A stored column that does not follow from the others of its row, as it should. */
export interface Contradiction {
  readonly seq: number;
  readonly taskId: string;
  /** The name of what the column says of the task. */
  readonly field: string;
  readonly expected: unknown;
  readonly stored: unknown;
}
