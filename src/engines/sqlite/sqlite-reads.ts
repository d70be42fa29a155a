/** Reads of committed state, on a connection of their own, so that they never wait for a writer. */
import type {
  ChainLink,
  Checkpoint,
  DeadLetterRow,
  EngineReads,
  EventPage,
  EventQuery,
  Instance,
  ReadCounters,
  Snapshot,
  SqlRow,
  SqlValue,
  StateCount,
  TaskLogPage,
  TaskLogQuery,
  TaskQuery,
  TasksWithEvents,
} from "../../store/engine.ts";
import type { TaskState } from "../../tasks/task-state.ts";
import { chainHead, readChain } from "./chain-rows.ts";
import { findContradiction } from "./contradictions.ts";
import { listCheckpoints, listDeadLetters, listInstances } from "./coordination.ts";
import { isUnfinished, readCounters, readExtent } from "./copying.ts";
import type { Connection, SqliteDriver } from "./driver.ts";
import { lastPosition, readEvents, readLogged, readTaskEvents } from "./event-rows.ts";
import type { Names } from "./names.ts";
import type { OpenFiles } from "./open-files.ts";
import { completeTasks } from "../task-columns.ts";
import { describe, schemaDrift } from "./schema-shape.ts";
import { storeError } from "./sqlite-errors.ts";
import { TaskRows } from "./task-rows.ts";
import { queryUserSql } from "./user-sql.ts";

/** Where a store is, for what is read of it by its name. */
export interface StorePlace {
  readonly location: string;
  readonly driver: SqliteDriver;
  readonly files: OpenFiles | undefined;
}

export class SqliteReads implements EngineReads {
  readonly #connection: Connection;
  readonly #names: Names;
  readonly #tasks: TaskRows;
  readonly #place: StorePlace;
  readonly #checks = new Set<Promise<unknown>>();

  constructor(connection: Connection, names: Names, place: StorePlace) {
    this.#connection = connection;
    this.#names = names;
    this.#tasks = new TaskRows(connection, names);
    this.#place = place;
  }

  readEvents(query: EventQuery): Promise<EventPage> {
    return this.#read(() => readEvents(this.#connection, this.#names, query));
  }

  readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage> {
    return this.#read(() => readTaskEvents(this.#connection, this.#names, query));
  }

  readTasksWithEvents(query: TaskLogQuery): Promise<TasksWithEvents> {
    return this.#readSnapshot(() => {
      const page = readTaskEvents(this.#connection, this.#names, query);
      return { ...page, ...this.#tasks.between(...completeTasks(query, page)) };
    });
  }

  lastPosition(): Promise<number> {
    return this.#read(() => lastPosition(this.#connection));
  }

  chainHead(): Promise<ChainLink | null> {
    return this.#read(() => chainHead(this.#connection));
  }

  lastTaskSeq(): Promise<number> {
    const sql = "SELECT last FROM azoth_sequences WHERE name = 'task'";
    return this.#read(() => this.#connection.get<{ last: number }>(sql)?.last ?? 0);
  }

  findTask(taskId: string): Promise<TaskState | null> {
    return this.#read(() => this.#tasks.byId(taskId));
  }

  findTasks(query: TaskQuery): Promise<TaskState[]> {
    return this.#read(() => this.#tasks.find(query));
  }

  countTasks(): Promise<StateCount[]> {
    return this.#read(() => this.#tasks.count());
  }

  nextDueAt(taskTypes: readonly string[]): Promise<number | null> {
    return this.#read(() => this.#tasks.nextDueAt(taskTypes));
  }

  overdueOfOtherTypes(taskTypes: readonly string[], nowMs: number): Promise<{ taskType: string; count: number }[]> {
    return this.#read(() => this.#tasks.overdueOfOtherTypes(taskTypes, nowMs));
  }

  runsOf(instance: number): Promise<{ seq: number; run: number }[]> {
    return this.#read(() => this.#tasks.runsOf(instance));
  }

  listInstances(): Promise<Instance[]> {
    return this.#read(() => listInstances(this.#connection));
  }

  listCheckpoints(): Promise<Checkpoint[]> {
    return this.#read(() => listCheckpoints(this.#connection));
  }

  listDeadLetters(query: { handler?: string; afterId: number; limit: number }): Promise<DeadLetterRow[]> {
    return this.#read(() => listDeadLetters(this.#connection, query));
  }

  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#read(() => queryUserSql(this.#connection, sql, parameters));
  }

  async checkIntegrity(): Promise<string | null> {
    const { location, driver, files } = this.#place;
    const change = files?.change ?? null;
    if (change !== null) return change;
    const check = findContradiction(this.#connection, location, driver);
    this.#checks.add(check);
    try {
      return await check;
    } catch (error) {
      throw storeError(error, location);
    } finally {
      this.#checks.delete(check);
    }
  }

  /** Resolves when no other thread has the file open. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#checks);
  }

  describe(): Promise<{ schemaVersion: number; bytes: number }> {
    return this.#read(() => describe(this.#connection));
  }

  schemaDrift(): Promise<string[]> {
    return this.#read(() => schemaDrift(this.#connection, this.#place.driver));
  }

  counters(): Promise<ReadCounters> {
    return this.#read(() => {
      // What is given out in a transaction that is open is not seen here.
      return { ...readCounters(this.#connection), resting: true, unfinished: isUnfinished(this.#connection) };
    });
  }

  /** What is in the log up to a position never changes. The rest is of any moment, as callers wait for rest themselves. */
  snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const readLog: Snapshot["readLog"] = (after, to, limit) =>
      this.#read(() => readLogged(this.#connection, this.#names, { after, to, limit }));
    return work({
      readLog,
      readChain: (after, to, limit) => this.#read(() => readChain(this.#connection, after, to, limit)),
      extent: () => this.#read(() => readExtent(this.#connection)),
      counters: () => this.#read(() => readCounters(this.#connection)),
      listInstances: () => this.listInstances(),
      listCheckpoints: () => this.listCheckpoints(),
      listDeadLetters: (query) => this.listDeadLetters(query),
    });
  }

  /** Reads that have to be of one moment. */
  #readSnapshot<T>(work: () => T): Promise<T> {
    return this.#read(() => {
      this.#connection.exec("BEGIN");
      try {
        return work();
      } finally {
        // There is nothing to commit, and it must not cover what went wrong.
        this.#connection.rollBack();
      }
    });
  }

  /** An async face for synchronous work: the interface is shared with engines behind a network. */
  async #read<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.#place.location);
    }
  }
}
