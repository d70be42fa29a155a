/**
 * Interval schedules: an anchor and a length. Occurrence k is anchor + k x length, so that no run, however
 * long or late, moves the later ones.
 */

import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { type Instant, parseInstant } from "./instant.ts";
import { readFields } from "../names.ts";
import type { IntervalSchedule } from "./schedule.ts";
import { dateRangeMs } from "./time/civil-date.ts";

export interface IntervalOptions {
  /** Occurrence 0. Default: the instant at which the task is scheduled, so that it first runs one interval later. */
  readonly anchor?: Instant;
}

/** Due every `every` (milliseconds, "90s", "5m", "PT5M"). Throws INVALID_INTERVAL, INVALID_INSTANT, INVALID_OPTION. */
export function interval(every: Duration, options: IntervalOptions = {}): IntervalSchedule {
  const { anchor } = readFields<IntervalOptions>(options, ["anchor"], "The interval options", "INVALID_OPTION");
  const everyMs = parseDuration(every, { what: "interval", minMs: 1, code: "INVALID_INTERVAL" });
  return anchor === undefined
    ? { kind: "interval", everyMs }
    : { kind: "interval", everyMs, anchorMs: parseInstant(anchor, "anchor") };
}

/** The same from stored values of unknown type. */
export function makeInterval(everyMs: unknown, anchorMs: unknown): IntervalSchedule {
  if (typeof everyMs !== "number") throw refusal("everyMs", everyMs);
  if (anchorMs === undefined) return interval(everyMs);
  if (typeof anchorMs !== "number") throw refusal("anchorMs", anchorMs);
  return interval(everyMs, { anchor: anchorMs });
}

function refusal(key: string, value: unknown): AzothError {
  return new AzothError("INVALID_SCHEDULE", `${key} has to be a number of milliseconds, not ${quote(value)}.`);
}

/** The first occurrence after `afterMs`; undefined past the range of Date. */
export function nextIntervalMs({ everyMs, anchorMs }: IntervalSchedule, afterMs: number): number | undefined {
  const anchor = anchorMs ?? afterMs;
  const nextMs = anchor > afterMs ? anchor : afterMs + everyMs - sinceOccurrenceMs(afterMs, anchor, everyMs);
  return nextMs <= dateRangeMs ? nextMs : undefined;
}

/** The last occurrence at or before `untilMs`, which has to be at or after the anchor. */
export function lastIntervalMs(everyMs: number, anchorMs: number, untilMs: number): number {
  return untilMs - sinceOccurrenceMs(untilMs, anchorMs, everyMs);
}

/** Remainders are taken before the subtraction: the difference of two instants may not be exact in a double. */
function sinceOccurrenceMs(atMs: number, anchorMs: number, everyMs: number): number {
  const since = ((atMs % everyMs) - (anchorMs % everyMs)) % everyMs;
  return since < 0 ? since + everyMs : since;
}
