/** Azoth Scheduler as a user has it: the built package, its public API, its defaults. */
import { AzothDb, immediate, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import type { BenchTask, OpenSystem, System } from "./system.ts";

/** What each task does: next to nothing, and it returns an event of its own. */
function workHandler(onRun: (number: number) => void) {
  return taskHandler({
    taskType: "work",
    execute: (_, { number }: { number: number }) => {
      onRun(number);
      return { eventType: "work_done", payload: { number } };
    },
  });
}

export class Azoth implements OpenSystem {
  readonly db: AzothDb;
  readonly #scheduler: Scheduler<readonly [ReturnType<typeof workHandler>]>;
  #onRun: (number: number) => void = () => {};

  private constructor(db: AzothDb, slots: number) {
    this.db = db;
    const handlers = [workHandler((number) => this.#onRun(number))] as const;
    this.#scheduler = new Scheduler(db, { handlers, maxConcurrentTasks: slots });
  }

  /** @param sqliteDriver stands in for the driver, to watch it at work */
  static async open(directory: string, { durability, slots }: System, sqliteDriver?: unknown): Promise<Azoth> {
    const driver = sqliteDriver === undefined ? {} : { sqliteDriver };
    return new Azoth(await AzothDb.open(directory, { durability, ...driver }), slots);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const requests = tasks.map(requestOf);
    const [first] = requests;
    if (first !== undefined && requests.length === 1) await this.#scheduler.scheduleTask(first);
    else await this.#scheduler.scheduleTasks(requests);
  }

  async start(onRun: (number: number) => void): Promise<void> {
    this.#onRun = onRun;
    await this.#scheduler.start();
  }

  stop(): Promise<void> {
    return this.#scheduler.stop();
  }

  async count(): Promise<{ finished: number; events: number }> {
    const { completed } = await this.#scheduler.countTasks();
    return { finished: completed, events: await this.db.lastPosition() };
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

function requestOf({ number, dueAtMs }: BenchTask) {
  const schedule = dueAtMs === undefined ? immediate() : oneTime(new Date(dueAtMs));
  return { taskType: "work", schedule, payload: { number } } as const;
}
