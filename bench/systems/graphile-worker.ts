/**
 * graphile-worker as its page on performance says for many short jobs: a local queue, and completions in batches.
 * Jobs that succeed are deleted by it; their number is what was added less what is left.
 */
import { importPeer } from "./peers.ts";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

interface JobSpec {
  readonly identifier: string;
  readonly payload: unknown;
  readonly runAt?: Date;
}

interface WorkerUtils {
  migrate(): Promise<void>;
  addJob(identifier: string, payload: unknown, spec: { runAt?: Date }): Promise<unknown>;
  addJobs(specs: readonly JobSpec[]): Promise<unknown>;
  withPgClient<Result>(
    work: (client: { query(sql: string): Promise<{ rows: { left: string }[] }> }) => Promise<Result>,
  ): Promise<Result>;
  release(): Promise<void>;
}

interface Runner {
  stop(): Promise<void>;
}

interface Options {
  readonly preset: { readonly worker: Readonly<Record<string, unknown>> };
  readonly noHandleSignals?: boolean;
  readonly taskList?: Readonly<Record<string, (payload: unknown) => void>>;
}

interface Package {
  readonly Logger: new (scopes: () => (level: string, message: string) => void) => unknown;
  makeWorkerUtils(options: Options): Promise<WorkerUtils>;
  run(options: Options): Promise<Runner>;
}

const identifier = "work";

export class GraphileWorker implements OpenSystem {
  readonly #package: Package;
  readonly #options: Options;
  readonly #utils: WorkerUtils;
  #runner: Runner | undefined;
  #added = 0;

  private constructor(graphile: Package, options: Options, utils: WorkerUtils) {
    this.#package = graphile;
    this.#options = options;
    this.#utils = utils;
  }

  static async open({ location, slots }: Setting): Promise<GraphileWorker> {
    // Read when the package is loaded.
    process.env["NO_LOG_SUCCESS"] = "1";
    const graphile = (await importPeer("graphile-worker")) as Package;
    const logger = new graphile.Logger(() => (level, message) => {
      if (level === "error") console.error(message);
    });
    const worker = {
      connectionString: location,
      concurrentJobs: slots,
      maxPoolSize: slots + 2,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger,
    };
    const options = { preset: { worker } };
    const utils = await graphile.makeWorkerUtils(options);
    await utils.migrate();
    return new GraphileWorker(graphile, options, utils);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const specs = tasks.map(specOf);
    const [first] = specs;
    if (first !== undefined && specs.length === 1) await this.#utils.addJob(identifier, first.payload, first);
    else await this.#utils.addJobs(specs);
    this.#added += tasks.length;
  }

  async start(onRun: (number: number) => void): Promise<void> {
    const taskList = { [identifier]: (payload: unknown) => onRun((payload as { number: number }).number) };
    this.#runner = await this.#package.run({ ...this.#options, noHandleSignals: true, taskList });
  }

  async stop(): Promise<void> {
    await this.#runner?.stop();
    this.#runner = undefined;
  }

  async count(): Promise<Counts> {
    const sql = "SELECT count(*) AS left FROM graphile_worker._private_jobs";
    const left = await this.#utils.withPgClient(async (client) => Number((await client.query(sql)).rows[0]?.left));
    return { tasks: this.#added, finished: this.#added - left, events: 0 };
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#utils.release();
  }
}

function specOf({ number, dueAtMs }: BenchTask): JobSpec {
  const runAt = dueAtMs === undefined ? {} : { runAt: new Date(dueAtMs) };
  return { identifier, payload: { number }, ...runAt };
}
