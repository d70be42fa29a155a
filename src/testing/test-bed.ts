/** What the schedulers of one test share: the store, the clock, and the passing of time. */
import { AzothError } from "../errors.ts";
import { listOf, type SchedulerOptions } from "../scheduler/options.ts";
import { AzothDb, coreOf } from "../store/azoth-db.ts";
import { ManualClock } from "./manual-clock.ts";
import { comeToRest } from "./rest.ts";
import { endlessLife, SharedStore } from "./shared-store.ts";
import { randomOf, type TestSettings } from "./test-options.ts";
import { TestProcess } from "./test-process.ts";
import { watchedHandler } from "./watched-handler.ts";
import { WorkInProgress } from "./work-in-progress.ts";

export class TestBed {
  readonly clock: ManualClock;
  readonly db: AzothDb;
  readonly store: SharedStore;
  readonly #settings: TestSettings;
  readonly #work: WorkInProgress;
  readonly #processes = new Set<TestProcess>();
  #started = 0;

  static async open(settings: TestSettings): Promise<TestBed> {
    const clock = new ManualClock(settings.startMs);
    const random = randomOf(settings.seed, 0);
    return new TestBed(settings, clock, await AzothDb.open(settings.location, { ...settings.db, clock, random }));
  }

  private constructor(settings: TestSettings, clock: ManualClock, db: AzothDb) {
    this.#settings = settings;
    this.#work = new WorkInProgress();
    this.clock = clock;
    this.db = db;
    this.store = new SharedStore(this.#work, clock, settings.announcing);
    this.store.add(db, endlessLife);
  }

  /** Starts a scheduler with a handle of its own; options given here go before those of the test. */
  async start(options: SchedulerOptions): Promise<TestProcess> {
    const { seed, db, scheduler } = this.#settings;
    this.#started++;
    const merged: SchedulerOptions = { name: `test-${this.#started}`, ...scheduler, ...options };
    const handlers = listOf(merged.handlers, "handlers").map((handler) => watchedHandler(handler, this.#work));
    const process = await TestProcess.start({
      // What is in memory has a file of its own to be opened by; a URL is not shown with its password.
      location: this.#settings.location === ":memory:" ? this.db.location : this.#settings.location,
      store: this.store,
      clock: this.clock,
      db: { ...db, random: randomOf(seed, this.#started) },
      scheduler: { ...merged, handlers },
    });
    this.#processes.add(process);
    // The test's own transactions pass the door of the scheduler that was started last.
    coreOf(this.db).admission = coreOf(process.db).admission;
    return process;
  }

  async settle(): Promise<void> {
    const { clock, store } = this;
    const { patienceMs, maxRounds } = this.#settings;
    await comeToRest({ clock, store, work: this.#work, patienceMs, maxRounds });
  }

  /** Lets `ms` pass, from sleeper to sleeper, and all come to rest after each step. */
  async advance(ms: number): Promise<void> {
    await this.settle();
    let leftMs = ms;
    while (leftMs > 0) {
      const stepMs = Math.min(leftMs, this.clock.nextWakeInMs ?? leftMs);
      this.clock.pass(stepMs);
      leftMs -= stepMs;
      await this.settle();
    }
  }

  /** Lets time pass until the promise is settled, and returns it. */
  async passTimeUntil<T>(promise: Promise<T>): Promise<T> {
    const outcome = { known: false };
    const settled = () => {
      outcome.known = true;
    };
    promise.then(settled, settled);
    await this.settle();
    while (!outcome.known) {
      const stepMs = this.clock.nextWakeInMs;
      if (stepMs === undefined) throw new AzothError("TEST_UNSETTLED", "Nothing that sleeps could end the wait.");
      await this.advance(stepMs);
    }
    return await promise;
  }

  async close(): Promise<void> {
    for (const process of this.#processes) await process.kill();
    await coreOf(this.db).engine.close();
  }
}
