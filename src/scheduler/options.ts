/** The options of a Scheduler, their defaults, and their check at the door. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote, within } from "../errors.ts";
import { parseFunction, parseName, readFields, readSafely } from "../names.ts";
import type { AnyEventHandler } from "../subscriptions/event-handler.ts";
import { builtInDefaults, parseTimeout, type TaskDefaults } from "../tasks/request.ts";
import { type RetryOptions, type RetryPolicy, resolveRetryPolicy } from "../tasks/retry-policy.ts";
import { type Logger, silentLogger } from "../telemetry/logger.ts";
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
  /**
   * While there is more due than there are slots, up to so many tasks are claimed beyond them, and start without waiting for
   * a commit. They are shown as "claimed", and given back if no slot becomes free soon. 0 claims for free slots only. Defaults to 250.
   */
  readonly claimAhead?: number;
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
  "claimAhead",
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

/** More in one commit would hold the event loop for too long. */
const mostClaimedAhead = 1_000;

export interface SchedulerSettings {
  readonly handlers: readonly AnyTaskHandler[];
  readonly eventHandlers: readonly AnyEventHandler[];
  readonly externalTaskTypes: readonly string[];
  readonly defaults: TaskDefaults;
  readonly pollIntervalMs: number;
  readonly slots: number;
  readonly claimAhead: number;
  readonly gracePeriodMs: number;
  readonly claimMs: number;
  readonly maxLostClaims: number;
  readonly name: string;
  readonly logger: Logger;
  readonly onSignal: SignalListener | undefined;
}

/** @throws AzothError INVALID_OPTION, INVALID_DURATION */
export function resolveOptions(options: SchedulerOptions, defaultName: string): SchedulerSettings {
  const given = readFields<SchedulerOptions>(options, optionKeys, "The options of a Scheduler", "INVALID_OPTION");
  const { pollInterval = "1s", gracePeriod = "10s", claimDuration = "15s", name = defaultName } = given;
  const { maxConcurrentTasks = 10, claimAhead = 250, maxLostClaims = 10, externalTaskTypes } = given;
  return {
    handlers: listOf(given.handlers, "handlers"),
    eventHandlers: listOf(given.eventHandlers, "eventHandlers"),
    externalTaskTypes: listOf(externalTaskTypes, "externalTaskTypes").map((type) => {
      return parseName(type, "externalTaskTypes", "INVALID_OPTION");
    }),
    defaults: resolveDefaults(given),
    pollIntervalMs: parseDuration(pollInterval, { what: "pollInterval", minMs: 1 }),
    slots: integer(maxConcurrentTasks, "maxConcurrentTasks", 1),
    claimAhead: integer(claimAhead, "claimAhead", 0, mostClaimedAhead),
    gracePeriodMs: parseDuration(gracePeriod, { what: "gracePeriod" }),
    claimMs: parseDuration(claimDuration, { what: "claimDuration", minMs: 30 }),
    maxLostClaims: integer(maxLostClaims, "maxLostClaims", 1),
    name: parseName(name, "name", "INVALID_OPTION"),
    logger: parseLogger(given.logger),
    onSignal: parseFunction(given.onSignal, "onSignal"),
  };
}

function resolveDefaults(options: SchedulerOptions): TaskDefaults {
  const { maxRetries, timeoutMs } = builtInDefaults;
  const { defaultMaxRetries = maxRetries, defaultRetry, defaultTimeout } = options;
  return {
    maxRetries: integer(defaultMaxRetries, "defaultMaxRetries", 0),
    retry: parseRetry(defaultRetry),
    timeoutMs: defaultTimeout === undefined ? timeoutMs : parseTimeout(defaultTimeout, "defaultTimeout"),
  };
}

function parseRetry(defaultRetry: RetryOptions | undefined): RetryPolicy {
  try {
    return resolveRetryPolicy(defaultRetry, builtInDefaults.retry);
  } catch (error) {
    throw within("defaultRetry", error, "INVALID_OPTION");
  }
}

function parseLogger(logger: Logger = silentLogger): Logger {
  const methods = ["debug", "info", "warn", "error"] as const;
  const missing = readSafely("logger", "INVALID_OPTION", () => {
    return methods.find((method) => typeof logger?.[method] !== "function");
  });
  if (missing === undefined) return logger;
  throw new AzothError(
    "INVALID_OPTION",
    `logger must have the methods ${methods.join(", ")}; ${quote(logger)} lacks ${missing}.`,
  );
}

/** A copy, which nobody changes behind our back. */
export function listOf<Item>(value: readonly Item[] | undefined, what: string): readonly Item[] {
  if (value === undefined) return [];
  return readSafely(what, "INVALID_OPTION", () => {
    if (!Array.isArray(value))
      throw new AzothError("INVALID_OPTION", `${what} must be an array, and is ${quote(value)}.`);
    const hole = value.findIndex((item) => item === undefined);
    if (hole === -1) return [...(value as readonly Item[])];
    throw new AzothError("INVALID_OPTION", `${what} must have no gaps, and has nothing at ${hole}.`);
  });
}

function integer(value: number, what: string, low: number, high: number = 1_000_000_000): number {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
  throw new AzothError(
    "INVALID_OPTION",
    `${what} must be a whole number from ${low} to ${high}, and is ${quote(value)}.`,
  );
}
