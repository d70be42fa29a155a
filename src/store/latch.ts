/** A latch that remembers one wake-up: whoever waits next after a `wake` does not wait. */
import type { Clock } from "../clock.ts";

/** Given, because an abort without a reason makes an error with its stack, and most waits end by a wake-up. */
const woken = "woken";

export class Latch {
  readonly #clock: Clock;
  #awake = false;
  #sleeper: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#awake = true;
    this.#sleeper?.abort(woken);
  }

  /** Resolves on `wake`, after `ms`, or when `signal` aborts, whichever is first. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.#awake && signal?.aborted !== true) {
      const sleeper = new AbortController();
      const abort = () => sleeper.abort(woken);
      signal?.addEventListener("abort", abort, { once: true });
      this.#sleeper = sleeper;
      await this.#clock.sleep(ms, sleeper.signal);
      this.#sleeper = undefined;
      signal?.removeEventListener("abort", abort);
    }
    this.#awake = false;
  }
}
