/** Results as Markdown tables. */
import type { Machine } from "./machine.ts";
import type { ScenarioResult, SystemResult } from "./rounds.ts";
import type { Scenario, Target } from "./scenarios/scenario.ts";
import { summarize } from "./statistics.ts";
import { factsOf, type SystemName } from "./systems/system.ts";
import { type Reached, reachedIn, subjectOf } from "./targets.ts";

/** @param textColumns how many columns from the left are words; numbers stand to the right */
export function table(head: readonly string[], rows: readonly (readonly string[])[], textColumns = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, column) => (column < textColumns ? "---" : "---:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** Three digits that mean something, and thousands set off. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function machineTable(machine: Machine, loadAtEnd: number): string {
  const { p50, p99 } = machine.fdatasyncMs;
  const postgres = Object.entries(machine.postgres ?? {}).map(([name, value]) => `${name} ${value}`);
  return table(
    ["machine", ""],
    [
      ["CPU", `${machine.cores} × ${machine.cpu}`],
      ["memory", `${shortNumber(machine.memoryGiB)} GiB`],
      ["system", machine.system],
      ["file system", machine.fileSystem],
      ["fdatasync of 4 KiB, p50 and p99", `${shortNumber(p50)} ms, ${shortNumber(p99)} ms`],
      ["Node", machine.node],
      ["SQLite", machine.sqlite],
      ...(postgres.length === 0 ? [] : [["PostgreSQL", postgres.join(", ")]]),
      ["load average, at the start and at the end", `${machine.load.toFixed(2)}, ${loadAtEnd.toFixed(2)}`],
    ],
    2,
  );
}

/** Who was measured, and how each is set up. */
export function systemTable(names: readonly SystemName[], versionOf: (name: SystemName) => string): string {
  const rows = names.map((name) => {
    const { label, engine, settings } = factsOf(name);
    return [`${label} ${versionOf(name)}`.trim(), engineLabels[engine], settings];
  });
  return table(["system", "store", "settings"], rows, 3);
}

const engineLabels = { sqlite: "SQLite", postgres: "PostgreSQL", redis: "Redis" } as const;

/** A scenario's heading, explanation and table: medians, with the least and the greatest value in brackets; then its targets. */
export function scenarioSection(result: ScenarioResult): string {
  const { scenario, systems, failures } = result;
  const columns = Object.entries(scenario.metrics);
  const rows = systems.map((measured) => {
    const { label, engine } = factsOf(measured.system);
    return [label, engineLabels[engine], ...columns.map(([key]) => cellOf(measured, key))];
  });
  const head = ["system", "store", ...columns.map(([, label]) => label)];
  const failed = failures.map(({ system, reason }) => `**${factsOf(system).label} failed:** ${reason.split("\n")[0]}`);
  const reached = reachedIn(result);
  return [
    `### ${scenario.title}`,
    scenario.explanation,
    table(head, rows, 2),
    ...failed,
    ...(reached.length === 0 ? [] : [targetTable([result])]),
  ].join("\n\n");
}

/** What was to be reached, and whether it was. */
export function targetTable(results: readonly ScenarioResult[]): string {
  const rows = results.flatMap((result) => {
    return reachedIn(result).map((reached) => [
      `${result.scenario.title}: ${result.scenario.metrics[reached.metric] ?? reached.metric}`,
      engineLabels[reached.engine],
      subjectOf(reached),
      rangeOf(reached),
      boundOf(reached.target),
      reached.met ? "yes" : "**no**",
    ]);
  });
  return table(["target", "store", "", "reached", "wanted", "met"], rows, 3);
}

function boundOf({ atLeast, atMost, aim }: Target): string {
  const bound = atLeast === undefined ? `≤ ${shortNumber(atMost ?? 0)}` : `≥ ${shortNumber(atLeast)}`;
  return aim === undefined ? bound : `${bound}, better ${shortNumber(aim)}`;
}

function cellOf({ rounds }: SystemResult, key: string): string {
  const values = rounds[key];
  return values === undefined ? "" : rangeOf(summarize(values));
}

function rangeOf({ median, min, max }: Pick<Reached, "median" | "min" | "max">): string {
  return min === max ? shortNumber(median) : `${shortNumber(median)} (${shortNumber(min)} – ${shortNumber(max)})`;
}

/** One measurement in a line, while it goes on. */
export function progressLine(scenario: Scenario, system: SystemName, values: Readonly<Record<string, number>>): string {
  const shown = Object.entries(scenario.metrics).flatMap(([key, label]) => {
    const value = values[key];
    return value === undefined ? [] : [`${label} ${shortNumber(value)}`];
  });
  return `${scenario.name}: ${system}: ${shown.join(", ")}`;
}
