/** pg-boss, tuned for many short jobs: batches of 500 to one handler, the next one at once while they are full, and NOTIFY. */
import { importPeer } from "./peers.ts";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

interface JobData {
  readonly number: number;
}

interface WorkOptions {
  readonly batchSize: number;
  readonly localConcurrency: number;
  readonly burstWhenBatchFull: boolean;
  readonly pollingIntervalSeconds: number;
  readonly notifyPollingIntervalSeconds: number;
}

interface Boss {
  on(event: "error", listener: (error: unknown) => void): void;
  start(): Promise<unknown>;
  createQueue(name: string, options: { notify: boolean }): Promise<void>;
  send(name: string, data: JobData, options?: { startAfter?: Date }): Promise<string | null>;
  insert(name: string, jobs: readonly { data: JobData; startAfter?: Date }[]): Promise<unknown>;
  work(
    name: string,
    options: WorkOptions,
    handler: (jobs: readonly { data: JobData }[]) => Promise<void>,
  ): Promise<string>;
  offWork(name: string, options: { wait: boolean }): Promise<void>;
  getDb(): { executeSql(sql: string): Promise<{ rows: { tasks: string; finished: string }[] }> };
  stop(options: { graceful: boolean }): Promise<void>;
}

const queue = "work";

const workOptions: WorkOptions = {
  batchSize: 500,
  localConcurrency: 1,
  burstWhenBatchFull: true,
  // The least that it takes; NOTIFY does not tell of jobs that fall due.
  pollingIntervalSeconds: 0.5,
  notifyPollingIntervalSeconds: 0.5,
};

export class PgBossQueue implements OpenSystem {
  readonly #boss: Boss;

  private constructor(boss: Boss) {
    this.#boss = boss;
  }

  static async open({ location }: Setting): Promise<PgBossQueue> {
    const { PgBoss } = (await importPeer("pg-boss")) as {
      PgBoss: new (options: { connectionString: string; useListenNotify: boolean }) => Boss;
    };
    const boss = new PgBoss({ connectionString: location, useListenNotify: true });
    boss.on("error", (error) => console.error(error));
    await boss.start();
    await boss.createQueue(queue, { notify: true });
    return new PgBossQueue(boss);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const jobs = tasks.map(jobOf);
    const [first] = jobs;
    if (first === undefined || jobs.length > 1) {
      await this.#boss.insert(queue, jobs);
    } else {
      const { data, ...options } = first;
      await this.#boss.send(queue, data, options);
    }
  }

  async start(onRun: (number: number) => void): Promise<void> {
    await this.#boss.work(queue, workOptions, async (jobs) => {
      for (const { data } of jobs) onRun(data.number);
    });
  }

  /** The handler's batch is completed when its worker has ended. */
  async stop(): Promise<void> {
    await this.#boss.offWork(queue, { wait: true });
  }

  async count(): Promise<Counts> {
    const sql = `SELECT count(*) AS tasks, count(*) FILTER (WHERE state = 'completed') AS finished FROM pgboss.job WHERE name = '${queue}'`;
    const [row] = (await this.#boss.getDb().executeSql(sql)).rows;
    return { tasks: Number(row?.tasks), finished: Number(row?.finished), events: 0 };
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false });
  }
}

function jobOf({ number, dueAtMs }: BenchTask): { data: JobData; startAfter?: Date } {
  return { data: { number }, ...(dueAtMs === undefined ? {} : { startAfter: new Date(dueAtMs) }) };
}
