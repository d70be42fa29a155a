/**
 * The benchmark: `npm run bench -- --help`.
 *
 * Every scenario is measured on every system in a fresh process and on a fresh store, in rounds that begin with another
 * system each time. Printed are medians, with the least and the greatest value; "÷ bare" is the median of the rounds'
 * ratios to the bare loop (systems/bare-loop.ts), the floor under all of it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, loadAverage } from "./machine.ts";
import { machineTable, progressLine, scenarioSection } from "./markdown.ts";
import { type Options, parseOptions, UsageError, usage } from "./options.ts";
import { measureRounds, type ScenarioResult } from "./rounds.ts";
import { labelOf } from "./systems/system.ts";
import { whereTimeGoes } from "./where-time-goes.ts";

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.help) return console.log(usage);
  mkdirSync(options.directory, { recursive: true });
  const directory = mkdtempSync(join(options.directory, "azoth-bench-"));
  // At the very end, however it comes.
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  if (options.profile) console.log(await whereTimeGoes({ ...options, directory }));
  else await compare({ ...options, directory });
}

async function compare(options: Options): Promise<void> {
  const { directory, jsonFile, rounds, scenarios, slots, tasks } = options;
  const machine = await describeMachine(directory);
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const result = await measureRounds(scenario, {
      directory,
      rounds,
      slots,
      tasks,
      onMeasured: (system, values) => {
        console.error(progressLine(scenario, labelOf(system, scenario.contest === "by-slots"), values));
      },
    });
    results.push(result);
  }
  const loadAtEnd = loadAverage();
  const settings = `${tasks.toLocaleString("en-US")} tasks, ${rounds} rounds: medians (least – greatest).`;
  console.log([settings, machineTable(machine, loadAtEnd), ...results.map(scenarioSection)].join("\n\n"));
  if (jsonFile !== undefined)
    writeFileSync(jsonFile, jsonOf({ machine, loadAtEnd, settings: { rounds, slots, tasks } }, results));
}

function jsonOf(facts: Readonly<Record<string, unknown>>, results: readonly ScenarioResult[]): string {
  const scenarios = results.map(({ scenario, systems }) => ({ name: scenario.name, systems }));
  return `${JSON.stringify({ ...facts, scenarios }, null, 2)}\n`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
