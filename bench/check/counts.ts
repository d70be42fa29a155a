/**
 * What a task costs in numbers that do not depend on the machine: SQL statements, commits, events and bytes. The clock
 * stands still but for ticks, chance has a seed, and SQLite answers at once: every run does exactly the same.
 */
import { setImmediate } from "node:timers/promises";
import { ManualClock } from "azoth-scheduler/testing";
import { type Watch, watchedDriver } from "../profile/stopwatch.ts";
import { scheduleInBatches } from "../scenarios/scenario.ts";
import { Azoth } from "../systems/azoth.ts";
import { databaseBytes, loadSqliteDriver } from "../systems/sqlite-driver.ts";

export interface Counts {
  readonly tasks: number;
  readonly commits: number;
  readonly events: number;
  /** How often each kind of statement was executed. */
  readonly statements: Readonly<Record<string, number>>;
}

export interface Census {
  readonly phases: Readonly<Record<string, Counts>>;
  /** The file at the end, with all that the phases have left in it, by its tasks. */
  readonly bytesPerTask: number;
}

const batchTasks = 2_000;
const singleTasks = 20;
const callers = 32;

export async function takeCensus(directory: string): Promise<Census> {
  const counter = new Counter();
  const clock = new ManualClock("2026-01-01T00:00:00Z");
  const azoth = await Azoth.open(
    { location: directory, slots: 10 },
    // Without pauses, which come by the machine's time.
    { sqliteDriver: watchedDriver(await loadSqliteDriver(), counter), clock, random: seeded(1), eventLoopBudget: "1h" },
  );
  const phases: Record<string, Counts> = {};
  const phase = async (name: string, tasks: number, work: () => Promise<unknown>) => {
    const eventsBefore = await azoth.db.lastPosition();
    counter.start();
    await ticking(clock, work);
    const statements = counter.stop();
    const events = (await azoth.db.lastPosition()) - eventsBefore;
    phases[name] = { tasks, commits: statements["COMMIT"] ?? 0, events, statements };
  };
  await phase("schedule in batches", batchTasks, () => scheduleInBatches(azoth, batchTasks));
  await phase("schedule one by one", singleTasks, async () => {
    for (let number = 0; number < singleTasks; number++) await azoth.schedule([{ number }]);
  });
  await phase("schedule by many at once", callers, async () => {
    await Promise.all(Array.from({ length: callers }, (_, number) => azoth.schedule([{ number }])));
  });
  const tasks = batchTasks + singleTasks + callers;
  await phase("process", tasks, async () => {
    let runs = 0;
    await new Promise<void>((resolve, reject) => {
      const onRun = () => {
        if (++runs === tasks) resolve();
      };
      azoth.start(onRun).catch(reject);
    });
    await azoth.stop();
  });
  const { finished } = await azoth.count();
  if (finished !== tasks) throw new Error(`${finished} of ${tasks} tasks are recorded as finished`);
  await azoth.close();
  return { phases, bytesPerTask: Math.round((await databaseBytes(directory)) / tasks) };
}

class Counter implements Watch {
  #counts: Record<string, number> | undefined;

  start(): void {
    this.#counts = {};
  }

  stop(): Record<string, number> {
    const counts = this.#counts ?? {};
    this.#counts = undefined;
    return Object.fromEntries(Object.entries(counts).toSorted(([left], [right]) => (left < right ? -1 : 1)));
  }

  time<Result>(kind: string, call: () => Result): Result {
    if (this.#counts !== undefined) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    return call();
  }
}

/** Everything that can go on without time does so within as many turns of the event loop. */
const turnsPerTick = 10;

/** Lets a millisecond pass whenever nothing goes on without it, until the work is done. */
async function ticking(clock: ManualClock, work: () => Promise<unknown>): Promise<void> {
  const ended = new AbortController();
  const done = work().finally(() => ended.abort());
  while (!ended.signal.aborted) {
    for (let turn = 0; turn < turnsPerTick && !ended.signal.aborted; turn++) await setImmediate();
    if (!ended.signal.aborted) await clock.advance(1);
  }
  await done;
}

/** A linear congruential generator: chance that is the same every time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
