/** The options of a Scheduler, their defaults, and their check at the door. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { parseName, refuseUnknownKeys } from "../names.ts";
import type { AnyEventHandler } from "../subscriptions/event-handler.ts";
import { builtInDefaults, parseTimeout, type TaskDefaults } from "../tasks/request.ts";
import { type RetryOptions, resolveRetryPolicy } from "../tasks/retry-policy.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { SignalListener } from "../telemetry/signals.ts";
import type { AnyTaskHandler } from "./task-handler.ts";

export interface SchedulerOptions<Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]> {
  /** One per task type. */
  readonly handlers?: Handlers;
  /** Readers of the log that run beside the tasks. */
  readonly eventHandlers?: readonly AnyEventHandler[];
  /** Task types that may be scheduled here and are handled by other processes. Defaults to none. */
  readonly externalTaskTypes?: readonly string[];
  /** The longest time without a look at what is due; work that is known of starts at once. Defaults to "1s". */
  readonly pollInterval?: Duration;
  /** The most handlers that run at one time. Defaults to 10. */
  readonly maxConcurrentTasks?: number;
  /** Attempts before a failing task is disabled. Defaults to 3. */
  readonly defaultMaxRetries?: number;
  /** Delays between attempts. Defaults to 1, 2, 4, … minutes, at most a day. */
  readonly defaultRetry?: RetryOptions;
  /** How long an attempt may take. Defaults to "5m". */
  readonly defaultTimeout?: Duration;
  /** How long a handler may go on after its signal, and running tasks after `stop`. Defaults to "10s". */
  readonly gracePeriod?: Duration;
  /** How long a claim outlives its owner's last sign of life; it shows one three times in this time. Defaults to "15s". */
  readonly claimDuration?: Duration;
  /** After so many lost claims in a row an attempt counts as failed: a task may be what kills its processes. Defaults to 10. */
  readonly maxLostClaims?: number;
  /** Names this instance in the log. Defaults to host name and process id. */
  readonly name?: string;
  /** Gets log lines; the library prints nothing by itself. */
  readonly logger?: Logger;
  /** Gets every signal of the telemetry catalogue. */
  readonly onSignal?: SignalListener;
}

const optionKeys = [
  "handlers",
  "eventHandlers",
  "externalTaskTypes",
  "pollInterval",
  "maxConcurrentTasks",
  "defaultMaxRetries",
  "defaultRetry",
  "defaultTimeout",
  "gracePeriod",
  "claimDuration",
  "maxLostClaims",
  "name",
  "logger",
  "onSignal",
];

export interface SchedulerSettings {
  readonly handlers: readonly AnyTaskHandler[];
  readonly eventHandlers: readonly AnyEventHandler[];
  readonly externalTaskTypes: readonly string[];
  readonly defaults: TaskDefaults;
  readonly pollIntervalMs: number;
  readonly slots: number;
  readonly gracePeriodMs: number;
  readonly claimMs: number;
  readonly maxLostClaims: number;
  readonly name: string;
}

/** @throws AzothError INVALID_OPTION, INVALID_DURATION */
export function resolveOptions(options: SchedulerOptions, defaultName: string): SchedulerSettings {
  if (typeof options !== "object" || options === null) {
    throw new AzothError(
      "INVALID_OPTION",
      `A Scheduler's options must be an object like { handlers: [...] }, and are ${quote(options)}.`,
    );
  }
  refuseUnknownKeys(options, optionKeys, "The Scheduler", "INVALID_OPTION");
  const { externalTaskTypes = [], defaultTimeout } = options;
  const duration = (value: Duration | undefined, fallback: Duration, what: string, minMs: number) =>
    parseDuration(value ?? fallback, { what, minMs });
  return {
    handlers: arrayOf<AnyTaskHandler>(options.handlers, "handlers"),
    eventHandlers: arrayOf<AnyEventHandler>(options.eventHandlers, "eventHandlers"),
    externalTaskTypes: externalTaskTypes.map((type) => parseName(type, "externalTaskTypes", "INVALID_OPTION")),
    defaults: {
      maxRetries: integer(options.defaultMaxRetries, builtInDefaults.maxRetries, "defaultMaxRetries", 0),
      retry: resolveRetryPolicy(options.defaultRetry, builtInDefaults.retry),
      timeoutMs:
        defaultTimeout === undefined ? builtInDefaults.timeoutMs : parseTimeout(defaultTimeout, "defaultTimeout"),
    },
    pollIntervalMs: duration(options.pollInterval, "1s", "pollInterval", 1),
    slots: integer(options.maxConcurrentTasks, 10, "maxConcurrentTasks", 1),
    gracePeriodMs: duration(options.gracePeriod, "10s", "gracePeriod", 0),
    claimMs: duration(options.claimDuration, "15s", "claimDuration", 30),
    maxLostClaims: integer(options.maxLostClaims, 10, "maxLostClaims", 1),
    name: options.name === undefined ? defaultName : parseName(options.name, "name", "INVALID_OPTION"),
  };
}

function arrayOf<Item>(value: readonly Item[] | undefined, what: string): readonly Item[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value as readonly Item[];
  throw new AzothError("INVALID_OPTION", `${what} must be an array, and is ${quote(value)}.`);
}

function integer(value: number | undefined, fallback: number, what: string, low: number): number {
  const number = value ?? fallback;
  if (Number.isSafeInteger(number) && number >= low && number <= 1_000_000_000) return number;
  throw new AzothError("INVALID_OPTION", `${what} must be a whole number from ${low}, and is ${quote(value)}.`);
}
