/**
 * A property of the whole: random commands, handlers of every kind of badness, clocks that are set, commits that fail,
 * crashes and restarts of up to three schedulers; and at every moment, and in the end, what is promised holds.
 *
 * A failure prints its seed. SEED=… repeats it, RUNS=… multiplies the number of lives.
 */
import {
  type AnyTaskHandler,
  cron,
  eventHandler,
  fail,
  immediate,
  interval,
  isAzothError,
  oneTime,
  retryAfter,
  type Schedule,
  snooze,
  type TaskContext,
} from "azoth-scheduler";
import { seededRandom, type TestInstance, type TestScheduler } from "azoth-scheduler/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { yieldToEventLoop } from "../../src/clock.ts";
import { engineUnderTest, rowNumber } from "../engine-under-test.ts";
import { checkLog, successesIn } from "./log-rules.ts";
import { fcParameters, openKit, propertyTimeoutMs } from "./support.ts";

const minute = 60_000;
const hour = 60 * minute;

/** The night in which Rome's clocks go forward is part of most lives. */
const start = "2026-03-28T22:00:00Z";

const schedules: Schedule[] = [
  cron("0 */10 * * * *"),
  interval("7m"),
  cron("30 2 * * *", { timeZone: "Europe/Rome" }),
  interval("45m", { anchor: "2026-03-28T22:05:00Z" }),
  oneTime("2026-03-29T00:30:00Z"),
  immediate(),
];

const taskId = fc.constantFrom("a", "b", "c");
const which = fc.nat(2);

type Verb = "cancelTask" | "pauseTask" | "resumeTask" | "runTaskNow";
type Step =
  | { readonly do: "schedule"; readonly taskId: string; readonly schedule: Schedule; readonly maxRetries: number }
  | { readonly do: Verb; readonly taskId: string }
  | { readonly do: "advance" | "jump"; readonly ms: number }
  | { readonly do: "crash" | "restart" | "stop" | "suspend" | "resume"; readonly which: number }
  | { readonly do: "fall-silent"; readonly which: number; readonly ms: number; readonly then: "resume" | "crash" }
  | { readonly do: "crash-amid"; readonly which: number; readonly ms: number; readonly rounds: number }
  | { readonly do: "failCommits"; readonly count: number }
  | { readonly do: "rebuild" };

/** A step and how often it comes, against the others. */
function step(weight: number, parts: { readonly [Key in string]: fc.Arbitrary<unknown> }): fc.WeightedArbitrary<Step> {
  return { weight, arbitrary: fc.record(parts) as unknown as fc.Arbitrary<Step> };
}
const ms = (min: number, max: number) => fc.integer({ min, max });

const steps = fc.oneof(
  step(6, { do: fc.constant("schedule"), taskId, schedule: fc.constantFrom(...schedules), maxRetries: fc.nat(3) }),
  step(8, { do: fc.constantFrom("pauseTask", "resumeTask", "resumeTask", "runTaskNow", "runTaskNow"), taskId }),
  step(1, { do: fc.constant("cancelTask"), taskId }),
  step(10, { do: fc.constant("advance"), ms: ms(0, hour) }),
  step(1, { do: fc.constant("jump"), ms: ms(-3 * hour, 5 * hour) }),
  step(5, { do: fc.constantFrom("crash", "restart", "restart", "stop", "suspend", "resume"), which }),
  step(4, { do: fc.constant("fall-silent"), which, ms: ms(0, hour), then: fc.constantFrom("resume", "crash") }),
  step(3, { do: fc.constant("crash-amid"), which, ms: ms(0, hour), rounds: ms(0, 100) }),
  step(1, { do: fc.constant("failCommits"), count: ms(1, 4) }),
  step(1, { do: fc.constant("rebuild") }),
);
const life = fc.record({
  steps: fc.array(steps, { minLength: 10, maxLength: 50, size: "max" }),
  schedulers: fc.integer({ min: 1, max: 3 }),
  mood: fc.nat(1_000_000),
});

