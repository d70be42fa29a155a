/** The log as users read it: recorded events, by pages, and as a live stream. */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError, quote } from "../errors.ts";
import { maxPageSize } from "../limits.ts";
import { parseName, readFields, readSafely } from "../names.ts";
import { type Instant, parseInstant } from "../schedule/instant.ts";
import { isLifecycleType, type LifecycleData, type TaskScheduledData } from "../tasks/events.ts";
import type { TaskDefinition } from "../tasks/task-state.ts";
import type { EventQuery, StoredEvent } from "./engine.ts";
import { type Sealing, show, type WhenSealed } from "./sealing.ts";
import type { StoreCore } from "./store-core.ts";

/** One event of the log. */
export interface RecordedEvent<Payload = unknown> {
  /** 1, 2, 3, … without gaps, in the order of commits. */
  readonly position: number;
  /** `TaskScheduled`, `TaskExecuted`, …, or a type of the user's own. */
  readonly eventType: string;
  readonly recordedAt: Date;
  /** The task it belongs to; absent for events appended apart from any task. */
  readonly taskId?: string;
  /** The run that it belongs to, if it belongs to one. */
  readonly executionId?: string;
  /** The version of the payload's shape. */
  readonly version: number;
  /**
   * The user's payload, or the data of a lifecycle event (its instants are epoch milliseconds under names ending in `Ms`).
   * A {@link Sealed} stands where a payload cannot be opened.
   */
  readonly payload: Payload;
}

/** The payload of every lifecycle event by its type, as readers of the log get it. */
export interface LifecyclePayloads extends Omit<LifecycleData, "TaskScheduled"> {
  /** With the definition's parts beside the others, and the task's payload as a value. */
  TaskScheduled: Omit<TaskScheduledData, "definition" | "payload"> & TaskDefinition & { readonly payload: unknown };
}

/** Which events to read; the conditions are joined by "and". */
export interface LogFilter {
  /** Only events after this position. Defaults to 0: from the beginning. */
  readonly after?: number;
  readonly taskId?: string;
  readonly eventTypes?: readonly string[];
  /** Only events recorded at or after this instant. */
  readonly since?: Instant;
  /** Only events recorded before this instant. */
  readonly until?: Instant;
}

/** Which events to read, and from which end. */
export interface LogQuery extends LogFilter {
  /** Reads from the end of the log backwards, to `after`. Defaults to false. */
  readonly latestFirst?: boolean;
}

/** The keys of {@link LogFilter}. */
export const logFilterKeys: readonly string[] = ["after", "taskId", "eventTypes", "since", "until"];

/** Positions that one page may look at, so that a sparse filter does not hold the event loop. */
const scanLimit = 5_000;

/** The public name of a run: its task's internal number and its own. Never repeats. */
export function executionIdOf(task: number, run: number): string {
  return `${task}.${run}`;
}

/** @param whenSealed what becomes of a payload that cannot be opened */
export function recordedEvent(event: StoredEvent, sealing: Sealing, whenSealed: WhenSealed = show): RecordedEvent {
  return {
    position: event.position,
    eventType: event.type,
    recordedAt: new Date(event.atMs),
    ...(event.taskId === null ? {} : { taskId: event.taskId }),
    ...(event.task === null || event.run === null ? {} : { executionId: executionIdOf(event.task, event.run) }),
    version: event.version,
    payload: payloadOf(event, sealing, whenSealed),
  };
}

/** What has its usual value is not stored: a reader must not have to know what is usual. */
function payloadOf(event: StoredEvent, sealing: Sealing, whenSealed: WhenSealed): unknown {
  if (!isOf(event, isLifecycleType)) return sealing.dataOf(event, whenSealed);
  if (!isOf(event, isScheduled)) return sealing.lifecycleDataOf(event, whenSealed);
  const { definition, ...rest } = sealing.lifecycleDataOf(event, whenSealed);
  const payload = sealing.payloadOf(rest, whenSealed);
  return { ...rest, ...definition, payload } satisfies LifecyclePayloads["TaskScheduled"];
}

/** True for an event of some types. */
export function isOf<Type extends string>(
  event: StoredEvent,
  isType: (type: string) => type is Type,
): event is StoredEvent & { readonly type: Type } {
  return isType(event.type);
}

function isScheduled(type: string): type is "TaskScheduled" {
  return type === "TaskScheduled";
}

/** @throws AzothError INVALID_FILTER */
export function parseLogFilter(filter: LogFilter): EventQuery {
  const fields = readFields<LogFilter>(filter, logFilterKeys, "The log filter", "INVALID_FILTER");
  const { after = 0, taskId, eventTypes, since, until } = fields;
  if (!Number.isSafeInteger(after) || after < 0)
    throw invalid(`has after: ${quote(after)}, which is no position (0, 1, 2, …)`);
  if (taskId !== undefined) parseName(taskId, "The log filter's taskId", "INVALID_FILTER");
  const types = readSafely("The log filter", "INVALID_FILTER", () => parseEventTypes(eventTypes));
  const sinceMs = since === undefined ? undefined : parseInstant(since, "since");
  const untilMs = until === undefined ? undefined : parseInstant(until, "until");
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs > untilMs) {
    throw invalid(`has since after until: ${quote(since)} > ${quote(until)}`);
  }
  return {
    afterPosition: after,
    limit: maxPageSize,
    scanLimit,
    ...(taskId === undefined ? {} : { taskId }),
    ...(types === undefined ? {} : { types }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

/** As {@link parseLogFilter}, with the end to read from. @throws AzothError INVALID_FILTER */
export function parseLogQuery(query: LogQuery): EventQuery {
  const keys = [...logFilterKeys, "latestFirst"];
  const { latestFirst = false, ...filter } = readFields<LogQuery>(query, keys, "The log filter", "INVALID_FILTER");
  if (typeof latestFirst !== "boolean") throw invalid(`has latestFirst: ${quote(latestFirst)}, which is no boolean`);
  const parsed = parseLogFilter(filter);
  return latestFirst ? { ...parsed, beforePosition: Number.MAX_SAFE_INTEGER } : parsed;
}

function parseEventTypes(eventTypes: readonly string[] | undefined): readonly string[] | undefined {
  if (eventTypes === undefined) return undefined;
  if (!Array.isArray(eventTypes)) throw invalid(`has eventTypes: ${quote(eventTypes)}, which is no array of strings`);
  // Not `map`, which passes over holes.
  for (const type of eventTypes as readonly unknown[]) parseName(type, "The log filter's eventTypes", "INVALID_FILTER");
  return [...(eventTypes as readonly string[])];
}

function invalid(what: string): AzothError {
  return new AzothError("INVALID_FILTER", `The log filter ${what}.`);
}

/** The position that a reader of the log came to, and whether a transaction in progress holds back more. */
export interface ReadTo {
  readonly position: number;
  readonly held: boolean;
}

/** Reads to the present end of the log, page by page. */
export async function* readLog(
  { engine, sealing }: StoreCore,
  query: EventQuery,
): AsyncGenerator<RecordedEvent, ReadTo> {
  let next = query;
  for (;;) {
    const page = await engine.reads.readEvents(next);
    for (const event of page.events) yield recordedEvent(event, sealing);
    const { scannedTo } = page;
    if (page.end) return { position: scannedTo, held: page.held };
    next =
      query.beforePosition === undefined
        ? { ...query, afterPosition: scannedTo }
        : { ...query, beforePosition: scannedTo };
    // Pages come from memory or a local file: without this, a long read would starve everything else.
    await yieldToEventLoop();
  }
}
