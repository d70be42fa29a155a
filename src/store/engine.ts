/**
 * What the store asks of a database: about twenty verbs, no rules.
 *
 * An engine stores, finds and locks; what a cancel or a failure *means* is decided in `tasks/` and arrives
 * here as events and rows. `nowMs` is an argument wherever time matters: SQL never asks the clock.
 * Every engine must pass the contract in `testing/engine-contract.ts`.
 */
import type { TaskState, TaskStateName } from "../tasks/task-state.ts";

// What an engine needs of the rules to turn a state into columns and back: the only code that it shares with them.
export { decodeDefinition, encodeDefinition } from "../tasks/event-codec.ts";
export { dueAtMs, stateNameOf } from "../tasks/task-state.ts";

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

/** An event as the log keeps it. */
export interface StoredEvent extends NewEvent {
  /** 1, 2, 3, …: without gaps, in the order of commits. */
  readonly position: number;
  /** The version of the shape of `data` for this type. */
  readonly version: number;
  readonly taskId: string | null;
}

/** A task before and after a unit of work; `before` is null for a new one. */
export interface TaskChange {
  readonly before: TaskState | null;
  readonly after: TaskState;
}

/** A value that can be bound to a user's SQL statement, or comes back from one. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** A row that a user's query returns. */
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** A scheduler process as the store knows it: coordination, not history. */
export interface Instance {
  readonly id: number;
  readonly name: string;
  readonly heartbeatAtMs: number;
  /** Silent for longer than this, its claims may be taken over. */
  readonly claimMs: number;
}

/** How far a named reader of the log has come. */
export interface Checkpoint {
  readonly name: string;
  /** The position of the last event that was handled. */
  readonly position: number;
  readonly status: "active" | "stopped";
  /** Failed attempts at the event after `position`. */
  readonly attempts: number;
  /** When that event is tried again. */
  readonly retryAtMs: number | null;
  readonly error: string | null;
  readonly updatedAtMs: number;
}

/** An event that an event handler could not handle, kept for a person to decide. */
export interface DeadLetterRow {
  /** The position of the EventDeadLettered event: the id of the dead letter. */
  readonly id: number;
  readonly handler: string;
  /** The position of the event that failed. */
  readonly position: number;
  readonly error: string;
  readonly attempts: number;
  readonly atMs: number;
}

/** A page of the log: the filters are joined by "and". */
export interface EventQuery {
  readonly afterPosition: number;
  /** Reads down from here instead of up from `afterPosition`. */
  readonly beforePosition?: number;
  readonly limit: number;
  /** Stops looking after so many positions, so that a sparse filter does not hold the event loop. */
  readonly scanLimit: number;
  readonly taskId?: string;
  readonly types?: readonly string[];
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where the next page begins: everything up to here was looked at. */
  readonly scannedTo: number;
  /** True if the end of the log was reached. */
  readonly end: boolean;
}

/** A page of tasks: the filters are joined by "and". */
export interface TaskQuery {
  /** Tasks after this internal number, in order of creation. */
  readonly afterSeq: number;
  readonly limit: number;
  /** Any of these; an empty list finds nothing. */
  readonly states?: readonly TaskStateName[];
  readonly enabled?: boolean;
  readonly taskType?: string;
  readonly dueFromMs?: number;
  readonly dueUntilMs?: number;
  readonly idPrefix?: string;
}

export interface StateCount {
  readonly state: TaskStateName;
  readonly count: number;
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

/** Tasks as they are stored, and as the log tells of them. */
export interface TasksWithEvents {
  readonly rows: readonly TaskState[];
  readonly events: readonly StoredEvent[];
  /** What the rows hold beside the states, and hold wrongly. */
  readonly contradictions: readonly Contradiction[];
}

/** Reads of committed state. They never wait for a writer. */
export interface EngineReads {
  readEvents(query: EventQuery): Promise<EventPage>;
  /** The tasks with internal numbers in [fromSeq, toSeq] and all their events, by task and position, of one snapshot. */
  readTasksWithEvents(fromSeq: number, toSeq: number): Promise<TasksWithEvents>;
  /** The position of the last committed event; 0 for an empty log. */
  lastPosition(): Promise<number>;
  /** The highest internal task number ever given out. */
  lastTaskSeq(): Promise<number>;
  findTask(taskId: string): Promise<TaskState | null>;
  findTasks(query: TaskQuery): Promise<TaskState[]>;
  countTasks(): Promise<StateCount[]>;
  /** When the earliest task of these types falls due, or null. */
  nextDueAt(taskTypes: readonly string[]): Promise<number | null>;
  /** Types of overdue tasks that are not among these, with how many wait at least (counting is bounded). */
  overdueOfOtherTypes(taskTypes: readonly string[], nowMs: number): Promise<{ taskType: string; count: number }[]>;
  /** The runs that an instance holds. */
  runsOf(instance: number): Promise<{ seq: number; run: number }[]>;
  listInstances(): Promise<Instance[]>;
  listCheckpoints(): Promise<Checkpoint[]>;
  listDeadLetters(query: { handler?: string; afterId: number; limit: number }): Promise<DeadLetterRow[]>;
  /** A query of the user's, on committed state. */
  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]>;
  /** Tells whether the stored file contradicts itself: its first finding, or null. */
  checkIntegrity(): Promise<string | null>;
}

