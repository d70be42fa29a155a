/**
 * Plays a script on the production code (schedulers, their loops, the store, event handlers) in a time that is made to pass,
 * and tells what was not as promised.
 */
import { setTimeout } from "node:timers/promises";
import { type AnyTaskHandler, AzothError, isAzothError } from "azoth-scheduler";
import { createTestScheduler, type TestInstance, type TestScheduler } from "azoth-scheduler/testing";
import { Cast } from "./cast.ts";
import { Promises } from "./promises.ts";
import { type Command, type Order, type Script, type Step, schedules } from "./script.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const maxLostClaims = 3;
/** The second failure in a row meets the cap. */
const retry = { base: minute, cap: 1.5 * minute };
/** Of real time, for a life that takes a part of a second. */
const longestMs = 20_000;

export interface LifeOptions {
  /** A place for a new store: ":memory:", or a URL of PostgreSQL. */
  readonly newLocation: () => Promise<string>;
  /** The definition of a column that numbers rows, on that engine. */
  readonly rowNumber: string;
  /** How the log numbers its events there. */
  readonly positions: "none" | "holes";
  /** Instead of the usual one. */
  readonly sqliteDriver?: object;
}

export const inMemory: LifeOptions = {
  newLocation: async () => ":memory:",
  rowNumber: "INTEGER PRIMARY KEY",
  positions: "none",
};

/** What has happened in a life, by what it is called. */
export type Figures = Readonly<Record<string, number>>;

export interface Story {
  /** What was not as promised; empty if all was. */
  readonly violations: readonly string[];
  readonly events: number;
  /** Of the whole log: equal for two lives that are the same in every byte of it. */
  readonly digest: string;
  readonly days: number;
  readonly figures: Figures;
}

/** Plays a script to its end, or to the first violation. */
export async function play(script: Script, options: LifeOptions = inMemory): Promise<Story> {
  const life = await Life.begin(script, options);
  const alarm = new AbortController();
  let isStuck = false;
  const stuck = setTimeout(longestMs, undefined, { signal: alarm.signal }).then(() => {
    isStuck = true;
    throw new Error(`The life had not come to its end after ${longestMs} ms of real time.`);
  });
  try {
    await Promise.race([life.live(script), stuck]);
  } catch (error) {
    life.promises.thrown(error);
  }
  alarm.abort();
  stuck.catch(() => {});
  // What never comes to rest cannot be closed either.
  if (!isStuck) await life.close();
  return life.story();
}

const eventTypes = {
  schedule: "TaskScheduled",
  cancelTask: "TaskCancelled",
  pauseTask: "TaskPaused",
  resumeTask: "TaskResumed",
  runTaskNow: "TaskRunRequested",
} as const;

export class Life {
  readonly promises: Promises;
  readonly kit: TestScheduler;
  readonly #cast: Cast;
  readonly #pace: number;
  readonly #instances: readonly (TestInstance | TestScheduler)[];
  /** Those that were stopped or killed, and have not been started again. */
  readonly #ended = new Set<TestInstance | TestScheduler>();
  readonly #happened = new Map<string, number>();
  #slowMs = 0;
  #scheduledAnew = 0;
  #passedMs = 0;

  static async begin(script: Script, { newLocation, rowNumber, positions, sqliteDriver }: LifeOptions): Promise<Life> {
    const { pace, mood } = script;
    // They act when the first time passes; by then there are the kit and the life.
    const cast: Cast = new Cast({
      mood,
      pace,
      rowNumber,
      deafSleep: (ms) => kit.clock.sleep(ms),
      command: (command) => life.command(command),
    });
    const kit: TestScheduler = await createTestScheduler<readonly AnyTaskHandler[]>({
      location: await newLocation(),
      handlers: cast.handlers,
      eventHandlers: cast.eventHandlers,
      start: script.start,
      patience: 0,
      pollInterval: 20 * minute * pace,
      claimDuration: 15 * minute * pace,
      gracePeriod: 2 * minute * pace,
      maxLostClaims,
      maxConcurrentTasks: 2,
      ...(sqliteDriver === undefined ? {} : { sqliteDriver }),
    });
    await kit.db.transaction((tx) => tx.execute("CREATE TABLE successes (execution TEXT)"));
    const instances: (TestInstance | TestScheduler)[] = [kit];
    for (let other = 1; other < script.schedulers; other++) instances.push(await kit.addScheduler());
    const promises = new Promises({ db: kit.db, returned: cast.returned, positions, maxLostClaims });
    const life: Life = new Life({ kit, cast, pace, instances, promises });
    return life;
  }

