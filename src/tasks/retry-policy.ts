/** When a failed task is tried again: exponential backoff as plain data and one pure function. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";

/** A backoff as the user writes it; every part has a default. */
export interface RetryOptions {
  /** The delay after the first failure. Defaults to "1m". */
  readonly base?: Duration;
  /** What each further delay is multiplied by, at least 1. Defaults to 2: 1, 2, 4, … minutes. */
  readonly factor?: number;
  /** The longest delay. Defaults to "1d". */
  readonly cap?: Duration;
  /** The part of each delay, 0 to 1, that is drawn at random: 0.5 gives 50 % to 100 % of it. Defaults to 0. */
  readonly jitter?: number;
}

/** A backoff as it is stored. */
export interface RetryPolicy {
  readonly baseMs: number;
  readonly factor: number;
  readonly capMs: number;
  readonly jitter: number;
}

/** 1, 2, 4, … minutes, at most a day. */
export const defaultRetryPolicy: RetryPolicy = { baseMs: 60_000, factor: 2, capMs: 86_400_000, jitter: 0 };

/** @throws AzothError INVALID_TASK or INVALID_DURATION */
export function resolveRetryPolicy(options: RetryOptions | undefined, defaults: RetryPolicy): RetryPolicy {
  if (options === undefined) return defaults;
  if (typeof options !== "object" || options === null) {
    throw new AzothError(
      "INVALID_TASK",
      `retry must be an object like { base: "1m", factor: 2 }, and is ${quote(options)}.`,
    );
  }
  const known = ["base", "factor", "cap", "jitter"];
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new AzothError(
      "INVALID_TASK",
      `retry has the unknown field ${quote(unknown)}. It takes ${known.join(", ")}.`,
    );
  }
  const factor = options.factor ?? defaults.factor;
  if (typeof factor !== "number" || !(factor >= 1 && factor <= 100)) {
    throw new AzothError("INVALID_TASK", `retry.factor must be a number from 1 to 100, and is ${quote(factor)}.`);
  }
  const jitter = options.jitter ?? defaults.jitter;
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter <= 1)) {
    throw new AzothError("INVALID_TASK", `retry.jitter must be a number from 0 to 1, and is ${quote(jitter)}.`);
  }
  const baseMs = options.base === undefined ? defaults.baseMs : parseDuration(options.base, { what: "retry.base" });
  const capMs =
    options.cap === undefined ? Math.max(defaults.capMs, baseMs) : parseDuration(options.cap, { what: "retry.cap" });
  return { baseMs, factor, capMs, jitter };
}

/**
 * The delay before the next attempt, in milliseconds.
 * @param retryCount failures so far, this one included: 1 after the first
 * @param draw a random number in [0, 1), used only with jitter
 */
export function backoffMs(policy: RetryPolicy, retryCount: number, draw: number): number {
  const full = Math.min(policy.capMs, policy.baseMs * policy.factor ** (retryCount - 1));
  return Math.round(full * (1 - policy.jitter * draw));
}
