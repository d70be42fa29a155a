/**
 * Counts what a schedule had or will have in a stretch of time, such as the occurrences missed in a downtime.
 * Intervals are counted by arithmetic; cron occurrences one by one, up to a limit.
 */

import { lastIntervalMs, nextIntervalMs } from "./interval.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { IntervalSchedule, Schedule } from "./schedule.ts";

export interface OccurrenceRange {
  /** Excluded. */
  readonly afterMs: number;
  /** Included. */
  readonly untilMs: number;
  /** At most so many are looked up one by one. */
  readonly limit: number;
}

export interface OccurrenceCount {
  readonly count: number;
  /** True if the limit ended the count: there are `count` or more. */
  readonly atLeast: boolean;
  readonly firstMs?: number;
  /** The last one that was counted. */
  readonly lastMs?: number;
  /** The first ones, at most {@link longestSample}. */
  readonly sample: readonly number[];
}

export const longestSample = 10;

/** The occurrences of `schedule` after `afterMs` up to and with `untilMs`. */
export function countOccurrences(schedule: Schedule, range: OccurrenceRange): OccurrenceCount {
  return schedule.kind === "interval" ? countInterval(schedule, range) : countOneByOne(schedule, range);
}

function countInterval(schedule: IntervalSchedule, { afterMs, untilMs }: OccurrenceRange): OccurrenceCount {
  const { everyMs } = schedule;
  const firstMs = nextIntervalMs(schedule, afterMs);
  if (firstMs === undefined || firstMs > untilMs) return { count: 0, atLeast: false, sample: [] };
  const lastMs = lastIntervalMs(everyMs, firstMs, untilMs);
  const count = (lastMs - firstMs) / everyMs + 1;
  const sample = Array.from({ length: Math.min(count, longestSample) }, (_, index) => firstMs + index * everyMs);
  return { count, atLeast: false, firstMs, lastMs, sample };
}

function countOneByOne(schedule: Schedule, { afterMs, untilMs, limit }: OccurrenceRange): OccurrenceCount {
  const sample: number[] = [];
  let count = 0;
  let lastMs = afterMs;
  let next = nextOccurrence(schedule, lastMs);
  while (next !== undefined && next.atMs <= untilMs && count < limit) {
    count++;
    lastMs = next.atMs;
    if (sample.length < longestSample) sample.push(lastMs);
    next = nextOccurrence(schedule, lastMs);
  }
  const atLeast = next !== undefined && next.atMs <= untilMs;
  const [firstMs] = sample;
  return firstMs === undefined ? { count, atLeast, sample } : { count, atLeast, firstMs, lastMs, sample };
}
