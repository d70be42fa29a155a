import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countOccurrences, longestSample } from "../../src/schedule/count-occurrences.ts";
import { cron } from "../../src/schedule/cron.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";
import { oneTime } from "../../src/schedule/one-time.ts";

const none = { count: 0, atLeast: false, sample: [] };

describe("occurrences after one instant up to and with another", () => {
  test("of an interval, by arithmetic however many they are", () => {
    const range = { afterMs: 0, untilMs: 3_000_000_000_000, limit: 10 };
    const count = countOccurrences(interval(1, { anchor: 0 }), range);
    expect(count).toEqual({
      count: 3_000_000_000_000,
      atLeast: false,
      firstMs: 1,
      lastMs: 3_000_000_000_000,
      sample: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    });
  });

  test("of an interval, as one by one", () => {
    const small = fc.integer({ min: -1000, max: 1000 });
    fc.assert(
      fc.property(small, small, small, fc.integer({ min: 1, max: 300 }), (anchor, afterMs, untilMs, every) => {
        const schedule = interval(every, { anchor });
        const all: number[] = [];
        for (let next = nextOccurrence(schedule, afterMs); next !== undefined && next.atMs <= untilMs; ) {
          all.push(next.atMs);
          next = nextOccurrence(schedule, next.atMs);
        }
        const [firstMs] = all;
        const expected = { count: all.length, atLeast: false, sample: all.slice(0, longestSample) };
        expect(countOccurrences(schedule, { afterMs, untilMs, limit: 1 })).toEqual(
          firstMs === undefined ? expected : { ...expected, firstMs, lastMs: all.at(-1) },
        );
      }),
    );
  });

  test("of a cron expression, one by one up to the limit", () => {
    const daily = cron("@daily");
    const untilMs = Date.UTC(2026, 0, 31);
    const whole = countOccurrences(daily, { afterMs: Date.UTC(2026, 0, 1), untilMs, limit: 30 });
    expect(whole).toMatchObject({ count: 30, atLeast: false, firstMs: Date.UTC(2026, 0, 2), lastMs: untilMs });
    expect(whole.sample).toHaveLength(longestSample);
    const limited = countOccurrences(daily, { afterMs: Date.UTC(2026, 0, 1), untilMs, limit: 29 });
    expect(limited).toMatchObject({ count: 29, atLeast: true, lastMs: Date.UTC(2026, 0, 30) });
  });

  test("of one-time and immediate schedules", () => {
    expect(countOccurrences(oneTime(5), { afterMs: 0, untilMs: 5, limit: 10 })).toEqual({
      count: 1,
      atLeast: false,
      firstMs: 5,
      lastMs: 5,
      sample: [5],
    });
    expect(countOccurrences(oneTime(5), { afterMs: 5, untilMs: 9, limit: 10 })).toEqual(none);
    expect(countOccurrences(immediate(), { afterMs: 0, untilMs: 9, limit: 10 })).toEqual(none);
    expect(countOccurrences(interval(10), { afterMs: 0, untilMs: 9, limit: 10 })).toEqual(none);
  });
});
