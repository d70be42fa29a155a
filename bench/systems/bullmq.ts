/** BullMQ on the server of REDIS_URL. How durable it is, that server's settings say: "appendfsync everysec" may lose a second. */
import { randomBytes } from "node:crypto";
import { importPeer } from "./peers.ts";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

interface JobData {
  readonly number: number;
}

interface Queue {
  add(name: string, data: JobData, options: { delay?: number }): Promise<unknown>;
  addBulk(jobs: readonly { name: string; data: JobData; opts: { delay?: number } }[]): Promise<unknown>;
  getJobCounts(): Promise<Readonly<Record<string, number>>>;
  obliterate(options: { force: boolean }): Promise<void>;
  close(): Promise<void>;
}

interface Worker {
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): void;
}

interface Place {
  readonly connection: { readonly url: string; readonly maxRetriesPerRequest: null };
}

interface Package {
  readonly Queue: new (name: string, options: Place) => Queue;
  readonly Worker: new (
    name: string,
    handler: (job: { data: JobData }) => Promise<void>,
    options: Place & { concurrency: number },
  ) => Worker;
}

const job = "work";

export class BullMq implements OpenSystem {
  readonly #package: Package;
  readonly #place: Place;
  readonly #slots: number;
  /** The server is not of ours alone. */
  readonly #name = `azoth-bench-${randomBytes(6).toString("hex")}`;
  readonly #queue: Queue;
  #worker: Worker | undefined;

  private constructor(bullmq: Package, { location, slots }: Setting) {
    this.#package = bullmq;
    this.#slots = slots;
    this.#place = { connection: { url: location, maxRetriesPerRequest: null } };
    this.#queue = new bullmq.Queue(this.#name, this.#place);
  }

  static async open(setting: Setting): Promise<BullMq> {
    return new BullMq((await importPeer("bullmq")) as Package, setting);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const jobs = tasks.map(({ number, dueAtMs }) => {
      const opts = dueAtMs === undefined ? {} : { delay: Math.max(0, dueAtMs - Date.now()) };
      return { name: job, data: { number }, opts };
    });
    const [first] = jobs;
    if (first !== undefined && jobs.length === 1) await this.#queue.add(job, first.data, first.opts);
    else await this.#queue.addBulk(jobs);
  }

  async start(onRun: (number: number) => void): Promise<void> {
    const handler = async ({ data }: { data: JobData }) => onRun(data.number);
    this.#worker = new this.#package.Worker(this.#name, handler, { ...this.#place, concurrency: this.#slots });
    this.#worker.on("error", (error) => console.error(error));
    await this.#worker.waitUntilReady();
  }

  async stop(): Promise<void> {
    await this.#worker?.close();
    this.#worker = undefined;
  }

  async count(): Promise<Counts> {
    const counts = await this.#queue.getJobCounts();
    const tasks = Object.values(counts).reduce((sum, count) => sum + count, 0);
    return { tasks, finished: counts["completed"] ?? 0, events: 0 };
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#queue.obliterate({ force: true });
    await this.#queue.close();
  }
}
