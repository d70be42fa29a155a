/** The executions of a task, told from its events: the log is the history. */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError, quote } from "../errors.ts";
import { defaultPageSize, maxPageSize } from "../limits.ts";
import { readFields } from "../names.ts";
import type { StoredEvent } from "../store/engine.ts";
import { executionIdOf, isOf } from "../store/log.ts";
import type { Sealing } from "../store/sealing.ts";
import type { StoreCore } from "../store/store-core.ts";
import { type Failure, isLifecycleType, type LifecycleEvent, type LifecycleType } from "../tasks/events.ts";

/** How an execution ended; "running" if it has not. */
export type ExecutionOutcome =
  | "running"
  | "succeeded"
  | "failed"
  | "timed-out"
  | "snoozed"
  | "released"
  | "claim-lost"
  | "cancelled";

/** One run of a task. */
export interface Execution {
  readonly executionId: string;
  readonly scheduledFor: Date;
  readonly attempt: number;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly outcome: ExecutionOutcome;
  readonly error: Failure | null;
  /** When the failed attempt is, or was, tried again. */
  readonly retryAt: Date | null;
  /** The scheduler instance that ran it. */
  readonly instance: number;
}

export interface HistoryOptions {
  /** At most so many executions, 1 to 1,000. Defaults to 100. */
  readonly limit?: number;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string;
}

/** One page of a task's history, latest execution first. */
export interface HistoryPage {
  readonly executions: readonly Execution[];
  /** Pass it as `cursor` to get older executions; null on the last page. */
  readonly nextCursor: string | null;
}

/** The events that begin and end executions: a task may have any number of others. */
const ofExecutions: readonly string[] = [
  "TaskStarted",
  "TaskExecuted",
  "TaskSnoozed",
  "TaskReleased",
  "TaskCancelled",
] satisfies LifecycleType[];
/** Events of the task that one page may look at. */
const scanLimit = 5_000;

/** Reads backwards until `limit` starts have been found. @throws AzothError INVALID_FILTER */
export async function readHistory(
  { engine: { reads }, sealing }: StoreCore,
  taskId: string,
  options: HistoryOptions,
): Promise<HistoryPage> {
  const fields = readFields<HistoryOptions>(options, ["limit", "cursor"], "The history options", "INVALID_FILTER");
  const { limit = defaultPageSize, cursor } = fields;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxPageSize) {
    throw new AzothError(
      "INVALID_FILTER",
      `limit must be a whole number from 1 to ${maxPageSize}, and is ${quote(limit)}.`,
    );
  }
  if (cursor !== undefined && !(typeof cursor === "string" && /^\d{1,15}$/.test(cursor))) {
    throw new AzothError(
      "INVALID_FILTER",
      `cursor is ${quote(cursor)}, which no history returned. Pass the nextCursor of a page.`,
    );
  }
  let beforePosition = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
  const events: StoredEvent[] = [];
  let starts = 0;
  let oldestStart = 0;
  for (;;) {
    const page = await reads.readEvents({
      afterPosition: 0,
      beforePosition,
      taskId,
      types: ofExecutions,
      limit: maxPageSize,
      scanLimit,
    });
    for (const event of page.events) {
      // A cancellation of a task that is not running belongs to none.
      if (event.run === null) continue;
      if (event.type === "TaskStarted") {
        // One more than asked for tells that there is a next page.
        if (++starts > limit) break;
        oldestStart = event.position;
      }
      events.push(event);
    }
    beforePosition = page.scannedTo;
    if (page.end || starts > limit) break;
    await yieldToEventLoop();
  }
  const executions = executionsOf(events.toReversed(), sealing).toReversed();
  return { executions, nextCursor: starts > limit ? String(oldestStart) : null };
}

/** Folds a task's events, oldest first, into executions. */
export function executionsOf(events: readonly StoredEvent[], sealing: Sealing): Execution[] {
  const executions = new Map<number, Execution>();
  for (const stored of events) {
    if (stored.task === null || stored.run === null || !isOf(stored, isLifecycleType)) continue;
    const { type, atMs, run, task } = stored;
    const event = { type, atMs, run, data: sealing.lifecycleDataOf(stored) } as LifecycleEvent;
    const next = after(executions.get(run), event, task, run);
    if (next !== undefined) executions.set(run, next);
  }
  return [...executions.values()];
}

function after(
  execution: Execution | undefined,
  event: LifecycleEvent,
  task: number,
  run: number,
): Execution | undefined {
  if (event.type === "TaskStarted") {
    return {
      executionId: executionIdOf(task, run),
      scheduledFor: new Date(event.data.scheduledForMs),
      attempt: event.data.attempt,
      startedAt: new Date(event.atMs),
      endedAt: null,
      outcome: "running",
      error: null,
      retryAt: null,
      instance: event.data.instance,
    };
  }
  if (execution === undefined || execution.outcome !== "running") return execution;
  const ended = { ...execution, endedAt: new Date(event.atMs) };
  switch (event.type) {
    case "TaskExecuted": {
      const { success, error, retryAtMs } = event.data;
      const failed = error?.code === "TASK_TIMED_OUT" ? "timed-out" : "failed";
      const retryAt = retryAtMs === undefined ? null : new Date(retryAtMs);
      return { ...ended, outcome: success ? "succeeded" : failed, error: error ?? null, retryAt };
    }
    case "TaskSnoozed":
      return { ...ended, outcome: "snoozed", retryAt: new Date(event.data.untilMs) };
    case "TaskReleased":
      return { ...ended, outcome: event.data.because === "claim-lost" ? "claim-lost" : "released" };
    case "TaskCancelled":
      return { ...ended, outcome: "cancelled" };
    default:
      return execution;
  }
}
