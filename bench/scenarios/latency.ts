/** How soon: from scheduling to the handler while idle, and from the due instant to the handler. */
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../statistics.ts";
import { openSystem } from "../systems/open-system.ts";
import type { BenchTask } from "../systems/system.ts";
import { batchSize, type Scenario, type Stage, shareOf } from "./scenario.ts";

const latencyMetrics = {
  p50: { label: "p50 (ms)", compared: true },
  p99: { label: "p99 (ms)", compared: true },
} as const;

export const startLatency: Scenario = {
  name: "start-latency",
  title: "Start latency when idle",
  explanation:
    "From the call of `scheduleTask` for an immediate task to the first line of its handler, one task at a time: the commit of the task, then that of its claim.",
  contest: "by-store",
  metrics: latencyMetrics,
  async measure({ directory, system, tasks }) {
    const store = await openSystem(directory, system);
    let started: (atMs: number) => void = () => {};
    await store.start(() => started(performance.now()));
    const latencies: number[] = [];
    for (let number = 0; number < shareOf(tasks, 0.02, { least: 20, most: 400 }); number++) {
      // Until everything sleeps again.
      await sleep(5 + (number % 7));
      const startedAt = new Promise<number>((resolve) => {
        started = resolve;
      });
      const calledAtMs = performance.now();
      const [startedAtMs] = await Promise.all([startedAt, store.schedule([{ number }])]);
      latencies.push(startedAtMs - calledAtMs);
    }
    await store.stop();
    await store.close();
    return percentiles(latencies);
  },
};

export const lateness: Scenario = {
  name: "lateness",
  title: "Lateness of tasks at instants of their own",
  explanation: "Tasks due 10 ms apart on an idle scheduler: from the due instant to the first line of the handler.",
  contest: "by-store",
  metrics: latencyMetrics,
  measure: (stage) => {
    const count = shareOf(stage.tasks, 0.02, { least: 20, most: 400 });
    return measureLateness(stage, count, (firstAtMs, number) => firstAtMs + number * 10);
  },
};

export const burstLateness: Scenario = {
  name: "burst-lateness",
  title: "Lateness of 1,000 tasks at one instant",
  explanation: "All due at the same instant: half of the handlers have started after p50, nearly all after p99.",
  contest: "by-slots",
  metrics: latencyMetrics,
  measure: (stage) => measureLateness(stage, Math.min(stage.tasks, 1_000), (firstAtMs) => firstAtMs),
};

/** Until the first task is due: all must be scheduled by then. */
const leadMs = 1_000;

async function measureLateness(
  { directory, system }: Stage,
  count: number,
  dueAt: (firstAtMs: number, number: number) => number,
): Promise<Record<string, number>> {
  const store = await openSystem(directory, system);
  const now = finerClock();
  const latenesses: number[] = [];
  let allRan = () => {};
  const finished = new Promise<void>((resolve) => {
    allRan = resolve;
  });
  const firstAtMs = Date.now() + leadMs;
  await store.start((number) => {
    latenesses.push(now() - dueAt(firstAtMs, number));
    if (latenesses.length === count) allRan();
  });
  const tasks = Array.from({ length: count }, (_, number): BenchTask => {
    return { number, dueAtMs: dueAt(firstAtMs, number) };
  });
  for (let done = 0; done < count; done += batchSize) await store.schedule(tasks.slice(done, done + batchSize));
  if (Date.now() >= firstAtMs) throw new Error("scheduling took longer than the time before the first task");
  await finished;
  await store.stop();
  await store.close();
  return percentiles(latenesses);
}

function percentiles(values: readonly number[]): Record<string, number> {
  return { p50: percentile(values, 50), p99: percentile(values, 99) };
}

/** Date.now with fractions: in step with the clock by which tasks fall due. */
function finerClock(): () => number {
  const tick = Date.now();
  while (Date.now() === tick);
  const offsetMs = Date.now() - performance.now();
  return () => performance.now() + offsetMs;
}
