/** What holds for every expression, zone and instant; and that every search ends. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { cron } from "../../src/schedule/cron.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";
import type { CronSchedule } from "../../src/schedule/schedule.ts";
import { arbitraryCron } from "./arbitrary-cron.ts";
import { offsetSec } from "./wall-clock-oracle.ts";

const timeZone = fc.constantFrom("UTC", ...Intl.supportedValuesOf("timeZone"));
const afterMs = fc.oneof(
  fc.integer({ min: Date.UTC(1880, 0, 1), max: Date.UTC(2100, 0, 1) }),
  fc.integer({ min: -62_000_000_000_000, max: 200_000_000_000_000 }),
);
const possible = arbitraryCron.filter(({ text }) => {
  try {
    cron(text);
    return true;
  } catch (error) {
    if (isAzothError(error, "CRON_NEVER_MATCHES")) return false;
    throw error;
  }
});

describe("for random expressions, zones and instants", () => {
  test("occurrences strictly increase, and each shows matching fields on the wall clock unless it was moved", () => {
    fc.assert(
      fc.property(possible, timeZone, afterMs, (rule, timeZone, after) => {
        const schedule = cron(rule.text, { timeZone });
        let previousMs = after;
        for (let index = 0; index < 4; index++) {
          const next = nextOccurrence(schedule, previousMs);
          if (next === undefined) break;
          expect(next.atMs).toBeGreaterThan(previousMs);
          if (next.dst !== "gap") {
            const local = new Date(next.atMs + offsetSec(timeZone, next.atMs / 1000) * 1000);
            expect(local.getUTCMilliseconds()).toBe(0);
            expect(rule.matchesTime(local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds())).toBe(true);
            const lastDay = new Date(local);
            lastDay.setUTCMonth(local.getUTCMonth() + 1, 0);
            const date = { month: local.getUTCMonth() + 1, day: local.getUTCDate(), weekday: local.getUTCDay() };
            expect(rule.matchesDate({ ...date, monthLength: lastDay.getUTCDate() })).toBe(true);
          }
          previousMs = next.atMs;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("every instant from one occurrence up to the next has the same next one", () => {
    fc.assert(
      fc.property(
        possible,
        timeZone,
        afterMs,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (rule, timeZone, after, part) => {
          const schedule = cron(rule.text, { timeZone });
          const next = nextOccurrence(schedule, after);
          if (next === undefined) return;
          const between = Math.min(next.atMs - 1, Math.floor(after + (next.atMs - after) * part));
          expect(nextOccurrence(schedule, between)?.atMs).toBe(next.atMs);
          expect(nextOccurrence(schedule, next.atMs - 1)?.atMs).toBe(next.atMs);
          expect(nextOccurrence(schedule, next.atMs)?.atMs).not.toBe(next.atMs);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("every search ends", () => {
  const rome = (expression: string): CronSchedule => cron(expression, { timeZone: "Europe/Rome" });

  test("an interval-like expression whose every match falls into a gap has no occurrence", () => {
    expect(nextOccurrence(rome("0 */30 2 * 3 7L"), Date.UTC(2026, 0, 1))).toBeUndefined();
  });

  test("a fixed-time expression whose every match falls into a gap runs after it, each year", () => {
    const next = nextOccurrence(rome("0 30 2 * 3 7L"), Date.UTC(2026, 0, 1));
    expect(next).toEqual({ atMs: Date.UTC(2026, 2, 29, 1), dst: "gap" });
  });

  test("nothing is found past the end of Date's range", () => {
    const lastMs = 8_640_000_000_000_000;
    for (const timeZone of ["UTC", "Europe/Rome", "America/New_York", "Pacific/Kiritimati"]) {
      for (const expression of ["* * * * * *", "0 0 0 * * *", "0 0 0 29 2 *", "0 */7 3 * 2 1#5"]) {
        expect(nextOccurrence(cron(expression, { timeZone }), lastMs)).toBeUndefined();
      }
      expect(nextOccurrence(cron("* * * * * *", { timeZone }), lastMs - 1)?.atMs).toBe(lastMs);
    }
  });

  test("the range of Date begins where it begins", () => {
    const next = nextOccurrence(rome("0 0 0 1 1 *"), -8_640_000_000_000_000);
    expect(new Date(next?.atMs ?? Number.NaN).toISOString()).toBe("-271821-12-31T23:10:04.000Z");
  });

  test("years of five and six digits have their clock changes", () => {
    for (const year of [3026, 12_026, 202_026]) {
      const next = nextOccurrence(rome("0 30 2 * 3 7L"), Date.UTC(year, 0, 1));
      expect(next?.dst).toBe("gap");
      const date = new Date(next?.atMs ?? 0);
      expect([date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDay(), date.getUTCHours()]).toEqual([
        year,
        2,
        0,
        1,
      ]);
    }
  });
});
