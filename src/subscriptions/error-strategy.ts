/** What happens when an event handler fails, as plain data and one pure function. */
import { AzothError, quote, within } from "../errors.ts";
import { readFields } from "../names.ts";
import { backoffMs, type RetryOptions, type RetryPolicy, resolveRetryPolicy } from "../tasks/retry-policy.ts";

/** The end of the attempts: stand still, pass the event over, or put it aside for a person. */
export type FinalStrategy = "stop" | "skip" | "dead-letter";

/**
 * A strategy without retries, or with them: `{ retry: { maxAttempts: 5, base: "1s" }, then: "dead-letter" }`.
 * While an event is retried, later ones wait: the order is kept.
 */
export type ErrorStrategy =
  | FinalStrategy
  | { readonly retry: RetryOptions & { readonly maxAttempts: number }; readonly then: FinalStrategy };

type RetryStrategy = Exclude<ErrorStrategy, FinalStrategy>;

export interface ResolvedStrategy {
  readonly maxAttempts: number;
  readonly retry: RetryPolicy;
  readonly then: FinalStrategy;
}

const defaultRetry: RetryPolicy = { baseMs: 1_000, factor: 2, capMs: 60_000, jitter: 0 };
const defaultStrategy: ResolvedStrategy = { maxAttempts: 5, retry: defaultRetry, then: "dead-letter" };
const finals: readonly unknown[] = ["stop", "skip", "dead-letter"];

/** @throws AzothError INVALID_HANDLER */
export function resolveErrorStrategy(strategy: ErrorStrategy | undefined): ResolvedStrategy {
  if (strategy === undefined) return defaultStrategy;
  if (finals.includes(strategy)) return { maxAttempts: 1, retry: defaultRetry, then: strategy as FinalStrategy };
  if (typeof strategy !== "object" || strategy === null) {
    throw invalid(`onError must be "stop", "skip", "dead-letter", or { retry, then }, and is ${quote(strategy)}`);
  }
  const { retry, then } = readFields<RetryStrategy>(strategy, ["retry", "then"], "onError", "INVALID_HANDLER");
  if (!finals.includes(then)) {
    throw invalid(`onError.then must be "stop", "skip" or "dead-letter", and is ${quote(then)}`);
  }
  const keys = ["maxAttempts", "base", "factor", "cap", "jitter"];
  const { maxAttempts, ...backoff } = readFields<typeof retry>(retry, keys, "onError.retry", "INVALID_HANDLER");
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
    throw invalid(`onError.retry.maxAttempts must be a whole number from 1, and is ${quote(maxAttempts)}`);
  }
  try {
    return { maxAttempts, retry: resolveRetryPolicy(backoff, defaultRetry), then };
  } catch (error) {
    throw within("onError", error, "INVALID_HANDLER");
  }
}

function invalid(problem: string): AzothError {
  return new AzothError("INVALID_HANDLER", `${problem}.`);
}

/** What follows a failed attempt: another one after a delay, or the end. */
export function afterFailure(
  strategy: ResolvedStrategy,
  attempts: number,
  draw: number,
): { readonly retryInMs: number } | { readonly then: FinalStrategy } {
  if (attempts >= strategy.maxAttempts) return { then: strategy.then };
  return { retryInMs: backoffMs(strategy.retry, attempts, draw) };
}
