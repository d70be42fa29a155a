/** Reads of committed state. What the scheduler's loops ask has connections that no user's query can occupy. */
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
import type { ClockOffset } from "./clock-offset.ts";
import type { Connections, Purpose } from "./connections.ts";
import { findContradiction } from "./contradictions.ts";
import { Coordination } from "./coordination.ts";
import { hasWriters, isUnfinished, readCounters, readExtent, readLogged } from "./copying.ts";
import { lastPosition, type LogReading, readEvents, readTaskEvents } from "./event-rows.ts";
import type { Names } from "./names.ts";
import type { Place } from "./place.ts";
import { isDriverError, storeError } from "./postgres-errors.ts";
import { describe, schemaDrift } from "./schema-shape.ts";
import type { ClientSession, Session } from "./session.ts";
import type { SettledLog } from "./settled.ts";
import { completeTasks } from "../task-columns.ts";
import { TaskRows } from "./task-rows.ts";
import { readUserSql } from "./user-sql.ts";

export interface ReadsOptions {
  readonly connections: Connections;
  readonly place: Place;
  readonly names: Names;
  readonly settled: SettledLog;
  readonly clockOffset: ClockOffset;
}

export class PostgresReads implements EngineReads {
  readonly #options: ReadsOptions;
  /** Each statement borrows a connection for itself: while it waits for a name, it holds none. */
  readonly #core: Session;
  readonly #user: Session;
  readonly #schema: string;

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#core = new BorrowedSession(options.connections, "core");
    this.#user = new BorrowedSession(options.connections, "user");
    this.#schema = options.place.quotedSchema;
  }

  readEvents(query: EventQuery): Promise<EventPage> {
    return this.#read(() => readEvents(this.#reading(this.#core), query));
  }

  readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage> {
    return this.#read(() => readTaskEvents(this.#reading(this.#user), query));
  }

  readTasksWithEvents(query: TaskLogQuery): Promise<TasksWithEvents> {
    return this.#snapshot(async (session) => {
      const page = await readTaskEvents(this.#reading(session), query);
      return { ...page, ...(await this.#tasks(session).between(...completeTasks(query, page))) };
    });
  }

  lastPosition(): Promise<number> {
    return this.#read(() => lastPosition(this.#reading(this.#core)));
  }

  chainHead(): Promise<ChainLink | null> {
    return this.#read(() => chainHead(this.#core, this.#schema));
  }

  lastTaskSeq(): Promise<number> {
    return this.#read(async () => {
      const [row] = await this.#core.rows(`SELECT last_value, is_called FROM ${this.#schema}.azoth_task_seq`);
      const [last, isCalled] = row as [number, boolean];
      return isCalled ? last : last - 1;
    });
  }

  findTask(taskId: string): Promise<TaskState | null> {
    return this.#read(() => this.#tasks(this.#core).byId(taskId));
  }

  findTasks(query: TaskQuery): Promise<TaskState[]> {
    return this.#read(() => this.#tasks(this.#user).find(query));
  }

  countTasks(): Promise<StateCount[]> {
    return this.#read(() => this.#tasks(this.#user).count());
  }

  nextDueAt(taskTypes: readonly string[]): Promise<number | null> {
    return this.#read(async () => {
      const [dueAtMs] = await Promise.all([
        this.#tasks(this.#core).nextDueAt(taskTypes),
        this.#options.clockOffset.refresh(this.#core),
      ]);
      return dueAtMs;
    });
  }

  overdueOfOtherTypes(taskTypes: readonly string[], nowMs: number): Promise<{ taskType: string; count: number }[]> {
    return this.#read(() => this.#tasks(this.#user).overdueOfOtherTypes(taskTypes, nowMs));
  }

  runsOf(instance: number): Promise<{ seq: number; run: number }[]> {
    return this.#read(() =>
      this.#options.connections.use("core", async (session) => {
        // Sent together. Runs come and go: only a walk of the index leaves marks at those that have gone, for the next.
        const [, runs] = await Promise.all([
          session.script("BEGIN READ ONLY; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off"),
          this.#tasks(session).runsOf(instance),
          session.script("COMMIT"),
        ]);
        return runs;
      }),
    );
  }

  listInstances(): Promise<Instance[]> {
    return this.#read(() => this.#coordination().listInstances());
  }

  listCheckpoints(): Promise<Checkpoint[]> {
    return this.#read(() => this.#coordination().listCheckpoints());
  }

  listDeadLetters(query: { handler?: string; afterId: number; limit: number }): Promise<DeadLetterRow[]> {
    return this.#read(() => this.#coordination().listDeadLetters(query));
  }

  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#read(() => this.#options.connections.use("user", (session) => readUserSql(session, sql, parameters)));
  }

  checkIntegrity(): Promise<string | null> {
    return this.#snapshot((session) => findContradiction(session, this.#schema));
  }

  describe(): Promise<{ schemaVersion: number; bytes: number }> {
    return this.#read(() => describe(this.#core, this.#options.place));
  }

  schemaDrift(): Promise<string[] | null> {
    const { connections, place } = this.#options;
    return this.#read(() => connections.use("user", (session) => schemaDrift(session, place)));
  }

  counters(): Promise<ReadCounters> {
    return this.#read(async () => {
      // In this order: whoever has been given a number by now, and is not at an end yet, is found after it.
      const counters = await readCounters(this.#core, this.#schema);
      const resting = !(await hasWriters(this.#core, this.#schema));
      return { ...counters, resting, unfinished: await isUnfinished(this.#core, this.#schema) };
    });
  }

  async snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const { names, place } = this.#options;
    try {
      return await this.#ofOneMoment((session) => {
        const coordination = new Coordination(session, this.#schema);
        return work({
          readLog: (after, to, limit) => readLogged(session, this.#schema, names, { after, to, limit }),
          readChain: (after, to, limit) => readChain(session, this.#schema, { after, to, limit }),
          extent: () => readExtent(session, this.#schema),
          counters: () => readCounters(session, this.#schema),
          listInstances: () => coordination.listInstances(),
          listCheckpoints: () => coordination.listCheckpoints(),
          listDeadLetters: (query) => coordination.listDeadLetters(query),
        });
      });
    } catch (error) {
      // What `work` itself throws is passed on.
      throw isDriverError(error) ? storeError(error, place.shown) : error;
    }
  }

  #tasks(session: Session): TaskRows {
    return new TaskRows(session, this.#schema, this.#options.names);
  }

  #coordination(): Coordination {
    return new Coordination(this.#core, this.#schema);
  }

  #reading(session: Session): LogReading {
    const { names, settled } = this.#options;
    return { schema: this.#schema, names, settled, rows: (text, values) => session.rows(text, values) };
  }

  /** Reads that have to be of one moment. */
  #snapshot<T>(work: (session: ClientSession) => Promise<T>): Promise<T> {
    return this.#read(() => this.#ofOneMoment(work));
  }

  #ofOneMoment<T>(work: (session: ClientSession) => Promise<T>): Promise<T> {
    return this.#options.connections.use("user", async (session) => {
      await session.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      session.timeoutMs = undefined;
      try {
        return await work(session);
      } finally {
        await session.script("ROLLBACK").catch(() => {});
      }
    });
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw storeError(error, this.#options.place.shown);
    }
  }
}

/** A connection for each statement. */
class BorrowedSession implements Session {
  readonly #connections: Connections;
  readonly #purpose: Purpose;

  constructor(connections: Connections, purpose: Purpose) {
    this.#connections = connections;
    this.#purpose = purpose;
  }

  rows(text: string, values: readonly unknown[] = []): Promise<unknown[][]> {
    return this.#connections.use(this.#purpose, (session) => session.rows(text, values));
  }

  run(text: string, values: readonly unknown[] = []): Promise<number> {
    return this.#connections.use(this.#purpose, (session) => session.run(text, values));
  }
}
