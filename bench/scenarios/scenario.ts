/** A scenario: one question about speed, and how to answer it once. */
import type { BenchTask, OpenSystem, System } from "../systems/system.ts";

export interface Metric {
  readonly label: string;
  /** Compared with the bare loop in a column of its own. */
  readonly compared: boolean;
}

/** Where one measurement takes place. */
export interface Stage {
  /** An empty directory of its own. */
  readonly directory: string;
  readonly system: System;
  /** How many tasks a throughput scenario works through; others derive their size from it. */
  readonly tasks: number;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly explanation: string;
  /** "by-slots": each system once per number of slots; "by-store": each once; "azoth": only ours has it. */
  readonly contest: "by-slots" | "by-store" | "azoth";
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Resolves with one value for each of `metrics`. */
  measure(stage: Stage): Promise<Readonly<Record<string, number>>>;
}

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
