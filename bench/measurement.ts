/**
 * One measurement in a process of its own: nothing that an earlier one compiled, collected or left open can help or
 * hurt it. `run.ts` forks this file and sends it a request; the answer goes back the same way.
 *
 *   request -> the scenario once, small, on a store that is thrown away (warm-up) -> the scenario -> answer
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { scenarios } from "./scenarios/all.ts";
import type { System } from "./systems/system.ts";

export interface Request {
  readonly scenario: string;
  readonly system: System;
  readonly tasks: number;
  /** Stores are made in here, each in a directory of its own. */
  readonly directory: string;
}

export type Answer =
  | { readonly ok: true; readonly values: Readonly<Record<string, number>> }
  | { readonly ok: false; readonly error: string };

/** Tasks of the warm-up: enough for the optimizing compiler. */
const mostWarmUpTasks = 2_000;

async function measure(request: Request): Promise<Answer> {
  const scenario = scenarios.find(({ name }) => name === request.scenario);
  if (scenario === undefined) throw new Error(`There is no scenario ${request.scenario}.`);
  const onFreshStore = async (tasks: number) => {
    const directory = mkdtempSync(join(request.directory, "store-"));
    try {
      return await scenario.measure({ directory, system: request.system, tasks });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
  await onFreshStore(Math.min(request.tasks, mostWarmUpTasks));
  return { ok: true, values: await onFreshStore(request.tasks) };
}

process.once("message", (request: Request) => {
  void measure(request)
    .catch((error: unknown): Answer => {
      return { ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    })
    .then((answer) => {
      process.send?.(answer, () => process.disconnect?.());
    });
});
