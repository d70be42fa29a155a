/** One write transaction on the writer connection. SQLite has one writer, so to "lock" is to read. */
import { AzothError } from "../../errors.ts";
import type {
  ChainLink,
  Checkpoint,
  Counters,
  DeadLetterRow,
  EngineTransaction,
  EventPage,
  EventQuery,
  Instance,
  LockedTasks,
  LoggedEvent,
  NewEvent,
  SqlRow,
  SqlValue,
  TaskChange,
  TaskLogPage,
  TaskLogQuery,
} from "../../store/engine.ts";
import type { TaskState } from "../../tasks/task-state.ts";
import * as chain from "./chain-rows.ts";
import * as coordination from "./coordination.ts";
import * as copying from "./copying.ts";
import { refuseBrokenKeys, tablesWithDeferredKeys } from "./deferred-keys.ts";
import type { Connection } from "./driver.ts";
import { appendEvents, postEvents, readEvents, readTaskEvents, tasksTouched } from "./event-rows.ts";
import type { Names } from "./names.ts";
import { taskIndexes, taskTable } from "./schema.ts";
import { type RunningTasks, TaskRows } from "./task-rows.ts";
import { executeUserSql, queryUserSql } from "./user-sql.ts";

/** Methods are async only in their face: everything in them is done when they return. */
export class SqliteTransaction implements EngineTransaction {
  readonly #connection: Connection;
  readonly #names: Names;
  readonly #tasks: TaskRows;
  #depth = 0;
  #ranUserSql = false;
  /** Known once it was asked for, until a statement of the user's may have changed it. */
  #deferredTables: readonly string[] | undefined;

  readonly #running: RunningTasks;

  constructor(connection: Connection, names: Names, running: RunningTasks) {
    this.#connection = connection;
    this.#names = names;
    this.#running = running;
    this.#tasks = new TaskRows(connection, names, running);
  }

