/** The command line of the benchmark. */
import os from "node:os";
import { parseArgs } from "node:util";
import { scenarios } from "./scenarios/all.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { factsOf, type SystemName, systemNames } from "./systems/system.ts";

const engines = ["sqlite", "postgres", "redis"] as const;

const presets = { short: { tasks: "10000", rounds: "3" }, long: { tasks: "100000", rounds: "5" } } as const;

export const usage = `npm run bench -- [options]

  --long              ${presets.long.tasks} tasks in ${presets.long.rounds} rounds: an hour or two
  --tasks <n>         tasks in a throughput scenario; the others are scaled to it (${presets.short.tasks})
  --rounds <n>        measurements of each system in each scenario (${presets.short.rounds})
  --slots <n>         handlers at one time (10)
  --scenario <name>   only this one; may be repeated: ${scenarios.map(({ name }) => name).join(", ")}
  --system <name>     only this one; may be repeated: ${systemNames.join(", ")}
  --engine <name>     only systems on this one; may be repeated: ${engines.join(", ")}
  --dir <directory>   where the stores are made; it should be on a disk, not in memory (the system's directory for temporary files)
  --json <file>       also writes every value of every round
  --profile           instead: where the microseconds of a task go

  DATABASE_URL        a PostgreSQL server to measure on, instead of one that is started; databases are made there and dropped
  REDIS_URL           a Redis server; without it BullMQ is left out
`;

export interface Options {
  readonly tasks: number;
  readonly rounds: number;
  readonly slots: number;
  readonly scenarios: readonly Scenario[];
  readonly systems: readonly SystemName[];
  readonly directory: string;
  readonly jsonFile: string | undefined;
  readonly profile: boolean;
  readonly help: boolean;
}

/** A command line that cannot be followed. */
export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const preset = presets[values.long ? "long" : "short"];
  return {
    tasks: positive(values.tasks ?? preset.tasks, "--tasks"),
    rounds: positive(values.rounds ?? preset.rounds, "--rounds"),
    slots: positive(values.slots, "--slots"),
    scenarios: chosenScenarios(values.scenario),
    systems: chosenSystems(values.system, values.engine),
    directory: values.dir,
    jsonFile: values.json,
    profile: values.profile,
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        long: { type: "boolean", default: false },
        tasks: { type: "string" },
        rounds: { type: "string" },
        slots: { type: "string", default: "10" },
        scenario: { type: "string", multiple: true, default: [] },
        system: { type: "string", multiple: true, default: [] },
        engine: { type: "string", multiple: true, default: [] },
        dir: { type: "string", default: os.tmpdir() },
        json: { type: "string" },
        profile: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${option} takes whole numbers from 1, and got "${text}".`);
}

function chosenScenarios(names: readonly string[]): readonly Scenario[] {
  refuseUnknown(
    "scenario",
    names,
    scenarios.map(({ name }) => name),
  );
  return names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name));
}

/** Those that are named, else all but those on request; of these, those on the engines that are named. */
function chosenSystems(names: readonly string[], engineNames: readonly string[]): readonly SystemName[] {
  refuseUnknown("system", names, systemNames);
  refuseUnknown("engine", engineNames, engines);
  return systemNames.filter((name) => {
    const { engine, onRequest } = factsOf(name);
    const isChosen = names.length === 0 ? onRequest === undefined : names.includes(name);
    return isChosen && (engineNames.length === 0 || engineNames.includes(engine));
  });
}

function refuseUnknown(what: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`There is no ${what} "${unknown}".`);
}
