/** Scheduler: the facade. Task management, the runtime's start and end, and event handlers; every rule is elsewhere. */
import os from "node:os";
import { parseSignal } from "../abort-signal.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote, within } from "../errors.ts";
import { maxTasksPerCall, queuedCallBytes, taskPageCharacters } from "../limits.ts";
import { parseName, readFields, readSafely } from "../names.ts";
import { Pace } from "../pace.ts";
import { type AzothDb, coreOf } from "../store/azoth-db.ts";
import type { PostgresClient } from "../store/engine.ts";
import type { StoreCore } from "../store/store-core.ts";
import { type TaskInfo, taskInfo } from "../store/task-info.ts";
import { type JoinedTransaction, joinTransaction } from "../store/joined-transaction.ts";
import {
  commandInWork,
  givenIds,
  parseReason,
  queuedBytesOf,
  type ScheduledTask,
  scheduleAllInWork,
  scheduleInWork,
} from "../store/task-verbs.ts";
import { runTransaction, type Transaction } from "../store/transaction.ts";
import type { Work } from "../store/work.ts";
import { EventHandlers } from "../subscriptions/event-handlers.ts";
import type { TaskCommand } from "../tasks/command.ts";
import type { AdmittedTask, ScheduleTaskRequest } from "../tasks/request.ts";
import type { TaskStateName } from "../tasks/task-state.ts";
import { taskStateNames } from "../tasks/task-state.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import { HandlerAdmission } from "./admission.ts";
import { type HistoryOptions, type HistoryPage, readHistory } from "./history.ts";
import { resolveOptions, type SchedulerOptions, type SchedulerSettings } from "./options.ts";
import { Runtime } from "./runtime.ts";
import { parseTaskFilter, type TaskFilter, type TaskPage } from "./task-filter.ts";
import type { AnyTaskHandler, RequestFor } from "./task-handler.ts";

/** How many tasks are in each state. */
export type TaskCounts = Readonly<Record<TaskStateName, number>>;

/**
 * Schedules tasks and runs their handlers.
 *
 * Commands work whether or not it runs; several schedulers, in one or many processes, share one store's work.
 * A function that takes any scheduler takes a plain `Scheduler`: it may schedule every type, and the door looks.
 *
 * @example
 * const scheduler = new Scheduler(db, { handlers: [report] });
 * await scheduler.scheduleTask({ taskId: "daily", taskType: "generate_report", schedule: cron("0 0 0 * * *") });
 * await scheduler.run({ signal });
 */
