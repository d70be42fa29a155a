/** Azoth Scheduler as a user has it: the built package, its public API, its defaults. The location says which database. */
import { AzothDb, type AzothDbOptions, immediate, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

/** What each task does: nothing. */
function workHandler(onRun: (number: number) => void) {
  return taskHandler({
    taskType: "work",
    execute: (_, number: number) => {
      onRun(number);
    },
  });
}

export class Azoth implements OpenSystem {
  readonly db: AzothDb;
  readonly #scheduler: Scheduler<readonly [ReturnType<typeof workHandler>]>;
  readonly #onPostgres: boolean;
  #onRun: (number: number) => void = () => {};

  private constructor(db: AzothDb, { location, slots }: Setting) {
    this.db = db;
    this.#onPostgres = location.startsWith("postgres");
    const handlers = [workHandler((number) => this.#onRun(number))] as const;
    this.#scheduler = new Scheduler(db, { handlers, maxConcurrentTasks: slots });
  }

  static async open(setting: Setting, options: AzothDbOptions = {}): Promise<Azoth> {
    return new Azoth(await AzothDb.open(setting.location, options), setting);
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

  async count(): Promise<Counts> {
    const counts = await this.#scheduler.countTasks();
    const tasks = Object.values(counts).reduce((sum, count) => sum + count, 0);
    return { tasks, finished: counts.completed, events: await this.#countEvents() };
  }

  close(): Promise<void> {
    return this.db.close();
  }

  /** Positions have no holes on SQLite, and some on PostgreSQL. */
  async #countEvents(): Promise<number> {
    if (!this.#onPostgres) return await this.db.lastPosition();
    const [row] = await this.db.query("SELECT count(*) AS events FROM azoth.azoth_events");
    return Number(row?.["events"]);
  }
}

function requestOf({ number, dueAtMs }: BenchTask) {
  const schedule = dueAtMs === undefined ? immediate() : oneTime(new Date(dueAtMs));
  return { taskType: "work", schedule, payload: number } as const;
}
