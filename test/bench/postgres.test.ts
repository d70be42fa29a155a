/** Each scenario of the benchmark on PostgreSQL, for the systems that need no installation. No test here looks at a speed. */
import { describe, expect, onTestFinished, test } from "vitest";
import { parseOptions } from "../../bench/options.ts";
import { bytesInDatabase, freshDatabase } from "../../bench/postgres.ts";
import { scenarios } from "../../bench/scenarios/all.ts";
import { factsOf } from "../../bench/systems/system.ts";
import { sharedServerUrl } from "../postgres/databases.ts";

async function databaseOfTest(): Promise<string> {
  const { url, drop } = await freshDatabase(sharedServerUrl());
  onTestFinished(drop);
  return url;
}

test("a database is fresh, and has a size when something is in it", async () => {
  expect(await bytesInDatabase(await databaseOfTest())).toBe(0);
});

describe("scenarios", () => {
  const ours = parseOptions(["--engine", "postgres"]).systems.filter((name) => factsOf(name).peer === undefined);
  // "open" starts a process from its compiled file.
  const here = scenarios.filter(({ name }) => name !== "open");
  const measurements = here.flatMap((scenario) => {
    const systems = scenario.systems.filter((name) => ours.includes(name));
    return systems.map((system) => ({ scenario, system, name: scenario.name }));
  });
  test.each(measurements)("$name of $system", async ({ scenario, system }) => {
    const location = await databaseOfTest();
    const values = await scenario.measure({ location, system, slots: 5, tasks: 30 });
    expect(Object.keys(values).toSorted()).toEqual(Object.keys(scenario.metrics).toSorted());
    for (const value of Object.values(values)) expect(value).toBeGreaterThanOrEqual(0);
  });
});
