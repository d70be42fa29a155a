/**
 * Reads an instant as users give it into epoch milliseconds. An ISO string must carry its offset:
 * without one it would mean another instant on every machine.
 */

import { AzothError, quote } from "../errors.ts";
import { dateRangeMs } from "./time/civil-date.ts";
import { parseDateTimeText } from "./time/date-time-text.ts";

/** A Date, an ISO 8601 string with `Z` or an offset, or epoch milliseconds. */
export type Instant = Date | string | number;

/**
 * The epoch milliseconds of `value`. Digits below a millisecond are cut off.
 * `what` names the value in the INVALID_INSTANT error.
 */
export function parseInstant(value: Instant, what = "instant"): number {
  if (typeof value === "string") return inRange(msOfText(value, what), value, what);
  if (isDate(value)) return inRange(value.getTime(), value, what);
  if (typeof value === "number") return inRange(value, value, what);
  throw refusal(value, what, "is no Date, ISO 8601 string or number of epoch milliseconds");
}

/** False for what only looks like a Date: its methods would throw. */
export function isDate(value: unknown): value is Date {
  try {
    return value instanceof Date && typeof value.getTime() === "number";
  } catch {
    return false;
  }
}

function msOfText(text: string, what: string): number {
  const { localMs, offsetMs } = parseDateTimeText(text, what);
  if (offsetMs === undefined)
    throw refusal(text, what, 'lacks its offset; end it with "Z" or an offset such as "+02:00"');
  return localMs - offsetMs;
}

function inRange(ms: number, value: unknown, what: string): number {
  if (!Number.isInteger(ms)) throw refusal(value, what, "is no whole number of epoch milliseconds");
  if (Math.abs(ms) > dateRangeMs) throw refusal(value, what, "is outside the range of a Date");
  // Adding zero turns -0, which some comparisons tell from 0, into 0.
  return ms + 0;
}

function refusal(value: unknown, what: string, problem: string): AzothError {
  return new AzothError("INVALID_INSTANT", `${what} ${quote(value)} ${problem}.`, { details: { what } });
}
