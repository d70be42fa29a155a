/**
 * Compiles a cron expression to tables: which dates, which times of day, and which clock-change rule.
 *
 * Five fields begin with the minute (second 0), six with the second. No zone enters here: a compiled
 * expression speaks of wall-clock time only, and is remembered by its text.
 */

import { AzothError, quote } from "../../errors.ts";
import { memoize } from "../memoize.ts";
import { secondsPerDay } from "../time/civil-date.ts";
import { cronFieldRules, parseCronField } from "./cron-field.ts";
import { compileMonthDays, type MonthDays, nextDay } from "./month-days.ts";
import { compileTimesOfDay, nextTimeOfDay, type TimesOfDay } from "./time-of-day.ts";

export interface CronExpression {
  readonly days: MonthDays;
  readonly times: TimesOfDay;
  /**
   * True if second, minute and hour have neither `*` nor `?` nor a step: such a job is meant for a time of day and
   * runs once each day, whatever clocks do. Any other follows elapsed time.
   */
  readonly fixedTime: boolean;
}

/** Longer expressions are refused. */
export const longestExpression = 256;
const expressionsKept = 1024;

const nicknames: ReadonlyMap<string, string> = new Map([
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"],
  ["@monthly", "0 0 1 * *"],
  ["@weekly", "0 0 * * 0"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@hourly", "0 * * * *"],
]);

/** Throws INVALID_CRON or CRON_NEVER_MATCHES; the message has a bounded length whatever the text is. */
export const compileCron = memoize(expressionsKept, (text: string): CronExpression => {
  const [second = "", minute = "", hour = "", dayOfMonth = "", month = "", dayOfWeek = ""] = splitFields(text);
  const times = {
    second: parseCronField(cronFieldRules.second, second),
    minute: parseCronField(cronFieldRules.minute, minute),
    hour: parseCronField(cronFieldRules.hour, hour),
  };
  const days = compileMonthDays({
    dayOfMonth: parseCronField(cronFieldRules.dayOfMonth, dayOfMonth),
    month: parseCronField(cronFieldRules.month, month),
    dayOfWeek: parseCronField(cronFieldRules.dayOfWeek, dayOfWeek),
  });
  if (nextDay(days, 0) === undefined) {
    const reason = "no year has such a date; choose a day that exists in the chosen months";
    throw new AzothError("CRON_NEVER_MATCHES", `The cron expression ${quote(text)} never matches: ${reason}.`);
  }
  const fixedTime = !times.second.recurs && !times.minute.recurs && !times.hour.recurs;
  return { days, times: compileTimesOfDay(times), fixedTime };
});

function splitFields(text: string): readonly string[] {
  if (text.length > longestExpression) {
    throw refusal(text, `has ${text.length} characters; at most ${longestExpression} are allowed`);
  }
  const trimmed = text.trim();
  const fields = (nicknameOf(trimmed) ?? trimmed).split(/\s+/);
  if (fields.length < 5) throw refusal(text, "has too few fields; 5 (minute first) or 6 (second first) are allowed");
  if (fields.length > 6) throw refusal(text, "has too many fields; 5 or 6 are allowed, and no field for years");
  return fields.length === 5 ? ["0", ...fields] : fields;
}

function nicknameOf(trimmed: string): string | undefined {
  if (!trimmed.startsWith("@")) return undefined;
  const expression = nicknames.get(trimmed.toLowerCase());
  if (expression === undefined) throw refusal(trimmed, `is no nickname; known are ${[...nicknames.keys()].join(", ")}`);
  return expression;
}

function refusal(text: string, problem: string): AzothError {
  return new AzothError("INVALID_CRON", `The cron expression ${quote(text)} ${problem}.`);
}

/** The first local second from `fromLocalSec` on that the expression matches, in seconds since 1970-01-01T00:00. */
export function nextLocalMatch({ days, times }: CronExpression, fromLocalSec: number): number {
  const fromDay = Math.floor(fromLocalSec / secondsPerDay);
  const day = nextDayOf(days, fromDay);
  if (day === fromDay) {
    const timeOfDay = nextTimeOfDay(times, fromLocalSec - fromDay * secondsPerDay);
    if (timeOfDay < secondsPerDay) return fromDay * secondsPerDay + timeOfDay;
  }
  const laterDay = day === fromDay ? nextDayOf(days, fromDay + 1) : day;
  return laterDay * secondsPerDay + nextTimeOfDay(times, 0);
}

/** A compiled expression has a date in each calendar cycle: that was tried when it was compiled. */
function nextDayOf(days: MonthDays, fromDay: number): number {
  return nextDay(days, fromDay) ?? Infinity;
}
