/** How long work may hold the event loop in one piece. */
import { systemClock, yieldToEventLoop } from "./clock.ts";

/** Tells long work when to pause, so that timers, requests and handlers of the same process get their turn. */
export class Pace {
  readonly #budgetMs: number;
  #sinceMs = systemClock.now();

  constructor(budgetMs: number) {
    this.#budgetMs = budgetMs;
  }

  /** True when the work has gone on for long enough. */
  get isSpent(): boolean {
    // A clock that was set, in whichever direction, costs one pause.
    return Math.abs(systemClock.now() - this.#sinceMs) >= this.#budgetMs;
  }

  /** Lets everything else have its turn. */
  async pause(): Promise<void> {
    await yieldToEventLoop();
    this.#sinceMs = systemClock.now();
  }
}
