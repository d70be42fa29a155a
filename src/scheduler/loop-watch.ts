/**
 * Notices that the event loop stood still: a sleep that ended much later than it should have.
 *
 * Heartbeats come from the same event loop. Whoever holds it for the claim time loses the claims of this process.
 */
import { monotonicMs } from "../clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** Looks per stretch that is worth telling: a blocked stretch is told with at most so much less than it had. */
const looksPerStretch = 4;

export interface LoopWatchOptions {
  readonly telemetry: Telemetry;
  readonly instance: () => number;
  readonly claimMs: number;
  /** Told from here on. */
  readonly worthTellingMs: number;
}

export class LoopWatch {
  readonly #options: LoopWatchOptions;
  readonly #intervalMs: number;
  #expectedAtMs = Number.POSITIVE_INFINITY;

  constructor(options: LoopWatchOptions) {
    this.#options = options;
    this.#intervalMs = Math.ceil(options.worthTellingMs / looksPerStretch);
  }

  /** Returns the milliseconds until the next look. */
  look(nowMs: number = monotonicMs()): number {
    const { telemetry, instance, claimMs, worthTellingMs } = this.#options;
    const blockedMs = Math.round(nowMs - this.#expectedAtMs);
    if (blockedMs >= worthTellingMs) {
      telemetry.emit({ name: "event-loop.blocked", instance: instance(), blockedMs, claimMs });
    }
    this.#expectedAtMs = nowMs + this.#intervalMs;
    return this.#intervalMs;
  }
}
