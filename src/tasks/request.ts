/** A task as users ask for it, and how it becomes a definition with every default resolved. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { parseName, refuseUnknownKeys } from "../names.ts";
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
  /** Handed to the handler; checked by its schema now and again before each run. Defaults to null. */
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
  admit(request: ScheduleTaskRequest): Promise<AdmittedTask>;
}

const requestKeys = ["taskId", "taskType", "schedule", "payload", "priority", "maxRetries", "retry", "timeout"];
const longestTimeoutMs = 365 * 86_400_000;

/** Checks the form of everything but the payload. @throws AzothError */
export function resolveRequest(
  request: ScheduleTaskRequest,
  defaultsOf: (taskType: string) => TaskDefaults,
): Omit<AdmittedTask, "payload"> {
  if (typeof request !== "object" || request === null) {
    throw new AzothError(
      "INVALID_TASK",
      `A task must be an object like { taskType, schedule }, and is ${quote(request)}.`,
    );
  }
  refuseUnknownKeys(request, requestKeys, "The task", "INVALID_TASK");
  const taskType = parseName(request.taskType, "taskType", "INVALID_TASK");
  const taskId = request.taskId === undefined ? undefined : parseName(request.taskId, "taskId", "INVALID_TASK_ID");
  const schedule = parseSchedule(request.schedule);
  const defaults = defaultsOf(taskType);
  const definition: TaskDefinition = {
    schedule,
    priority: parseInteger(request.priority ?? 0, "priority", -1_000_000, 1_000_000),
    maxRetries: parseInteger(request.maxRetries ?? defaults.maxRetries, "maxRetries", 0, 1_000_000_000),
    retry: resolveRetryPolicy(request.retry, defaults.retry),
    timeoutMs: request.timeout === undefined ? defaults.timeoutMs : parseTimeout(request.timeout, "timeout"),
  };
  return { taskId, taskType, definition };
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
