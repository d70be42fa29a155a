/** One scheduler of a test, through its lives: it can be stopped, crashed, and started again as a new instance. */
import type { SchedulerOptions } from "../scheduler/options.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { AnyTaskHandler } from "../scheduler/task-handler.ts";
import type { TestBed } from "./test-bed.ts";
import { copyOptions, parseCount } from "./test-options.ts";
import type { TestProcess } from "./test-process.ts";

/** A scheduler on the store and clock of a test, as if in a process of its own. */
export class TestInstance<const out Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]> {
  readonly #bed: TestBed;
  #options: SchedulerOptions;
  #process: TestProcess;

  /** @internal */
  static async start<Handlers extends readonly AnyTaskHandler[]>(
    bed: TestBed,
    options: SchedulerOptions,
  ): Promise<TestInstance<Handlers>> {
    const given = copyOptions(options, "The options of a scheduler");
    const instance = new TestInstance<Handlers>(bed, given, await bed.start(given));
    await bed.settle();
    return instance;
  }

  private constructor(bed: TestBed, options: SchedulerOptions, process: TestProcess) {
    this.#bed = bed;
    this.#options = options;
    this.#process = process;
  }

  /** The scheduler that runs now; after `stop` or `crash`, the one that ran last, and is closed. */
  get scheduler(): Scheduler<Handlers> {
    return this.#process.scheduler as unknown as Scheduler<Handlers>;
  }

  /** Stops it in good order, from a suspension as well. If handlers still run, time passes, as far as the grace period. */
  async stop(): Promise<void> {
    if (this.#process.hasEnded) return await this.#process.kill();
    this.#process.resume();
    await this.#bed.passTimeUntil(this.#process.scheduler.stop());
    await this.#process.close();
  }

  /**
   * Ends it as `kill -9` does: nothing is recorded or released any more, and results of its handlers never reach the
   * store. The code of a handler cannot be ended from outside, but asleep on the manual clock it never wakes.
   */
  async crash(): Promise<void> {
    await this.#process.kill();
    await this.#bed.settle();
  }

  /**
   * Crashes it in the midst of its work: at the so many-th of its calls to the store from now on, whether in an open
   * transaction, before its commit, or after it and before the answer.
   */
  crashAfter(storeCalls: number): void {
    this.#process.killAfter(parseCount(storeCalls, "storeCalls"));
  }

  /**
   * Holds it as a stopped process or a blocked event loop is held: its loops do nothing until `resume`, no heartbeat
   * comes. The code of its handlers goes on, but what they return has to wait.
   */
  suspend(): void {
    this.#process.suspend();
  }

  /** Lets a suspended scheduler go on. */
  async resume(): Promise<void> {
    this.#process.resume();
    await this.#bed.settle();
  }

  /**
   * Starts it again on the same store, as a new instance; if it still runs, stops it first.
   * Options given here go before the old ones: a new version of a handler, say.
   */
  async restart(options: SchedulerOptions = {}): Promise<void> {
    const given = copyOptions(options, "The options of a scheduler");
    await this.stop();
    this.#options = { ...this.#options, ...given };
    this.#process = await this.#bed.start(this.#options);
    await this.#bed.settle();
  }
}
