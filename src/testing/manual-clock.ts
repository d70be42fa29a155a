/**
 * A clock that a test drives by hand.
 *
 * It has two times, as a machine has: the instant that it shows, and the time that has passed. Sleeps are
 * measured by the second, so that setting the clock wakes nobody and delays nobody.
 */
import { type Clock, longestSleepMs, yieldToEventLoop } from "../clock.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError } from "../errors.ts";
import { type Instant, parseInstant } from "../schedule/instant.ts";
import { currentHandlerCall } from "./work-in-progress.ts";

const hundredYearsMs = 36_525 * 86_400_000;

interface Sleeper {
  readonly deadlineMs: number;
  /** Who sleeps, so that all sleepers of one process can be dropped together. */
  readonly owner: unknown;
  readonly wake: () => void;
  readonly drop: () => void;
}

/**
 * A clock that moves only when told.
 *
 * @example
 * const clock = new ManualClock("2026-03-29T00:00:00Z");
 * const slept = clock.sleep(60_000);
 * await clock.advance("1m");
 * await slept;
 */
export class ManualClock implements Clock {
  readonly virtual = true;
  #startMs: number;
  #passedMs = 0;
  #activity = 0;
  /** By deadline, then by order of creation. */
  readonly #sleepers: Sleeper[] = [];

  /** @throws AzothError INVALID_INSTANT */
  constructor(start: Instant) {
    this.#startMs = parseInstant(start, "start");
  }

  /** The instant that the clock shows, in epoch milliseconds. */
  now(): number {
    return this.#startMs + this.#passedMs;
  }

  /** Resolves when the clock was advanced by `ms` in all (at most a day, as {@link Clock.sleep} says), or when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.sleepFor(this, ms, signal);
  }

  /** How many sleeps are pending. */
  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  /**
   * Lets time pass, from sleeper to sleeper. With a scheduler use `advance` of {@link createTestScheduler}
   * instead: it also waits until everything that a sleeper set off has come to rest.
   * @throws AzothError INVALID_DURATION
   */
  async advance(duration: Duration): Promise<void> {
    const untilMs = this.#passedMs + parseDuration(duration, { what: "duration" });
    for (;;) {
      const nextMs = this.#sleepers[0]?.deadlineMs ?? Number.POSITIVE_INFINITY;
      this.pass(Math.min(nextMs, untilMs) - this.#passedMs);
      await yieldToEventLoop();
      if (nextMs > untilMs) return;
    }
  }

  /** Sets the clock to an instant, as a person sets a machine's clock: no time passes by it. @throws AzothError INVALID_INSTANT */
  set(instant: Instant): void {
    this.#startMs = parseInstant(instant, "instant") - this.#passedMs;
  }

  /**
   * Sets the clock forwards, or backwards by a negative number of milliseconds: no time passes by it.
   *
   * @example
   * clock.jump("2h");
   * clock.jump(-7_200_000);
   * @throws AzothError INVALID_DURATION
   */
  jump(by: Duration): void {
    this.#startMs += parseDuration(by, { what: "jump", minMs: -hundredYearsMs });
  }

  /** Changes whenever a sleep begins or ends. @internal */
  get activity(): number {
    return this.#activity;
  }

  /** Milliseconds until the next sleeper wakes. @internal */
  get nextWakeInMs(): number | undefined {
    const next = this.#sleepers[0];
    return next === undefined ? undefined : next.deadlineMs - this.#passedMs;
  }

  /** Lets time pass at once and wakes whoever is due, in order. @internal */
  pass(ms: number): void {
    if (ms < 0) throw new AzothError("INVALID_DURATION", `Time cannot pass by ${ms} ms; set the clock with jump.`);
    this.#passedMs += ms;
    while ((this.#sleepers[0]?.deadlineMs ?? Number.POSITIVE_INFINITY) <= this.#passedMs) this.#sleepers[0]?.wake();
  }

  /** As `sleep`, on behalf of an owner. @internal */
  sleepFor(owner: unknown, ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true || !(ms > 0)) return Promise.resolve();
    const call = currentHandlerCall();
    call?.park();
    this.#activity++;
    return new Promise((resolve) => {
      const drop = () => {
        this.#activity++;
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        signal?.removeEventListener("abort", wake);
      };
      const wake = () => {
        drop();
        call?.resume();
        resolve();
      };
      const sleeper: Sleeper = { deadlineMs: this.#passedMs + Math.min(ms, longestSleepMs), owner, wake, drop };
      const later = this.#sleepers.findIndex(({ deadlineMs }) => deadlineMs > sleeper.deadlineMs);
      this.#sleepers.splice(later === -1 ? this.#sleepers.length : later, 0, sleeper);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  /** Drops the sleepers of an owner, which then never wake. @internal */
  abandon(owner: unknown): void {
    for (const sleeper of this.#sleepers.filter((sleeper) => sleeper.owner === owner)) sleeper.drop();
  }
}
