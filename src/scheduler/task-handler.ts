/** TaskHandlers: user code for a task type, what it is given, and how its types flow. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Duration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { parseName, readFields, readSafely } from "../names.ts";
import type { SqlValue } from "../store/engine.ts";
import type { ScheduleTaskRequest } from "../tasks/request.ts";
import type { RetryOptions } from "../tasks/retry-policy.ts";
import type { TaskEvent } from "../tasks/task-event.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { TaskOutcome } from "./outcomes.ts";

/**
 * Writes that commit together with the run's completion, or not at all: if the attempt fails, times out or has lost
 * its claim, none of them happens. They are carried out in order when the handler has returned.
 */
export interface TaskTransaction {
  /** Appends an event of the user's own, linked to this execution. */
  append(event: TaskEvent): void;
  /** Runs one SQL statement on the user's own tables. If it fails, the attempt fails. */
  execute(sql: string, parameters?: readonly SqlValue[]): void;
  /** Schedules a task; resolves with its id when the request has been checked. */
  scheduleTask(request: ScheduleTaskRequest): Promise<{ taskId: string }>;
  cancelTask(taskId: string, reason: string): void;
}

/** What a handler knows of its run. */
export interface TaskContext {
  readonly taskId: string;
  readonly taskType: string;
  /** Unique to this run; the fencing token of its claim. */
  readonly executionId: string;
  /** The nominal time of the occurrence, which a late run or a retry keeps. */
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  /** 1 for the first attempt at the occurrence. */
  readonly attempt: number;
  /** The attempt after which a failure disables the task. */
  readonly maxRetries: number;
  /** The same for every attempt at one occurrence, and for no other: hand it to services that deduplicate. */
  readonly idempotencyKey: string;
  /** Aborts on timeout, cancellation, a lost claim, or the end of the grace period of a shutdown; `reason` is an AzothError. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly transaction: TaskTransaction;
  /** The scheduler's clock. */
  readonly now: () => Date;
  /** Waits on the scheduler's clock; rejects with the signal's reason when it aborts. */
  readonly sleep: (duration: Duration) => Promise<void>;
}

/** What `execute` may give back: an event, an outcome, or nothing. */
export type HandlerResult = TaskEvent | TaskOutcome | null | undefined | void;

/** Settings of one task type, which a task's own go before. */
interface HandlerDefaults {
  readonly maxRetries?: number;
  readonly retry?: RetryOptions;
  readonly timeout?: Duration;
}

/** User code for a task type. Make one with {@link taskHandler}, which infers the types. */
export interface TaskHandler<TaskType extends string = string, Input = unknown, Payload = Input, Result = unknown>
  extends HandlerDefaults {
  readonly taskType: TaskType;
  /** Any Standard Schema (zod, valibot, arktype, …): checked at scheduling and before each run; `execute` gets its output. */
  readonly payload?: StandardSchemaV1<Input, Payload>;
  /** Throws, or returns false, to refuse a payload at scheduling and before each run. */
  validate?(payload: unknown): unknown;
  execute(context: TaskContext, payload: Payload): Result | Promise<Result>;
}

/** Any task handler. The payload is `never` because handlers of different payloads share this type. */
export interface AnyTaskHandler extends HandlerDefaults {
  readonly taskType: string;
  readonly payload?: StandardSchemaV1;
  validate?(payload: unknown): unknown;
  execute(context: TaskContext, payload: never): unknown;
}

const handlerKeys = ["taskType", "payload", "validate", "execute", "maxRetries", "retry", "timeout"];

/**
 * Defines a task handler, with its payload typed by its schema, or by the annotation of `execute`'s second parameter.
 *
 * @example
 * const report = taskHandler({
 *   taskType: "generate_report",
 *   payload: z.object({ region: z.string() }),
 *   execute: (ctx, { region }) => ({ eventType: "report_generated", payload: { region, rows: 12 } }),
 * });
 * @throws AzothError INVALID_HANDLER
 */
