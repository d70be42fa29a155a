/** One write transaction: on a connection of ours, or in a transaction that a user has open. */
import { systemClock } from "../../clock.ts";
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
import { extendChain, lockChain } from "./chain-rows.ts";
import { Coordination } from "./coordination.ts";
import * as copying from "./copying.ts";
import { type LogReading, readEvents, readTaskEvents, sendEvents, tasksTouched } from "./event-rows.ts";
import type { HeldRuns } from "./held-runs.ts";
import type { Names } from "./names.ts";
import { isLockTimeout } from "./postgres-errors.ts";
import type { ClientSession, Session } from "./session.ts";
import type { SettledLog } from "./settled.ts";
import { TaskRows } from "./task-rows.ts";
import { brokenRuleError, executeUserSql, queryUserSql } from "./user-sql.ts";

export interface TransactionOptions {
  readonly session: Session;
  /** The same, where users' statements and savepoints can run. */
  readonly own: ClientSession | null;
  /** The quoted schema. */
  readonly schema: string;
  readonly names: Names;
  readonly settled: SettledLog;
  readonly patient: boolean;
  /** What this node holds, for a transaction that passes over what others hold; null for any other. */
  readonly heldRuns: HeldRuns | null;
  /** How long to wait for others that write, where all of them have to be waited for. */
  readonly busyTimeoutMs: number;
  /** How long a statement of the user's may run. */
  readonly statementTimeoutMs: number;
}

/** How long one try to lock all tasks keeps others from beginning to write. */
const lockAllTryMs = 200;

/**
 * Looks at the rules that the user has put off to the end while they still can be blamed on somebody, and undoes that
 * look, after which they are put off as before.
 */
const checkRules =
  "SAVEPOINT azoth_rules; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO SAVEPOINT azoth_rules; RELEASE SAVEPOINT azoth_rules";

export class PostgresTransaction implements EngineTransaction {
  /** True once something was written that others may wait for. */
  hasNews = false;
  #posted: Promise<unknown>[] = [];
  /** What was saved, in its order. */
  readonly #saved: TaskChange[] = [];
  readonly #options: TransactionOptions;
  readonly #tasks: TaskRows;
  readonly #coordination: Coordination;
  readonly #reading: LogReading;
  #depth = 0;
  /** Statements of the user's that are not answered. */
  readonly #running = new Set<Promise<unknown>>();
  #bounded = false;

  constructor(options: TransactionOptions) {
    const { session, schema, names, settled } = options;
    this.#options = options;
    this.#tasks = new TaskRows(session, schema, names, options.own === null);
    this.#coordination = new Coordination(session, schema);
    this.#reading = { schema, names, settled, rows: (text, values) => session.rows(text, values) };
  }

  lockTasks(taskIds: readonly string[]): Promise<LockedTasks<string>> {
    return this.#tasks.lock("id", taskIds, this.#options);
  }

  async lockTasksBySeq(seqs: readonly number[]): Promise<LockedTasks<number>> {
    const { heldRuns } = this.#options;
    const kept = heldRuns === null ? [] : await this.#tasks.lockKept(heldRuns, seqs);
    const locked = new Set(kept.map(({ seq }) => seq));
    const others = seqs.filter((seq) => !locked.has(seq));
    const { tasks, held } = await this.#tasks.lock("seq", others, this.#options);
    return { tasks: [...kept, ...tasks], held };
  }

