/**
 * Puts a cron expression onto a zone's time line, by the clock-change rule that
 * docs/decisions/0002-own-cron-evaluator.md states.
 *
 * A fixed-time expression goes through its local times and asks where each lies. An interval-like one goes through
 * the zone's offset periods and asks what matches in each: so gaps hold nothing and both passes of an overlap count.
 * Both searches end: the first by the expression, the second by a horizon.
 */

import type { Occurrence } from "../schedule.ts";
import { daysFromCivil, daysPerCycle, dateRangeMs, secondsPerDay } from "../time/civil-date.ts";
import { firstUnreached, locate, longestBridgedGapSec } from "../time/local-time.ts";
import type { TimeZone } from "../time/time-zone.ts";
import { type CronExpression, nextLocalMatch } from "./cron-expression.ts";

/** The first occurrence after `afterMs`; undefined if there is none before the end of Date's range. */
export function nextCronOccurrence(
  expression: CronExpression,
  zone: TimeZone,
  afterMs: number,
): Occurrence | undefined {
  const afterSec = Math.floor(afterMs / 1000);
  const next = expression.fixedTime ? nextFixed(expression, zone, afterSec) : nextElapsed(expression, zone, afterSec);
  return next !== undefined && next.atMs <= dateRangeMs ? next : undefined;
}

function nextFixed(expression: CronExpression, zone: TimeZone, afterSec: number): Occurrence {
  let localSec = nextLocalMatch(expression, firstUnreached(zone, afterSec));
  let place = locate(zone, localSec);
  let dropped = 0;
  while (place.gapSec > longestBridgedGapSec) {
    dropped++;
    localSec = nextLocalMatch(expression, localSec + 1);
    place = locate(zone, localSec);
  }
  return {
    atMs: place.epochSec * 1000,
    ...(place.dst === undefined ? undefined : { dst: place.dst }),
    ...(dropped === 0 ? undefined : { dropped }),
  };
}

/**
 * From here on zones change by yearly rules only (the last irregular change in the tz data, Morocco's and Gaza's for
 * Ramadan, is in 2087), so that rules and calendar together repeat after 400 years: what has not occurred within one
 * such cycle never will. Only an expression whose every match falls into a gap searches so long.
 */
const regularFromSec = daysFromCivil(2100, 1, 1) * secondsPerDay;
const cycleSec = daysPerCycle * secondsPerDay;

function nextElapsed(expression: CronExpression, zone: TimeZone, afterSec: number): Occurrence | undefined {
  const horizonSec = Math.max(afterSec, regularFromSec) + cycleSec;
  let fromSec = afterSec + 1;
  while (fromSec <= horizonSec) {
    const { endSec, offsetSec } = zone.periodAt(fromSec);
    const matchSec = nextLocalMatch(expression, fromSec + offsetSec) - offsetSec;
    if (matchSec < endSec) return { atMs: matchSec * 1000 };
    // Offsets are less than a day. So two days on the clock shows only times that it has not shown by now, and none of
    // these matches before `matchSec`, give or take two days. Until then an overlap may bring earlier times back.
    const settled = endSec >= fromSec + 2 * secondsPerDay;
    fromSec = settled ? Math.max(endSec, matchSec - 2 * secondsPerDay) : endSec;
  }
  return undefined;
}