export function taskHandler<const TaskType extends string, Input, Payload, Result extends HandlerResult>(
  handler: TaskHandler<TaskType, Input, Payload, Result> & { readonly payload: StandardSchemaV1<Input, Payload> },
): TaskHandler<TaskType, Input, Payload, Result>;
export function taskHandler<const TaskType extends string, Payload, Result extends HandlerResult>(
  handler: TaskHandler<TaskType, Payload, Payload, Result> & { readonly payload?: undefined },
): TaskHandler<TaskType, Payload, Payload, Result>;
export function taskHandler(handler: AnyTaskHandler): AnyTaskHandler {
  checkTaskHandler(handler);
  return handler;
}

/** @throws AzothError INVALID_HANDLER */
export function checkTaskHandler(handler: unknown): asserts handler is AnyTaskHandler {
  readSafely("A task handler", "INVALID_HANDLER", () => checkParts(handler));
}

function checkParts(handler: unknown): void {
  if (typeof handler !== "object" || handler === null) {
    throw new AzothError(
      "INVALID_HANDLER",
      `A task handler must be an object like { taskType, execute }, and is ${quote(handler)}.`,
    );
  }
  // A class instance may have members of its own; in a literal an unknown key is a misspelling.
  if (Object.getPrototypeOf(handler) === Object.prototype) {
    readFields(handler, handlerKeys, "The task handler", "INVALID_HANDLER");
  }
  const { taskType, execute, validate, payload } = handler as Partial<AnyTaskHandler>;
  const type = parseName(taskType, "taskType", "INVALID_HANDLER");
  if (typeof execute !== "function") {
    throw new AzothError(
      "INVALID_HANDLER",
      `The handler of ${quote(type)} must have a function execute, and it is ${quote(execute)}.`,
    );
  }
  if (validate !== undefined && typeof validate !== "function") {
    throw new AzothError(
      "INVALID_HANDLER",
      `The handler of ${quote(type)} has a validate that is no function: ${quote(validate)}.`,
    );
  }
  if (payload !== undefined && typeof payload?.["~standard"]?.validate !== "function") {
    throw new AzothError(
      "INVALID_HANDLER",
      `The handler of ${quote(type)} has a payload that is no Standard Schema (zod 3.24+, valibot 1+, arktype 2+).`,
    );
  }
}

/** Handlers that have no schema: the annotation of `execute` says what they take. */
interface Unchecked<Payload> {
  readonly payload?: undefined;
  execute(context: never, payload: Payload): unknown;
}

/** Handlers with a schema. */
interface Checked<Input> {
  readonly payload?: StandardSchemaV1<Input, unknown>;
}

/** The payload that a task of this handler is scheduled with: its schema's input, or what `execute` takes. */
export type PayloadOf<Handler> =
  Handler extends Unchecked<infer Payload> ? Payload : Handler extends Checked<infer Input> ? Input : unknown;

/** The union of typed requests for a tuple of handlers. */
export type RequestFor<Handlers extends readonly AnyTaskHandler[]> = TypedRequest<Handlers[number]>;

/** Written with the conditions of PayloadOf, and not by it, so that the compiler sees that a Scheduler's type is covariant. */
type TypedRequest<Handler extends AnyTaskHandler> =
  Handler extends Unchecked<infer Payload>
    ? RequestWith<Handler["taskType"], Payload>
    : Handler extends Checked<infer Input>
      ? RequestWith<Handler["taskType"], Input>
      : never;

/** A payload may be left out where nothing is a fitting one. */
type RequestWith<TaskType extends string, Payload> = undefined extends Payload
  ? ScheduleTaskRequest<TaskType, Payload>
  : null extends Payload
    ? ScheduleTaskRequest<TaskType, Payload>
    : ScheduleTaskRequest<TaskType, Payload> & { readonly payload: Payload };
