/** What was watched, as tables: shares of the whole, and microseconds for each task. */
import { shortNumber, table } from "../markdown.ts";
import { type Place, placeOf } from "./areas.ts";
import type { StackTime } from "./cpu-profile.ts";
import type { Timed } from "./stopwatch.ts";

const shownFunctions = 30;
const shownStatements = 16;

/** One run under the stopwatch. */
export interface TimedLife {
  /** The longest first. */
  readonly times: readonly Timed[];
  /** How long all of it took. */
  readonly seconds: number;
}

export function areaTable(stacks: readonly StackTime[], tasks: number): string {
  const sums = sumBy(stacks, ({ area }) => area);
  return shareTable("area", sums, tasks);
}

export function functionTable(stacks: readonly StackTime[], tasks: number): string {
  const sums = sumBy(stacks, ({ name }) => name);
  const rest = sums.slice(shownFunctions);
  const others = [`${rest.length} others`, sumOf(rest.map(([, microseconds]) => microseconds))] as const;
  return shareTable("function itself, without what it calls", [...sums.slice(0, shownFunctions), others], tasks);
}

export function statementTable({ times, seconds }: TimedLife, tasks: number): string {
  const shown = times.slice(0, shownStatements);
  const perTask = (microseconds: number) => shortNumber(microseconds / tasks);
  const rows = shown.map(({ kind, calls, microseconds }) => [
    kind.replaceAll("|", "\\|"),
    shortNumber(calls / tasks),
    shortNumber(microseconds / calls),
    perTask(microseconds),
  ]);
  const rest = times.slice(shownStatements);
  const all = seconds * 1e6;
  const elsewhere = all - sumOf(times.map(({ microseconds }) => microseconds));
  return table(
    ["statement", "calls/task", "µs/call", "µs/task"],
    [
      ...rows,
      [`${rest.length} others`, "", "", perTask(sumOf(rest.map(({ microseconds }) => microseconds)))],
      ["everything else, and the stopwatch itself", "", "", perTask(elsewhere)],
      ["in all", "", "", perTask(all)],
    ],
  );
}

type Sum = readonly [name: string, microseconds: number];

function sumBy(stacks: readonly StackTime[], keyOf: (place: Place) => string): Sum[] {
  const sums = new Map<string, number>();
  for (const stack of stacks) {
    const key = keyOf(placeOf(stack));
    sums.set(key, (sums.get(key) ?? 0) + stack.microseconds);
  }
  return [...sums].toSorted(([, left], [, right]) => right - left);
}

function shareTable(what: string, sums: readonly Sum[], tasks: number): string {
  const all = sumOf(sums.map(([, microseconds]) => microseconds));
  const row = ([name, microseconds]: Sum) => {
    return [name, `${((microseconds / all) * 100).toFixed(1)} %`, shortNumber(microseconds / tasks)];
  };
  return table([what, "share", "µs/task"], [...sums.map(row), row(["in all", all])]);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
