/**
 * Processor time for each task, divided by that of the bare loop: both are measured in turns in this process, and of each
 * the least counts, so that neither the machine nor what else it does changes much.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { scheduleInBatches, secondsToFinish } from "../scenarios/scenario.ts";
import { openSystem } from "../systems/open-system.ts";
import type { SystemName } from "../systems/system.ts";

export interface Costs {
  /** Microseconds of processor time. */
  readonly schedule: number;
  readonly process: number;
}

export interface Ratios {
  readonly azoth: Costs;
  readonly bareLoop: Costs;
}

/** Linux tells processor time in ticks of up to 4 ms: the least that is measured here, about 80 ms, has twenty of them. */
const tasks = 20_000;
const leastRounds = 4;
/** A cost that has grown is there in every round; a mood of the machine is not. */
const mostRounds = 16;

/** Goes on for as long as the ratios are not good enough, within reason. */
export async function measureRatios(directory: string, good: (ratios: Ratios) => boolean): Promise<Ratios> {
  const costs: { readonly azoth: Costs[]; readonly bareLoop: Costs[] } = { azoth: [], bareLoop: [] };
  for (let round = 1; ; round++) {
    costs.bareLoop.push(await costsOf("bare-loop", directory));
    costs.azoth.push(await costsOf("azoth-sqlite", directory));
    const ratios = { azoth: leastOf(costs.azoth), bareLoop: leastOf(costs.bareLoop) };
    if (round >= mostRounds || (round >= leastRounds && good(ratios))) return ratios;
  }
}

function leastOf(costs: readonly Costs[]): Costs {
  return {
    schedule: Math.min(...costs.map(({ schedule }) => schedule)),
    process: Math.min(...costs.map(({ process }) => process)),
  };
}

async function costsOf(system: SystemName, directory: string): Promise<Costs> {
  const location = mkdtempSync(join(directory, "store-"));
  const store = await openSystem(system, { location, slots: 10 });
  const schedule = await cpuPerTask(() => scheduleInBatches(store, tasks));
  const process = await cpuPerTask(() => secondsToFinish(store, tasks));
  await store.close();
  rmSync(location, { recursive: true, force: true });
  return { schedule, process };
}

async function cpuPerTask(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / tasks;
}
