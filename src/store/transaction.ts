/** The Transaction API: own events, own tables and tasks in one commit. */
import { AzothError, quote } from "../errors.ts";
import { queuedTaskBytes } from "../limits.ts";
import { parseName } from "../names.ts";
import { encodeTaskEvent, type TaskEvent } from "../tasks/task-event.ts";
import type { SqlRow, SqlValue } from "./engine.ts";
import type { StoreCore } from "./store-core.ts";
import { type TaskInfo, taskInfo } from "./task-info.ts";
import { commandInWork, parseReason, type ScheduledTask, scheduleInWork } from "./task-verbs.ts";
import type { Admission, ScheduleTaskRequest } from "../tasks/request.ts";
import type { Work } from "./work.ts";
import { WriteBudget } from "./write-budget.ts";

/**
 * Everything done through a transaction commits together or not at all.
 *
 * It holds the store's write lock while its callback runs: await only its own methods in there, never a
 * network call. Statements must not begin, end or nest transactions, nor touch tables named `azoth_…`.
 */
export interface Transaction {
  /** The instant of this transaction. */
  readonly now: Date;
  /** Appends an event of the user's own, and returns its position. @throws AzothError INVALID_EVENT, RESERVED_EVENT_TYPE, PAYLOAD_NOT_JSON, PAYLOAD_TOO_LARGE */
  append(event: TaskEvent): Promise<number>;
  /** Runs one SQL statement on the user's own tables, and returns how many rows it changed. @throws AzothError INVALID_SQL */
  execute(sql: string, parameters?: readonly SqlValue[]): Promise<number>;
  /** Runs one SQL query; it sees what this transaction wrote. @throws AzothError INVALID_SQL */
  query(sql: string, parameters?: readonly SqlValue[]): Promise<SqlRow[]>;
  /** As `Scheduler.scheduleTask`. @throws also TRANSACTION_TOO_LARGE: tasks stay in memory until the commit */
  scheduleTask(request: ScheduleTaskRequest): Promise<ScheduledTask>;
  /** As `Scheduler.cancelTask`. */
  cancelTask(taskId: string, reason: string): Promise<TaskInfo>;
  /** As `Scheduler.getTask`, with what this transaction changed. */
  getTask(taskId: string): Promise<TaskInfo | null>;
}

/** Runs a callback over a Transaction that ends with it. Call it in an exclusive unit. */
export async function runTransaction<T>(
  core: StoreCore,
  work: Work,
  callback: (transaction: Transaction) => T | Promise<T>,
  admission: Admission = core.admission,
): Promise<T> {
  if (typeof callback !== "function") {
    throw new AzothError("INVALID_OPTION", `A transaction takes a callback, and got ${quote(callback)}.`);
  }
  const { clock, options } = core;
  const transaction = new OpenTransaction(core, work, admission);
  const finished = new AbortController();
  const { transactionTimeoutMs } = options;
  try {
    return await Promise.race([
      core.queue.runCallback(() => callback(transaction)),
      clock.sleep(transactionTimeoutMs, finished.signal).then(() => {
        if (finished.signal.aborted) return undefined as never;
        const message = `The transaction did not end within ${transactionTimeoutMs} ms and was rolled back. Do slow work outside of it, or raise transactionTimeout.`;
        throw new AzothError("TRANSACTION_TIMEOUT", message);
      }),
    ]);
  } finally {
    transaction.close();
    finished.abort();
  }
}

export class OpenTransaction implements Transaction {
  readonly now: Date;
  readonly #core: StoreCore;
  readonly #work: Work;
  readonly #admission: Admission;
  /** For tasks. Events are written at once. */
  readonly #budget = new WriteBudget();
  #open = true;

  constructor(core: StoreCore, work: Work, admission: Admission) {
    this.#core = core;
    this.#work = work;
    this.#admission = admission;
    this.now = new Date(work.context.nowMs);
  }

  close(): void {
    this.#open = false;
  }

  async append(event: TaskEvent): Promise<number> {
    this.#refuseClosed();
    const { type, data } = encodeTaskEvent(event, this.#core.payloads);
    const staged = this.#work.append({ type, data, task: null, run: null, meta: null });
    await this.#work.flushForPositions();
    return staged.position;
  }

  async execute(sql: string, parameters: readonly SqlValue[] = []): Promise<number> {
    this.#refuseClosed();
    await this.#work.flush();
    return await this.#work.engine.execute(sql, parameters);
  }

  async query(sql: string, parameters: readonly SqlValue[] = []): Promise<SqlRow[]> {
    this.#refuseClosed();
    await this.#work.flush();
    return await this.#work.engine.query(sql, parameters);
  }

  async scheduleTask(request: ScheduleTaskRequest): Promise<ScheduledTask> {
    this.#refuseClosed();
    const admitted = await this.#admission.admit(request);
    this.#refuseClosed();
    this.#budget.spend(queuedTaskBytes + admitted.payload.length);
    return await scheduleInWork(this.#work, this.#core.ids, admitted);
  }

  async cancelTask(taskId: string, reason: string): Promise<TaskInfo> {
    this.#refuseClosed();
    const id = parseName(taskId, "taskId", "INVALID_TASK_ID");
    this.#budget.spend(queuedTaskBytes);
    return await commandInWork(this.#work, id, { kind: "cancel", reason: parseReason(reason, "reason") });
  }

  async getTask(taskId: string): Promise<TaskInfo | null> {
    this.#refuseClosed();
    const state = await this.#work.task(parseName(taskId, "taskId", "INVALID_TASK_ID"));
    return state === null ? null : taskInfo(state, this.#core.sealing);
  }

  #refuseClosed(): void {
    if (this.#open) return;
    throw new AzothError("TRANSACTION_CLOSED", "The transaction has ended. Await every call inside of its callback.");
  }
}