export class Scheduler<const out Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]>
  implements AsyncDisposable
{
  /** Event handlers: their checkpoints and dead letters. */
  readonly eventHandlers: EventHandlers;
  readonly #core: StoreCore;
  readonly #settings: SchedulerSettings;
  readonly #admission: HandlerAdmission;
  readonly #telemetry: Telemetry;
  #runtime: Runtime | undefined;

  /** @throws AzothError INVALID_OPTION, INVALID_HANDLER, DUPLICATE_HANDLER */
  constructor(db: AzothDb, options: SchedulerOptions<Handlers> = {}) {
    this.#core = coreOf(db);
    this.#settings = resolveOptions(options, `${os.hostname()}:${process.pid}`);
    const { handlers, externalTaskTypes, defaults } = this.#settings;
    this.#telemetry = new Telemetry(this.#settings.logger, this.#settings.onSignal, this.#core.sealing.isOn);
    this.#admission = new HandlerAdmission({ handlers, externalTaskTypes, defaults, payloads: this.#core.payloads });
    this.eventHandlers = new EventHandlers({
      core: this.#core,
      admission: this.#admission,
      telemetry: this.#telemetry,
      handlers: this.#settings.eventHandlers,
    });
    // Transactions of the store itself pass the same door from now on.
    this.#core.admission = this.#admission;
  }

  /**
   * Schedules a task; when it resolves, the task is on disk. The same definition under a known id changes nothing,
   * another definition replaces.
   * @throws AzothError INVALID_TASK, INVALID_TASK_ID, UNKNOWN_TASK_TYPE, INVALID_PAYLOAD, PAYLOAD_NOT_JSON, PAYLOAD_TOO_LARGE, INVALID_CRON, …
   */
  async scheduleTask(request: RequestFor<Handlers>): Promise<ScheduledTask> {
    const admitted = await this.#admission.admit(request);
    return await this.#core.queue.submit({
      taskIds: givenIds([admitted]),
      newTasks: admitted.taskId === undefined ? 1 : 0,
      bytes: queuedBytesOf([admitted]),
      run: (work) => scheduleInWork(work, this.#core.ids, admitted),
    });
  }

  /** Schedules up to 10,000 tasks in one commit: all of them, or none if one is refused. @throws as `scheduleTask` */
  async scheduleTasks(requests: readonly RequestFor<Handlers>[]): Promise<ScheduledTask[]> {
    const admitted = await this.#admitAll(listOfRequests(requests));
    const taskIds = givenIds(admitted);
    return await this.#core.queue.submit({
      taskIds,
      newTasks: admitted.length - taskIds.length,
      bytes: queuedBytesOf(admitted),
      run: (work) => scheduleAllInWork(work, this.#core.ids, admitted),
    });
  }

  /** Ends a task in whatever state; a running handler gets its signal, and its result is refused. @throws AzothError TASK_NOT_FOUND */
  async cancelTask(taskId: string, reason: string): Promise<TaskInfo> {
    return await this.#command(taskId, { kind: "cancel", reason: parseReason(reason, "reason") });
  }

  /** Keeps a task from starting until it is resumed; a run in progress goes on. @throws AzothError TASK_NOT_FOUND, TASK_FINISHED, TASK_CANCELLED */
  async pauseTask(taskId: string, reason?: string): Promise<TaskInfo> {
    const because = reason === undefined ? {} : { reason: parseReason(reason, "reason") };
    return await this.#command(taskId, { kind: "pause", ...because });
  }

  /**
   * Lets a paused task go on with its next occurrence, or a disabled one with a fresh retry count; occurrences that
   * fell into a pause are skipped, and recorded. @throws AzothError TASK_NOT_FOUND, TASK_FINISHED, TASK_CANCELLED
   */
  async resumeTask(taskId: string): Promise<TaskInfo> {
    return await this.#command(taskId, { kind: "resume" });
  }

  /**
   * Runs a task now: a waiting one-off or retry earlier than planned, a recurring task once more between its
   * occurrences, an ended one once again. @throws AzothError TASK_NOT_FOUND, TASK_RUNNING, TASK_PAUSED, TASK_CANCELLED
   */
  async runTaskNow(taskId: string): Promise<TaskInfo> {
    return await this.#command(taskId, { kind: "run-now" });
  }

  /** A task as it stands, or null if there is none with this id. */
  async getTask(taskId: string): Promise<TaskInfo | null> {
    const state = await this.#core.engine.reads.findTask(parseName(taskId, "taskId", "INVALID_TASK_ID"));
    return state === null ? null : taskInfo(state, this.#core.sealing);
  }

  /** Tasks by a filter, oldest first, page by page. @throws AzothError INVALID_FILTER */
  async listTasks(filter: TaskFilter = {}): Promise<TaskPage> {
    const query = parseTaskFilter(filter);
    const { reads } = this.#core.engine;
    // One more than asked for tells whether there is a next page.
    const found = await reads.findTasks({ ...query, limit: query.limit + 1 });
    const page = found.slice(0, query.limit);
    const last = page.at(-1);
    const characters = page.reduce((sum, { payload }) => sum + payload.length, 0);
    const mayBeCut = last !== undefined && characters >= taskPageCharacters;
    const more =
      found.length > query.limit ||
      (mayBeCut && (await reads.findTasks({ ...query, afterSeq: last.seq, limit: 1 })).length > 0);
    return {
      tasks: page.map((state) => taskInfo(state, this.#core.sealing)),
      nextCursor: more && last !== undefined ? String(last.seq) : null,
    };
  }

  /** The executions of a task, latest first. @throws AzothError TASK_NOT_FOUND, INVALID_FILTER */
  async history(taskId: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    if ((await this.getTask(taskId)) === null) {
      throw new AzothError("TASK_NOT_FOUND", `There is no task ${quote(taskId)}. Check the id, or list the tasks.`);
    }
    return await readHistory(this.#core, taskId, options);
  }

  /** How many tasks are in each state. */
  async countTasks(): Promise<TaskCounts> {
    const counts = Object.fromEntries(taskStateNames.map((name) => [name, 0])) as Record<TaskStateName, number>;
    for (const { state, count } of await this.#core.engine.reads.countTasks()) counts[state] += count;
    return counts;
  }

  /** As `AzothDb.transaction`: own events, own tables and tasks in one commit. */
  async transaction<T>(callback: (transaction: Transaction) => T | Promise<T>): Promise<T> {
    const run = (work: Work) => runTransaction(this.#core, work, callback, this.#admission);
    return await this.#core.queue.submit({ exclusive: true, bytes: queuedCallBytes, run });
  }

  /**
   * Tasks and events in a transaction that you have open on a client of your own, in the store's database: they commit
   * or vanish with it. PostgreSQL only.
   * @param client a client of `pg`, or anything with `query(text, values)` that runs in your transaction
   * @throws AzothError INVALID_OPTION
   * @example
   * await client.query("BEGIN");
   * await client.query("INSERT INTO orders …");
   * await scheduler.joinTransaction(client).scheduleTask({ taskType: "confirm_order", schedule: immediate() });
   * await client.query("COMMIT");
   */
  joinTransaction(client: PostgresClient): JoinedTransaction {
    return joinTransaction(this.#core, client, this.#admission);
  }

  /**
   * Runs until `signal` aborts or `stop` is called, and resolves when everything is stopped.
   * @throws AzothError SCHEDULER_RUNNING, or why it could not start
   */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const fields = readFields<typeof options>(options, ["signal"], "The options of run", "INVALID_OPTION");
    const signal = parseSignal(fields.signal);
    if (signal?.aborted === true) return;
    const aborted = new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    const { stopped } = await this.start();
    await Promise.race([aborted, stopped]);
    await this.stop();
    await stopped;
  }

  /** Starts in the background; resolves when it is at work. @throws AzothError SCHEDULER_RUNNING */
  async start(): Promise<{ readonly stopped: Promise<void> }> {
    if (this.#runtime !== undefined) {
      throw new AzothError("SCHEDULER_RUNNING", "This scheduler is running already. Call run() or start() once.");
    }
    const runtime = new Runtime({
      core: this.#core,
      settings: this.#settings,
      admission: this.#admission,
      telemetry: this.#telemetry,
      deliveries: this.eventHandlers.deliveries,
    });
    this.#runtime = runtime;
    try {
      await runtime.start();
    } catch (error) {
      this.#runtime = undefined;
      throw error;
    }
    void runtime.stopped.then(() => {
      if (this.#runtime === runtime) this.#runtime = undefined;
    });
    return { stopped: runtime.stopped };
  }

  /**
   * Stops: takes nothing more, waits for running tasks up to the grace period, then fires their signals, and
   * releases what is left, so that it runs again soon. Resolves when all is recorded; does nothing if it is not running.
   * @param options `gracePeriod` stands for that of the scheduler; while it stops, another call can shorten the wait
   * @throws AzothError INVALID_OPTION, INVALID_DURATION
   */
  async stop(options: { readonly gracePeriod?: Duration } = {}): Promise<void> {
    const { gracePeriod } = readFields<typeof options>(
      options,
      ["gracePeriod"],
      "The options of stop",
      "INVALID_OPTION",
    );
    const ms = gracePeriod === undefined ? undefined : parseDuration(gracePeriod, { what: "gracePeriod" });
    await this.#runtime?.stop(ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #admitAll(requests: readonly ScheduleTaskRequest[]): Promise<readonly AdmittedTask[]> {
    const pace = new Pace(this.#core.options.eventLoopBudgetMs);
    const admitting: (AdmittedTask | Promise<AdmittedTask>)[] = [];
    for (const [index, request] of requests.entries()) {
      const task = this.#admit(request, index);
      // One that is refused while others are still looked at is not unhandled: it is told of below.
      if (!isAdmitted(task)) task.catch(() => {});
      admitting.push(task);
      if (pace.isSpent) await pace.pause();
    }
    return admitting.every(isAdmitted) ? admitting : await Promise.all(admitting.map(async (task) => await task));
  }

  #admit(request: ScheduleTaskRequest, index: number): AdmittedTask | Promise<AdmittedTask> {
    const refused = (error: unknown) => {
      throw within(`Task ${index} of the call`, error);
    };
    try {
      const admitted = this.#admission.admit(request);
      return isAdmitted(admitted) ? admitted : admitted.catch(refused);
    } catch (error) {
      return refused(error);
    }
  }

  async #command(taskId: string, command: TaskCommand): Promise<TaskInfo> {
    const id = parseName(taskId, "taskId", "INVALID_TASK_ID");
    const run = (work: Work) => commandInWork(work, id, command);
    return await this.#core.queue.submit({ taskIds: [id], bytes: queuedCallBytes, run });
  }
}

function isAdmitted(admitting: AdmittedTask | Promise<AdmittedTask>): admitting is AdmittedTask {
  return !(admitting instanceof Promise);
}

/** A copy without holes. @throws AzothError INVALID_TASK */
function listOfRequests(requests: readonly ScheduleTaskRequest[]): readonly ScheduleTaskRequest[] {
  return readSafely("The array of tasks", "INVALID_TASK", () => {
    if (Array.isArray(requests) && requests.length <= maxTasksPerCall) {
      return Array.from(requests as readonly ScheduleTaskRequest[]);
    }
    throw new AzothError(
      "INVALID_TASK",
      `scheduleTasks takes an array of at most ${maxTasksPerCall} tasks, and got ${quote(requests)}.`,
    );
  });
}
