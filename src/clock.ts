/**
 * Time as a value that is passed in.
 *
 * With `random.ts` the only file that touches `Date`, timers and `Math.random`: whoever holds
 * a Clock can be driven by hand in a test. Instants are epoch milliseconds.
 */

/** A source of time. */
export interface Clock {
  /** The current instant in epoch milliseconds. May jump forwards and backwards, as machine clocks do. */
  now(): number;
  /**
   * Resolves after `ms` milliseconds, or at once when `signal` aborts; it never rejects.
   * Sleeps longer than {@link longestSleepMs} are shortened to it: callers look at the clock again when they wake.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** True for a clock of its own time, such as a test's: it is not corrected by the database's. Defaults to false. */
  readonly virtual?: boolean;
}

/** One day. setTimeout fires at once past 2^31-1 ms (24.8 days), and clocks jump: no sleep is longer. */
export const longestSleepMs = 86_400_000;

/** The machine's clock: what a store takes if it is given no other. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(ms, signal) {
    if (signal?.aborted === true || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(ms, longestSleepMs));
      signal?.addEventListener("abort", wake, { once: true });
    });
  },
};

/** Milliseconds since some moment, by a clock that nobody sets: for how long something took. */
export function monotonicMs(): number {
  return performance.now();
}

/** Sleeps for as long as asked, in shortened sleeps if need be. Wakes early when `signal` aborts. */
export async function sleepThrough(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = ms; leftMs > 0 && !signal.aborted; leftMs -= longestSleepMs) {
    await clock.sleep(Math.min(leftMs, longestSleepMs), signal);
  }
}

/** Lets everything that waits in the event loop run once. Not a matter of time, and the same under any clock. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