/** What handlers do, until `calm` is set. */
class Mood {
  calm = false;
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  async act(ctx: TaskContext, deafSleep: (ms: number) => Promise<void>): Promise<unknown> {
    const draw = this.calm ? 0 : this.#random();
    const upTo = (mostMs: number) => Math.floor(this.#random() * mostMs) + 1;
    if (draw < 0.2) return { eventType: "did", payload: ctx.executionId };
    if (draw < 0.55) await ctx.sleep(upTo(30 * minute));
    else if (draw < 0.68) throw new Error("failed");
    // oxlint-disable-next-line typescript/only-throw-error
    else if (draw < 0.7) throw "garbage";
    else if (draw < 0.72) return { eventType: 7 };
    else if (draw < 0.76) await ctx.sleep("10h");
    else if (draw < 0.88) await deafSleep(upTo(90 * minute));
    else if (draw < 0.91) await new Promise(() => {});
    else if (draw < 0.95) return snooze(upTo(20 * minute));
    else if (draw < 0.99) return retryAfter(upTo(20 * minute));
    else return fail("for good");
    return { eventType: "did", payload: ctx.executionId };
  }
}

class Life {
  readonly #kit: TestScheduler;
  readonly #mood: Mood;
  readonly #instances: readonly (TestInstance | TestScheduler)[];

  static async begin(schedulers: number, moodSeed: number): Promise<Life> {
    const mood = new Mood(moodSeed);
    const job: AnyTaskHandler = {
      taskType: "job",
      timeout: "40m",
      execute: (ctx: TaskContext) => {
        ctx.transaction.execute("INSERT INTO successes VALUES (?)", [ctx.executionId]);
        return mood.act(ctx, (ms) => kit.clock.sleep(ms));
      },
    };
    const ledger = eventHandler<string>({
      name: "ledger",
      eventType: "did",
      onError: "stop",
      setUp: (tx) => tx.execute(`CREATE TABLE IF NOT EXISTS ledger (entry ${rowNumber}, execution TEXT)`),
      handle: (event, tx) => tx.execute("INSERT INTO ledger (execution) VALUES (?)", [event.payload]),
    });
    const kit: TestScheduler = await openKit({
      handlers: [job],
      eventHandlers: [ledger],
      start,
      patience: 0,
      pollInterval: "20m",
      claimDuration: "15m",
      gracePeriod: "2m",
      maxLostClaims: 3,
      maxConcurrentTasks: 2,
    });
    await kit.db.transaction((tx) => tx.execute("CREATE TABLE successes (execution TEXT)"));
    const tasks = ["a", "b", "c"].map((taskId, index) => ({
      taskId,
      taskType: "job",
      schedule: schedules[index] ?? immediate(),
    }));
    await kit.scheduler.scheduleTasks(tasks);
    const others: TestInstance[] = [];
    for (let other = 1; other < schedulers; other++) others.push(await kit.addScheduler());
    return new Life(kit, mood, others);
  }

  private constructor(kit: TestScheduler, mood: Mood, others: readonly TestInstance[]) {
    this.#kit = kit;
    this.#mood = mood;
    this.#instances = [kit, ...others];
  }

  async take(step: Step): Promise<void> {
    const kit = this.#kit;
    switch (step.do) {
      case "advance":
        return await kit.advance(step.ms);
      case "jump":
        return kit.clock.jump(step.ms);
      case "failCommits":
        return kit.failNextCommits(step.count);
      case "rebuild":
        await kit.db.rebuild().catch(ifExpected);
        return;
      case "schedule": {
        const { taskId, schedule, maxRetries } = step;
        await kit.db
          .transaction((tx) => tx.scheduleTask({ taskId, taskType: "job", schedule, maxRetries }))
          .catch(ifExpected);
        return await kit.settle();
      }
      case "fall-silent":
        await this.#order("suspend", step.which);
        await kit.advance(step.ms);
        await this.#order("resume", step.which);
        if (step.then === "crash") await this.#order("crash", step.which);
        return;
      case "crash-amid": {
        // Not when all is at rest: between a claim and its start, or with a transaction open.
        const moving = kit.advance(step.ms);
        for (let round = 0; round < step.rounds; round++) await yieldToEventLoop();
        await this.#order("crash", step.which);
        return await moving;
      }
      case "crash":
      case "restart":
      case "stop":
      case "suspend":
      case "resume":
        return await this.#order(step.do, step.which);
      default:
        await this.#command(step.do, step.taskId);
        await kit.settle();
    }
  }

