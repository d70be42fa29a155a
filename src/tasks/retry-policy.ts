/** When a failed task is tried again: exponential backoff as plain data and one pure function. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { readFields } from "../names.ts";

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
  const fields = readFields<RetryOptions>(options, ["base", "factor", "cap", "jitter"], "retry", "INVALID_TASK");
  const { base, factor = defaults.factor, cap, jitter = defaults.jitter } = fields;
  if (typeof factor !== "number" || !(factor >= 1 && factor <= 100)) {
    throw new AzothError("INVALID_TASK", `retry.factor must be a number from 1 to 100, and is ${quote(factor)}.`);
  }
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter <= 1)) {
    throw new AzothError("INVALID_TASK", `retry.jitter must be a number from 0 to 1, and is ${quote(jitter)}.`);
  }
  const baseMs = base === undefined ? defaults.baseMs : parseDuration(base, { what: "retry.base" });
  const capMs = cap === undefined ? Math.max(defaults.capMs, baseMs) : parseDuration(cap, { what: "retry.cap" });
  return { baseMs, factor, capMs, jitter };
}

/**
 * The delay before the next attempt, in milliseconds.
 * @param retryCount failures so far, this one included: 1 after the first
 * @param draw a random number in [0, 1), used only with jitter
 */
export function backoffMs(policy: RetryPolicy, retryCount: number, draw: number): number {
  // The power may be infinite, and nothing times infinity is no number.
  const full = policy.baseMs === 0 ? 0 : Math.min(policy.capMs, policy.baseMs * policy.factor ** (retryCount - 1));
  return Math.round(full * (1 - policy.jitter * draw));
}
