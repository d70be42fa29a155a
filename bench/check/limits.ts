/** What was measured, held against what is recorded. Pure. */
import { shortNumber } from "../markdown.ts";
import type { Census, Counts } from "./counts.ts";
import type { Ratios } from "./ratios.ts";

/** bench/limits.json. */
export interface Limits {
  /** Processor time of azoth by that of the bare loop, with room for the moods of a machine. */
  readonly ratios: { readonly schedule: number; readonly process: number };
  readonly census: Census;
}

export interface Verdict {
  readonly failures: readonly string[];
  /** What has become cheaper: worth recording, so that it stays so. */
  readonly gains: readonly string[];
}

/** How far a ratio may grow before it counts. */
const ratioRoom = 1.6;
/** The file has names in it that differ between machines, such as the host's. */
const bytesRoom = 1.01;

export function limitsFrom(ratios: Ratios, census: Census): Limits {
  const limit = (part: "schedule" | "process") => Number((ratioOf(ratios, part) * ratioRoom).toFixed(2));
  return { ratios: { schedule: limit("schedule"), process: limit("process") }, census };
}

export function ratioOf({ azoth, bareLoop }: Ratios, part: "schedule" | "process"): number {
  return azoth[part] / bareLoop[part];
}

export function withinLimits(limits: Limits, ratios: Ratios): boolean {
  return (["schedule", "process"] as const).every((part) => ratioOf(ratios, part) <= limits.ratios[part]);
}

export function judge(limits: Limits, ratios: Ratios, census: Census): Verdict {
  const failures: string[] = [];
  const gains: string[] = [];
  for (const part of ["schedule", "process"] as const) {
    const ratio = ratioOf(ratios, part);
    const limit = limits.ratios[part];
    const words = `${part}: processor time is ${shortNumber(ratio)} times that of the bare loop (${shortNumber(ratios.azoth[part])} to ${shortNumber(ratios.bareLoop[part])} µs a task)`;
    if (ratio > limit)
      failures.push(`${words}; the limit is ${shortNumber(limit)}. Where it goes: npm run bench -- --profile`);
    else if (ratio < limit / ratioRoom / ratioRoom) gains.push(`${words}; the limit is still ${shortNumber(limit)}.`);
  }
  const judgeCount = (what: string, before: number, now: number, detail = "") => {
    if (now > before) failures.push(`${what} grew from ${before} to ${now}.${detail}`);
    else if (now < before) gains.push(`${what} fell from ${before} to ${now}.`);
  };
  for (const [name, before] of Object.entries(limits.census.phases)) {
    const now = census.phases[name];
    if (now?.tasks !== before.tasks) {
      failures.push(`${name}: recorded for ${before.tasks} tasks, and measured for ${now?.tasks ?? "none"}.`);
      continue;
    }
    const of = `of ${before.tasks} tasks`;
    const grown = `\n    ${grownStatements(before, now).join("\n    ")}`;
    judgeCount(`${name}: the SQL statements ${of}`, sumOf(before), sumOf(now), grown);
    judgeCount(`${name}: the commits ${of}`, before.commits, now.commits);
    judgeCount(`${name}: the events ${of}`, before.events, now.events);
  }
  const bytes = limits.census.bytesPerTask;
  if (census.bytesPerTask > bytes * bytesRoom || census.bytesPerTask < bytes / bytesRoom)
    judgeCount("the bytes on disk of a finished task", bytes, census.bytesPerTask);
  return { failures, gains };
}

function sumOf({ statements }: Counts): number {
  return Object.values(statements).reduce((sum, count) => sum + count, 0);
}

function grownStatements(before: Counts, now: Counts): string[] {
  return Object.entries(now.statements).flatMap(([kind, count]) => {
    const known = before.statements[kind] ?? 0;
    return count > known ? [`${known} → ${count}: ${kind}`] : [];
  });
}