  async lockTasks(taskIds: readonly string[]): Promise<LockedTasks<string>> {
    return { tasks: taskIds.map((id) => this.#tasks.byId(id)).filter((state) => state !== null), held: [] };
  }

  async lockTasksBySeq(seqs: readonly number[]): Promise<LockedTasks<number>> {
    return { tasks: seqs.map((seq) => this.#tasks.bySeq(seq)).filter((state) => state !== null), held: [] };
  }

  async lockDueTasks(query: { taskTypes: readonly string[]; nowMs: number; limit: number }): Promise<TaskState[]> {
    return this.#tasks.due(query.taskTypes, query.nowMs, query.limit);
  }

  async lockTasksRunBy(instance: number, limit: number): Promise<LockedTasks<number>> {
    return { tasks: this.#tasks.runBy(instance, limit), held: [] };
  }

  async drawTaskSeqs(count: number): Promise<readonly number[]> {
    const sql = "UPDATE azoth_sequences SET last = last + ? WHERE name = 'task' RETURNING last";
    const last = Number(this.#connection.get<{ last: number }>(sql, count)?.last);
    return Array.from({ length: count }, (_, index) => last - count + 1 + index);
  }

  async append(events: readonly NewEvent[]): Promise<readonly number[]> {
    return appendEvents(this.#connection, this.#names, events);
  }

  async post(events: readonly NewEvent[]): Promise<void> {
    postEvents(this.#connection, this.#names, events);
  }

  async saveTasks(changes: readonly TaskChange[]): Promise<void> {
    this.#tasks.save(changes);
  }

  async addInstance(instance: { name: string; nowMs: number; claimMs: number }): Promise<number> {
    return coordination.addInstance(this.#connection, instance);
  }

  async holdInstance(instance: number): Promise<boolean> {
    return coordination.isInstance(this.#connection, instance);
  }

  async heartbeat(instance: number, nowMs: number): Promise<boolean> {
    return coordination.heartbeat(this.#connection, instance, nowMs);
  }

  async lockSilentInstances(nowMs: number): Promise<Instance[]> {
    return coordination.silentInstances(this.#connection, nowMs);
  }

  async removeInstance(instance: number): Promise<void> {
    coordination.removeInstance(this.#connection, instance);
  }

  async lockCheckpoint(name: string): Promise<Checkpoint | null> {
    return coordination.findCheckpoint(this.#connection, name);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    coordination.saveCheckpoint(this.#connection, checkpoint);
  }

  async findDeadLetter(id: number): Promise<DeadLetterRow | null> {
    return coordination.findDeadLetter(this.#connection, id);
  }

  async addDeadLetter(letter: DeadLetterRow): Promise<void> {
    coordination.addDeadLetter(this.#connection, letter);
  }

  async removeDeadLetter(id: number): Promise<void> {
    coordination.removeDeadLetter(this.#connection, id);
  }

  async readEvents(query: EventQuery): Promise<EventPage> {
    return readEvents(this.#connection, this.#names, query);
  }

  async lockChain(to: "seal" | "copy"): Promise<ChainLink | null | "held"> {
    const isCopy = copying.isUnfinished(this.#connection);
    return isCopy === (to === "copy") ? chain.chainHead(this.#connection) : "held";
  }

  async extendChain(links: readonly ChainLink[]): Promise<void> {
    chain.extendChain(this.#connection, links);
  }

  async beginRebuild(): Promise<number> {
    this.#connection.exec("DROP TABLE IF EXISTS azoth_tasks_rebuilt");
    // With its indexes: to make them of a full table would hold the event loop, and all who want to write.
    const plain = `SELECT 1 FROM sqlite_schema
      WHERE type = 'index' AND name IN ('azoth_tasks_by_id', 'azoth_tasks_due', 'azoth_tasks_running')`;
    const suffix = this.#connection.get(plain) === undefined ? "" : "_rebuilt";
    this.#connection.exec(`${taskTable("azoth_tasks_rebuilt")}${taskIndexes("azoth_tasks_rebuilt", suffix)}`);
    const sql = `INSERT INTO azoth_sequences VALUES ('rebuild', 1)
      ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last`;
    return Number(this.#connection.get<{ last: number }>(sql)?.last);
  }

  async saveRebuilt(rebuild: number, states: readonly TaskState[]): Promise<void> {
    this.#refuseOutrun(rebuild);
    this.#tasks.saveRebuilt(states);
  }

  /** Whoever is in a write transaction is the only one. */
  async lockAllTasks(): Promise<void> {}

  async tasksTouched(afterPosition: number, toPosition: number): Promise<number[]> {
    return tasksTouched(this.#connection, afterPosition, toPosition);
  }

  async readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage> {
    return readTaskEvents(this.#connection, this.#names, query);
  }

  async swapRebuilt(rebuild: number): Promise<void> {
    this.#refuseOutrun(rebuild);
    this.#running.clear();
    this.#connection.exec("DROP TABLE azoth_tasks");
    // Without it, a view of the user's over the table forbids the renaming, because the table is not there.
    this.#connection.exec("PRAGMA legacy_alter_table = ON");
    try {
      this.#connection.exec("ALTER TABLE azoth_tasks_rebuilt RENAME TO azoth_tasks");
    } finally {
      this.#connection.exec("PRAGMA legacy_alter_table = OFF");
    }
  }

  async beginCopy(): Promise<boolean> {
    return copying.beginCopy(this.#connection);
  }

  async appendCopied(after: number, events: readonly LoggedEvent[]): Promise<void> {
    copying.appendCopied(this.#connection, this.#names, after, events);
  }

  async setCounters(counters: Counters): Promise<void> {
    copying.setCounters(this.#connection, counters);
  }

  async endCopy(instances: readonly Instance[]): Promise<void> {
    copying.endCopy(this.#connection, instances);
  }

  /** Two rebuilds would fill one copy, and the first to end would swap in what the other has just begun. */
  #refuseOutrun(rebuild: number): void {
    const sql = "SELECT last FROM azoth_sequences WHERE name = 'rebuild'";
    if (this.#connection.get<{ last: number }>(sql)?.last === rebuild) return;
    throw new AzothError("STORE_BUSY", "Another rebuild of this store has begun. Let it end, and then begin again.");
  }

  async execute(sql: string, parameters: readonly SqlValue[]): Promise<number> {
    this.#noteUserSql(sql);
    return executeUserSql(this.#connection, sql, parameters);
  }

  async query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]> {
    this.#noteUserSql(sql);
    return queryUserSql(this.#connection, sql, parameters);
  }

  #noteUserSql(sql: string): void {
    this.#ranUserSql = true;
    if (typeof sql !== "string" || /create|alter|drop/i.test(sql)) this.#deferredTables = undefined;
  }

  #refuseBrokenKeys(): void {
    this.#deferredTables ??= tablesWithDeferredKeys(this.#connection);
    refuseBrokenKeys(this.#connection, this.#deferredTables);
  }

  async nested<T>(work: () => Promise<T>): Promise<T> {
    const savepoint = `azoth_${++this.#depth}`;
    this.#connection.exec(`SAVEPOINT ${savepoint}`);
    try {
      const result = await work();
      if (this.#ranUserSql) this.#refuseBrokenKeys();
      this.#connection.exec(`RELEASE ${savepoint}`);
      return result;
    } catch (error) {
      this.#deferredTables = undefined;
      // A void transaction is rolled back as a whole; there may be no savepoint left.
      if (!this.#connection.isVoid) this.#connection.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
      this.#names.forget();
      this.#running.clear();
      throw error;
    } finally {
      this.#depth--;
    }
  }
}
