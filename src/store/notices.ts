/**
 * Who wakes whom: commits of this process at once, those of other processes as soon as the engine learns of them.
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
  #stopWatching: (() => void) | undefined;

  /** @param intervalMs how often an engine that is not told looks for commits of other processes; 0 never looks */
  constructor(engine: Engine, clock: Clock, intervalMs: number) {
    this.#engine = engine;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Calls `listener` after every commit until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#intervalMs > 0) {
      const pause = (signal: AbortSignal) => this.#clock.sleep(this.#intervalMs, signal);
      this.#stopWatching ??= this.#engine.watch(() => this.announce(), pause);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stopWatching?.();
      this.#stopWatching = undefined;
    };
  }

  announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