  private constructor(parts: {
    readonly kit: TestScheduler;
    readonly cast: Cast;
    readonly pace: number;
    readonly instances: readonly (TestInstance | TestScheduler)[];
    readonly promises: Promises;
  }) {
    this.kit = parts.kit;
    this.promises = parts.promises;
    this.#cast = parts.cast;
    this.#pace = parts.pace;
    this.#instances = parts.instances;
  }

  async live({ steps }: Script): Promise<void> {
    for (const step of steps) {
      await this.take(step);
      await this.promises.check();
      if (this.promises.violations.length > 0) return;
    }
    await this.end();
  }

  story(): Story {
    const { counts, position, violations } = this.promises;
    const figures = {
      ...Object.fromEntries(this.#happened),
      "failed commits": this.kit.failedCommits,
      runs: counts.get("TaskStarted") ?? 0,
      takeovers: counts.get("SchedulerLost") ?? 0,
      "refused results": counts.get("TaskResultRefused") ?? 0,
      "dead letters": counts.get("EventDeadLettered") ?? 0,
    };
    return { violations, events: position, digest: this.promises.digest(), days: this.#passedMs / day, figures };
  }

  async take(step: Step): Promise<void> {
    const { kit, promises } = this;
    switch (step.do) {
      case "advance":
        return await this.#advance(step.ms);
      case "jump":
        this.#count("clock jumps");
        return kit.clock.jump(step.ms);
      case "fail-commits":
        return kit.failNextCommits(step.count);
      case "lose-answers":
        return kit.failNextCommits(step.count, lostAnswer, { kept: true });
      case "storm":
        if (step.kept) kit.failNextCommits(step.count, lostAnswer, { kept: true });
        else kit.failNextCommits(step.count);
        return await this.#advance(step.ms);
      case "slow-storage":
        if (step.ms > 0) this.#count("spells of slow storage");
        this.#slowMs = step.ms * this.#pace;
        return;
      case "rebuild":
        await promises.expectedly(() => kit.db.rebuild());
        return;
      case "replay-dead-letters":
        await this.#replayDeadLetters(step.by);
        return await kit.settle();
      case "at-once":
        await Promise.all(step.commands.map((command) => this.command(command)));
        return await kit.settle();
      case "fall-silent":
        return await this.#fallSilent(step);
      case "crash-at-call": {
        this.#instances[step.which]?.crashAfter(step.calls);
        await this.#advance(step.ms);
        // It may have had no reason to call so often.
        return await this.#order("crash", step.which);
      }
      case "crash-amid": {
        const moving = this.#advance(step.ms);
        for (let round = 0; round < step.rounds; round++) await new Promise((resolve) => setImmediate(resolve));
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
        await promises.read();
        await this.command(step, true);
        await kit.settle();
    }
  }

  /**
   * By the scheduler that is named, or the next one that lives: commands need none that runs.
   * @param alone whether nobody else commands meanwhile
   */
  async command(command: Command, alone = false): Promise<void> {
    let isClosed = false;
    for (let tried = 0; tried < this.#instances.length; tried++) {
      const { scheduler } = this.#instances[(command.by + tried) % this.#instances.length] ?? this.kit;
      await this.promises.command(command.task, eventTypes[command.do], async () => {
        try {
          return await this.#ask(scheduler, command, alone);
        } catch (error) {
          isClosed = isAzothError(error, "STORE_CLOSED");
          throw error;
        }
      });
      if (!isClosed) return;
      isClosed = false;
    }
  }

  /** Resolves with whether an event has to tell of it. */
  async #ask(scheduler: TestScheduler["scheduler"], command: Command, alone: boolean): Promise<boolean> {
    const { task: taskId } = command;
    if (command.do === "schedule") {
      const payload = command.anew ? ++this.#scheduledAnew : null;
      const { maxRetries, schedule } = command;
      const request = { taskId, taskType: "job", schedule: schedules[schedule], maxRetries, retry, payload };
      const { change } = await scheduler.scheduleTask(request);
      if (command.anew && change === "unchanged") throw new Error(`a new definition of ${taskId} has changed nothing`);
      return change !== "unchanged";
    }
    const before = alone ? await scheduler.getTask(taskId) : null;
    const after = await scheduler[command.do](taskId, "by hand");
    if (command.do === "cancelTask" && after.state !== "cancelled") throw new Error(`${taskId} is ${after.state}`);
    // What is so already is acknowledged without an event, and beside others nobody knows what was so.
    return command.do === "runTaskNow" || (alone && after.state !== before?.state);
  }

  /** Faults and slowness are of the time that passes: while it stands still, what is asked can be answered. */
  async #advance(unpacedMs: number): Promise<void> {
    const ms = unpacedMs * this.#pace;
    this.#passedMs += ms;
    this.kit.slowStorage(this.#slowMs);
    await this.kit.advance(ms);
    this.kit.slowStorage(0);
    await this.kit.settle();
  }

  async #fallSilent({ task, which, ms, then }: Extract<Step, { do: "fall-silent" }>): Promise<void> {
    const { kit, promises } = this;
    this.#cast.deafRuns = 2;
    await promises.read();
    await this.command({ do: "runTaskNow", task, by: which });
    await kit.settle();
    const silent = this.#instances.filter((_, index) => this.#instances.length === 1 || index !== which);
    for (const instance of silent) instance.suspend();
    this.#count("suspensions", silent.length);
    await this.#advance(ms);
    for (const instance of silent) await promises.expectedly(async () => await instance.resume());
    if (then === "crash") await this.#order("crash", which);
  }

  async #order(order: Order, which: number): Promise<void> {
    const instance = this.#instances[which];
    if (instance === undefined) return;
    if (order === "crash" && !this.#ended.has(instance)) this.#count("kills");
    if (order === "crash" || order === "stop" || order === "restart") this.#ended.add(instance);
    if (order === "suspend") this.#count("suspensions");
    await this.promises.expectedly(async () => {
      await instance[order]();
      if (order === "restart") this.#ended.delete(instance);
    });
  }

  async #replayDeadLetters(by: number): Promise<void> {
    const { eventHandlers } = (this.#instances[by] ?? this.kit).scheduler;
    const letters = await this.promises.expectedly(() => eventHandlers.deadLetters({ limit: 1_000 }));
    for (const { id } of letters ?? []) {
      // It may fail again, and then stays.
      await eventHandlers.replayDeadLetter(id).catch(() => {});
    }
  }

  /** The faults stop, everybody is well, and time passes. */
  async end(): Promise<void> {
    const { kit, promises } = this;
    this.#cast.calm = true;
    this.#slowMs = 0;
    kit.failNextCommits(0);
    for (const [which, instance] of this.#instances.entries()) {
      instance.suspend();
      await this.#order("resume", which);
      // Those that live have to find their way back by themselves.
      if (this.#ended.has(instance)) await this.#order("restart", which);
    }
    await this.#advance(4 * 60 * minute);
    await this.#replayDeadLetters(0);
    await promises.end(kit.clock.now());
    for (const { taskId, state, nextRunAt } of (await kit.scheduler.listTasks()).tasks) {
      const isOverdue = state === "waiting" && (nextRunAt?.getTime() ?? 0) <= kit.clock.now();
      if (state === "running" || state === "claimed" || isOverdue) promises.overdue(taskId, state);
    }
  }

  async close(): Promise<void> {
    await this.kit[Symbol.asyncDispose]();
  }

  #count(what: string, times = 1): void {
    this.#happened.set(what, (this.#happened.get(what) ?? 0) + times);
  }
}

const lostAnswer = new AzothError("STORE_FAILED", "The test lost the answer to this commit.");
