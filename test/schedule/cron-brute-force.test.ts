/** The evaluator against brute force over the seconds around clock changes, for random expressions. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { compileCron } from "../../src/schedule/cron/cron-expression.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";
import type { Occurrence } from "../../src/schedule/schedule.ts";
import { arbitraryCron } from "./arbitrary-cron.ts";
import { clockChangesIn, expectedOccurrences, type OracleWindow } from "./wall-clock-oracle.ts";

/** A zone, and a year in which it changed its clocks in a way worth trying. */
const changes: readonly (readonly [timeZone: string, year: number, why: string])[] = [
  ["Europe/Rome", 2026, "one hour at 02:00"],
  ["Europe/Rome", 3026, "the same, a thousand years on"],
  ["Europe/Rome", 1893, "from local mean time, +0:49:56"],
  ["America/New_York", 2026, "one hour at 02:00"],
  ["America/New_York", 1883, "from local mean time, -4:56:02"],
  ["Australia/Lord_Howe", 2026, "half an hour"],
  ["Antarctica/Troll", 2026, "two hours"],
  ["America/St_Johns", 2010, "at 00:01"],
  ["America/St_Johns", 1988, "two hours at 00:01"],
  ["Asia/Pyongyang", 2018, "a gap from 23:30 to midnight"],
  ["America/Godthab", 2027, "gaps that end at midnight, each year"],
  ["Asia/Beirut", 2026, "a gap at midnight"],
  ["Africa/Cairo", 2026, "a gap at midnight on a Friday"],
  ["America/Havana", 2026, "a gap at midnight"],
  ["Asia/Kathmandu", 1985, "15 minutes at the end of the year"],
  ["Europe/Dublin", 2026, "negative summer time"],
  ["Europe/Dublin", 1916, "-0:25:21 to 0:00"],
  ["Africa/Casablanca", 2026, "back in Ramadan"],
  ["Asia/Tehran", 2021, "a gap at midnight"],
  ["Asia/Tehran", 1977, "a gap from 23:00 to midnight"],
  ["Africa/Monrovia", 1972, "-0:44:30"],
  ["Europe/Moscow", 1919, "odd seconds, across midnight"],
  ["America/Caracas", 2016, "half an hour for good"],
  ["Antarctica/Casey", 2018, "three hours, and no more"],
  ["Pacific/Apia", 2011, "a skipped day"],
  ["Pacific/Kwajalein", 1993, "a skipped day"],
  ["Antarctica/Vostok", 1994, "seven hours"],
  ["Pacific/Kwajalein", 1969, "a day twice"],
  ["America/Juneau", 1867, "a day twice, with odd seconds"],
];

const hourSec = 3600;

/** Those that were looked for already: it takes as long as to try them. */
const found = new Map<string, OracleWindow[]>();

function windowsOf(timeZone: string, year: number): OracleWindow[] {
  const key = `${timeZone} ${year}`;
  const windows =
    found.get(key) ??
    clockChangesIn(timeZone, year).map((change) => {
      const reach = Math.abs(change.afterSec - change.beforeSec) > 3 * hourSec ? 60 * hourSec : 30 * hourSec;
      return { change, fromSec: change.atSec - reach, toSec: change.atSec + reach };
    });
  found.set(key, windows);
  return windows;
}

function occurrencesIn(expression: string, timeZone: string, { fromSec, toSec }: OracleWindow): Occurrence[] {
  const occurrences: Occurrence[] = [];
  let next = nextOccurrence({ kind: "cron", expression, timeZone }, fromSec * 1000 - 1);
  while (next !== undefined && next.atMs <= toSec * 1000) {
    occurrences.push(next);
    next = nextOccurrence({ kind: "cron", expression, timeZone }, next.atMs);
  }
  return occurrences;
}

function canMatch(expression: string): boolean {
  try {
    compileCron(expression);
    return true;
  } catch (error) {
    if (isAzothError(error, "CRON_NEVER_MATCHES")) return false;
    throw error;
  }
}

describe("around a clock change every second agrees with brute force", () => {
  test.each(changes)("%s %i: %s", (timeZone, year) => {
    const windows = windowsOf(timeZone, year);
    expect(windows.length).toBeGreaterThan(0);
    const rules = arbitraryCron.filter(({ text }) => canMatch(text));
    fc.assert(
      fc.property(rules, fc.constantFrom(...windows), (rule, window) => {
        expect(occurrencesIn(rule.text, timeZone, window)).toEqual(expectedOccurrences(rule, window));
      }),
      { numRuns: 12 },
    );
  });

  test.each(changes)("%s %i: %s, asked from any moment", (timeZone, year) => {
    const windows = windowsOf(timeZone, year);
    const rules = arbitraryCron.filter(({ text, fixedTime }) => fixedTime && canMatch(text));
    const shift = fc.integer({ min: -6 * hourSec * 1000, max: 6 * hourSec * 1000 });
    fc.assert(
      fc.property(rules, fc.constantFrom(...windows), shift, (rule, window, shiftMs) => {
        const afterMs = window.change.atSec * 1000 + shiftMs;
        const expected = expectedOccurrences(rule, window).find(({ atMs }) => atMs > afterMs);
        const next = nextOccurrence({ kind: "cron", expression: rule.text, timeZone }, afterMs);
        if (expected === undefined) expect(next?.atMs ?? Infinity).toBeGreaterThan(window.toSec * 1000);
        else expect(next?.atMs).toBe(expected.atMs);
      }),
      { numRuns: 6 },
    );
  });
});
