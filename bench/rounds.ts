/** The order of the measurements: round by round, every system in each, begun with another one every time. */
import { fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Answer, Places, Request } from "./measurement.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { rotated } from "./statistics.ts";
import type { SystemName } from "./systems/system.ts";

/** All values of one system in one scenario. */
export interface SystemResult {
  readonly system: SystemName;
  /** By metric: one value for each round. */
  readonly rounds: Readonly<Record<string, readonly number[]>>;
}

export interface Failure {
  readonly system: SystemName;
  readonly reason: string;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly systems: readonly SystemResult[];
  /** Systems that did not get through; they have no result. */
  readonly failures: readonly Failure[];
}

export interface Rounds {
  readonly tasks: number;
  readonly rounds: number;
  readonly slots: number;
  readonly systems: readonly SystemName[];
  readonly places: Places;
  /** Told of each measurement as it is made. */
  readonly onMeasured: (system: SystemName, values: Readonly<Record<string, number>>) => void;
}

export async function measureRounds(scenario: Scenario, plan: Rounds): Promise<ScenarioResult> {
  const systems = scenario.systems.filter((system) => plan.systems.includes(system));
  const values = new Map(systems.map((system) => [system, new Map<string, number[]>()]));
  const failures: Failure[] = [];
  const { tasks, slots, places } = plan;
  for (let round = 0; round < plan.rounds; round++) {
    for (const system of rotated(systems, round)) {
      const metrics = values.get(system);
      // It has failed in an earlier round.
      if (metrics === undefined) continue;
      try {
        const measured = await measureInProcess({ scenario: scenario.name, system, tasks, slots, places });
        for (const [metric, value] of Object.entries(measured))
          metrics.set(metric, [...(metrics.get(metric) ?? []), value]);
        plan.onMeasured(system, measured);
      } catch (error) {
        values.delete(system);
        failures.push({ system, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  }
  const results = [...values].map(([system, metrics]) => ({ system, rounds: Object.fromEntries(metrics) }));
  return { scenario, systems: results, failures };
}

/** Beside this file, and of its kind: compiled, or TypeScript where Node runs that. */
const measurementFile = fileURLToPath(new URL(`./measurement${extname(import.meta.url)}`, import.meta.url));

/** What takes longer than this hangs. */
const deadlineMs = 1_800_000;

function measureInProcess(request: Request): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const child = fork(measurementFile, { execArgv: ["--disable-warning=ExperimentalWarning"] });
    const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    let answer: Answer | undefined;
    child.once("message", (message) => {
      answer = message as Answer;
    });
    child.once("error", (error) => reject(error));
    // Not before it has ended: it must not share the machine with the next one.
    child.once("exit", (exitCode, signal) => {
      clearTimeout(deadline);
      if (answer?.ok === true) resolve(answer.values);
      else reject(new Error(answer?.error ?? `the process ended with ${signal ?? exitCode}`));
    });
    child.send(request);
  });
}
