/**
 * Lifecycle events and definitions as stored JSON, and back. What has its usual value or follows from the rest is left
 * out: with four events a task, every byte counts. What is usual is part of the format and never changes.
 */
import { AzothError } from "../errors.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type {
  LifecycleData,
  LifecycleEvent,
  LifecycleType,
  PlannedOccurrence,
  TaskExecutedData,
  TaskScheduledData,
  TaskStartedData,
} from "./events.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retry-policy.ts";
import type { TaskDefinition } from "./task-state.ts";

interface StoredDefinition {
  readonly schedule?: Schedule;
  readonly priority?: number;
  readonly maxRetries?: number;
  readonly retry?: RetryPolicy;
  readonly timeoutMs?: number;
}

const usual = {
  schedule: { kind: "immediate" },
  priority: 0,
  maxRetries: 3,
  timeoutMs: 300_000,
  retry: defaultRetryPolicy,
  revision: 1,
  because: "new",
  attempt: 1,
  then: "completed",
} as const;

/** The most definitions that are kept decoded; tasks of one kind share their definition's text. */
const memoLimit = 500;
const decoded = new Map<string, TaskDefinition>();
const encoded = new WeakMap<TaskDefinition, string>();

/** The canonical text of a definition: equal definitions have equal texts. */
export function encodeDefinition(definition: TaskDefinition): string {
  const known = encoded.get(definition);
  if (known !== undefined) return known;
  const stored: StoredDefinition = {
    ...(definition.schedule.kind === usual.schedule.kind ? {} : { schedule: definition.schedule }),
    ...(definition.priority === usual.priority ? {} : { priority: definition.priority }),
    ...(definition.maxRetries === usual.maxRetries ? {} : { maxRetries: definition.maxRetries }),
    ...(isUsualRetry(definition.retry) ? {} : { retry: definition.retry }),
    ...(definition.timeoutMs === usual.timeoutMs ? {} : { timeoutMs: definition.timeoutMs }),
  };
  const text = JSON.stringify(stored);
  encoded.set(definition, text);
  return text;
}

/** Reads what {@link encodeDefinition} wrote. */
export function decodeDefinition(text: string): TaskDefinition {
  const known = decoded.get(text);
  if (known !== undefined) return known;
  const definition = definitionFrom(JSON.parse(text) as StoredDefinition);
  if (decoded.size >= memoLimit) decoded.clear();
  decoded.set(text, definition);
  encoded.set(definition, text);
  return definition;
}

function definitionFrom(stored: StoredDefinition): TaskDefinition {
  const { schedule = usual.schedule } = stored ?? {};
  // Only what everything that reads a task relies on: the rest speaks up where it is used.
  if (typeof schedule?.kind !== "string") {
    throw new AzothError(
      "STORE_CORRUPT",
      "A stored definition has no schedule. Restore a backup, and keep the damaged file.",
    );
  }
  return {
    schedule,
    priority: stored.priority ?? usual.priority,
    maxRetries: stored.maxRetries ?? usual.maxRetries,
    retry: stored.retry ?? usual.retry,
    timeoutMs: stored.timeoutMs ?? usual.timeoutMs,
  };
}

function isUsualRetry(retry: RetryPolicy): boolean {
  return (
    retry === usual.retry ||
    (retry.baseMs === usual.retry.baseMs &&
      retry.factor === usual.retry.factor &&
      retry.capMs === usual.retry.capMs &&
      retry.jitter === usual.retry.jitter)
  );
}

/** The stored text of a lifecycle event's data. */
export function encodeLifecycleData(event: LifecycleEvent): string {
  switch (event.type) {
    case "TaskScheduled":
      return encodeScheduled(event.data, event.atMs);
    case "TaskClaimed":
    case "TaskStarted":
      return encodeStarted(event.data, event.atMs);
    case "TaskExecuted":
      return encodeExecuted(event.data);
    default:
      return JSON.stringify(event.data);
  }
}

/**
 * Reads what {@link encodeLifecycleData} wrote.
 * @param atMs the instant of the event
 * @throws AzothError STORE_CORRUPT if that is not what it is given
 */
export function decodeLifecycleData<Type extends LifecycleType>(
  type: Type,
  text: string,
  atMs: number,
): LifecycleData[Type] {
  const data = decodeData(type, parseStored(type, text), atMs);
  if (data === undefined) throw unreadable(type, text);
  return data as LifecycleData[Type];
}

/** Undefined if what everything relies on is missing. */
function decodeData(type: LifecycleType, stored: object, atMs: number): object | undefined {
  switch (type) {
    case "TaskScheduled":
      return scheduledFrom(stored as StoredScheduled, atMs);
    case "TaskClaimed":
    case "TaskStarted":
      return startedFrom(stored as StoredStarted, atMs);
    case "TaskExecuted":
      return executedFrom(stored);
    default:
      return stored;
  }
}

