/**
 * What the store asks of a database: about twenty verbs, no rules.
 *
 * An engine stores, finds and locks; what a cancel or a failure *means* is decided in `tasks/` and arrives
 * here as events and rows. `nowMs` is an argument wherever time matters: SQL never asks the clock.
 * Every engine must pass the contract in `testing/engine-contract.ts`.
 */
import type { TaskState, TaskStateName } from "../tasks/task-state.ts";
import type {
  LoggedEvent,
  NewEvent,
  StoredEvent,
  TaskLogPage,
  TaskLogQuery,
  TasksWithEvents,
} from "./engine-events.ts";

// What an engine needs of the rules to turn a state into columns and back: the only code that it shares with them.
export { decodeDefinition, encodeDefinition } from "../tasks/event-codec.ts";
export { dueAtMs, stateNameOf } from "../tasks/task-state.ts";
export type {
  Contradiction,
  LoggedEvent,
  NewEvent,
  StoredEvent,
  TaskLogEvent,
  TaskLogPage,
  TaskLogPlace,
  TaskLogQuery,
  TasksWithEvents,
} from "./engine-events.ts";
export { shortPage, taskPageCharacters } from "./task-page.ts";

/** A link of the hash chain over the log: it seals one event, and with it all before it. See `chain.ts`. */
export interface ChainLink {
  /** That of the event. */
  readonly position: number;
  /** In hexadecimal digits. */
  readonly hash: string;
}

/** A task before and after a unit of work; `before` is null for a new one. */
export interface TaskChange {
  readonly before: TaskState | null;
  readonly after: TaskState;
}

/** A value that can be bound to a user's SQL statement, or comes back from one. SQLite keeps booleans as 0 and 1. */
export type SqlValue = null | boolean | number | bigint | string | Uint8Array;

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
  /** Stops looking after so many positions, or events of the one task, so that a sparse filter does not hold the event loop. */
  readonly scanLimit: number;
  readonly taskId?: string;
  readonly types?: readonly string[];
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where the next page begins: everything up to here was looked at, and nothing will ever be added there. */
  readonly scannedTo: number;
  /** True if there is nothing more to read now. */
  readonly end: boolean;
  /** True if more is committed already, behind a position whose transaction has not ended. */
  readonly held: boolean;
}

