/**
 * Plays a script on the production code (schedulers, their loops, the store, event handlers) in a time that is made to pass,
 * and tells what was not as promised.
 */
import {
  type AnyTaskHandler,
  eventHandler,
  fail,
  isAzothError,
  retryAfter,
  snooze,
  type TaskContext,
} from "azoth-scheduler";
import { createTestScheduler, seededRandom, type TestInstance, type TestScheduler } from "azoth-scheduler/testing";
import { LogChecker } from "./check-log.ts";
import { type Order, type Script, type Step, schedules, type Verb } from "./script.ts";

const minute = 60_000;
const maxLostClaims = 3;

export interface LifeOptions {
  /** A place for a new store: ":memory:", or a URL of PostgreSQL. */
  readonly newLocation: () => Promise<string>;
  /** The definition of a column that numbers rows, on that engine. */
  readonly rowNumber: string;
  /** How the log numbers its events there. */
  readonly positions: "none" | "holes";
}

export const inMemory: LifeOptions = {
  newLocation: async () => ":memory:",
  rowNumber: "INTEGER PRIMARY KEY",
  positions: "none",
};

export interface Story {
  /** What was not as promised; empty if all was. */
  readonly violations: readonly string[];
  readonly events: number;
  readonly days: number;
}

/** Plays a script to its end, or to the first violation. */
export async function play(script: Script, options: LifeOptions = inMemory): Promise<Story> {
  const life = await Life.begin(script, options);
  try {
    for (const step of script.steps) {
      await life.take(step);
      await life.check();
      if (life.violations.length > 0) return life.story();
    }
    await life.end();
    return life.story();
  } finally {
    await life.close();
  }
}

/** What handlers do, until `calm` is set. */
class Mood {
  calm = false;
  /** So many of the next runs take long, and heed no signal. */
  deafRuns = 0;
  readonly #random: () => number;
  readonly #minute: number;

  constructor(seed: number, minuteMs: number) {
    this.#random = seededRandom(seed);
    this.#minute = minuteMs;
  }

  async act(ctx: TaskContext, deafSleep: (ms: number) => Promise<void>): Promise<unknown> {
    const draw = this.calm ? 0 : this.#random();
    const minute = this.#minute;
    const upTo = (mostMs: number) => Math.floor(this.#random() * mostMs) + 1;
    const did = { eventType: "did", payload: ctx.executionId };
    if (this.deafRuns > 0 && !this.calm) {
      this.deafRuns--;
      await deafSleep(upTo(60 * minute));
      return did;
    }
    if (draw < 0.25) return did;
    if (draw < 0.4) await ctx.sleep(upTo(45 * minute));
    // Goes on while its scheduler is suspended, and comes with its result when that one is back.
    else if (draw < 0.6) await deafSleep(upTo(60 * minute));
    else if (draw < 0.68) throw new Error("failed");
    // oxlint-disable-next-line typescript/only-throw-error
    else if (draw < 0.7) throw "garbage";
    else if (draw < 0.72) return { eventType: 7 };
    else if (draw < 0.76) await ctx.sleep(600 * minute);
    else if (draw < 0.78) await new Promise(() => {});
    else if (draw < 0.84) return snooze(upTo(20 * minute));
    else if (draw < 0.91) return retryAfter(upTo(20 * minute));
    else if (draw < 0.93) return fail("for good");
    return did;
  }
}

/** An acknowledged command, and how often its event was in the log before. */
interface Acknowledged {
  readonly task: string;
  readonly eventType: string;
  readonly times: number;
}

class Life {
  readonly violations: string[] = [];
  readonly #kit: TestScheduler;
  readonly #mood: Mood;
  readonly #pace: number;
  /** Executions whose handlers have returned. */
  readonly #returned: ReadonlySet<string>;
  readonly #instances: readonly (TestInstance | TestScheduler)[];
  readonly #checker: LogChecker;
  readonly #acknowledged: Acknowledged[] = [];
  readonly #successes = new Set<string>();
  #position = 0;
  #checks = 0;
  #passedMs = 0;

