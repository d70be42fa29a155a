/**
 * Who wakes whom: commits of this process at once, those of other processes by a cheap look at short intervals.
 *
 * Nothing here carries data; whoever is woken reads what it needs.
 */
import type { Clock } from "../clock.ts";
import type { Engine } from "./engine.ts";

type Listener = () => void;

export class Notices {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #listeners = new Set<Listener>();
  #watching: AbortController | undefined;

  /** @param intervalMs how often to look for commits of other processes; 0 never looks */
  constructor(engine: Engine, clock: Clock, intervalMs: number) {
    this.#engine = engine;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Calls `listener` after every commit until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#watching === undefined && this.#intervalMs > 0) {
      this.#watching = new AbortController();
      void this.#watch(this.#watching.signal);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#watching?.abort();
      this.#watching = undefined;
    };
  }

  announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    let seen = await this.#look();
    while (!signal.aborted) {
      await this.#clock.sleep(this.#intervalMs, signal);
      if (signal.aborted) return;
      const now = await this.#look();
      if (now !== seen) this.announce();
      seen = now;
    }
  }

  async #look(): Promise<number | undefined> {
    try {
      return await this.#engine.foreignChanges();
    } catch {
      // The store was closed, or is failing: the loops that are woken by it meet the same failure and report it.
      return undefined;
    }
  }
}
