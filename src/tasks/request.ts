/** A task as users ask for it, and how it becomes a definition with every default resolved. */
import { encodeJson, type PayloadRules } from "../codec.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { parseName, readFields } from "../names.ts";
import { parseSchedule } from "../schedule/parse-schedule.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { defaultRetryPolicy, type RetryOptions, type RetryPolicy, resolveRetryPolicy } from "./retry-policy.ts";
import type { TaskDefinition } from "./task-state.ts";

/** What `scheduleTask` takes. */
export interface ScheduleTaskRequest<TaskType extends string = string, Payload = unknown> {
  /**
   * 1 to 255 printable characters. Scheduling an id again with the same definition changes nothing; with another
   * definition it replaces. Defaults to a generated, time-ordered id, for use as a job queue.
   */
  readonly taskId?: string;
  /** Which handler runs it. */
  readonly taskType: TaskType;
  /** Made by `cron`, `interval`, `oneTime` or `immediate`. */
  readonly schedule: Schedule;
  /**
   * Handed to the handler; checked by its schema now and again before each run. Defaults to null; a schema that
   * refuses null is asked for undefined, so that its optional and default parts work.
   */
  readonly payload?: Payload;
  /** Higher runs first among tasks due at the same instant; -1,000,000 to 1,000,000. Defaults to 0. */
  readonly priority?: number;
  /** The attempt at which a failing task is disabled: 3 means three attempts. Defaults to the handler's, then the scheduler's, then 3. */
  readonly maxRetries?: number;
  /** The delays between attempts. Defaults to 1, 2, 4, … minutes. */
  readonly retry?: RetryOptions;
  /** How long one attempt may take. Defaults to the handler's, then the scheduler's, then "5m". */
  readonly timeout?: Duration;
}

/** What fills the gaps of a request. */
export interface TaskDefaults {
  readonly maxRetries: number;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
}

export const builtInDefaults: TaskDefaults = { maxRetries: 3, retry: defaultRetryPolicy, timeoutMs: 300_000 };

/** A request that has passed the door. */
export interface AdmittedTask {
  /** Absent if one is to be generated. */
  readonly taskId: string | undefined;
  readonly taskType: string;
  readonly definition: TaskDefinition;
  /** Encoded JSON. */
  readonly payload: string;
}

/** The door: checks a request's form, type and payload before anything is written. */
export interface Admission {
  /** A promise only where the payload has to be shown to a schema. @throws AzothError */
  admit(request: ScheduleTaskRequest): AdmittedTask | Promise<AdmittedTask>;
}

const requestKeys = ["taskId", "taskType", "schedule", "payload", "priority", "maxRetries", "retry", "timeout"];
const longestTimeoutMs = 365 * 86_400_000;

export interface RequestLimits {
  /** What fills the gaps of a request for this type; may refuse the type. */
  readonly defaultsOf: (taskType: string) => TaskDefaults;
  readonly payloads: PayloadRules;
}

/** Checks a request's form, and encodes its payload. What the payload means is not looked at. @throws AzothError */
export function resolveRequest(request: ScheduleTaskRequest, { defaultsOf, payloads }: RequestLimits): AdmittedTask {
  const fields = readFields<ScheduleTaskRequest>(request, requestKeys, "The task", "INVALID_TASK");
  const taskType = parseName(fields.taskType, "taskType", "INVALID_TASK");
  const taskId = fields.taskId === undefined ? undefined : parseName(fields.taskId, "taskId", "INVALID_TASK_ID");
  const defaults = defaultsOf(taskType);
  const definition = definitionOf(fields, defaults);
  const payload = encodeJson(fields.payload, { ...payloads, what: "payload" });
  return { taskId, taskType, definition, payload };
}

/** What jobs without wishes of their own have in common, by the defaults: one object, whose text is made once. */
const plainJobs = new WeakMap<TaskDefaults, TaskDefinition>();

function definitionOf(fields: ScheduleTaskRequest, defaults: TaskDefaults): TaskDefinition {
  const { priority = 0, maxRetries = defaults.maxRetries, retry, timeout } = fields;
  const schedule = parseSchedule(fields.schedule);
  const hasWishes =
    priority !== 0 || maxRetries !== defaults.maxRetries || retry !== undefined || timeout !== undefined;
  const isPlain = schedule.kind === "immediate" && !hasWishes;
  const known = isPlain ? plainJobs.get(defaults) : undefined;
  if (known !== undefined) return known;
  const definition: TaskDefinition = {
    schedule,
    priority: parseInteger(priority, "priority", -1_000_000, 1_000_000),
    maxRetries: parseInteger(maxRetries, "maxRetries", 0, 1_000_000_000),
    retry: resolveRetryPolicy(retry, defaults.retry),
    timeoutMs: timeout === undefined ? defaults.timeoutMs : parseTimeout(timeout, "timeout"),
  };
  if (isPlain) plainJobs.set(defaults, definition);
  return definition;
}

/** @throws AzothError INVALID_DURATION */
export function parseTimeout(timeout: Duration, what: string): number {
  return parseDuration(timeout, { what, minMs: 1, maxMs: longestTimeoutMs });
}

/** @throws AzothError INVALID_TASK */
export function parseInteger(value: unknown, what: string, low: number, high: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new AzothError(
    "INVALID_TASK",
    `${what} must be a whole number from ${low} to ${high}, and is ${quote(value)}.`,
  );
}