/** Tasks that were asked for. */
export interface LockedTasks<Key> {
  readonly tasks: readonly TaskState[];
  /** What another transaction holds; empty if this one waits. */
  readonly held: readonly Key[];
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

/** The last number of each kind that a store has given out: none is ever given out again, whatever became of it. */
export interface Counters {
  readonly positions: number;
  readonly tasks: number;
  readonly instances: number;
}

export interface ReadCounters extends Counters {
  /** False if a transaction is open that may have been given some of them. */
  readonly resting: boolean;
  /** True for an unfinished copy: see `beginCopy`. */
  readonly unfinished: boolean;
}

/** What a copy of a store takes over. Reads of one moment, as far as the log goes. */
export interface Snapshot {
  /** Events after a position and up to another, in their order; also behind positions that may still be filled. */
  readLog(afterPosition: number, toPosition: number, limit: number): Promise<readonly LoggedEvent[]>;
  /** Links of the hash chain after a position and up to another, in their order. */
  readChain(afterPosition: number, toPosition: number, limit: number): Promise<readonly ChainLink[]>;
  /** How many events the log has, and the position of the last; 0 for none. */
  extent(): Promise<{ readonly events: number; readonly last: number }>;
  /** As far as what is read here can have used them, at the least. */
  counters(): Promise<Counters>;
  listInstances(): Promise<Instance[]>;
  listCheckpoints(): Promise<Checkpoint[]>;
  listDeadLetters(query: { afterId: number; limit: number }): Promise<DeadLetterRow[]>;
}

/** Reads of committed state. They never wait for a writer. */
export interface EngineReads {
  /** A page of the log, never beyond a position that a transaction in progress may still fill; a task's own events are all there are. */
  readEvents(query: EventQuery): Promise<EventPage>;
  /** A page of the log by tasks. */
  readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage>;
  /** The same with the rows of the tasks, of one snapshot. */
  readTasksWithEvents(query: TaskLogQuery): Promise<TasksWithEvents>;
  /** The position of the last event before which nothing can be added any more; 0 for an empty log. */
  lastPosition(): Promise<number>;
  /** The last link of the hash chain, or null. */
  chainHead(): Promise<ChainLink | null>;
  /** The highest internal task number ever given out. */
  lastTaskSeq(): Promise<number>;
  findTask(taskId: string): Promise<TaskState | null>;
  /** Fewer than `limit` if their payloads take more than `taskPageCharacters`; none only if there are none. */
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
  /** The number of the last migration, and what the database takes on the disk. */
  describe(): Promise<{ readonly schemaVersion: number; readonly bytes: number }>;
  /** A sentence for each difference between the tables and what this code makes; null if this user may not compare them. */
  schemaDrift(): Promise<readonly string[] | null>;
  /** The numbers given out. */
  counters(): Promise<ReadCounters>;
  /** Runs `work` on reads of one moment. It occupies a connection until it has ended. */
  snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T>;
}

/** One write transaction. */
export interface EngineTransaction {
  /** The tasks with these ids, locked; unknown ids are left out. */
  lockTasks(taskIds: readonly string[]): Promise<LockedTasks<string>>;
  /** The tasks with these internal numbers, locked. */
  lockTasksBySeq(seqs: readonly number[]): Promise<LockedTasks<number>>;
  /** Waiting tasks that are due, by due time and priority, locked, without those of others; fewer than `limit` where payloads are long. */
  lockDueTasks(query: { taskTypes: readonly string[]; nowMs: number; limit: number }): Promise<TaskState[]>;
  /** Running tasks whose claim this instance holds, locked. */
  lockTasksRunBy(instance: number, limit: number): Promise<LockedTasks<number>>;
  /** Draws internal numbers for new tasks, growing. */
  drawTaskSeqs(count: number): Promise<readonly number[]>;
  /** Appends events, and returns their positions, growing. */
  append(events: readonly NewEvent[]): Promise<readonly number[]>;
  /** As `append`, for those who need no positions. A failure may show only at a later verb, or at the commit. */
  post(events: readonly NewEvent[]): Promise<void>;
  /** A failure may show only at a later verb, or at the commit. */
  saveTasks(changes: readonly TaskChange[]): Promise<void>;

  addInstance(instance: { name: string; nowMs: number; claimMs: number }): Promise<number>;
  /** True if the instance is among the living, which it stays until the end of this transaction. */
  holdInstance(instance: number): Promise<boolean>;
  /** Records a sign of life; false if the instance was declared dead meanwhile. */
  heartbeat(instance: number, nowMs: number): Promise<boolean>;
  /** Instances whose last heartbeat is further from now than their claim time, in the past or in the future, locked. */
  lockSilentInstances(nowMs: number): Promise<Instance[]>;
  removeInstance(instance: number): Promise<void>;

  /** With "skip", "held" if another transaction has it; with "wait", waits for that one's end. Also locks a name that has none yet. */
  lockCheckpoint(name: string, ifHeld: "wait"): Promise<Checkpoint | null>;
  lockCheckpoint(name: string, ifHeld: "skip"): Promise<Checkpoint | null | "held">;
  saveCheckpoint(checkpoint: Checkpoint): Promise<void>;
  findDeadLetter(id: number): Promise<DeadLetterRow | null>;
  addDeadLetter(letter: DeadLetterRow): Promise<void>;
  removeDeadLetter(id: number): Promise<void>;

  /** Log pages as this transaction sees them; its own events may be left out. */
  readEvents(query: EventQuery): Promise<EventPage>;

  /**
   * The last link of the hash chain, which nobody else adds to until the end of this transaction. An unfinished copy is
   * given the links of the other store, any other store makes its own: "held" if the caller wants it otherwise, and for
   * those who "seal" also if another transaction has the chain; those who "copy" wait for that one's end.
   */
  lockChain(to: "seal" | "copy"): Promise<ChainLink | null | "held">;
  /** Adds links to the hash chain, which is locked. */
  extendChain(links: readonly ChainLink[]): Promise<void>;

