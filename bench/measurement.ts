/**
 * One measurement in a process of its own: nothing that an earlier one compiled, collected or left open can help or
 * hurt it. `rounds.ts` forks this file and sends it a request; the answer goes back the same way.
 *
 *   request -> the scenario once, small, on a store that is thrown away (warm-up) -> the scenario -> answer
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { freshDatabase } from "./postgres.ts";
import { scenarios } from "./scenarios/all.ts";
import { factsOf, type SystemName } from "./systems/system.ts";

export interface Request {
  readonly scenario: string;
  readonly system: SystemName;
  readonly tasks: number;
  readonly slots: number;
  readonly places: Places;
}

/** Where stores are made, each of its own. */
export interface Places {
  readonly directory: string;
  /** Of a PostgreSQL server; null: there is none. */
  readonly serverUrl: string | null;
  readonly redisUrl: string | null;
}

export type Answer =
  | { readonly ok: true; readonly values: Readonly<Record<string, number>> }
  | { readonly ok: false; readonly error: string };

/** Tasks of the warm-up: enough for the optimizing compiler. */
const mostWarmUpTasks = 2_000;

async function measure(request: Request): Promise<Answer> {
  const { system, slots } = request;
  const scenario = scenarios.find(({ name }) => name === request.scenario);
  if (scenario === undefined) throw new Error(`There is no scenario ${request.scenario}.`);
  const onFreshStore = (tasks: number) => {
    return withFreshStore(request, (location) => scenario.measure({ location, system, slots, tasks }));
  };
  if (scenario.needsNoWarmUp !== true) await onFreshStore(Math.min(request.tasks, mostWarmUpTasks));
  return { ok: true, values: await onFreshStore(request.tasks) };
}

async function withFreshStore<Result>(
  { system, places }: Request,
  work: (location: string) => Promise<Result>,
): Promise<Result> {
  switch (factsOf(system).engine) {
    case "sqlite": {
      const directory = mkdtempSync(join(places.directory, "store-"));
      try {
        return await work(directory);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }
    case "postgres": {
      const { url, drop } = await freshDatabase(places.serverUrl ?? "");
      try {
        return await work(url);
      } finally {
        await drop();
      }
    }
    case "redis":
      return await work(places.redisUrl ?? "");
  }
}

process.once("message", (request: Request) => {
  void measure(request)
    .catch((error: unknown): Answer => {
      return { ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    })
    .then((answer) => {
      // Not all systems let go of everything: their timers must not hold up the next measurement.
      process.send?.(answer, () => process.exit());
    });
});
