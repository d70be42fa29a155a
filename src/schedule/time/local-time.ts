/**
 * From a zone's wall clock to instants: the one place that knows gaps and overlaps.
 *
 * A local second is a count of seconds since 1970-01-01T00:00 on the wall clock. It occurs once, twice
 * (overlap: the clock was set back) or never (gap: it was set forward).
 */

import { secondsPerDay } from "./civil-date.ts";
import type { OffsetPeriod, TimeZone } from "./time-zone.ts";

/** A gap of more than this (a day that a zone skipped, say) is no clock change to be bridged: its times are lost. */
export const longestBridgedGapSec = 3 * 3600;

/** The instant at which the wall clock first shows a local second, or first passes it. */
export interface LocalMatch {
  readonly epochSec: number;
  readonly dst: "gap" | "overlap" | undefined;
  /** By how much the clock was set forward; 0 unless `dst` is "gap". */
  readonly gapSec: number;
}

/** Where the local second lies: its only instant, its first one in an overlap, or the first one after its gap. */
export function locate(zone: TimeZone, localSec: number): LocalMatch {
  // Offsets are less than a day: a day before, the clock had not come so far yet.
  let period = zone.periodAt(localSec - secondsPerDay);
  let previous = period;
  while (period.endSec + period.offsetSec <= localSec) {
    previous = period;
    period = zone.periodAt(period.endSec);
  }
  const epochSec = localSec - period.offsetSec;
  if (epochSec < period.startSec) {
    return { epochSec: period.startSec, dst: "gap", gapSec: period.offsetSec - previous.offsetSec };
  }
  return { epochSec, dst: occursAgain(zone, period, localSec) ? "overlap" : undefined, gapSec: 0 };
}

/** After `first` the clock is past `localSec`: a later period that begins at or before it shows it again. */
function occursAgain(zone: TimeZone, first: OffsetPeriod, localSec: number): boolean {
  let period = first;
  while (period.endSec < localSec + secondsPerDay) {
    period = zone.periodAt(period.endSec);
    if (period.startSec + period.offsetSec <= localSec) return true;
  }
  return false;
}

/** The first local second that the wall clock has neither shown nor passed by the end of the given second. */
export function firstUnreached(zone: TimeZone, epochSec: number): number {
  let period = zone.periodAt(epochSec);
  let unreached = epochSec + period.offsetSec + 1;
  // Before an overlap the clock had come further than it is now. No overlap reaches back two days.
  while (period.startSec > epochSec - 2 * secondsPerDay) {
    period = zone.periodAt(period.startSec - 1);
    unreached = Math.max(unreached, period.endSec + period.offsetSec);
  }
  return unreached;
}
