/**
 * A loop as its body and a ticker: the body does one round and tells how long to wait; tests call the body.
 *
 *   idle -> start() -> running -> stop() -> stopped
 *
 * A round that fails is tried again with growing delays; nothing ends a running ticker but `stop`.
 */
import { type Clock, yieldToEventLoop } from "../clock.ts";
import { isAzothError } from "../errors.ts";
import { Latch } from "../store/latch.ts";

/** The delays after failed rounds: doubled from the first to the longest. */
const firstRetryMs = 100;
const longestRetryMs = 5_000;

export interface TickerOptions {
  readonly clock: Clock;
  /** One round; resolves with the milliseconds until the next, unless `wake` comes first. */
  readonly runOnce: () => Promise<number>;
  /** Told of each failed round. */
  readonly onError: (error: unknown, retryInMs: number) => void;
}

export class Ticker {
  readonly #options: TickerOptions;
  readonly #latch: Latch;
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#latch = new Latch(options.clock);
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#stopping = new AbortController();
    this.#running = this.#loop(this.#stopping.signal);
  }

  /** Makes the next round begin now. */
  wake(): void {
    this.#latch.wake();
  }

  /** Resolves when the round in progress has ended. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#running = undefined;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { clock, runOnce, onError } = this.#options;
    let retryMs = firstRetryMs;
    while (!signal.aborted) {
      try {
        const waitMs = await runOnce();
        retryMs = firstRetryMs;
        if (waitMs > 0) await this.#latch.wait(waitMs, signal);
        // However much there is to do, everything else in the process gets its turn.
        else await yieldToEventLoop();
      } catch (error) {
        if (isAzothError(error, "STORE_CLOSED")) return;
        onError(error, retryMs);
        // Not the latch: what wakes it may be what fails.
        await clock.sleep(retryMs, signal);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      }
    }
  }
}
