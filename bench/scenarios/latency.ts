/** How soon: from scheduling to the handler while idle, and from the due instant to the handler. */
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../statistics.ts";
import { openSystem } from "../systems/open-system.ts";
import type { BenchTask, OpenSystem } from "../systems/system.ts";
import { allQueues, azothOnBoth, batchSize, deferred, type Scenario, type Stage, shareOf } from "./scenario.ts";

const metrics = { p50: "p50 (ms)", p99: "p99 (ms)" } as const;

/** The bare statements poll as it comes: nothing to be compared with. */
const wakingQueues = allQueues.filter((name) => name !== "bare-statements");

export const startLatency: Scenario = {
  name: "start-latency",
  title: "Start latency when idle",
  explanation:
    "From the call of `scheduleTask` for an immediate task to the first line of its handler, one task at a time: the commit of the task, then that of its claim.",
  systems: wakingQueues,
  metrics,
  targets: [
    { engine: "sqlite", metric: "p50", atMost: 2 },
    { engine: "sqlite", metric: "p99", atMost: 10 },
    { engine: "postgres", metric: "p50", atMost: 5 },
    { engine: "postgres", metric: "p99", atMost: 15 },
  ],
  async measure(stage) {
    const store = await openSystem(stage.system, stage);
    const values = await measureStarts({ from: store, to: store, tasks: stage.tasks });
    await store.close();
    return values;
  },
};

export const startLatencyOfOther: Scenario = {
  name: "start-latency-other-node",
  title: "Start latency on another node",
  explanation:
    "The same, but scheduled through another `AzothDb` than the one of the scheduler that runs it, as by another process.",
  systems: azothOnBoth,
  metrics,
  targets: [{ engine: "postgres", metric: "p50", atMost: 10 }],
  async measure(stage) {
    const to = await openSystem(stage.system, stage);
    const from = await openSystem(stage.system, stage);
    const values = await measureStarts({ from, to, tasks: stage.tasks });
    await from.close();
    await to.close();
    return values;
  },
};

export const lateness: Scenario = {
  name: "lateness",
  title: "Lateness of tasks at instants of their own",
  explanation: "Tasks due 10 ms apart on an idle scheduler: from the due instant to the first line of the handler.",
  systems: wakingQueues,
  metrics,
  targets: [
    { engine: "sqlite", metric: "p99", atMost: 10 },
    { engine: "postgres", metric: "p99", atMost: 15 },
  ],
  measure: (stage) => {
    const count = shareOf(stage.tasks, 0.02, { least: 20, most: 400 });
    return measureLateness(stage, count, (firstAtMs, number) => firstAtMs + number * 10);
  },
};

export const burstLateness: Scenario = {
  name: "burst-lateness",
  title: "Lateness of 1,000 tasks at one instant",
  explanation: "All due at the same instant: half of the handlers have started after p50, nearly all after p99.",
  systems: wakingQueues,
  metrics,
  targets: [],
  measure: (stage) => measureLateness(stage, Math.min(stage.tasks, 1_000), (firstAtMs) => firstAtMs),
};

interface Starts {
  readonly from: OpenSystem;
  readonly to: OpenSystem;
  readonly tasks: number;
}

async function measureStarts({ from, to, tasks }: Starts): Promise<Record<string, number>> {
  let started: (atMs: number) => void = () => {};
  await to.start(() => started(performance.now()));
  const latencies: number[] = [];
  for (let number = 0; number < shareOf(tasks, 0.02, { least: 20, most: 400 }); number++) {
    // Until everything sleeps again.
    await sleep(5 + (number % 7));
    const startedAt = new Promise<number>((resolve) => {
      started = resolve;
    });
    const calledAtMs = performance.now();
    const [startedAtMs] = await Promise.all([startedAt, from.schedule([{ number }])]);
    latencies.push(startedAtMs - calledAtMs);
  }
  await to.stop();
  return percentiles(latencies);
}

/** Until the first task is due: all must be scheduled by then. */
const leadMs = 1_000;

async function measureLateness(
  stage: Stage,
  count: number,
  dueAt: (firstAtMs: number, number: number) => number,
): Promise<Record<string, number>> {
  const store = await openSystem(stage.system, stage);
  const now = finerClock();
  const latenesses: number[] = [];
  const allRan = deferred();
  let firstAtMs = 0;
  await store.start((number) => {
    latenesses.push(now() - dueAt(firstAtMs, number));
    if (latenesses.length === count) allRan.resolve();
  });
  firstAtMs = Date.now() + leadMs;
  const tasks = Array.from({ length: count }, (_, number): BenchTask => {
    return { number, dueAtMs: dueAt(firstAtMs, number) };
  });
  for (let done = 0; done < count; done += batchSize) await store.schedule(tasks.slice(done, done + batchSize));
  if (Date.now() >= firstAtMs) throw new Error("scheduling took longer than the time before the first task");
  await allRan.promise;
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
  return () => {
    // Tasks are due by the wall clock, which is put right meanwhile: the finer one counts within its millisecond only.
    const wallMs = Date.now();
    return Math.min(Math.max(performance.now() + offsetMs, wallMs), wallMs + 1);
  };
}
