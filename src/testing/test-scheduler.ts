/** The kit: real schedulers, their real loops and a real SQLite store, in a time that passes when the test says so. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, isAzothError, quote } from "../errors.ts";
import { readFields } from "../names.ts";
import { type Instant, parseInstant } from "../schedule/instant.ts";
import type { SchedulerOptions } from "../scheduler/options.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { AnyTaskHandler } from "../scheduler/task-handler.ts";
import type { AzothDb } from "../store/azoth-db.ts";
import type { LogFilter, RecordedEvent } from "../store/log.ts";
import type { ManualClock } from "./manual-clock.ts";
import { TestBed } from "./test-bed.ts";
import { TestInstance } from "./test-instance.ts";
import { parseCount, resolveTestOptions, type TestSchedulerOptions } from "./test-options.ts";

/**
 * Makes a store, a clock and a running scheduler for a test.
 *
 * Time passes only in `advance` and `advanceTo`, and where `stop` and `restart` have to wait for running handlers.
 *
 * @example
 * await using kit = await createTestScheduler({ handlers: [report], start: "2026-03-28T12:00:00Z" });
 * await kit.scheduler.scheduleTask({ taskId: "daily", taskType: "generate_report", schedule: cron("0 0 0 * * *") });
 * await kit.advance("3d");
 * const { executions } = await kit.scheduler.history("daily");
 * @throws AzothError as `AzothDb.open`, `new Scheduler` and its `start` do
 */
export async function createTestScheduler<const Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]>(
  options: TestSchedulerOptions<Handlers> = {},
): Promise<TestScheduler<Handlers>> {
  const bed = await TestBed.open(resolveTestOptions(options));
  try {
    return new TestScheduler<Handlers>(bed, await TestInstance.start(bed, {}));
  } catch (error) {
    await bed.close();
    throw error;
  }
}

