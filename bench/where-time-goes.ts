/**
 * Where the microseconds of a task go: `npm run bench -- --profile`.
 *
 * Whole lives in this process: once to warm up, once under V8's profiler, once with a stopwatch on each SQL statement
 * and on JSON. The two ways check each other. Both slow down what they watch: read shares here, and rates elsewhere.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { profileOf, type StackTime } from "./profile/cpu-profile.ts";
import { Stopwatch, timedDriver, withTimedJson } from "./profile/stopwatch.ts";
import { areaTable, functionTable, statementTable, type TimedLife } from "./profile/time-tables.ts";
import { secondsOf } from "./scenarios/scenario.ts";
import { expectFinished, liveThrough } from "./scenarios/whole-lives.ts";
import { Azoth } from "./systems/azoth.ts";
import { loadSqliteDriver } from "./systems/sqlite-driver.ts";
import type { System } from "./systems/system.ts";

const mostWarmUpTasks = 5_000;

export interface ProfileOptions {
  readonly tasks: number;
  readonly slots: readonly number[];
  /** Stores are made in here. */
  readonly directory: string;
}

/** Returns the tables as Markdown, for each number of slots. */
export async function whereTimeGoes({ tasks, slots, directory }: ProfileOptions): Promise<string> {
  const parts: string[] = [];
  for (const count of slots) {
    const life: Life = { directory, tasks, system: { kind: "azoth", durability: "full", slots: count } };
    await live({ ...life, tasks: Math.min(tasks, mostWarmUpTasks) });
    const stacks = await profiledLife(life);
    const timed = await timedLife(life);
    parts.push(
      `## ${tasks.toLocaleString("en-US")} whole lives, ${count} slots`,
      `### By area (profiler)\n\n${areaTable(stacks, tasks)}`,
      `### By function (profiler)\n\n${functionTable(stacks, tasks)}`,
      `### By statement (stopwatch)\n\n${statementTable(timed, tasks)}`,
    );
  }
  return parts.join("\n\n");
}

async function profiledLife(life: Life): Promise<StackTime[]> {
  let stacks: StackTime[] = [];
  await live(life, {
    around: async (work) => {
      stacks = await profileOf(work);
    },
  });
  return stacks;
}

async function timedLife(life: Life): Promise<TimedLife> {
  const stopwatch = new Stopwatch();
  let seconds = 0;
  await live(life, {
    sqliteDriver: timedDriver(await loadSqliteDriver(), stopwatch),
    around: async (work) => {
      stopwatch.start();
      seconds = await secondsOf(() => withTimedJson(stopwatch, work));
      stopwatch.stop();
    },
  });
  return { times: stopwatch.times, seconds };
}

interface Life {
  readonly directory: string;
  readonly system: System;
  readonly tasks: number;
}

interface Watching {
  readonly sqliteDriver?: unknown;
  /** Runs what is to be watched: from the first call to the last recorded completion, without opening and closing. */
  readonly around?: (work: () => Promise<void>) => Promise<void>;
}

/** Whole lives on a fresh store. */
async function live(life: Life, { sqliteDriver, around = (work) => work() }: Watching = {}): Promise<void> {
  const directory = mkdtempSync(join(life.directory, "store-"));
  try {
    const azoth = await Azoth.open(directory, life.system, sqliteDriver);
    await around(() => liveThrough(azoth, life.tasks));
    await expectFinished(azoth, life.tasks);
    await azoth.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