  static async begin(script: Script, options: LifeOptions): Promise<Life> {
    const mood = new Mood(script.mood, minute * script.pace);
    const returned = new Set<string>();
    const job: AnyTaskHandler = {
      taskType: "job",
      timeout: 40 * minute * script.pace,
      execute: async (ctx: TaskContext) => {
        ctx.transaction.execute("INSERT INTO successes VALUES (?)", [ctx.executionId]);
        const result = await mood.act(ctx, (ms) => kit.clock.sleep(ms));
        returned.add(ctx.executionId);
        return result;
      },
    };
    const ledger = eventHandler<string>({
      name: "ledger",
      eventType: "did",
      onError: "stop",
      setUp: (tx) => tx.execute(`CREATE TABLE IF NOT EXISTS ledger (entry ${options.rowNumber}, execution TEXT)`),
      handle: (event, tx) => tx.execute("INSERT INTO ledger (execution) VALUES (?)", [event.payload]),
    });
    const kit: TestScheduler = await createTestScheduler<readonly AnyTaskHandler[]>({
      location: await options.newLocation(),
      handlers: [job],
      eventHandlers: [ledger],
      start: script.start,
      patience: 0,
      pollInterval: 20 * minute * script.pace,
      claimDuration: 15 * minute * script.pace,
      gracePeriod: 2 * minute * script.pace,
      maxLostClaims,
      maxConcurrentTasks: 2,
    });
    await kit.db.transaction((tx) => tx.execute("CREATE TABLE successes (execution TEXT)"));
    const others: TestInstance[] = [];
    for (let other = 1; other < script.schedulers; other++) others.push(await kit.addScheduler());
    return new Life(kit, { mood, others, returned, pace: script.pace, positions: options.positions });
  }

  private constructor(
    kit: TestScheduler,
    {
      mood,
      others,
      returned,
      pace,
      positions,
    }: Pick<LifeOptions, "positions"> &
      Pick<Script, "pace"> & { mood: Mood; others: readonly TestInstance[]; returned: ReadonlySet<string> },
  ) {
    this.#kit = kit;
    this.#mood = mood;
    this.#pace = pace;
    this.#returned = returned;
    this.#instances = [kit, ...others];
    this.#checker = new LogChecker({ positions, maxLostClaims });
  }

  story(): Story {
    const days = this.#passedMs / (24 * 60 * minute);
    return { violations: [...this.violations, ...this.#checker.violations], events: this.#position, days };
  }

  async take(step: Step): Promise<void> {
    const kit = this.#kit;
    switch (step.do) {
      case "advance":
        return await this.#advance(step.ms * this.#pace);
      case "jump":
        return kit.clock.jump(step.ms);
      case "fail-commits":
        return kit.failNextCommits(step.count);
      case "rebuild":
        await this.#expectedly(() => kit.db.rebuild());
        return;
      case "schedule": {
        const { task: taskId, schedule, maxRetries } = step;
        const request = { taskId, taskType: "job", schedule: schedules[schedule], maxRetries };
        await this.#command(taskId, "TaskScheduled", async () => {
          const { change } = await kit.db.transaction((tx) => tx.scheduleTask(request));
          return change !== "unchanged";
        });
        return await kit.settle();
      }
      case "fall-silent": {
        this.#mood.deafRuns = 2;
        await this.#verb("runTaskNow", step.task);
        await kit.settle();
        const silent = this.#instances.filter((_, which) => this.#instances.length === 1 || which !== step.which);
        for (const instance of silent) instance.suspend();
        await this.#advance(step.ms * this.#pace);
        for (const instance of silent) await this.#expectedly(async () => await instance.resume());
        if (step.then === "crash") await this.#order("crash", step.which);
        return;
      }
      case "crash-amid": {
        const moving = this.#advance(step.ms * this.#pace);
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
        await this.#verb(step.do, step.task);
        await kit.settle();
    }
  }

  async #advance(ms: number): Promise<void> {
    this.#passedMs += ms;
    await this.#kit.advance(ms);
  }

  async #order(order: Order, which: number): Promise<void> {
    const instance = this.#instances[which];
    if (instance !== undefined) await this.#expectedly(async () => await instance[order]());
  }