function parseStored(type: LifecycleType, text: string): object {
  try {
    const stored: unknown = JSON.parse(text);
    if (typeof stored === "object" && stored !== null) return stored;
  } catch {
    // Told below, without the cause: it quotes the text.
  }
  throw unreadable(type, text);
}

/** Does not quote the text: a payload may be in it. */
function unreadable(type: LifecycleType, text: string): AzothError {
  const message = `The data of a ${type} event (${text.length} characters) cannot be read. Restore a backup, and keep the damaged file.`;
  return new AzothError("STORE_CORRUPT", message);
}

type StoredScheduled = Pick<TaskScheduledData, "taskId" | "taskType"> &
  Partial<Pick<TaskScheduledData, "because" | "revision" | "anchorMs" | "next">> &
  StoredDefinition & { readonly payload: unknown };

function encodeScheduled(data: TaskScheduledData, atMs: number): string {
  const { taskId, taskType, because, revision, anchorMs, next, definition, payload } = data;
  let text = `{"taskId":${JSON.stringify(taskId)},"taskType":${JSON.stringify(taskType)}`;
  if (because !== usual.because) text += `,"because":${JSON.stringify(because)}`;
  if (revision !== usual.revision) text += `,"revision":${revision}`;
  if (anchorMs !== undefined) text += `,"anchorMs":${anchorMs}`;
  if (!isUsualNext(next, definition.schedule, atMs)) text += `,"next":${JSON.stringify(next)}`;
  const fields = encodeDefinition(definition).slice(1, -1);
  if (fields !== "") text += `,${fields}`;
  return `${text},"payload":${payload}}`;
}

function scheduledFrom(stored: StoredScheduled, atMs: number): TaskScheduledData | undefined {
  const { taskId, taskType, because = usual.because, revision = usual.revision, anchorMs, payload } = stored;
  if (typeof taskId !== "string" || typeof taskType !== "string" || payload === undefined) return undefined;
  const definition = definitionFrom(stored);
  const next = stored.next ?? { scheduledForMs: usualFirstMs(definition.schedule, atMs) };
  // Text that JSON.stringify wrote comes back from parse and stringify unchanged.
  const data = { taskId, taskType, because, revision, next, definition, payload: JSON.stringify(payload) };
  return anchorMs === undefined ? data : { ...data, anchorMs };
}

/** When a task of this schedule is due that was scheduled at `atMs`, if nothing else is said of it. */
function usualFirstMs(schedule: Schedule, atMs: number): number {
  return schedule.kind === "one-time" ? schedule.atMs : atMs;
}

function isUsualNext(next: PlannedOccurrence, schedule: Schedule, atMs: number): boolean {
  const { scheduledForMs, dst, dropped, tzdata } = next;
  if (scheduledForMs !== usualFirstMs(schedule, atMs)) return false;
  return dst === undefined && dropped === undefined && tzdata === undefined;
}

interface StoredStarted {
  /** How long after its nominal time. */
  readonly lateMs?: number;
  readonly attempt?: number;
  readonly instance: number;
}

function encodeStarted({ scheduledForMs, attempt, instance }: TaskStartedData, atMs: number): string {
  const late = scheduledForMs === atMs ? "" : `"lateMs":${atMs - scheduledForMs},`;
  const again = attempt === usual.attempt ? "" : `"attempt":${attempt},`;
  return `{${late}${again}"instance":${instance}}`;
}

function startedFrom(stored: StoredStarted, atMs: number): TaskStartedData | undefined {
  const { lateMs = 0, attempt = usual.attempt, instance } = stored;
  return typeof instance === "number" ? { scheduledForMs: atMs - lateMs, attempt, instance } : undefined;
}

type StoredExecuted = Partial<TaskExecutedData>;

function encodeExecuted(data: TaskExecutedData): string {
  // By far the most frequent: a success without anything else to say.
  if (data.success && data.then === usual.then && Object.keys(data).length === 3) {
    return data.durationMs === 0 ? "{}" : `{"durationMs":${data.durationMs}}`;
  }
  const { success, durationMs, then, ...rest } = data;
  const stored: StoredExecuted = {
    ...(success ? {} : { success }),
    ...(durationMs === 0 ? {} : { durationMs }),
    ...(then === usual.then ? {} : { then }),
    ...rest,
  };
  return JSON.stringify(stored);
}

function executedFrom({
  success = true,
  durationMs = 0,
  then = usual.then,
  ...rest
}: StoredExecuted): TaskExecutedData {
  return { success, durationMs, then, ...rest };
}
