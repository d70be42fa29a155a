/** Who plays in a life besides the schedulers: a task handler of many moods, and two event handlers. */
import {
  type AnyEventHandler,
  type AnyTaskHandler,
  eventHandler,
  fail,
  retryAfter,
  snooze,
  type TaskContext,
} from "azoth-scheduler";
import { seededRandom } from "azoth-scheduler/testing";
import { type Command, type ScheduleName, schedules, scheduleNames, type Verb } from "./script.ts";

const minuteMs = 60_000;

/** What a successful run says of itself, in the event that it returns. */
export interface Did {
  readonly executionId: string;
  /** The payloads of the tasks that it has scheduled through its transaction. */
  readonly scheduled: readonly string[];
}

export interface CastOptions {
  readonly mood: number;
  readonly pace: number;
  /** The definition of a column that numbers rows, on that engine. */
  readonly rowNumber: string;
  /** Sleeps as the machine's clock lets sleep: through signals, and through suspensions of the scheduler. */
  readonly deafSleep: (ms: number) => Promise<void>;
  /** What a handler asks of the schedulers, outside of its transaction. */
  readonly command: (command: Command) => Promise<void>;
}

export class Cast {
  readonly handlers: readonly AnyTaskHandler[];
  readonly eventHandlers: readonly AnyEventHandler[];
  /** From now on, all does what is asked of it at once. */
  calm = false;
  /** So many of the next runs take long, and heed no signal. */
  deafRuns = 0;
  /** Executions whose handlers have returned. */
  readonly returned: Set<string> = new Set();
  readonly #options: CastOptions;
  readonly #random: () => number;
  readonly #names: readonly ScheduleName[];

  constructor(options: CastOptions) {
    const { mood, pace, rowNumber } = options;
    this.#options = options;
    this.#random = seededRandom(mood);
    this.#names = scheduleNames(pace);
    const job: AnyTaskHandler = {
      taskType: "job",
      timeout: 40 * minuteMs * pace,
      execute: async (ctx: TaskContext) => {
        const result = await this.#act(ctx);
        this.returned.add(ctx.executionId);
        return result;
      },
    };
    const setUp = (table: string) => ({
      setUp: (tx: { execute: (sql: string) => Promise<number> }) =>
        tx.execute(`CREATE TABLE IF NOT EXISTS ${table} (entry ${rowNumber}, execution TEXT)`),
    });
    const ledger = eventHandler<Did>({
      name: "ledger",
      eventType: "did",
      onError: "stop",
      ...setUp("ledger"),
      handle: (event, tx) => tx.execute("INSERT INTO ledger (execution) VALUES (?)", [event.payload.executionId]),
    });
    const audit = eventHandler<Did>({
      name: "audit",
      eventType: "did",
      onError: { retry: { maxAttempts: 3, base: minuteMs * pace }, then: "dead-letter" },
      ...setUp("audit"),
      handle: async (event, tx) => {
        await tx.execute("INSERT INTO audit (execution) VALUES (?)", [event.payload.executionId]);
        // After its write, which must not stay.
        if (!this.calm && this.#random() < 0.4) throw new Error("not now");
      },
    });
    this.handlers = [job];
    this.eventHandlers = [ledger, audit];
  }

  async #act(ctx: TaskContext): Promise<unknown> {
    const { deafSleep, pace } = this.#options;
    const minute = minuteMs * pace;
    ctx.transaction.execute("INSERT INTO successes VALUES (?)", [ctx.executionId]);
    const draw = this.calm ? 0 : this.#random();
    const upTo = (mostMs: number) => Math.floor(this.#random() * mostMs) + 1;
    const scheduled = this.calm ? [] : await this.#write(ctx);
    const did = { eventType: "did", payload: { executionId: ctx.executionId, scheduled } satisfies Did };
    if (this.deafRuns > 0 && !this.calm) {
      this.deafRuns--;
      await deafSleep(upTo(60 * minute));
      return did;
    }
    if (draw < 0.25) return did;
    if (draw < 0.4) await ctx.sleep(upTo(45 * minute));
    // Goes on while its scheduler is suspended, and comes with its result when that one is back.
    else if (draw < 0.55) await deafSleep(upTo(60 * minute));
    else if (draw < 0.62) await this.#options.command(this.#command(ctx.taskId));
    else if (draw < 0.69) throw new Error("failed");
    // oxlint-disable-next-line typescript/only-throw-error
    else if (draw < 0.71) throw "garbage";
    else if (draw < 0.73) return { eventType: 7 };
    else if (draw < 0.76) await ctx.sleep(600 * minute);
    else if (draw < 0.78) await new Promise(() => {});
    else if (draw < 0.84) return snooze(...told(upTo(20 * minute), "for"));
    else if (draw < 0.91) return retryAfter(...told(upTo(20 * minute), "again in"));
    else if (draw < 0.93) return fail("for good");
    return did;
  }

  /** Now and then writes through the transaction of the run; returns the payloads of what it has scheduled. */
  async #write(ctx: TaskContext): Promise<string[]> {
    const scheduled: string[] = [];
    while (this.#random() < 0.15) {
      const command = this.#command(ctx.taskId);
      if (command.do === "cancelTask") ctx.transaction.cancelTask(command.task, "by a handler");
      if (command.do !== "schedule") continue;
      const payload = `${ctx.executionId}/${scheduled.length}`;
      const { task: taskId, schedule, maxRetries } = command;
      await ctx.transaction.scheduleTask({
        taskId,
        taskType: "job",
        schedule: schedules[schedule],
        maxRetries,
        payload,
      });
      scheduled.push(payload);
    }
    return scheduled;
  }

  /** About some task, or about the one that runs. */
  #command(own: string): Command {
    const pick = <T>(from: readonly [T, ...T[]]): T => from[Math.floor(this.#random() * from.length)] ?? from[0];
    const by = pick([0, 1, 2]);
    const task = pick([own, own, "a", "b", "c", "d", "e", "f"]);
    const verb = pick<Verb | "schedule">([
      "schedule",
      "schedule",
      "cancelTask",
      "pauseTask",
      "resumeTask",
      "runTaskNow",
    ]);
    if (verb !== "schedule") return { do: verb, task, by };
    const schedule = pick(this.#names as [ScheduleName, ...ScheduleName[]]);
    return { do: "schedule", task, schedule, maxRetries: pick([1, 2, 3]), anew: true, by };
  }
}

/** A delay, and a reason by which the log tells what was asked for. */
function told(delayMs: number, words: string): [delayMs: number, reason: string] {
  return [delayMs, `${words} ${delayMs} ms`];
}
