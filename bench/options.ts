/** The command line of the benchmark. */
import os from "node:os";
import { parseArgs } from "node:util";
import { scenarios } from "./scenarios/all.ts";
import type { Scenario } from "./scenarios/scenario.ts";

export const usage = `npm run bench -- [options]

  --tasks <n>         tasks in a throughput scenario; the others are scaled to it (20000)
  --rounds <n>        measurements of each system in each scenario (5)
  --slots <n,n,...>   values of maxConcurrentTasks (10,100)
  --scenario <name>   only this one; may be repeated: ${scenarios.map(({ name }) => name).join(", ")}
  --dir <directory>   where the stores are made; it should be on a disk, not in memory (the system's directory for temporary files)
  --json <file>       also writes every value of every round
  --profile           instead: where the microseconds of a task go, for each of --slots
`;

export interface Options {
  readonly tasks: number;
  readonly rounds: number;
  readonly slots: readonly number[];
  readonly scenarios: readonly Scenario[];
  readonly directory: string;
  readonly jsonFile: string | undefined;
  readonly profile: boolean;
  readonly help: boolean;
}

/** A command line that cannot be followed. */
export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    tasks: positive(values.tasks, "--tasks"),
    rounds: positive(values.rounds, "--rounds"),
    slots: values.slots.split(",").map((text) => positive(text, "--slots")),
    scenarios: chosen(values.scenario),
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
        tasks: { type: "string", default: "20000" },
        rounds: { type: "string", default: "5" },
        slots: { type: "string", default: "10,100" },
        scenario: { type: "string", multiple: true, default: [] },
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

function chosen(names: readonly string[]): readonly Scenario[] {
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown !== undefined) throw new UsageError(`There is no scenario "${unknown}".`);
  return names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name));
}
