/**
 * Lifecycle events and definitions as stored JSON, and back. Fields that have their usual value are left out:
 * with four events a task, every byte counts. The usual values are part of the format and never change.
 */
import { AzothError, quote } from "../errors.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type { LifecycleData, LifecycleEvent, LifecycleType, TaskScheduledData } from "./events.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retry-policy.ts";
import type { TaskDefinition } from "./task-state.ts";

interface StoredDefinition {
  readonly schedule: Schedule;
  readonly priority?: number;
  readonly maxRetries?: number;
  readonly retry?: RetryPolicy;
  readonly timeoutMs?: number;
}

const usual = { priority: 0, maxRetries: 3, timeoutMs: 300_000, retry: defaultRetryPolicy } as const;

/** The most definitions that are kept decoded; tasks of one kind share their definition's text. */
const memoLimit = 500;
const decoded = new Map<string, TaskDefinition>();
const encoded = new WeakMap<TaskDefinition, string>();

/** The canonical text of a definition: equal definitions have equal texts. */
export function encodeDefinition(definition: TaskDefinition): string {
  const known = encoded.get(definition);
  if (known !== undefined) return known;
  const stored: StoredDefinition = {
    schedule: definition.schedule,
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
  // Only what everything that reads a task relies on: the rest speaks up where it is used.
  if (typeof stored?.schedule?.kind !== "string") {
    throw new AzothError(
      "STORE_CORRUPT",
      "A stored definition has no schedule. Restore a backup, and keep the damaged file.",
    );
  }
  return {
    schedule: stored.schedule,
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
  if (event.type !== "TaskScheduled") return JSON.stringify(event.data);
  const { definition, payload, ...rest } = event.data;
  const definitionFields = encodeDefinition(definition).slice(1, -1);
  return `${JSON.stringify(rest).slice(0, -1)},${definitionFields},"payload":${payload}}`;
}

/** Reads what {@link encodeLifecycleData} wrote. @throws AzothError STORE_CORRUPT if that is not what it is given */
export function decodeLifecycleData<Type extends LifecycleType>(type: Type, text: string): LifecycleData[Type] {
  const stored = parseStored(type, text);
  return (type === "TaskScheduled" ? scheduledFrom(stored as StoredScheduled) : stored) as LifecycleData[Type];
}

function parseStored(type: LifecycleType, text: string): object {
  let cause: unknown;
  try {
    const stored: unknown = JSON.parse(text);
    if (typeof stored === "object" && stored !== null) return stored;
  } catch (error) {
    cause = error;
  }
  const message = `The data of a ${type} event cannot be read: ${quote(text)}. Restore a backup, and keep the damaged file.`;
  throw new AzothError("STORE_CORRUPT", message, { cause });
}

type StoredScheduled = Omit<TaskScheduledData, "definition" | "payload"> &
  StoredDefinition & { readonly payload: unknown };

function scheduledFrom(stored: StoredScheduled): TaskScheduledData {
  const { schedule, priority, maxRetries, retry, timeoutMs, payload, ...rest } = stored;
  const definition = definitionFrom({
    schedule,
    ...(priority === undefined ? {} : { priority }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(retry === undefined ? {} : { retry }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  // Text that JSON.stringify wrote comes back from parse and stringify unchanged.
  return { ...rest, definition, payload: JSON.stringify(payload) };
}
