/**
 * One-time schedules, given as an instant or as a wall-clock time in a zone. A wall-clock time becomes an
 * instant here and now, by the same rule as a fixed-time cron expression.
 */

import { AzothError, quote } from "../errors.ts";
import { type Instant, isDate, parseInstant } from "./instant.ts";
import { readFields } from "../names.ts";
import type { OneTimeSchedule } from "./schedule.ts";
import { parseDateTimeText } from "./time/date-time-text.ts";
import { locate, longestBridgedGapSec } from "./time/local-time.ts";
import { parseTimeZone, timeZoneNamed } from "./time/time-zone.ts";

/** A wall-clock time without offset, such as "2026-03-29T02:30", in an IANA zone. */
export interface LocalTimeInput {
  readonly local: string;
  readonly timeZone: string;
}

/**
 * Due once. A local time in a gap moves to the first instant after it, one in an overlap means the first pass;
 * `dst` says so. A local time on a day that the zone skipped does not exist and is refused.
 * Throws INVALID_INSTANT, INVALID_TIME_ZONE, INVALID_SCHEDULE.
 */
export function oneTime(at: Instant | LocalTimeInput): OneTimeSchedule {
  if (typeof at === "object" && at !== null && !isDate(at)) return atLocalTime(at);
  return { kind: "one-time", atMs: parseInstant(at, "one-time instant") };
}

function atLocalTime(input: LocalTimeInput): OneTimeSchedule {
  const parts = readFields<LocalTimeInput>(input, ["local", "timeZone"], "A local time", "INVALID_SCHEDULE");
  const timeZone = parseTimeZone(parts.timeZone);
  const dateTime = parts.local;
  const localMs = parseLocalDateTime(dateTime);
  const localSec = Math.floor(localMs / 1000);
  const { epochSec, dst, gapSec } = locate(timeZoneNamed(timeZone), localSec);
  if (gapSec > longestBridgedGapSec) {
    const problem = `does not exist in ${quote(timeZone)}: its clocks skipped it`;
    throw new AzothError("INVALID_INSTANT", `local time ${quote(dateTime)} ${problem}.`);
  }
  const atMs = parseInstant(epochSec * 1000 + (dst === "gap" ? 0 : localMs - localSec * 1000), "one-time instant");
  const schedule: OneTimeSchedule = { kind: "one-time", atMs, local: { dateTime, timeZone } };
  return dst === undefined ? schedule : { ...schedule, dst };
}

/** The wall-clock time of an ISO text without offset, as if it were UTC, in milliseconds. */
export function parseLocalDateTime(value: unknown): number {
  const what = "local time";
  if (typeof value !== "string") throw new AzothError("INVALID_INSTANT", `${what} ${quote(value)} is no string.`);
  const { localMs, offsetMs } = parseDateTimeText(value, what);
  if (offsetMs === undefined) return localMs;
  throw new AzothError("INVALID_INSTANT", `${what} ${quote(value)} has an offset; give either that or a time zone.`);
}