/** Made by {@link createTestScheduler}. */
export class TestScheduler<const out Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]>
  implements AsyncDisposable
{
  readonly #bed: TestBed;
  readonly #main: TestInstance<Handlers>;

  /** @internal */
  constructor(bed: TestBed, main: TestInstance<Handlers>) {
    this.#bed = bed;
    this.#main = main;
  }

  /** The scheduler that runs now; after `restart` it is another one. */
  get scheduler(): Scheduler<Handlers> {
    return this.#main.scheduler;
  }

  /** A handle of the test's own on the store; it stays open through every crash and restart. */
  get db(): AzothDb {
    return this.#bed.db;
  }

  get clock(): ManualClock {
    return this.#bed.clock;
  }

  /** Write transactions that all schedulers, and the test, have committed. */
  get commits(): number {
    return this.#bed.store.commits;
  }

  /** Commits that failed, as {@link TestScheduler.failNextCommits} had told them to. */
  get failedCommits(): number {
    return this.#bed.store.failedCommits;
  }

  /** Rounds that the schedulers' loops have made: a loop that runs hot shows here, even if it writes nothing. */
  get rounds(): number {
    return this.#bed.store.rounds;
  }

  /**
   * Lets time pass, from one sleeper to the next, and after each step waits until all that it set off has come to
   * rest. Handlers that sleep on the clock are not waited for: they go on when their time comes.
   *
   * @example
   * await kit.advance("90s");
   * @throws AzothError INVALID_DURATION; TEST_UNSETTLED if something goes on for ever without time
   */
  async advance(duration: Duration): Promise<void> {
    await this.#bed.advance(parseDuration(duration, { what: "duration" }));
  }

  /** As {@link TestScheduler.advance}, up to an instant. @throws AzothError INVALID_INSTANT if it has passed, TEST_UNSETTLED */
  async advanceTo(instant: Instant): Promise<void> {
    const byMs = parseInstant(instant) - this.clock.now();
    if (byMs < 0) {
      const message = `advanceTo goes forwards, and ${quote(instant)} has passed. Set the clock back with clock.jump or clock.set.`;
      throw new AzothError("INVALID_INSTANT", message);
    }
    await this.#bed.advance(byMs);
  }

  /** Waits until everything that was set off has come to rest, without time passing. @throws AzothError TEST_UNSETTLED */
  async settle(): Promise<void> {
    await this.#bed.settle();
  }

  /** Stops the scheduler in good order. If handlers still run, time passes, as far as the grace period. */
  async stop(): Promise<void> {
    await this.#main.stop();
  }

  /**
   * Ends the scheduler as `kill -9` does: its loops never act again, nothing is released, no result of its handlers
   * reaches the store. Its tasks run again when another scheduler takes them over, after `claimDuration`.
   *
   * @example
   * await kit.crash();
   * await kit.restart();
   * await kit.advance("1h");
   */
  async crash(): Promise<void> {
    await this.#main.crash();
  }

  /**
   * Crashes the scheduler in the midst of its work: at the so many-th of its calls to the store from now on, whether in
   * an open transaction, before its commit, or after it and before the answer.
   *
   * @example
   * kit.crashAfter(40);
   * await kit.advance("1h");
   * await kit.restart();
   * @throws AzothError INVALID_OPTION
   */
  crashAfter(storeCalls: number): void {
    this.#main.crashAfter(storeCalls);
  }

  /**
   * Holds the scheduler as a stopped process or a blocked event loop is held: its loops do nothing until `resume`.
   * Silent for longer than `claimDuration`, it loses its tasks to another one.
   */
  suspend(): void {
    this.#main.suspend();
  }

  /** Lets a suspended scheduler go on. */
  async resume(): Promise<void> {
    await this.#main.resume();
  }

  /** Starts the scheduler again on the same store, as a new instance; if it still runs, stops it first. */
  async restart(options: SchedulerOptions<Handlers> = {}): Promise<void> {
    await this.#main.restart(options);
  }

  /**
   * Starts one more scheduler on the same store and clock, as if in another process. It has the options of the first
   * unless others are given.
   *
   * @example
   * const second = await kit.addScheduler({ name: "second", maxConcurrentTasks: 1 });
   * await kit.crash();
   * await kit.advance("1h");
   * await second.scheduler.history("daily");
   */
  async addScheduler<const Others extends readonly AnyTaskHandler[] = Handlers>(
    options: SchedulerOptions<Others> = {},
  ): Promise<TestInstance<Others>> {
    return await TestInstance.start<Others>(this.#bed, options);
  }

  /**
   * Lets the next commits fail, as a full disk does: nothing of them is kept.
   * @param error what they fail with; defaults to an AzothError STORE_FAILED
   * @param options `kept: true` if they take effect nevertheless, and only the answer is lost, as with a connection that breaks
   * @throws AzothError INVALID_OPTION
   */
  failNextCommits(
    count: number,
    error = new AzothError("STORE_FAILED", "The test made this commit fail."),
    options: { readonly kept?: boolean } = {},
  ): void {
    if (!isAzothError(error)) {
      throw new AzothError("INVALID_OPTION", `Commits fail with an AzothError, and not with ${quote(error)}.`);
    }
    const { kept = false } = readFields<typeof options>(options, ["kept"], "Failing commits", "INVALID_OPTION");
    if (typeof kept !== "boolean") {
      throw new AzothError("INVALID_OPTION", `kept must be true or false, and is ${quote(kept)}.`);
    }
    this.#bed.store.failNext(parseCount(count, "count", 0), { error, kept });
  }

  /**
   * Lets each commit of the schedulers take so long from now on, both before it takes effect and before it is answered,
   * and each of their looks at the store as well. 0 ends that, also for what is under way. What you ask of a scheduler meanwhile
   * is answered when the time has passed; `kit.db` is never slow.
   *
   * @example
   * kit.slowStorage("20s");
   * await kit.advance("1h");
   * kit.slowStorage(0);
   * @throws AzothError INVALID_DURATION
   */
  slowStorage(duration: Duration): void {
    this.#bed.store.slowDown(parseDuration(duration, { what: "slowStorage" }));
  }

  /** The recorded events, oldest first. @throws AzothError INVALID_FILTER */
  async log(filter: LogFilter = {}): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    for await (const event of this.db.readLog(filter)) events.push(event);
    return events;
  }

  /** Ends everything at once, as by crashes, and closes the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bed.close();
  }
}
