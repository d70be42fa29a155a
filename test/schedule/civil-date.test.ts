import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { civilFromDays, daysFromCivil, monthLength, weekdayOfDays } from "../../src/schedule/time/civil-date.ts";

/** Every day that a Date can hold. */
const days = fc.integer({ min: -100_000_000, max: 100_000_000 });

describe("the calendar agrees with Date over its whole range", () => {
  test("dates and weekdays", () => {
    fc.assert(
      fc.property(days, (day) => {
        const date = new Date(day * 86_400_000);
        const civil = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
        expect(civilFromDays(day)).toEqual(civil);
        expect(daysFromCivil(civil.year, civil.month, civil.day)).toBe(day);
        expect(weekdayOfDays(day)).toBe(date.getUTCDay());
      }),
      { numRuns: 5000 },
    );
  });

  test("month lengths over a whole cycle of 400 years", () => {
    for (let year = 1900; year < 2300; year++) {
      for (let month = 1; month <= 12; month++) {
        expect(monthLength(year, month)).toBe(new Date(Date.UTC(year, month, 0)).getUTCDate());
      }
    }
  });
});
