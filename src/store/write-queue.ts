/**
 * Group commit: everything that waits to be written at one moment rides in one transaction.
 *
 * Units run in the order of their submission. A unit that rejects takes back only what it staged itself;
 * if the commit fails, all of them reject. An exclusive unit (user code with SQL of its own) gets a
 * transaction to itself, so that slow user code never enters the commits of others. Where the database takes one
 * writer, it delays them; where it takes many, that transaction is open beside theirs.
 *
 * With many writers a unit may need a task that somebody else's transaction holds. It asks again with later commits,
 * because to wait in a transaction would occupy a connection, and delay everybody in that commit.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Clock, systemClock, yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import { Pace } from "../pace.ts";
import type { Random } from "../random.ts";
import { type Engine, type EngineTransaction, WriteCollision } from "./engine.ts";
import type { Sealing } from "./sealing.ts";
import { TaskHeld, Work } from "./work.ts";

export interface Unit<T> {
  /** Ids of tasks that the unit will look at, loaded for the whole commit at once. */
  readonly taskIds?: readonly string[];
  /** How many tasks it adds for certain: their numbers are drawn for the whole commit at once. */
  readonly newTasks?: number;
  /** About how much memory a caller's unit takes while it waits. Absent from the library's own, which are never refused. */
  readonly bytes?: number;
  /** It runs user code, and so must not run twice. Any other unit is done again if its transaction collides with another. */
  readonly exclusive?: boolean;
  /** Where several transactions may be open, it gets one beside those of the queue: one such unit at a time. */
  readonly beside?: boolean;
  readonly run: (work: Work) => Promise<T>;
}

/**
 * Told of the types of tasks that a commit makes due, before it is written: a unit that is given to `ride` becomes a part
 * of it, after all others.
 */
export type DueListener = (
  taskTypes: ReadonlySet<string>,
  ride: <T>(run: (work: Work) => Promise<T>) => Promise<T>,
) => void;

interface Waiting {
  readonly unit: Unit<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Since when it asks for a task that another transaction holds, in this machine's time. */
  readonly heldSinceMs?: number;
  /** It was in a commit that collided with another transaction, and gets the next one to itself. */
  readonly alone?: boolean;
}

type Settled = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** The most units in one commit, so that none holds the event loop for long. */
const maxUnitsPerCommit = 500;
/** Nor takes much memory: the bytes of units in one commit, but for a single one that has more. */
const maxBytesPerCommit = 8_388_608;
/** The pause before a unit asks again for a task that another transaction holds. */
const heldPauseMs = 20;
/** Units that collided alone wait in transactions beside the queue: so many at a time, which leaves connections to others. */
const collidedAtOnce = 2;
/** How often a unit is done again whose transaction collided with another. */
const maxCollisions = 5;

/** A transaction's callback while it is being called. */
interface Callback {
  readonly queue: WriteQueue;
  /** That of another store's transaction, in which this one was begun. */
  readonly outer: Callback | undefined;
  open: boolean;
}

/**
 * Tells a write that is begun inside of a transaction's callback from all others. One for all queues: up to Node 22 each
 * storage makes every promise of the process dearer, for as long as the process lives.
 */
const callbacks = new AsyncLocalStorage<Callback>();

/** The innermost callback that is still being called. */
function openCallback(): Callback | undefined {
  let callback = callbacks.getStore();
  while (callback?.open === false) callback = callback.outer;
  return callback;
}

