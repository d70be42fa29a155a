/** The public preview of a schedule: its next occurrences as Dates. */

import { AzothError, quote } from "../errors.ts";
import { type Instant, parseInstant } from "./instant.ts";
import { readFields } from "../names.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { parseSchedule } from "./parse-schedule.ts";
import type { ClockChange, Occurrence, Schedule } from "./schedule.ts";

export interface NextOccurrencesOptions {
  /** Occurrences are strictly after this instant. */
  readonly after: Instant;
  /** How many at most, 1 to 10,000. Default 1. */
  readonly count?: number;
}

const mostOccurrences = 10_000;

/** A coming occurrence, and what the zone's clock change does to it. */
export interface UpcomingOccurrence {
  readonly at: Date;
  /** "gap": moved to the first instant after a gap of the clock; "overlap": the first of two passes is chosen. */
  readonly dst?: ClockChange;
  /** How many nominal times directly before this one are lost in a gap of more than three hours; absent if none. */
  readonly dropped?: number;
}

/**
 * The next occurrences of a schedule, in order; fewer than `count` if the schedule ends before.
 * An immediate schedule is due at `after` itself; an interval without anchor begins there.
 * Throws INVALID_OPTION, INVALID_INSTANT and what `parseSchedule` throws.
 */
export function nextOccurrences(schedule: Schedule, options: NextOccurrencesOptions): Date[] {
  return upcomingOccurrences(schedule, options).map(({ at }) => at);
}

/** As {@link nextOccurrences}, and marks what clock changes do. Throws as that does. */
export function upcomingOccurrences(schedule: Schedule, options: NextOccurrencesOptions): UpcomingOccurrence[] {
  const what = "The options of nextOccurrences";
  const { after, count = 1 } = readFields<NextOccurrencesOptions>(options, ["after", "count"], what, "INVALID_OPTION");
  if (!Number.isInteger(count) || count < 1 || count > mostOccurrences) {
    const problem = `count has to be a whole number of 1 to ${mostOccurrences}, not ${quote(count)}`;
    throw new AzothError("INVALID_OPTION", `${problem}.`);
  }
  const afterMs = parseInstant(after, "after");
  const checked = parseSchedule(schedule);
  if (checked.kind === "immediate") return [{ at: new Date(afterMs) }];
  const upcoming: UpcomingOccurrence[] = [];
  for (let fromMs = afterMs; upcoming.length < count; ) {
    const next: Occurrence | undefined = nextOccurrence(checked, fromMs);
    if (next === undefined) break;
    const { atMs, ...change } = next;
    upcoming.push({ at: new Date(atMs), ...change });
    fromMs = atMs;
  }
  return upcoming;
}