  /** Takes note of what is committed now, under this number. */
  noteCommit(xid: string): void {
    const { heldRuns } = this.#options;
    heldRuns?.keep(xid, this.#saved);
  }

  lockDueTasks(query: { taskTypes: readonly string[]; nowMs: number; limit: number }): Promise<TaskState[]> {
    return this.#tasks.lockDue(query.taskTypes, query.nowMs, query.limit);
  }

  lockTasksRunBy(instance: number, limit: number): Promise<LockedTasks<number>> {
    return this.#tasks.lock("run_instance", [instance], { ...this.#options, limit });
  }

  async drawTaskSeqs(count: number): Promise<readonly number[]> {
    const { session, schema } = this.#options;
    const sql = "SELECT nextval($1::regclass) FROM generate_series(1, $2::int)";
    const rows = await session.rows(sql, [`${schema}.azoth_task_seq`, count], "kept");
    return rows.map(([seq]) => seq as number);
  }

  async append(events: readonly NewEvent[]): Promise<readonly number[]> {
    return await (await this.#sendEvents(events, "positions")).stored;
  }

  async post(events: readonly NewEvent[]): Promise<void> {
    await this.#post((await this.#sendEvents(events, "no positions")).stored);
  }

  async saveTasks(changes: readonly TaskChange[]): Promise<void> {
    this.hasNews ||= changes.length > 0;
    if (this.#options.heldRuns !== null) this.#saved.push(...changes);
    await this.#post((await this.#tasks.send(changes)).saved);
  }

  #sendEvents(events: readonly NewEvent[], positions: "positions" | "no positions"): ReturnType<typeof sendEvents> {
    this.hasNews ||= events.length > 0;
    return sendEvents(this.#options.session, this.#options, events, positions);
  }

  /** Resolves when everything that was sent is answered; rejects with the first failure, from which all later ones follow. */
  async answered(): Promise<void> {
    const posted = this.#posted;
    this.#posted = [];
    await Promise.all(posted);
  }

  /** Does not wait for the answer to what was sent: statements are carried out in the order of their sending. */
  async #post(written: Promise<unknown>): Promise<void> {
    if (this.#options.own === null) {
      await written;
      return;
    }
    written.catch(() => {});
    this.#posted.push(written);
  }

  addInstance(instance: { name: string; nowMs: number; claimMs: number }): Promise<number> {
    return this.#coordination.addInstance(instance);
  }

  holdInstance(instance: number): Promise<boolean> {
    return this.#coordination.holdInstance(instance);
  }

  heartbeat(instance: number, nowMs: number): Promise<boolean> {
    return this.#coordination.heartbeat(instance, nowMs);
  }

  lockSilentInstances(nowMs: number): Promise<Instance[]> {
    return this.#coordination.lockSilentInstances(nowMs);
  }

  removeInstance(instance: number): Promise<void> {
    return this.#coordination.removeInstance(instance);
  }

  lockCheckpoint(name: string, ifHeld: "wait"): Promise<Checkpoint | null>;
  lockCheckpoint(name: string, ifHeld: "skip"): Promise<Checkpoint | null | "held">;
  lockCheckpoint(name: string, ifHeld: "wait" | "skip"): Promise<Checkpoint | null | "held"> {
    return this.#coordination.lockCheckpoint(name, ifHeld);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    this.hasNews = true;
    await this.#coordination.saveCheckpoint(checkpoint);
  }

  findDeadLetter(id: number): Promise<DeadLetterRow | null> {
    return this.#coordination.findDeadLetter(id);
  }

  addDeadLetter(letter: DeadLetterRow): Promise<void> {
    return this.#coordination.addDeadLetter(letter);
  }

  removeDeadLetter(id: number): Promise<void> {
    return this.#coordination.removeDeadLetter(id);
  }

  readEvents(query: EventQuery): Promise<EventPage> {
    return readEvents(this.#reading, query);
  }

  lockChain(to: "seal" | "copy"): Promise<ChainLink | null | "held"> {
    return lockChain(this.#options.session, this.#options.schema, to);
  }

  extendChain(links: readonly ChainLink[]): Promise<void> {
    return extendChain(this.#options.session, this.#options.schema, links);
  }

  async beginRebuild(): Promise<number> {
    this.#takeTime();
    const { session, schema } = this.#options;
    const [row] = await session.rows(`UPDATE ${schema}.azoth_rebuilds SET last = last + 1 RETURNING last`);
    await session.run(`DELETE FROM ${schema}.azoth_tasks_rebuilt`);
    return row?.[0] as number;
  }

  async saveRebuilt(rebuild: number, states: readonly TaskState[]): Promise<void> {
    await this.#refuseOutrun(rebuild);
    await this.#tasks.saveRebuilt(states);
  }

  /** Asks again and again for a moment: one long wait would make everybody who comes later wait as well. */
  async lockAllTasks(): Promise<void> {
    this.#takeTime();
    const { schema, busyTimeoutMs } = this.#options;
    const session = this.#ownSession();
    const startedAtMs = systemClock.now();
    for (;;) {
      try {
        await session.script(
          `SAVEPOINT azoth_lock; SET LOCAL lock_timeout = ${lockAllTryMs}; LOCK TABLE ${schema}.azoth_tasks IN EXCLUSIVE MODE`,
        );
        return;
      } catch (error) {
        if (!isLockTimeout(error)) throw error;
        await session.script("ROLLBACK TO SAVEPOINT azoth_lock");
      }
      if (systemClock.now() - startedAtMs > busyTimeoutMs) {
        throw new AzothError(
          "STORE_BUSY",
          "Other transactions change tasks all the time. Look for a long one among them.",
        );
      }
      await systemClock.sleep(lockAllTryMs);
    }
  }

  tasksTouched(afterPosition: number, toPosition: number): Promise<number[]> {
    const { session, schema } = this.#options;
    return tasksTouched(session, schema, afterPosition, toPosition);
  }

  readTaskEvents(query: TaskLogQuery): Promise<TaskLogPage> {
    return readTaskEvents(this.#reading, query);
  }

  /** Row by row, and only what differs: the table keeps its rights, its views and its size. */
  async swapRebuilt(rebuild: number): Promise<void> {
    await this.#refuseOutrun(rebuild);
    await this.#tasks.replaceByRebuilt();
  }

  beginCopy(): Promise<boolean> {
    this.#takeTime();
    return copying.beginCopy(this.#ownSession(), this.#options.schema);
  }

  appendCopied(after: number, events: readonly LoggedEvent[]): Promise<void> {
    return copying.appendCopied(this.#ownSession(), this.#options, after, events);
  }

  setCounters(counters: Counters): Promise<void> {
    return copying.setCounters(this.#options.session, this.#options.schema, counters);
  }

  async endCopy(instances: readonly Instance[]): Promise<void> {
    this.#takeTime();
    this.hasNews = true;
    await copying.endCopy(this.#ownSession(), this.#options.schema, instances);
  }

  execute(sql: string, parameters: readonly SqlValue[]): Promise<number> {
    return this.#track(this.answered().then(() => executeUserSql(this.#userSession(), sql, parameters)));
  }

  query(sql: string, parameters: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#track(this.answered().then(() => queryUserSql(this.#userSession(), sql, parameters)));
  }

  /** Waits for what the user's code did not wait for: a statement that fails is undone only when its answer is there. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  async nested<T>(work: () => Promise<T>): Promise<T> {
    const session = this.#ownSession();
    const savepoint = `azoth_${++this.#depth}`;
    const saved = this.#saved.length;
    await session.script(`SAVEPOINT ${savepoint}`);
    try {
      const result = await work();
      await this.settle();
      await this.answered();
      await session.script(`${checkRules}; RELEASE SAVEPOINT ${savepoint}`).catch((error: unknown) => {
        throw brokenRuleError(error);
      });
      return result;
    } catch (error) {
      this.#saved.length = saved;
      await session.script(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }

  /** With a bound for its statements: the server alone can end one that is running, and the rollback waits for it. */
  #userSession(): ClientSession {
    const session = this.#ownSession();
    if (!this.#bounded)
      void session.script(`SET LOCAL statement_timeout = ${this.#options.statementTimeoutMs}`).catch(() => {});
    this.#bounded = true;
    return session;
  }

  /** For work on whole tables, which is long where these are large. */
  #takeTime(): void {
    const { own } = this.#options;
    if (own !== null) own.timeoutMs = undefined;
  }

  #track<T>(statement: Promise<T>): Promise<T> {
    this.#running.add(statement);
    const forget = () => this.#running.delete(statement);
    void statement.finally(forget).catch(() => {});
    return statement;
  }

  #ownSession(): ClientSession {
    const { own } = this.#options;
    if (own !== null) return own;
    throw new AzothError("INVALID_OPTION", "In a transaction of your own client, run your statements on that client.");
  }

  /** Two rebuilds would fill one copy, and the first to end would swap in what the other has just begun. */
  async #refuseOutrun(rebuild: number): Promise<void> {
    const { session, schema } = this.#options;
    const [row] = await session.rows(`SELECT last FROM ${schema}.azoth_rebuilds FOR SHARE`);
    if (row?.[0] === rebuild) return;
    throw new AzothError("STORE_BUSY", "Another rebuild of this store has begun. Let it end, and then begin again.");
  }
}
