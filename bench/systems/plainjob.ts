/**
 * plainjob on better-sqlite3: WAL with synchronous NORMAL, as it sets by itself; a power cut may lose commits.
 * A worker of it runs one job at a time, so there is one for each slot. It polls; the interval is set to 10 ms.
 */
import { join } from "node:path";
import { importPeer } from "./peers.ts";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

interface Queue {
  add(type: string, data: unknown, options?: { delay?: number }): unknown;
  addMany(type: string, data: readonly unknown[], options?: { delay?: number }): unknown;
  countJobs(options?: { status: number }): number;
  close(): void;
}

interface Worker {
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Logger {
  readonly error: (text: string) => void;
  readonly warn: () => void;
  readonly info: () => void;
  readonly debug: () => void;
}

interface Package {
  better(database: unknown): unknown;
  defineQueue(options: { connection: unknown; logger: Logger }): Queue;
  defineWorker(
    type: string,
    processor: (job: { data: string }) => Promise<void>,
    options: { queue: Queue; pollIntervall: number; logger: Logger },
  ): Worker;
  readonly JobStatus: { readonly Done: number };
}

const type = "work";
const pollIntervall = 10;
const logger: Logger = { error: (text) => console.error(text), warn: () => {}, info: () => {}, debug: () => {} };

export class Plainjob implements OpenSystem {
  readonly #package: Package;
  readonly #queue: Queue;
  readonly #slots: number;
  #workers: readonly { readonly worker: Worker; readonly ended: Promise<void> }[] = [];

  private constructor(plainjob: Package, queue: Queue, slots: number) {
    this.#package = plainjob;
    this.#queue = queue;
    this.#slots = slots;
  }

  static async open({ location, slots }: Setting): Promise<Plainjob> {
    const plainjob = (await importPeer("plainjob")) as Package;
    const { default: Database } = (await importPeer("better-sqlite3")) as { default: new (path: string) => unknown };
    const connection = plainjob.better(new Database(join(location, "plainjob.db")));
    return new Plainjob(plainjob, plainjob.defineQueue({ connection, logger }), slots);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const [first] = tasks;
    if (first?.dueAtMs === undefined && tasks.length > 1) {
      this.#queue.addMany(
        type,
        tasks.map(({ number }) => ({ number })),
      );
      return;
    }
    // A batch has one delay for all: tasks with instants of their own go in one by one.
    for (const { number, dueAtMs } of tasks) {
      this.#queue.add(type, { number }, dueAtMs === undefined ? {} : { delay: Math.max(0, dueAtMs - Date.now()) });
    }
  }

  async start(onRun: (number: number) => void): Promise<void> {
    this.#workers = Array.from({ length: this.#slots }, () => {
      const processor = async ({ data }: { data: string }) => onRun((JSON.parse(data) as BenchTask).number);
      const worker = this.#package.defineWorker(type, processor, { queue: this.#queue, pollIntervall, logger });
      return { worker, ended: worker.start() };
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.flatMap(({ worker, ended }) => [worker.stop(), ended]));
    this.#workers = [];
  }

  async count(): Promise<Counts> {
    const finished = this.#queue.countJobs({ status: this.#package.JobStatus.Done });
    return { tasks: this.#queue.countJobs(), finished, events: 0 };
  }

  async close(): Promise<void> {
    await this.stop();
    this.#queue.close();
  }
}