export interface WriteQueueOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly sealing: Sealing;
  /** How long a unit may ask for what another transaction holds. */
  readonly busyTimeoutMs: number;
  /** How long a commit's work may hold the event loop in one piece. */
  readonly eventLoopBudgetMs: number;
  /** The most bytes of callers' units that may wait. */
  readonly maxQueuedBytes: number;
  /** Called after each commit, before its callers are answered. */
  readonly onCommit: () => void;
}

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;
  /** Units in transactions of their own, beside the queue. */
  readonly #apart = new Set<Promise<unknown>>();
  /** Units that collided, and how many of them are being done. */
  #collided: Waiting[] = [];
  #collidedBusy = 0;
  /** Of callers' units that are not answered yet. */
  #queuedBytes = 0;
  #closed = false;
  readonly #dueListeners = new Set<DueListener>();

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** True while something is being written or waits for it. */
  get busy(): boolean {
    return this.#draining !== undefined || this.#apart.size > 0;
  }

  /**
   * Runs the user's part of a unit. A write that is begun in there would wait for the very commit that waits for it:
   * it is refused instead.
   */
  async runCallback<T>(callback: () => T | Promise<T>): Promise<T> {
    const scope: Callback = { queue: this, outer: openCallback(), open: true };
    try {
      return await callbacks.run(scope, async () => await callback());
    } finally {
      // What the callback left running may write: it waits for nothing that waits for it.
      scope.open = false;
    }
  }

  /** Resolves when the unit's effects are committed. */
  submit<T>(unit: Unit<T>): Promise<T> {
    if (this.#isInCallback()) {
      const message =
        "This would wait for the transaction that it is called in. Use the methods of that transaction, such as transaction.scheduleTask.";
      return Promise.reject(new AzothError("TRANSACTION_NESTED", message));
    }
    if (this.#closed) return Promise.reject(closedError());
    const { bytes = 0 } = unit;
    // Whatever its size, a unit that nothing waits beside is taken: it could never be, otherwise.
    if (bytes > 0 && this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#options.maxQueuedBytes) {
      return Promise.reject(this.#overloadedError());
    }
    this.#queuedBytes += bytes;
    return new Promise<T>((resolve, reject) => {
      const waiting = { unit, resolve: resolve as (value: unknown) => void, reject };
      if ((unit.exclusive === true || unit.beside === true) && this.#options.engine.writers === "many") {
        this.#keep(this.#answerApart(waiting));
        return;
      }
      this.#enqueue(waiting);
    });
  }

  /** Returns what ends it. */
  onDue(listener: DueListener): () => void {
    this.#dueListeners.add(listener);
    return () => this.#dueListeners.delete(listener);
  }

  /** Refuses new units and resolves when the last one is written. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    while (this.#apart.size > 0) await Promise.all(this.#apart);
  }

  #isInCallback(): boolean {
    let callback = openCallback();
    while (callback !== undefined && !(callback.open && callback.queue === this)) callback = callback.outer;
    return callback !== undefined;
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#draining ??= this.#drain();
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
    const most = Math.min(this.#waiting.length, maxUnitsPerCommit);
    let size = 0;
    for (let bytes = 0; size < most; size++) {
      const { unit, alone } = this.#waiting[size] as Waiting;
      bytes += unit.bytes ?? 0;
      if (unit.exclusive === true || alone === true || bytes > maxBytesPerCommit) break;
    }
    return this.#waiting.splice(0, Math.max(1, size));
  }

  #resolve({ unit, resolve }: Waiting, value: unknown): void {
    this.#queuedBytes -= unit.bytes ?? 0;
    resolve(value);
  }

  #reject({ unit, reject }: Waiting, error: unknown): void {
    this.#queuedBytes -= unit.bytes ?? 0;
    reject(error);
  }

  #overloadedError(): AzothError {
    const { maxQueuedBytes } = this.#options;
    const message = `About ${this.#queuedBytes} bytes of writes wait already, and the limit is ${maxQueuedBytes}; nothing of this one is stored. Await earlier ones before you make more, or raise maxQueuedBytes.`;
    return new AzothError("STORE_OVERLOADED", message, { details: { queuedBytes: this.#queuedBytes, maxQueuedBytes } });
  }

  async #commit(waiting: readonly Waiting[]): Promise<void> {
    const { engine, onCommit } = this.#options;
    let batch = waiting;
    let settled: Settled[] = [];
    try {
      await engine.write(async (transaction) => {
        settled = [];
        const work = this.#workOn(transaction);
        await work.preload(batch.flatMap(({ unit }) => unit.taskIds ?? []));
        await work.reserveSeqs(batch.reduce((sum, { unit }) => sum + (unit.newTasks ?? 0), 0));
        for (const { unit } of batch) {
          settled.push(await settle(work, unit));
          if (work.pace.isSpent) await work.pace.pause();
        }
        // Not again, if the engine begins anew: those of the first time are done again.
        if (batch === waiting) batch = [...waiting, ...this.#ridersOf(work)];
        for (const { unit } of batch.slice(settled.length)) settled.push(await settle(work, unit));
        await work.finish();
      });
    } catch (error) {
      if (error instanceof WriteCollision) this.#separate(batch);
      else for (const waiting of batch) this.#reject(waiting, error);
      return;
    }
    onCommit();
    for (const [index, waiting] of batch.entries()) {
      const outcome = settled[index];
      if (outcome?.ok === true) this.#resolve(waiting, outcome.value);
      else if (outcome?.error instanceof TaskHeld) this.#keep(this.#askAgain(waiting));
      else this.#reject(waiting, outcome?.error);
    }
  }

  #ridersOf(work: Work): Waiting[] {
    const riders: Waiting[] = [];
    const ride = <T>(run: (work: Work) => Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        riders.push({ unit: { run }, resolve: resolve as (value: unknown) => void, reject });
      });
    if (work.dueTypes.size > 0) for (const listener of this.#dueListeners) listener(work.dueTypes, ride);
    return riders;
  }

  async #askAgain(waiting: Waiting): Promise<void> {
    const { busyTimeoutMs } = this.#options;
    const heldSinceMs = waiting.heldSinceMs ?? systemClock.now();
    if (Math.abs(systemClock.now() - heldSinceMs) >= busyTimeoutMs) {
      const message = `Another transaction held a task for longer than ${busyTimeoutMs} ms. Do it again; look for a long transaction.`;
      return this.#reject(waiting, new AzothError("STORE_BUSY", message));
    }
    await systemClock.sleep(heldPauseMs);
    if (this.#closed) this.#reject(waiting, closedError());
    else this.#enqueue({ ...waiting, heldSinceMs });
  }

  /** One of a batch met another transaction: each in a commit of its own, the others do not wait with it. */
  #separate(batch: readonly Waiting[]): void {
    if (batch.length > 1) {
      this.#waiting.unshift(...batch.map((waiting) => ({ ...waiting, alone: true })));
      return;
    }
    this.#collided.push(...batch);
    if (this.#collidedBusy === collidedAtOnce) return;
    this.#collidedBusy++;
    this.#keep(this.#answerCollided().finally(() => this.#collidedBusy--));
  }

  async #answerCollided(): Promise<void> {
    for (let next = this.#collided.shift(); next !== undefined; next = this.#collided.shift()) {
      await this.#answerApart(next);
    }
  }

  /** Runs one unit in a transaction to itself, beside the queue. */
  async #answerApart(waiting: Waiting): Promise<void> {
    try {
      this.#resolve(waiting, await this.#commitApart(waiting.unit));
    } catch (error) {
      if (error instanceof TaskHeld) await this.#askAgain(waiting);
      else this.#reject(waiting, error);
    }
  }

  #keep(work: Promise<unknown>): void {
    const kept = work.finally(() => this.#apart.delete(kept));
    this.#apart.add(kept);
  }

  async #commitApart(unit: Unit<unknown>): Promise<unknown> {
    const { engine, onCommit } = this.#options;
    // User code is not run again: it waits for what it needs.
    const patient = unit.exclusive === true;
    for (let collisions = 0; ; ) {
      try {
        const value = await engine.write(
          async (transaction) => {
            const work = this.#workOn(transaction);
            await work.preload(unit.taskIds ?? []);
            const result = await unit.run(work);
            await work.finish();
            return result;
          },
          unit.beside === true ? undefined : { patient },
        );
        onCommit();
        return value;
      } catch (error) {
        if (!(error instanceof WriteCollision)) throw error;
        if (patient || ++collisions === maxCollisions) throw collided(error);
      }
    }
  }

  #workOn(transaction: EngineTransaction): Work {
    const { clock, random, sealing, eventLoopBudgetMs } = this.#options;
    const context = { nowMs: clock.now(), tzdata: process.versions.tz ?? "unknown" };
    return new Work(transaction, { context, draw: random, sealing }, new Pace(eventLoopBudgetMs));
  }
}

function closedError(): AzothError {
  return new AzothError("STORE_CLOSED", "The store is closed. Open it again.");
}

function collided(cause: WriteCollision): AzothError {
  const message = "The transaction collided with another one, and nothing of it was kept. Do it again.";
  return new AzothError("STORE_BUSY", message, { cause });
}

async function settle(work: Work, unit: Unit<unknown>): Promise<Settled> {
  try {
    const attempt =
      unit.exclusive === true ? work.attemptNested(() => unit.run(work)) : work.attempt(() => unit.run(work));
    return { ok: true, value: await attempt };
  } catch (error) {
    if (error instanceof WriteCollision) throw error;
    return { ok: false, error };
  }
}