  /** Makes the copy that a rebuild fills, empty, and returns the rebuild's number; the copy of an earlier one is dropped. */
  beginRebuild(): Promise<number>;
  /** Rejects with STORE_BUSY if another rebuild has begun since. */
  saveRebuilt(rebuild: number, states: readonly TaskState[]): Promise<void>;
  /** Keeps other transactions from changing tasks until the end of this one. Rejects with STORE_BUSY if they do not let it. */
  lockAllTasks(): Promise<void>;
  /** Internal numbers of the tasks that have events after a position and up to another, growing. */
  tasksTouched(afterPosition: number, toPosition: number): Promise<number[]>;
  /** A page of the log by tasks, as this transaction sees it. */
  readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage>;
  /** Puts the filled copy in the place of the live projection. Rejects with STORE_BUSY if another rebuild has begun since. */
  swapRebuilt(rebuild: number): Promise<void>;

  /**
   * Makes an empty store an unfinished copy: until `endCopy` the database refuses all events and checkpoints, of
   * whatever process, with STORE_UNFINISHED. True if the store is one, from now or before; false, and nothing is
   * changed, if it is neither empty nor an unfinished copy.
   */
  beginCopy(): Promise<boolean>;
  /** Appends events of another log as they are. Rejects with STORE_BUSY if the log does not end at `after`. */
  appendCopied(after: number, events: readonly LoggedEvent[]): Promise<void>;
  /** Lets the store go on with another one's numbers. Positions that have no event by now are known to be holes. */
  setCounters(counters: Counters): Promise<void>;
  /** Takes over another store's instances, and opens the unfinished copy for use. */
  endCopy(instances: readonly Instance[]): Promise<void>;

  /** Runs the user's own statement, and returns how many rows it changed. */
  execute(sql: string, parameters: readonly SqlValue[]): Promise<number>;
  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]>;
  /** Runs `work` so that all it wrote is undone if it rejects, and the transaction goes on. */
  nested<T>(work: () => Promise<T>): Promise<T>;
}

/** How a write transaction meets what other transactions hold: the "patient" one waits, any other passes it over and says so. */
export interface WriteMode {
  readonly patient: boolean;
}

/**
 * Thrown by a write transaction that collided with another one: nothing of it was kept, and the same work may
 * succeed when it is done again.
 */
export class WriteCollision extends Error {
  override readonly name = "WriteCollision";
}

/** A client of `pg`, or anything that runs a statement in the transaction that the user has open on it. */
export interface PostgresClient {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly object[] }>;
}

/** A transaction that the user begins and ends. */
export interface JoinedTransaction {
  /**
   * Runs `work` so that what it wrote is kept, and told of, if the user commits; all of it is undone if it rejects,
   * and the transaction goes on. One at a time.
   */
  attempt<T>(work: (transaction: EngineTransaction) => Promise<T>): Promise<T>;
}

export interface Engine {
  readonly kind: "sqlite" | "postgres";
  /** Where the data is, for messages; never with a password. */
  readonly location: string;
  /** "one": transactions are begun one at a time, and callers queue in front of it. "many": several may be open. */
  readonly writers: "one" | "many";
  readonly reads: EngineReads;
  /** Milliseconds to add to this machine's clock, so that all nodes of one store agree; 0 where there is one machine. */
  clockOffsetMs(): number;
  /**
   * Runs `work` in one write transaction and commits it durably; all of it, or nothing if `work` rejects or the commit fails.
   * Without a mode, one at a time, or with many writers two: callers queue in front of it. Rejects with a WriteCollision if the same work may succeed when it is done again.
   */
  write<T>(work: (transaction: EngineTransaction) => Promise<T>, mode?: WriteMode): Promise<T>;
  /**
   * Calls `onCommit` when another process has committed, until the returned function is called.
   * @param pause resolves when it is time to look again, for engines that are not told
   */
  watch(onCommit: () => void, pause: (signal: AbortSignal) => Promise<void>): () => void;
  /** Copies the whole store to a new file while it is in use; absent where the log has to be copied event by event. */
  backup?(target: string): Promise<void>;
  /** The transaction that the user has open on a client of their own; absent where there are none. */
  join?(client: unknown): JoinedTransaction;
  close(): Promise<void>;
}