  async #order(order: "crash" | "restart" | "stop" | "suspend" | "resume", which: number): Promise<void> {
    const instance = this.#instances[which];
    await Promise.resolve(instance?.[order]()).catch(ifExpected);
  }

  /** By the first scheduler that lives; commands need none that runs. */
  async #command(verb: Verb, taskId: string): Promise<void> {
    for (const { scheduler } of this.#instances) {
      try {
        await scheduler[verb](taskId, "by hand");
        return;
      } catch (error) {
        ifExpected(error);
        if (!isAzothError(error, "STORE_CLOSED")) return;
      }
    }
  }

  /** What holds at every moment. */
  async check(): Promise<void> {
    expect(await this.#kit.db.verify()).toMatchObject({ ok: true });
    const log = await this.#kit.log();
    checkLog(log);
    const successes = successesIn(log);
    expect(await this.#column("SELECT execution FROM successes")).toEqual(successes);
    const did = log.filter(({ eventType }) => eventType === "did");
    expect(did.map(({ payload }) => payload as string).toSorted()).toEqual(successes);
    expect(did.every(({ payload, executionId }) => payload === executionId)).toBe(true);
  }

  /** What holds when the faults have stopped and some time has passed. */
  async end(): Promise<void> {
    const kit = this.#kit;
    this.#mood.calm = true;
    kit.failNextCommits(0);
    for (const instance of this.#instances) {
      instance.suspend();
      await instance.resume();
      await instance.restart();
    }
    await kit.advance(4 * hour);
    await this.check();
    const nowMs = kit.clock.now();
    for (const { taskId, state, nextRunAt } of (await kit.scheduler.listTasks()).tasks) {
      expect(state, taskId).not.toBe("running");
      if (state === "waiting") expect(nextRunAt?.getTime(), taskId).toBeGreaterThan(nowMs);
    }
    const did = await kit.log({ eventTypes: ["did"] });
    expect(await this.#column("SELECT execution FROM ledger")).toEqual(
      did.map(({ payload }) => String(payload)).toSorted(),
    );
  }

  async close(): Promise<void> {
    await this.#kit[Symbol.asyncDispose]();
  }

  async #column(sql: string): Promise<string[]> {
    return (await this.#kit.db.query(sql)).map(({ execution }) => String(execution)).toSorted();
  }
}

const expected = new Set([
  "TASK_NOT_FOUND",
  "TASK_FINISHED",
  "TASK_CANCELLED",
  "TASK_RUNNING",
  "TASK_PAUSED",
  "STORE_FAILED",
  "STORE_CLOSED",
]);

function ifExpected(error: unknown): void {
  if (!isAzothError(error) || !expected.has(error.code)) throw error;
}

test(
  "whatever happens, the log and the state agree, nothing runs twice or is lost, and what is due runs in the end",
  async () => {
    await fc.assert(
      fc.asyncProperty(life, async ({ steps, schedulers, mood }) => {
        const life = await Life.begin(schedulers, mood);
        try {
          for (const step of steps) {
            await life.take(step);
            await life.check();
          }
          await life.end();
        } finally {
          await life.close();
        }
      }),
      // Each life has thousands of statements, and those of a server are a hundred times slower.
      fcParameters(engineUnderTest === "postgres" ? 3 : 30),
    );
  },
  propertyTimeoutMs,
);