  /** By the first scheduler that lives; commands need none that runs. */
  async #verb(verb: Verb, task: string): Promise<void> {
    const eventTypes = {
      cancelTask: "TaskCancelled",
      pauseTask: "TaskPaused",
      resumeTask: "TaskResumed",
      runTaskNow: "TaskRunRequested",
    };
    for (const { scheduler } of this.#instances) {
      let isClosed = false;
      await this.#command(task, eventTypes[verb], async () => {
        try {
          const before = await scheduler.getTask(task);
          await scheduler[verb](task, "by hand");
          // What is so already is acknowledged without an event.
          return verb === "runTaskNow" || (await scheduler.getTask(task))?.state !== before?.state;
        } catch (error) {
          isClosed = isAzothError(error, "STORE_CLOSED");
          throw error;
        }
      });
      if (!isClosed) return;
    }
  }

  /** @param act resolves with whether anything was changed */
  async #command(task: string, eventType: string, act: () => Promise<boolean>): Promise<void> {
    await this.#read();
    const times = this.#checker.count(task, eventType);
    const changed = await this.#expectedly(act);
    if (changed === true) this.#acknowledged.push({ task, eventType, times });
  }

  /** What a command may be refused with is no violation, and anything else is. */
  async #expectedly<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isAzothError(error) || !expected.has(error.code)) this.violations.push(`thrown: ${String(error)}`);
      return undefined;
    }
  }

  async #read(): Promise<void> {
    for await (const event of this.#kit.db.readLog({ after: this.#position })) {
      this.#checker.read(event);
      this.#position = event.position;
      const { eventType, executionId = "" } = event;
      const { success } = event.payload as { success?: boolean };
      if (eventType !== "TaskExecuted" || success !== true) continue;
      this.#successes.add(executionId);
      if (!this.#returned.has(executionId))
        this.violations.push(`run ${executionId} succeeded, and its handler has not returned`);
    }
  }

  /** What holds at every moment. */
  async check(): Promise<void> {
    await this.#read();
    for (const { task, eventType, times } of this.#acknowledged.splice(0)) {
      const found = this.#checker.count(task, eventType);
      if (found <= times) this.violations.push(`an acknowledged ${eventType} of ${task} is not in the log`);
    }
    // To read and fold everything takes longer, the longer the life.
    if (this.#checks++ % 5 === 0) await this.#checkRows();
  }

  async #checkRows(): Promise<void> {
    const { ok, difference } = await this.#kit.db.verify();
    if (!ok) this.violations.push(`the log and the rows differ: ${JSON.stringify(difference)}`);
    this.#compare("successes", await this.#column("SELECT execution FROM successes"), [...this.#successes]);
  }

  #compare(what: string, found: readonly string[], wanted: readonly string[]): void {
    const [rows, log] = [found.toSorted().join(" "), wanted.toSorted().join(" ")];
    if (rows !== log) this.violations.push(`${what}: the rows have ${rows}, and the log ${log}`);
  }

  /** What holds when the faults have stopped and some time has passed. */
  async end(): Promise<void> {
    const kit = this.#kit;
    this.#mood.calm = true;
    kit.failNextCommits(0);
    for (const [which, instance] of this.#instances.entries()) {
      instance.suspend();
      await this.#order("resume", which);
      await this.#order("restart", which);
    }
    await this.#advance(4 * 60 * minute * this.#pace);
    await this.check();
    await this.#checkRows();
    const nowMs = kit.clock.now();
    this.#checker.end(nowMs);
    for (const { taskId, state, nextRunAt } of (await kit.scheduler.listTasks()).tasks) {
      const isOverdue = state === "waiting" && (nextRunAt?.getTime() ?? 0) <= nowMs;
      if (state === "running" || state === "claimed" || isOverdue)
        this.violations.push(`in the end, ${taskId} is ${state}`);
    }
    const did: string[] = [];
    for await (const { payload } of kit.db.readLog({ eventTypes: ["did"] })) did.push(String(payload));
    this.#compare("the event handler's rows", await this.#column("SELECT execution FROM ledger"), did);
  }

  async close(): Promise<void> {
    await this.#kit[Symbol.asyncDispose]();
  }

  async #column(sql: string): Promise<string[]> {
    return (await this.#kit.db.query(sql)).map(({ execution }) => String(execution));
  }
}

const expected: ReadonlySet<string> = new Set([
  "TASK_NOT_FOUND",
  "TASK_FINISHED",
  "TASK_CANCELLED",
  "TASK_RUNNING",
  "TASK_PAUSED",
  "STORE_FAILED",
  "STORE_CLOSED",
]);
