/** What a handler can return, or throw, instead of an event: how its attempt is to count. */
import { type Duration, parseDuration } from "../duration.ts";
import { quote } from "../errors.ts";
import { boundedText } from "../limits.ts";

/** Made by {@link fail}, {@link retryAfter} and {@link snooze}. */
export class TaskOutcome {
  readonly kind: "fail" | "retry-after" | "snooze";
  readonly delayMs: number;
  readonly reason: string;

  /** @internal */
  constructor(kind: "fail" | "retry-after" | "snooze", delayMs: number, reason: string) {
    this.kind = kind;
    this.delayMs = delayMs;
    this.reason = boundedText(reason);
  }
}

const longestDelayMs = 10 * 365 * 86_400_000;

/** The attempt failed for good: the task is disabled whatever retries are left. */
export function fail(reason: string): TaskOutcome {
  return new TaskOutcome("fail", 0, textOf(reason));
}

/** The attempt failed, and counts; the next one comes after this delay instead of the backoff's. @throws AzothError INVALID_DURATION */
export function retryAfter(delay: Duration, reason = "retry requested by the handler"): TaskOutcome {
  return new TaskOutcome("retry-after", parseDelay(delay), textOf(reason));
}

/** Not now: the same occurrence runs again after this delay, and no attempt is counted. @throws AzothError INVALID_DURATION */
export function snooze(delay: Duration, reason = ""): TaskOutcome {
  return new TaskOutcome("snooze", parseDelay(delay), textOf(reason));
}

/** An Error is a reason, too. Whatever is no text must not turn an outcome into a failure of another kind. */
function textOf(reason: unknown): string {
  try {
    return String(reason);
  } catch {
    return quote(reason);
  }
}

function parseDelay(delay: Duration): number {
  return parseDuration(delay, { what: "delay", maxMs: longestDelayMs });
}