/** One write transaction. */
export interface EngineTransaction {
  /** The tasks with these ids, locked; unknown ids are left out. */
  lockTasks(taskIds: readonly string[]): Promise<TaskState[]>;
  /** The tasks with these internal numbers, locked. */
  lockTasksBySeq(seqs: readonly number[]): Promise<TaskState[]>;
  /** Waiting tasks that are due, by due time and priority, locked; those another transaction holds are passed over. */
  lockDueTasks(query: { taskTypes: readonly string[]; nowMs: number; limit: number }): Promise<TaskState[]>;
  /** Running tasks whose claim this instance holds, locked. */
  lockTasksRunBy(instance: number, limit: number): Promise<TaskState[]>;
  /** Draws internal numbers for new tasks, and returns the first. */
  drawTaskSeqs(count: number): Promise<number>;
  /** Appends events, and returns the position of the first; the others follow it one by one. */
  append(events: readonly NewEvent[]): Promise<number>;
  saveTasks(changes: readonly TaskChange[]): Promise<void>;

  addInstance(instance: { name: string; nowMs: number; claimMs: number }): Promise<number>;
  /** Records a sign of life; false if the instance was declared dead meanwhile. */
  heartbeat(instance: number, nowMs: number): Promise<boolean>;
  /** Instances whose last heartbeat is further from now than their claim time, in the past or in the future, locked. */
  lockSilentInstances(nowMs: number): Promise<Instance[]>;
  removeInstance(instance: number): Promise<void>;

  lockCheckpoint(name: string): Promise<Checkpoint | null>;
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  findDeadLetter(id: number): Promise<DeadLetterRow | null>;
  addDeadLetter(letter: DeadLetterRow): Promise<void>;
  removeDeadLetter(id: number): Promise<void>;

  /** Log pages as this transaction sees them, its own events included. */
  readEvents(query: EventQuery): Promise<EventPage>;

  /** Makes the copy that a rebuild fills, empty, and returns the rebuild's number; the copy of an earlier one is dropped. */
  beginRebuild(): Promise<number>;
  /** Rejects with STORE_BUSY if another rebuild has begun since. */
  saveRebuilt(rebuild: number, states: readonly TaskState[]): Promise<void>;
  /** Internal numbers of the tasks that have events after a position. */
  tasksTouchedSince(position: number): Promise<number[]>;
  /** All events of the tasks with internal numbers in [fromSeq, toSeq], by task and then position. */
  readTaskEvents(fromSeq: number, toSeq: number): Promise<StoredEvent[]>;
  /** Puts the filled copy in the place of the live projection. Rejects with STORE_BUSY if another rebuild has begun since. */
  swapRebuilt(rebuild: number): Promise<void>;

  /** Runs the user's own statement, and returns how many rows it changed. */
  execute(sql: string, parameters: readonly SqlValue[]): Promise<number>;
  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]>;
  /** Runs `work` so that all it wrote is undone if it rejects, and the transaction goes on. */
  nested<T>(work: () => Promise<T>): Promise<T>;
}

export interface Engine {
  readonly kind: "sqlite" | "postgres";
  /** Where the data is, for messages; never with a password. */
  readonly location: string;
  readonly reads: EngineReads;
  /**
   * Runs `work` in one write transaction and commits it durably; all of it, or nothing if `work` rejects or the commit fails.
   * One at a time per engine: callers queue in front of it.
   */
  write<T>(work: (transaction: EngineTransaction) => Promise<T>): Promise<T>;
  /** A value that changes whenever another process has committed. Cheap enough to ask many times a second. */
  foreignChanges(): Promise<number>;
  /** Copies the whole store to a new file while it is in use. */
  backup(target: string): Promise<void>;
  close(): Promise<void>;
}
