/**
 * The benchmark: `npm run bench -- --help`.
 *
 * Every scenario is measured on every system in a fresh process and on a fresh store, in rounds that begin with another
 * system each time. Printed are medians, with the least and the greatest value; ratios are the median of the rounds' ratios,
 * and are held against what is to be reached.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, loadAverage, type Machine } from "./machine.ts";
import { machineTable, progressLine, scenarioSection, systemTable, targetTable } from "./markdown.ts";
import { type Options, parseOptions, UsageError, usage } from "./options.ts";
import { provideServer } from "./postgres.ts";
import { measureRounds, type ScenarioResult } from "./rounds.ts";
import { installPeers, peerVersion } from "./systems/peers.ts";
import { factsOf, type SystemName } from "./systems/system.ts";
import { reachedIn } from "./targets.ts";
import { whereTimeGoes } from "./where-time-goes.ts";

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.help) return console.log(usage);
  mkdirSync(options.directory, { recursive: true });
  const directory = mkdtempSync(join(options.directory, "azoth-bench-"));
  // At the very end, however it comes.
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  if (options.profile) console.log(await whereTimeGoes({ ...options, directory }));
  else await compare(options, directory);
}

async function compare(options: Options, directory: string): Promise<void> {
  const { rounds, slots, tasks } = options;
  const asked = options.systems.filter((name) => options.scenarios.some(({ systems }) => systems.includes(name)));
  const needsPostgres = asked.some((name) => factsOf(name).engine === "postgres");
  const server = needsPostgres ? await provideServer(options.directory) : null;
  try {
    const redisUrl = process.env["REDIS_URL"] ?? null;
    const leftOut = whoIsLeftOut(asked, { hasPostgres: server !== null, hasRedis: redisUrl !== null });
    const systems = asked.filter((name) => !leftOut.has(name));
    const machine = await describeMachine(directory, server?.facts ?? null);
    const results: ScenarioResult[] = [];
    for (const scenario of options.scenarios) {
      const result = await measureRounds(scenario, {
        tasks,
        rounds,
        slots,
        systems,
        places: { directory, serverUrl: server?.url ?? null, redisUrl },
        onMeasured: (system, values) => console.error(progressLine(scenario, system, values)),
      });
      for (const { system, reason } of result.failures) console.error(`${scenario.name}: ${system} FAILED: ${reason}`);
      if (result.failures.length > 0) process.exitCode = 1;
      results.push(result);
    }
    const run: Run = { settings: { tasks, rounds, slots }, machine, loadAtEnd: loadAverage(), systems, leftOut };
    console.log(reportOf(run, results));
    if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, jsonOf(run, results));
  } finally {
    await server?.dispose();
  }
}

/** Each with its reason. */
function whoIsLeftOut(
  asked: readonly SystemName[],
  { hasPostgres, hasRedis }: { readonly hasPostgres: boolean; readonly hasRedis: boolean },
): ReadonlyMap<SystemName, string> {
  const leftOut = new Map<SystemName, string>();
  for (const name of asked) {
    const { engine } = factsOf(name);
    if (engine === "redis" && !hasRedis) leftOut.set(name, "REDIS_URL is not set");
    if (engine === "postgres" && !hasPostgres)
      leftOut.set(name, "no PostgreSQL runs here, and DATABASE_URL is not set");
  }
  const peers = asked.filter((name) => factsOf(name).peer === true && !leftOut.has(name));
  if (peers.length > 0 && !installPeers()) {
    for (const name of peers) leftOut.set(name, "it could not be installed");
  }
  return leftOut;
}

interface Run {
  readonly settings: { readonly tasks: number; readonly rounds: number; readonly slots: number };
  readonly machine: Machine;
  readonly loadAtEnd: number;
  readonly systems: readonly SystemName[];
  readonly leftOut: ReadonlyMap<SystemName, string>;
}

function reportOf({ settings, machine, loadAtEnd, systems, leftOut }: Run, results: readonly ScenarioResult[]): string {
  const { tasks, rounds, slots } = settings;
  const words = `${tasks.toLocaleString("en-US")} tasks, ${rounds} ${rounds === 1 ? "round" : "rounds"}, ${slots} handlers at one time: medians (least – greatest).`;
  const absent = [...leftOut].map(([name, reason]) => `${factsOf(name).label} was left out: ${reason}.`);
  const hasTargets = results.some((result) => reachedIn(result).length > 0);
  return [
    words,
    machineTable(machine, loadAtEnd),
    systemTable(systems, versionOf),
    ...absent,
    ...(hasTargets ? ["## Targets", targetTable(results)] : []),
    "## Scenarios",
    ...results.map(scenarioSection),
  ].join("\n\n");
}

function versionOf(name: SystemName): string {
  return factsOf(name).peer === true ? peerVersion(name) : "";
}

function jsonOf({ leftOut, systems, ...facts }: Run, results: readonly ScenarioResult[]): string {
  const scenarios = results.map((result) => {
    const { scenario, systems, failures } = result;
    return { name: scenario.name, systems, failures, targets: reachedIn(result) };
  });
  const described = systems.map((name) => ({ name, ...factsOf(name), version: versionOf(name) }));
  return `${JSON.stringify({ ...facts, systems: described, leftOut: Object.fromEntries(leftOut), scenarios }, null, 2)}\n`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
