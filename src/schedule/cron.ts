/** Makes a cron schedule, and refuses one that could never be kept. */

import { AzothError, quote } from "../errors.ts";
import { compileCron } from "./cron/cron-expression.ts";
import { readFields } from "../names.ts";
import type { CronSchedule } from "./schedule.ts";
import { parseTimeZone } from "./time/time-zone.ts";

export interface CronOptions {
  /** The IANA zone whose wall clock counts, such as "Europe/Rome". Default: "UTC", never the machine's own zone. */
  readonly timeZone?: string;
}

/**
 * Due whenever the wall clock of `timeZone` matches `expression`: `second minute hour day-of-month month day-of-week`,
 * the same without seconds (second 0), or a nickname such as `@daily`. Weekdays are 0 to 7 (0 and 7 are Sunday) or
 * names; `L` is the last day of the month, `5L` its last Friday, `5#3` its third Friday. If day-of-month and
 * day-of-week are both restricted, either matches.
 *
 * Where clocks change, a fixed time of day (no `*`, `?` or step in second, minute and hour) runs exactly once: after a
 * gap if it falls into it, on the first pass of an overlap. Other expressions follow elapsed time.
 *
 * Throws INVALID_CRON, CRON_NEVER_MATCHES, INVALID_TIME_ZONE, INVALID_OPTION.
 */
export function cron(expression: string, options: CronOptions = {}): CronSchedule {
  const { timeZone } = readFields<CronOptions>(options, ["timeZone"], "The cron options", "INVALID_OPTION");
  return makeCron(expression, timeZone);
}

/** The same from values of unknown type. */
export function makeCron(expression: unknown, timeZone: unknown = "UTC"): CronSchedule {
  if (typeof expression !== "string") {
    throw new AzothError("INVALID_CRON", `A cron expression has to be a string, not ${quote(expression)}.`);
  }
  compileCron(expression);
  return { kind: "cron", expression, timeZone: parseTimeZone(timeZone) };
}
