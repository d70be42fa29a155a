/** Lets one test file run on each engine: vitest.config.ts lists the files of each, and says here which one it is. */
import type { AnyTaskHandler } from "azoth-scheduler";
import {
  createTestScheduler as createOn,
  type TestScheduler,
  type TestSchedulerOptions,
} from "azoth-scheduler/testing";
import { inject } from "vitest";
import { freshUrl } from "./postgres/databases.ts";
import { scratchDirectory } from "./store/scratch-directory.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly engineUnderTest: "sqlite" | "postgres";
  }
}

export const engineUnderTest: "sqlite" | "postgres" = inject("engineUnderTest");

/**
 * A place for a new store, which goes with the test.
 * @param options.shared whether it may be opened more than once, also from other processes
 */
export async function newLocation({ shared = false }: { shared?: boolean } = {}): Promise<string> {
  if (engineUnderTest === "postgres") return await freshUrl();
  return shared ? scratchDirectory() : ":memory:";
}

/** That of `azoth-scheduler/testing`, on the engine under test. */
export async function createTestScheduler<const Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]>(
  options: TestSchedulerOptions<Handlers> = {},
): Promise<TestScheduler<Handlers>> {
  return await createOn<Handlers>({ ...options, location: options.location ?? (await newLocation()) });
}

/** A column of a user's table that numbers its rows. */
export const rowNumber: string =
  engineUnderTest === "postgres" ? "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY" : "INTEGER PRIMARY KEY";
