/**
 * Brute force: what the clock-change rule says, second by second, straight from Intl.
 *
 * Slow and simple on purpose, and written without a look at the evaluator that it judges: no table, no search,
 * no arithmetic on dates but Date's own.
 */

/** What an expression means, known to whoever made up its text. */
export interface CronRule {
  readonly text: string;
  /** Neither `*` nor `?` nor a step in second, minute and hour. */
  readonly fixedTime: boolean;
  matchesTime(hour: number, minute: number, second: number): boolean;
  matchesDate(date: { month: number; day: number; weekday: number; monthLength: number }): boolean;
}

export interface ExpectedOccurrence {
  atMs: number;
  dst?: "gap" | "overlap";
  dropped?: number;
}

export interface ClockChangeAt {
  readonly atSec: number;
  readonly beforeSec: number;
  readonly afterSec: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Local time minus UTC, in seconds. */
export function offsetSec(timeZone: string, epochSec: number): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const numeric = "numeric" as const;
    const fields = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric };
    format = new Intl.DateTimeFormat("en-US", { timeZone, hourCycle: "h23", ...fields });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(epochSec * 1000).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? Number.NaN;
  const local = new Date(0);
  local.setUTCFullYear(part("year"), part("month") - 1, part("day"));
  local.setUTCHours(part("hour"), part("minute"), part("second"));
  return local.getTime() / 1000 - epochSec;
}

/** Every change of the zone's offset in a year (UTC): hour by hour, then minute by minute, then second by second. */
export function clockChangesIn(timeZone: string, year: number): ClockChangeAt[] {
  const changes: ClockChangeAt[] = [];
  const search = (fromSec: number, toSec: number, stepSec: number) => {
    let before = offsetSec(timeZone, fromSec);
    for (let sec = fromSec + stepSec; sec <= toSec; sec += stepSec) {
      const after = offsetSec(timeZone, sec);
      if (after === before) continue;
      if (stepSec === 1) changes.push({ atSec: sec, beforeSec: before, afterSec: after });
      else search(sec - stepSec, sec, stepSec / 60);
      before = after;
    }
  };
  search(Date.UTC(year, 0, 1) / 1000, Date.UTC(year + 1, 0, 1) / 1000, 3600);
  return changes;
}

export interface OracleWindow {
  readonly change: ClockChangeAt;
  readonly fromSec: number;
  /** Included. */
  readonly toSec: number;
}

/** The occurrences in a window around one clock change; no other change may be near. */
export function expectedOccurrences(rule: CronRule, { change, fromSec, toSec }: OracleWindow): ExpectedOccurrence[] {
  const { atSec, beforeSec, afterSec } = change;
  const matches = memoizedMatcher(rule);
  const expected: ExpectedOccurrence[] = [];
  const shiftSec = afterSec - beforeSec;
  let dropped = 0;
  for (let sec = fromSec; sec <= toSec; sec++) {
    if (sec === atSec && shiftSec > 0 && rule.fixedTime) {
      let lost = 0;
      for (let local = atSec + beforeSec; local < atSec + afterSec; local++) if (matches(local)) lost++;
      if (shiftSec > 3 * 3600) dropped = lost;
      else if (lost > 0) {
        expected.push({ atMs: sec * 1000, dst: "gap" });
        continue;
      }
    }
    const local = sec + (sec < atSec ? beforeSec : afterSec);
    if (!matches(local)) continue;
    const isSecondPass = sec >= atSec && local < atSec + beforeSec;
    const isFirstPass = sec < atSec && local >= atSec + afterSec;
    if (rule.fixedTime && isSecondPass) continue;
    expected.push({
      atMs: sec * 1000,
      ...(rule.fixedTime && isFirstPass ? { dst: "overlap" } : undefined),
      ...(dropped > 0 ? { dropped } : undefined),
    });
    dropped = 0;
  }
  return expected;
}

function memoizedMatcher(rule: CronRule): (localSec: number) => boolean {
  const times = Array.from({ length: 86_400 }, (_, second) =>
    rule.matchesTime(Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60),
  );
  const days = new Map<number, boolean>();
  return (localSec) => {
    const day = Math.floor(localSec / 86_400);
    if (times[localSec - day * 86_400] !== true) return false;
    let matches = days.get(day);
    if (matches === undefined) {
      const date = new Date(day * 86_400_000);
      const nextMonth = new Date(date);
      nextMonth.setUTCMonth(date.getUTCMonth() + 1, 0);
      matches = rule.matchesDate({
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        weekday: date.getUTCDay(),
        monthLength: nextMonth.getUTCDate(),
      });
      days.set(day, matches);
    }
    return matches;
  };
}
