/** What a store that holds much costs: while it works, and when it is opened. */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freshDatabase } from "../postgres.ts";
import { Azoth } from "../systems/azoth.ts";
import type { BenchTask, OpenSystem } from "../systems/system.ts";
import type { Opening } from "./opening.ts";
import { azothOnBoth, batchSize, type Scenario, type Stage, scheduleInBatches, secondsToFinish } from "./scenario.ts";
import { liveThrough } from "./whole-lives.ts";

/** Of each kind, for each task that is measured: a million for 100,000. */
const keptPerTask = 10;

const farMs = 365 * 86_400_000;

export const fullStore: Scenario = {
  name: "full-store",
  title: "A store that holds much",
  explanation:
    "Processing as above, first on an empty store (after as much on another one), then on the same store with ten times as many finished tasks, which really ran, and as many that are due next year: a million of each for 100,000.",
  systems: azothOnBoth,
  metrics: { emptyPerSecond: "empty store (tasks/s)", fullPerSecond: "full store (tasks/s)", ratio: "full ÷ empty" },
  targets: [
    { engine: "sqlite", metric: "ratio", atLeast: 0.7 },
    { engine: "postgres", metric: "ratio", atLeast: 0.7 },
  ],
  needsNoWarmUp: true,
  async measure(stage) {
    const other = await placeBeside(stage);
    const warming = await Azoth.open({ ...stage, location: other.location });
    await processed(warming, stage.tasks);
    await warming.close();
    await other.remove();
    const store = await Azoth.open(stage);
    const emptyPerSecond = await processed(store, stage.tasks);
    await liveThrough(store, stage.tasks * keptPerTask);
    await scheduleForNextYear(store, stage.tasks * keptPerTask);
    const fullPerSecond = await processed(store, stage.tasks);
    await store.close();
    return { emptyPerSecond, fullPerSecond, ratio: fullPerSecond / emptyPerSecond };
  },
};

export const opening: Scenario = {
  name: "open",
  title: "Opening a store",
  explanation:
    "`AzothDb.open` with ten times as many waiting tasks as elsewhere: a million for 100,000. In a new process; so is the opening of a store with one task, " +
    "and the growth of memory is what the one takes beyond the other until its scheduler has started.",
  systems: azothOnBoth,
  metrics: {
    openMs: "open (ms)",
    openAndStartMs: "open and start (ms)",
    growthMiB: "memory beyond that of one task (MiB)",
  },
  targets: [
    { engine: "sqlite", metric: "openMs", atMost: 200 },
    { engine: "sqlite", metric: "growthMiB", atMost: 8 },
    { engine: "postgres", metric: "openMs", atMost: 200 },
    { engine: "postgres", metric: "growthMiB", atMost: 8 },
  ],
  needsNoWarmUp: true,
  async measure(stage) {
    const few = await openWith(await placeBeside(stage), 1);
    const many = await openWith({ location: stage.location, remove: async () => {} }, stage.tasks * keptPerTask);
    const { openMs, openAndStartMs, residentBytes } = many;
    return { openMs, openAndStartMs, growthMiB: Math.max(0, residentBytes - few.residentBytes) / 2 ** 20 };
  },
};

/** Tasks a second. */
async function processed(store: OpenSystem, tasks: number): Promise<number> {
  await scheduleInBatches(store, tasks);
  return tasks / (await secondsToFinish(store, tasks));
}

async function scheduleForNextYear(store: OpenSystem, count: number): Promise<void> {
  const firstAtMs = Date.now() + farMs;
  for (let done = 0; done < count; done += batchSize) {
    const tasks = Array.from({ length: Math.min(batchSize, count - done) }, (_, index): BenchTask => {
      return { number: done + index, dueAtMs: firstAtMs + (done + index) * 10 };
    });
    await store.schedule(tasks);
  }
}

interface Place {
  readonly location: string;
  readonly remove: () => Promise<void>;
}

/** A second store of the same kind. */
async function placeBeside({ location, system }: Stage): Promise<Place> {
  if (system === "azoth-postgres") {
    const { url, drop } = await freshDatabase(location);
    return { location: url, remove: drop };
  }
  const directory = mkdtempSync(join(location, "other-"));
  return { location: directory, remove: async () => rmSync(directory, { recursive: true, force: true }) };
}

async function openWith({ location, remove }: Place, tasks: number): Promise<Opening> {
  const store = await Azoth.open({ location, slots: 1 });
  await scheduleForNextYear(store, tasks);
  await store.close();
  const result = await openInProcess(location);
  await remove();
  return result;
}

/** Beside this file, and of its kind. */
const openingFile = fileURLToPath(new URL(`./opening${extname(import.meta.url)}`, import.meta.url));

function openInProcess(location: string): Promise<Opening> {
  return new Promise((resolve, reject) => {
    const child = fork(openingFile, [location], { execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"] });
    let opening: Opening | undefined;
    child.once("message", (message) => {
      opening = message as Opening;
    });
    child.once("error", reject);
    child.once("exit", (exitCode) => {
      if (opening === undefined) reject(new Error(`the process that opens the store ended with ${exitCode}`));
      else resolve(opening);
    });
  });
}
