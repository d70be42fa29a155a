/**
 * Group commit: everything that waits to be written at one moment rides in one transaction.
 *
 * Units run in the order of their submission. A unit that rejects takes back only what it staged itself;
 * if the commit fails, all of them reject. An exclusive unit (user code with SQL of its own) gets a
 * transaction to itself, so that slow user code delays others but never enters their commits.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Clock, yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Engine } from "./engine.ts";
import { Work } from "./work.ts";

export interface Unit<T> {
  /** Ids of tasks that the unit will look at, loaded for the whole commit at once. */
  readonly taskIds?: readonly string[];
  readonly exclusive?: boolean;
  readonly run: (work: Work) => Promise<T>;
}

interface Waiting {
  readonly unit: Unit<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Settled = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** The most units in one commit, so that none holds the event loop for long. */
const maxUnitsPerCommit = 500;

export interface WriteQueueOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  /** Called after each commit, before its callers are answered. */
  readonly onCommit: () => void;
}

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;
  /** Tells a write that is begun inside of a transaction's callback from all others. */
  readonly #callbacks = new AsyncLocalStorage<{ open: boolean }>();

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** True while something is being written or waits for it. */
  get busy(): boolean {
    return this.#draining !== undefined;
  }

  /**
   * Runs the user's part of a unit. A write that is begun in there would wait for the very commit that waits for it:
   * it is refused instead.
   */
  async runCallback<T>(callback: () => T | Promise<T>): Promise<T> {
    const scope = { open: true };
    try {
      return await this.#callbacks.run(scope, async () => await callback());
    } finally {
      // What the callback left running may write: it waits for nothing that waits for it.
      scope.open = false;
    }
  }

  /** Resolves when the unit's effects are committed. */
  submit<T>(unit: Unit<T>): Promise<T> {
    if (this.#callbacks.getStore()?.open === true) {
      const message =
        "This would wait for the transaction that it is called in. Use the methods of that transaction, such as transaction.scheduleTask.";
      return Promise.reject(new AzothError("TRANSACTION_NESTED", message));
    }
    if (this.#closed) return Promise.reject(new AzothError("STORE_CLOSED", "The store is closed. Open it again."));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ unit, resolve: resolve as (value: unknown) => void, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Refuses new units and resolves when the last one is written. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    try {
      // One microtask later everything that this tick submits is there.
      await Promise.resolve();
      while (this.#waiting.length > 0) {
        await this.#commit(this.#takeBatch());
        // Callers that were just answered submit their next unit now: let it ride in the next commit.
        await yieldToEventLoop();
      }
    } finally {
      this.#draining = undefined;
    }
  }

  #takeBatch(): Waiting[] {
    const firstExclusive = this.#waiting.findIndex(({ unit }) => unit.exclusive === true);
    const plain = firstExclusive === -1 ? this.#waiting.length : firstExclusive;
    const size = plain === 0 ? 1 : Math.min(plain, maxUnitsPerCommit);
    const batch = this.#waiting.slice(0, size);
    this.#waiting = this.#waiting.slice(size);
    return batch;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const { engine, clock, random, onCommit } = this.#options;
    let settled: Settled[] = [];
    try {
      await engine.write(async (transaction) => {
        settled = [];
        const work = new Work(transaction, { nowMs: clock.now(), tzdata: process.versions.tz ?? "unknown" }, random);
        await work.preload(batch.flatMap(({ unit }) => unit.taskIds ?? []));
        for (const { unit } of batch) settled.push(await settle(work, unit));
        await work.flush();
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    onCommit();
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = settled[index];
      if (outcome?.ok === true) resolve(outcome.value);
      else reject(outcome?.error);
    }
  }
}

async function settle(work: Work, unit: Unit<unknown>): Promise<Settled> {
  try {
    const attempt =
      unit.exclusive === true ? work.attemptNested(() => unit.run(work)) : work.attempt(() => unit.run(work));
    return { ok: true, value: await attempt };
  } catch (error) {
    return { ok: false, error };
  }
}
