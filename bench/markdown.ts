/** Results as Markdown tables. */
import type { Machine } from "./machine.ts";
import type { ScenarioResult, SystemResult } from "./rounds.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { median, ratios, summarize } from "./statistics.ts";
import { labelOf } from "./systems/system.ts";

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
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
      ["load average, at the start and at the end", `${machine.load.toFixed(2)}, ${loadAtEnd.toFixed(2)}`],
    ],
  );
}

/** A scenario's heading, explanation and table: medians, with the least and the greatest value in brackets. */
export function scenarioSection({ scenario, systems }: ScenarioResult): string {
  const contested = systems.some(isBare);
  const columns = Object.entries(scenario.metrics).map(([key, { label, compared }]): Column => {
    return { key, label, compared: compared && contested };
  });
  const head = columns.flatMap(({ label, compared }) => (compared ? [label, "÷ bare"] : [label]));
  const rows = systems.map((result) => [
    labelOf(result.system, scenario.contest === "by-slots"),
    ...columns.flatMap((column) => cellsOf(column, result, floorOf(result, systems))),
  ]);
  return `### ${scenario.title}\n\n${scenario.explanation}\n\n${table(["system", ...head], rows)}`;
}

interface Column {
  readonly key: string;
  readonly label: string;
  /** Followed by a column of ratios to the bare loop. */
  readonly compared: boolean;
}

function cellsOf({ key, compared }: Column, result: SystemResult, floor: SystemResult | null): string[] {
  const values = valuesOf(result, key);
  const { median: middle, min, max } = summarize(values);
  const range = values.length === 1 ? "" : ` (${shortNumber(min)} – ${shortNumber(max)})`;
  const cell = `${shortNumber(middle)}${range}`;
  if (!compared) return [cell];
  if (floor === null) return [cell, ""];
  return [cell, floor === result ? "1" : shortNumber(median(ratios(values, valuesOf(floor, key))))];
}

/** The bare loop with as many tasks a turn and the same durability. */
function floorOf({ system }: SystemResult, systems: readonly SystemResult[]): SystemResult | null {
  const { durability, slots } = system;
  const isFloor = (other: SystemResult) =>
    isBare(other) && other.system.slots === slots && other.system.durability === durability;
  return systems.find(isFloor) ?? null;
}

function isBare({ system }: SystemResult): boolean {
  return system.kind === "bare-loop";
}

function valuesOf({ rounds }: SystemResult, key: string): readonly number[] {
  const values = rounds[key];
  if (values === undefined) throw new Error(`the metric ${key} was not measured`);
  return values;
}

/** One measurement in a line, while it goes on. */
export function progressLine(scenario: Scenario, name: string, values: Readonly<Record<string, number>>): string {
  const shown = Object.entries(scenario.metrics).map(
    ([key, { label }]) => `${label} ${shortNumber(values[key] ?? Number.NaN)}`,
  );
  return `${scenario.name}: ${name}: ${shown.join(", ")}`;
}
