/**
 * Reads ISO 8601 dates with times, strictly: `2026-03-29T02:30`, seconds and fraction optional,
 * then `Z`, an offset, or nothing. A date or time that does not exist is refused, never rolled over.
 */

import { AzothError, quote } from "../../errors.ts";
import { daysFromCivil, monthLength, secondsPerDay } from "./civil-date.ts";

export interface DateTimeText {
  /** The wall-clock time as if it were UTC, in milliseconds; digits below a millisecond are cut off. */
  readonly localMs: number;
  /** East of Greenwich is positive; undefined if the text has no offset. */
  readonly offsetMs: number | undefined;
}

const shape =
  /^(\d{4}|[+-]\d{6})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:(Z)|([+-])(\d{2}):(\d{2}))?$/;

/** Reads `text`; `what` names it in the INVALID_INSTANT error. */
export function parseDateTimeText(text: string, what: string): DateTimeText {
  const match = shape.exec(text);
  if (match === null || match[1] === "-000000") {
    throw refusal(text, what, 'is not a date with time such as "2026-01-31T09:00:00Z"');
  }
  const part = (index: number) => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  if (month < 1 || month > 12 || day < 1 || day > monthLength(year, month)) {
    throw refusal(text, what, "has a date that does not exist");
  }
  if (hour > 23 || minute > 59 || second > 59) throw refusal(text, what, "has a time outside 00:00:00 to 23:59:59");
  const millisecond = Number((match[7] ?? "").slice(0, 3).padEnd(3, "0"));
  const seconds = daysFromCivil(year, month, day) * secondsPerDay + hour * 3600 + minute * 60 + second;
  return { localMs: seconds * 1000 + millisecond, offsetMs: offsetOf(match, text, what) };
}

function offsetOf(match: RegExpExecArray, text: string, what: string): number | undefined {
  if (match[8] === "Z") return 0;
  if (match[9] === undefined) return undefined;
  const [hours, minutes] = [Number(match[10]), Number(match[11])];
  if (hours > 23 || minutes > 59) throw refusal(text, what, "has an offset outside -23:59 to +23:59");
  return (match[9] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function refusal(text: string, what: string, problem: string): AzothError {
  return new AzothError("INVALID_INSTANT", `${what} ${quote(text)} ${problem}.`, { details: { what } });
}
