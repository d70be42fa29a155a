/**
 * The evaluator against croner 11, its reference, over random expressions, zones and instants;
 * and a table of the places where the two are known to differ.
 */

import { Cron } from "croner";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { cron } from "../../src/schedule/cron.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";
import { arbitraryCron } from "./arbitrary-cron.ts";

const count = 3;

function byCroner(expression: string, timeZone: string, afterMs: number): number[] {
  const options = {
    mode: "5-or-6-parts",
    fixedTimeRule: "no-wildcard",
    sloppyRanges: true,
    timezone: timeZone,
  } as const;
  const job = new Cron(expression, options);
  return job.nextRuns(count, new Date(afterMs)).map((date) => date.getTime());
}

function byUs(expression: string, timeZone: string, afterMs: number): number[] {
  const schedule = cron(expression, { timeZone });
  const found: number[] = [];
  let next = nextOccurrence(schedule, afterMs);
  while (next !== undefined && found.length < count) {
    found.push(next.atMs);
    next = nextOccurrence(schedule, next.atMs);
  }
  return found;
}

const iso = (instants: readonly number[]) => instants.map((ms) => new Date(ms).toISOString());

/** Since 1996 these had a gap that ends at midnight, or skipped a day: croner drops the fixed times in it. */
const zonesWithKnownDifferences = new Set([
  "America/Godthab",
  "America/Nuuk",
  "America/Scoresbysund",
  "Asia/Dhaka",
  "Asia/Pyongyang",
  "Pacific/Apia",
  "Pacific/Fakaofo",
]);
const timeZones = Intl.supportedValuesOf("timeZone").filter((name) => !zonesWithKnownDifferences.has(name));

/** Half of the instants within a day and a half of a Sunday in a month in which clocks change. */
const afterMs = fc.oneof(
  fc.integer({ min: Date.UTC(1996, 0, 1), max: Date.UTC(2100, 0, 1) }),
  fc
    .record({
      year: fc.integer({ min: 1996, max: 2100 }),
      month: fc.constantFrom(2, 3, 8, 9, 10),
      week: fc.integer({ min: 0, max: 4 }),
      shiftMs: fc.integer({ min: -129_600_000, max: 129_600_000 }),
    })
    .map(({ year, month, week, shiftMs }) => {
      const first = new Date(Date.UTC(year, month, 1)).getUTCDay();
      return Date.UTC(year, month, 1 + ((7 - first) % 7) + 7 * week) + shiftMs;
    }),
);

describe("the same occurrences as croner", () => {
  test("for random expressions, zones and instants since 1996", () => {
    fc.assert(
      fc.property(arbitraryCron, fc.constantFrom(...timeZones), afterMs, ({ text }, timeZone, after) => {
        let ours: number[] = [];
        try {
          ours = byUs(text, timeZone, after);
        } catch (error) {
          if (!isAzothError(error, "CRON_NEVER_MATCHES")) throw error;
        }
        expect(iso(ours)).toEqual(iso(byCroner(text, timeZone, after)));
      }),
      { numRuns: 4000 },
    );
  });
});

describe("known differences from croner", () => {
  const differences = [
    {
      why: "a gap that ends at midnight has its first instant after it on the next date",
      expression: "0 45 23 4 5 *",
      timeZone: "Asia/Pyongyang",
      after: "2018-05-01T00:00:00Z",
      ours: "2018-05-04T15:00:00.000Z",
      croner: "2019-05-04T14:45:00.000Z",
    },
    {
      why: "the same, each year in Greenland",
      expression: "0 30 23 * * *",
      timeZone: "America/Scoresbysund",
      after: "2026-03-28T12:00:00Z",
      ours: "2026-03-29T01:00:00.000Z",
      croner: "2026-03-30T00:30:00.000Z",
    },
    {
      why: "a gap of more than three hours drops its times, even within one date",
      expression: "0 0 3 * * *",
      timeZone: "Antarctica/Vostok",
      after: "1994-10-31T12:00:00Z",
      ours: "1994-11-01T20:00:00.000Z",
      croner: "1994-11-01T00:00:00.000Z",
    },
    {
      why: "an overlap of a day is an overlap",
      expression: "0 0 15 * * *",
      timeZone: "Pacific/Kwajalein",
      after: "1969-10-01T00:00:00Z",
      ours: "1969-10-02T03:00:00.000Z",
      croner: "1969-10-01T03:00:00.000Z",
    },
    {
      why: "there are years after 3000",
      expression: "0 0 0 29 2 *",
      timeZone: "UTC",
      after: "2999-01-01T00:00:00Z",
      ours: "3004-02-29T00:00:00.000Z",
      croner: undefined,
    },
  ];

  test.each(differences)("$why: $timeZone", ({ expression, timeZone, after, ours, croner }) => {
    const afterMs = Date.parse(after);
    expect(iso(byUs(expression, timeZone, afterMs))[0]).toBe(ours);
    expect(iso(byCroner(expression, timeZone, afterMs))[0]).toBe(croner);
  });
});
