/**
 * Where the microseconds of a task go: `npm run bench -- --profile`.
 *
 * Whole lives in this process: once to warm up, once under V8's profiler, once with a stopwatch on each SQL statement
 * and on JSON. The two ways check each other. Both slow down what they watch: read shares here, and rates elsewhere.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { profileOf, type StackTime } from "./profile/cpu-profile.ts";
import { Stopwatch, watchedDriver, withTimedJson } from "./profile/stopwatch.ts";
import { areaTable, functionTable, statementTable, type TimedLife } from "./profile/time-tables.ts";
import { secondsOf } from "./scenarios/scenario.ts";
import { expectFinished, liveThrough } from "./scenarios/whole-lives.ts";
import { Azoth } from "./systems/azoth.ts";
import { loadSqliteDriver } from "./systems/sqlite-driver.ts";

const mostWarmUpTasks = 5_000;

export interface ProfileOptions {
  readonly tasks: number;
  readonly slots: number;
  /** Stores are made in here. */
  readonly directory: string;
}

/** Returns the tables as Markdown. */
export async function whereTimeGoes(life: ProfileOptions): Promise<string> {
  const { tasks, slots } = life;
  await live({ ...life, tasks: Math.min(tasks, mostWarmUpTasks) });
  const stacks = await profiledLife(life);
  const timed = await timedLife(life);
  return [
    `## ${tasks.toLocaleString("en-US")} whole lives, ${slots} slots`,
    `### By area (profiler)\n\n${areaTable(stacks, tasks)}`,
    `### By function (profiler)\n\n${functionTable(stacks, tasks)}`,
    `### By statement (stopwatch)\n\n${statementTable(timed, tasks)}`,
  ].join("\n\n");
}

async function profiledLife(life: ProfileOptions): Promise<StackTime[]> {
  let stacks: StackTime[] = [];
  await live(life, {
    around: async (work) => {
      stacks = await profileOf(work);
    },
  });
  return stacks;
}

async function timedLife(life: ProfileOptions): Promise<TimedLife> {
  const stopwatch = new Stopwatch();
  let seconds = 0;
  await live(life, {
    sqliteDriver: watchedDriver(await loadSqliteDriver(), stopwatch),
    around: async (work) => {
      stopwatch.start();
      seconds = await secondsOf(() => withTimedJson(stopwatch, work));
      stopwatch.stop();
    },
  });
  return { times: stopwatch.times, seconds };
}

interface Watching {
  readonly sqliteDriver?: unknown;
  /** Runs what is to be watched: from the first call to the last recorded completion, without opening and closing. */
  readonly around?: (work: () => Promise<void>) => Promise<void>;
}

/** Whole lives on a fresh store. */
async function live(life: ProfileOptions, { sqliteDriver, around = (work) => work() }: Watching = {}): Promise<void> {
  const location = mkdtempSync(join(life.directory, "store-"));
  try {
    const azoth = await Azoth.open({ location, slots: life.slots }, { sqliteDriver });
    await around(async () => {
      await liveThrough(azoth, life.tasks);
    });
    await expectFinished(azoth, { system: "azoth-sqlite", tasks: life.tasks });
    await azoth.close();
  } finally {
    rmSync(location, { recursive: true, force: true });
  }
}
