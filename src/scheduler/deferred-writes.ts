/**
 * What a handler wrote through `ctx.transaction`: kept until its run completes, and then carried out in that commit.
 *
 * Deferred, because a transaction that is open while user code runs would hold the store's write lock all that time.
 */
import type { PayloadRules } from "../codec.ts";
import { AzothError, quote } from "../errors.ts";
import type { IdGenerator } from "../ids.ts";
import { queuedTaskBytes } from "../limits.ts";
import { parseName } from "../names.ts";
import type { SqlValue } from "../store/engine.ts";
import { commandInWork, parseReason, scheduleInWork } from "../store/task-verbs.ts";
import type { Work } from "../store/work.ts";
import { WriteBudget } from "../store/write-budget.ts";
import type { Admission, AdmittedTask, ScheduleTaskRequest } from "../tasks/request.ts";
import { encodeTaskEvent, type TaskEvent } from "../tasks/task-event.ts";
import type { TaskTransaction } from "./task-handler.ts";

/** SQLite takes no more: https://www.sqlite.org/limits.html#max_variable_number */
const mostParameters = 32_766;

type Write = (work: Work, run: { task: number; run: number }) => Promise<unknown>;

export interface DeferredOptions {
  readonly admission: Admission;
  readonly ids: IdGenerator;
  readonly nowMs: () => number;
  readonly payloads: PayloadRules;
}

export class DeferredWrites implements TaskTransaction {
  readonly #options: DeferredOptions;
  readonly #writes: Write[] = [];
  /** Requests whose payloads are still being checked. */
  readonly #admissions: Promise<unknown>[] = [];
  readonly #budget = new WriteBudget();
  #open = true;

  constructor(options: DeferredOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#writes.length === 0;
  }

  append(event: TaskEvent): void {
    this.#refuseClosed();
    const { type, data } = encodeTaskEvent(event, this.#options.payloads);
    this.#budget.spend(queuedTaskBytes + data.length);
    this.#writes.push(async (work, { task, run }) => work.append({ type, data, task, run, meta: null }));
  }

  execute(sql: string, parameters: readonly SqlValue[] = []): void {
    this.#refuseClosed();
    if (typeof sql !== "string")
      throw new AzothError("INVALID_SQL", `A statement must be a text of SQL, and is ${quote(sql)}.`);
    if (!Array.isArray(parameters) || parameters.length > mostParameters) {
      const shape = `an array of at most ${mostParameters}`;
      throw new AzothError(
        "INVALID_SQL",
        `The parameters of a statement must be ${shape}, and are ${quote(parameters)}.`,
      );
    }
    const bound: readonly SqlValue[] = Array.from(parameters as readonly SqlValue[]);
    this.#budget.spend(bound.reduce<number>((sum, value) => sum + bytesOf(value), queuedTaskBytes + sql.length));
    this.#writes.push(async (work) => {
      await work.flush();
      return await work.engine.execute(sql, bound);
    });
  }

  scheduleTask(request: ScheduleTaskRequest): Promise<{ taskId: string }> {
    this.#refuseClosed();
    this.#budget.spend(queuedTaskBytes);
    const { admission, ids, nowMs } = this.#options;
    let admitted: AdmittedTask | undefined;
    // Its place among the writes is where it was called, not where its check ended.
    this.#writes.push(async (work) => (admitted === undefined ? undefined : await scheduleInWork(work, ids, admitted)));
    const admit = async () => await admission.admit(request);
    const checked = admit().then((found) => {
      this.#budget.spend(found.payload.length);
      const taskId = found.taskId ?? ids.next(nowMs());
      admitted = { ...found, taskId };
      return { taskId };
    });
    this.#admissions.push(checked);
    // A handler that does not await it must still fail by it, and not by an unhandled rejection.
    checked.catch(() => {});
    return checked;
  }

  cancelTask(taskId: string, reason: string): void {
    this.#refuseClosed();
    const id = parseName(taskId, "taskId", "INVALID_TASK_ID");
    const command = { kind: "cancel", reason: parseReason(reason, "reason") } as const;
    this.#budget.spend(queuedTaskBytes);
    this.#writes.push((work) => commandInWork(work, id, command));
  }

  /** Ends the handler's part. Rejects if a request was refused. */
  async close(): Promise<void> {
    this.#open = false;
    if (this.#admissions.length > 0) await Promise.all(this.#admissions);
  }

  /** Carries the writes out in order. */
  async apply(work: Work, run: { task: number; run: number }): Promise<void> {
    for (const write of this.#writes) await write(work, run);
  }

  #refuseClosed(): void {
    if (this.#open) return;
    throw new AzothError(
      "TRANSACTION_CLOSED",
      "The run has ended; nothing more can be written through its transaction.",
    );
  }
}

/** About what a parameter takes in memory. */
function bytesOf(value: SqlValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 8;
}
