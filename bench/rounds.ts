/** The order of the measurements: round by round, every system in each, begun with another one every time. */
import { fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Answer, Request } from "./measurement.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { rotated } from "./statistics.ts";
import type { System } from "./systems/system.ts";

/** All values of one system in one scenario. */
export interface SystemResult {
  readonly system: System;
  /** By metric: one value for each round. */
  readonly rounds: Readonly<Record<string, readonly number[]>>;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly systems: readonly SystemResult[];
}

export interface Rounds {
  readonly tasks: number;
  readonly rounds: number;
  readonly slots: readonly number[];
  readonly directory: string;
  /** Told of each measurement as it is made. */
  readonly onMeasured: (system: System, values: Readonly<Record<string, number>>) => void;
}

/** The systems of a scenario, in the order of its table. */
export function systemsOf({ contest }: Scenario, slots: readonly number[]): System[] {
  const counts = contest === "by-slots" ? slots : slots.slice(0, 1);
  const each = (kind: System["kind"], durability: System["durability"]) => {
    return counts.map((count): System => ({ kind, durability, slots: count }));
  };
  if (contest === "azoth") return each("azoth", "full");
  return [
    ...each("azoth", "full"),
    ...each("bare-loop", "full"),
    ...each("azoth", "normal"),
    ...each("bare-loop", "normal"),
  ];
}

export async function measureRounds(scenario: Scenario, plan: Rounds): Promise<ScenarioResult> {
  const systems = systemsOf(scenario, plan.slots).map((system) => ({ system, values: new Map<string, number[]>() }));
  for (let round = 0; round < plan.rounds; round++) {
    for (const { system, values } of rotated(systems, round)) {
      const { tasks, directory } = plan;
      const measured = await measureInProcess({ scenario: scenario.name, system, tasks, directory });
      for (const [metric, value] of Object.entries(measured))
        values.set(metric, [...(values.get(metric) ?? []), value]);
      plan.onMeasured(system, measured);
    }
  }
  return { scenario, systems: systems.map(({ system, values }) => ({ system, rounds: Object.fromEntries(values) })) };
}

/** Beside this file, and of its kind: compiled, or TypeScript where Node runs that. */
const measurementFile = fileURLToPath(new URL(`./measurement${extname(import.meta.url)}`, import.meta.url));

function measureInProcess(request: Request): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const failed = (why: string) =>
      reject(new Error(`${request.scenario} of ${JSON.stringify(request.system)}: ${why}`));
    const child = fork(measurementFile, { execArgv: ["--disable-warning=ExperimentalWarning"] });
    let answer: Answer | undefined;
    child.once("message", (message) => {
      answer = message as Answer;
    });
    child.once("error", (error) => failed(error.message));
    // Not before it has ended: it must not share the machine with the next one.
    child.once("exit", (exitCode, signal) => {
      if (answer?.ok === false) failed(answer.error);
      else if (answer === undefined || exitCode !== 0) failed(`the process ended with ${signal ?? exitCode}`);
      else resolve(answer.values);
    });
    child.send(request);
  });
}
