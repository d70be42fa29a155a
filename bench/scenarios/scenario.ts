/** A scenario: one question about speed, and how to answer it once. */
import type { BenchTask, EngineName, OpenSystem, Setting, SystemName } from "../systems/system.ts";

/** Where one measurement takes place: on an empty store. */
export interface Stage extends Setting {
  readonly system: SystemName;
  /** How many tasks a throughput scenario works through; others derive their size from it. */
  readonly tasks: number;
}

/** What is to be reached, in a run side by side on one machine. */
export interface Target {
  readonly engine: EngineName;
  /** The metric of azoth on that engine. */
  readonly metric: string;
  /** Divided by that of the best of these; absent: the value itself. */
  readonly against?: readonly SystemName[];
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Better than what has to be. */
  readonly aim?: number;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly explanation: string;
  /** In the order of the table. */
  readonly systems: readonly SystemName[];
  /** The columns: labels by the names of the values. */
  readonly metrics: Readonly<Record<string, string>>;
  readonly targets: readonly Target[];
  /** True where a small measurement before the real one would change nothing. */
  readonly needsNoWarmUp?: true;
  /** Resolves with one value for each of `metrics`, less those that the system does not have. */
  measure(stage: Stage): Promise<Readonly<Record<string, number>>>;
}

export const azothOnBoth = ["azoth-sqlite", "azoth-postgres"] as const satisfies readonly SystemName[];

/** Everything that takes tasks and runs them. */
export const allQueues = [
  "azoth-sqlite",
  "azoth-sqlite-normal",
  "plainjob",
  "bare-loop",
  "bare-loop-normal",
  "azoth-postgres",
  "graphile-worker",
  "pg-boss",
  "bare-statements",
  "bullmq",
] as const satisfies readonly SystemName[];

/** The other queues on PostgreSQL, of which the better counts. */
export const postgresQueues = ["graphile-worker", "pg-boss"] as const satisfies readonly SystemName[];

/** Tasks in one `scheduleTasks` call. */
export const batchSize = 1_000;

/** Numbers from..from+count-1 as tasks that are due at once. */
export function tasksFrom(from: number, count: number): BenchTask[] {
  return Array.from({ length: count }, (_, index) => ({ number: from + index }));
}

/** Schedules tasks as a user with many would: batch after batch, each awaited. */
export async function scheduleInBatches(system: OpenSystem, tasks: number): Promise<void> {
  for (let done = 0; done < tasks; done += batchSize) {
    await system.schedule(tasksFrom(done, Math.min(batchSize, tasks - done)));
  }
}

/**
 * From the start of the system to the last recorded result of so many tasks, with `begin` in between; in seconds.
 * The handlers count, so nothing asks the store meanwhile.
 */
export async function secondsToFinish(
  store: OpenSystem,
  tasks: number,
  begin: () => Promise<void> = async () => {},
): Promise<number> {
  let runs = 0;
  const allRan = deferred();
  return await secondsOf(async () => {
    await store.start(() => {
      if (++runs === tasks) allRan.resolve();
    });
    await begin();
    await allRan.promise;
    await store.stop();
  });
}

/** How long something takes, in seconds. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1_000;
}

/** A share of the tasks, within bounds: for scenarios in which each one takes long. */
export function shareOf(tasks: number, share: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, Math.round(tasks * share)));
}

export interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function deferred(): Deferred {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
