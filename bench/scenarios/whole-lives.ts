/** Whole lives: tasks are scheduled while the scheduler runs them; and the same from a filled store. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { openSystem } from "../systems/open-system.ts";
import { eventsPerTask, type OpenSystem } from "../systems/system.ts";
import { type Scenario, scheduleInBatches, secondsOf } from "./scenario.ts";

export const wholeLives: Scenario = {
  name: "whole-lives",
  title: "Whole lives",
  explanation:
    "`scheduleTasks` in batches of 1,000 while the scheduler runs them, from the first call to the last recorded completion. " +
    "CPU: the processor time of the whole process, which other work on the machine hardly changes. " +
    "Loop delay: how much later than asked a timer of the same process fires (99th percentile). " +
    "Bytes: the store's files after closing, for each finished task with its four events.",
  contest: "by-slots",
  metrics: {
    tasksPerSecond: { label: "tasks/s", compared: true },
    cpuMicroseconds: { label: "CPU (µs/task)", compared: true },
    loopDelayMs: { label: "loop delay p99 (ms)", compared: false },
    bytesPerTask: { label: "bytes/task", compared: true },
  },
  async measure({ directory, system, tasks }) {
    const store = await openSystem(directory, system);
    const delays = new LoopDelays();
    const cpuBefore = process.cpuUsage();
    const seconds = await secondsOf(() => liveThrough(store, tasks));
    const { user, system: kernel } = process.cpuUsage(cpuBefore);
    const loopDelayMs = delays.end();
    await expectFinished(store, tasks);
    await store.close();
    return {
      tasksPerSecond: tasks / seconds,
      cpuMicroseconds: (user + kernel) / tasks,
      loopDelayMs,
      bytesPerTask: bytesIn(directory) / tasks,
    };
  },
};

export const processOnly: Scenario = {
  name: "process-only",
  title: "Processing only",
  explanation: "The store is filled first; measured is from the scheduler's start to the last recorded completion.",
  contest: "by-slots",
  metrics: { tasksPerSecond: { label: "tasks/s", compared: true } },
  async measure({ directory, system, tasks }) {
    const store = await openSystem(directory, system);
    await scheduleInBatches(store, tasks);
    const seconds = await secondsOf(async () => {
      await runUntil(store, tasks, async () => {});
    });
    await expectFinished(store, tasks);
    await store.close();
    return { tasksPerSecond: tasks / seconds };
  },
};

/** Tasks from their scheduling to the last recorded completion. */
export async function liveThrough(store: OpenSystem, tasks: number): Promise<void> {
  await runUntil(store, tasks, () => scheduleInBatches(store, tasks));
}

/**
 * Starts the system, calls `begin`, and stops it when so many tasks have run. The handlers count, so nothing asks the store
 * meanwhile; what has finished is recorded when `stop` resolves, so that is when the last completion is on disk.
 */
async function runUntil(store: OpenSystem, tasks: number, begin: () => Promise<void>): Promise<void> {
  let runs = 0;
  let allRan = () => {};
  const finished = new Promise<void>((resolve) => {
    allRan = resolve;
  });
  await store.start(() => {
    if (++runs === tasks) allRan();
  });
  await begin();
  await finished;
  await store.stop();
}

/** A benchmark of work that was not done would be a fast one. */
export async function expectFinished(store: OpenSystem, tasks: number): Promise<void> {
  const { finished, events } = await store.count();
  if (finished !== tasks) throw new Error(`${finished} of ${tasks} tasks are recorded as finished`);
  if (events < tasks * eventsPerTask) throw new Error(`${events} events are in the log, not ${eventsPerTask} a task`);
}

/** How late timers fire: what an HTTP server in the same process would feel. */
class LoopDelays {
  /** The timer that measures sleeps for this long; what it measures includes that. */
  readonly #resolutionMs = 1;
  readonly #histogram = monitorEventLoopDelay({ resolution: this.#resolutionMs });

  constructor() {
    this.#histogram.enable();
  }

  /** Returns the 99th percentile in milliseconds. */
  end(): number {
    this.#histogram.disable();
    return Math.max(0, this.#histogram.percentile(99) / 1e6 - this.#resolutionMs);
  }
}

function bytesIn(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}
