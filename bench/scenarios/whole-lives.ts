/** Throughput: tasks that wait already, and tasks that are scheduled while others run. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { bytesInDatabase } from "../postgres.ts";
import { openSystem } from "../systems/open-system.ts";
import { databaseBytes } from "../systems/sqlite-driver.ts";
import { factsOf, type OpenSystem, type SystemName } from "../systems/system.ts";
import {
  allQueues,
  postgresQueues,
  type Scenario,
  type Stage,
  scheduleInBatches,
  secondsToFinish,
} from "./scenario.ts";

export const processOnly: Scenario = {
  name: "process-only",
  title: "Processing",
  explanation:
    "No-op handlers. The store is filled first; measured is from the scheduler's start to the last recorded result. " +
    "CPU: the processor time of the process (on PostgreSQL without the server's), which other work on the machine hardly changes. " +
    "Loop delay: how much later than asked a timer of the same process fires (99th percentile).",
  systems: allQueues,
  metrics: { tasksPerSecond: "tasks/s", cpuMicroseconds: "CPU (µs/task)", loopDelayMs: "loop delay p99 (ms)" },
  targets: [
    { engine: "sqlite", metric: "tasksPerSecond", against: ["plainjob"], atLeast: 5, aim: 8 },
    { engine: "sqlite", metric: "tasksPerSecond", against: ["bare-loop"], atLeast: 0.65 },
    { engine: "sqlite", metric: "loopDelayMs", atMost: 20 },
    { engine: "postgres", metric: "tasksPerSecond", against: ["graphile-worker"], atLeast: 1.1, aim: 1.3 },
    { engine: "postgres", metric: "tasksPerSecond", against: ["pg-boss"], atLeast: 1.5 },
    { engine: "postgres", metric: "loopDelayMs", atMost: 20 },
  ],
  async measure(stage) {
    const store = await openSystem(stage.system, stage);
    await scheduleInBatches(store, stage.tasks);
    const strain = await Strain.begin();
    const seconds = await secondsToFinish(store, stage.tasks);
    const values = { tasksPerSecond: stage.tasks / seconds, ...(await strain.end(stage.tasks)) };
    await expectFinished(store, stage);
    await store.close();
    return values;
  },
};

export const wholeLives: Scenario = {
  name: "whole-lives",
  title: "Whole lives",
  explanation:
    "`scheduleTasks` in batches of 1,000 while the scheduler runs them, from the first call to the last recorded result. " +
    "Peak memory: the most that the process has had resident, Node itself included. " +
    "Bytes: what the store's file (on PostgreSQL tables and indexes, with the room of dead rows) holds for each task in the end; " +
    "of the others, graphile-worker keeps nothing of a finished job, and none of them a log.",
  systems: allQueues,
  metrics: {
    tasksPerSecond: "tasks/s",
    cpuMicroseconds: "CPU (µs/task)",
    loopDelayMs: "loop delay p99 (ms)",
    peakMiB: "peak memory (MiB)",
    eventsPerTask: "events/task",
    bytesPerTask: "bytes/task",
  },
  targets: [
    { engine: "sqlite", metric: "tasksPerSecond", against: ["plainjob"], atLeast: 4 },
    { engine: "sqlite", metric: "peakMiB", against: ["bare-loop"], atMost: 2 },
    { engine: "sqlite", metric: "bytesPerTask", atMost: 500 },
    { engine: "postgres", metric: "tasksPerSecond", against: postgresQueues, atLeast: 1.3 },
    { engine: "postgres", metric: "bytesPerTask", atMost: 1_000 },
  ],
  async measure(stage) {
    const store = await openSystem(stage.system, stage);
    const strain = await Strain.begin();
    const seconds = await liveThrough(store, stage.tasks);
    const values = { tasksPerSecond: stage.tasks / seconds, ...(await strain.end(stage.tasks)) };
    const peakMiB = process.resourceUsage().maxRSS / 1_024;
    const events = await expectFinished(store, stage);
    await store.close();
    const eventsPerTask = events / stage.tasks;
    return { ...values, peakMiB, eventsPerTask, ...(await sizePerTask(stage)) };
  },
};

/** Tasks from their scheduling to the last recorded result; in seconds. */
export function liveThrough(store: OpenSystem, tasks: number): Promise<number> {
  return secondsToFinish(store, tasks, () => scheduleInBatches(store, tasks));
}

/** A benchmark of work that was not done would be a fast one. Resolves with the number of events. */
export async function expectFinished(
  store: OpenSystem,
  { system, tasks }: { readonly system: SystemName; readonly tasks: number },
): Promise<number> {
  const counts = await store.count();
  const events = tasks * factsOf(system).leastEvents;
  if (counts.finished !== tasks) throw new Error(`${counts.finished} of ${tasks} tasks are recorded as finished`);
  if (counts.events < events) throw new Error(`${counts.events} events are in the log, not ${events}`);
  return counts.events;
}

/** What a stretch of work asks of the process that it runs in. */
class Strain {
  /** The timer that measures sleeps for this long; what it measures includes that. */
  readonly #resolutionMs = 1;
  readonly #delays = monitorEventLoopDelay({ resolution: this.#resolutionMs });
  #cpu = process.cpuUsage();

  /** Resolves when the timer runs: it measures from its first call on, and would forget that by a reset. */
  static async begin(): Promise<Strain> {
    const strain = new Strain();
    strain.#delays.enable();
    await sleep(3 * strain.#resolutionMs);
    strain.#cpu = process.cpuUsage();
    return strain;
  }

  async end(tasks: number): Promise<{ readonly cpuMicroseconds: number; readonly loopDelayMs: number }> {
    const { user, system } = process.cpuUsage(this.#cpu);
    // A system that never let go until now has its delay measured only after it.
    await sleep(2 * this.#resolutionMs);
    this.#delays.disable();
    // What an HTTP server in the same process, or a handler's timer, would feel.
    const loopDelayMs = Math.max(0, this.#delays.percentile(99) / 1e6 - this.#resolutionMs);
    return { cpuMicroseconds: (user + system) / tasks, loopDelayMs };
  }
}

async function sizePerTask({ system, location, tasks }: Stage): Promise<{ bytesPerTask?: number }> {
  switch (factsOf(system).engine) {
    case "sqlite":
      return { bytesPerTask: (await databaseBytes(location)) / tasks };
    case "postgres":
      return { bytesPerTask: (await bytesInDatabase(location)) / tasks };
    case "redis":
      return {};
  }
}
