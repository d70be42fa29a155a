/**
 * A scheduler of a test, with a store handle and a clock of its own, as a process has them: so that it can be
 * killed in the middle of its work while the others go on.
 *
 *   created -> start() -> running -> stop() or crash() -> ended
 */
import type { Clock } from "../clock.ts";
import { Ending } from "../ending.ts";
import type { SchedulerOptions } from "../scheduler/options.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { AzothDb, type AzothDbOptions, coreOf } from "../store/azoth-db.ts";
import type { ManualClock } from "./manual-clock.ts";
import { endedError, type Life, type SharedStore } from "./shared-store.ts";

export interface TestProcessOptions {
  /** The file of the store. */
  readonly location: string;
  readonly store: SharedStore;
  readonly clock: ManualClock;
  readonly db: Omit<AzothDbOptions, "clock">;
  readonly scheduler: SchedulerOptions;
}

export class TestProcess {
  readonly scheduler: Scheduler;
  readonly db: AzothDb;
  readonly #options: TestProcessOptions;
  readonly #life: Mortality;
  #killing: Promise<void> | undefined;

  static async start(options: TestProcessOptions): Promise<TestProcess> {
    const { location, store, clock } = options;
    const life = new Mortality();
    const db = await AzothDb.open(location, { ...options.db, clock: mortalClock(clock, life) });
    store.add(db, life);
    try {
      const process = new TestProcess(options, db, life);
      life.onLastCall = () => void process.kill();
      await process.scheduler.start();
      return process;
    } catch (error) {
      await store.remove(db);
      await db.close();
      throw error;
    }
  }

  private constructor(options: TestProcessOptions, db: AzothDb, life: Mortality) {
    this.#options = options;
    this.#life = life;
    this.db = db;
    const { onSignal } = options.scheduler;
    this.scheduler = new Scheduler(db, {
      ...options.scheduler,
      ...(typeof onSignal !== "function"
        ? {}
        : { onSignal: (signal) => (life.hasEnded ? undefined : onSignal(signal)) }),
    });
  }

  get hasEnded(): boolean {
    return this.#life.hasEnded;
  }

  suspend(): void {
    this.#life.suspend();
  }

  resume(): void {
    this.#life.resume();
  }

  /** Kills it in the midst of its work, at the so many-th of its calls to the store from now on. */
  killAfter(storeCalls: number): void {
    this.#life.callsLeft = storeCalls;
  }

  /** Ends it as `kill -9` does: at once, with nothing recorded, nothing released and its open transaction rolled back. */
  kill(): Promise<void> {
    this.#killing ??= this.#kill();
    return this.#killing;
  }

  async #kill(): Promise<void> {
    const { clock, store } = this.#options;
    this.#life.end();
    clock.abandon(this.#life);
    await store.remove(this.db);
    // Straight to the engine: the handle's own close would wait for what is queued.
    await coreOf(this.db).engine.close();
  }

  /** To be called when the scheduler has stopped. */
  async close(): Promise<void> {
    if (this.#life.hasEnded) return;
    await this.db.close();
    await this.kill();
  }
}

class Mortality implements Life {
  hasEnded = false;
  /** Calls to the store until it dies. */
  callsLeft = Number.POSITIVE_INFINITY;
  onLastCall: () => void = () => {};
  readonly #ending = new Ending();
  #suspension: Promise<void> | undefined;
  #resume: () => void = () => {};

  orEnd<T>(promise: Promise<T>): Promise<T> {
    return this.#ending.orEnd(promise);
  }

  called(): void {
    if (--this.callsLeft <= 0 && !this.hasEnded) this.onLastCall();
  }

  end(): void {
    this.hasEnded = true;
    this.#ending.end(endedError());
  }

  suspend(): void {
    this.#suspension ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#suspension = undefined;
    this.#resume();
  }

  /** Resolves once it is neither suspended nor dead; for the dead, never. */
  async awake(): Promise<void> {
    while (this.#suspension !== undefined) await this.#suspension;
    if (this.hasEnded) await new Promise(() => {});
  }
}

/** The clock as a process sees it: for the suspended and the dead, no sleep ends. */
function mortalClock(clock: ManualClock, life: Mortality): Clock {
  return {
    virtual: true,
    now: () => clock.now(),
    async sleep(ms, signal) {
      await life.awake();
      await clock.sleepFor(life, ms, signal);
      await life.awake();
    },
  };
}
