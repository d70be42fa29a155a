import { describe, expect, test } from "vitest";
import { cron } from "../../src/schedule/cron.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { type NextOccurrencesOptions, nextOccurrences } from "../../src/schedule/next-occurrences.ts";
import { oneTime } from "../../src/schedule/one-time.ts";
import type { Schedule } from "../../src/schedule/schedule.ts";

const after = "2026-01-01T00:00:00Z";
const iso = (dates: readonly Date[]) => dates.map((date) => date.toISOString());

describe("the next occurrences", () => {
  test("of a cron expression, one by default", () => {
    const schedule = cron("0 0 9 * * 1-5", { timeZone: "Europe/Rome" });
    expect(iso(nextOccurrences(schedule, { after }))).toEqual(["2026-01-01T08:00:00.000Z"]);
    expect(iso(nextOccurrences(schedule, { after, count: 3 }))).toEqual([
      "2026-01-01T08:00:00.000Z",
      "2026-01-02T08:00:00.000Z",
      "2026-01-05T08:00:00.000Z",
    ]);
  });

  test("of an interval, anchored where it begins", () => {
    expect(iso(nextOccurrences(interval("90m"), { after, count: 2 }))).toEqual([
      "2026-01-01T01:30:00.000Z",
      "2026-01-01T03:00:00.000Z",
    ]);
  });

  test("of a one-time schedule: itself, or none", () => {
    expect(iso(nextOccurrences(oneTime("2026-01-01T00:00:01Z"), { after, count: 5 }))).toHaveLength(1);
    expect(nextOccurrences(oneTime(after), { after, count: 5 })).toEqual([]);
  });

  test("of an immediate schedule: now", () => {
    expect(iso(nextOccurrences(immediate(), { after, count: 5 }))).toEqual(["2026-01-01T00:00:00.000Z"]);
  });

  test("ten thousand at once", () => {
    const dates = nextOccurrences(cron("* * * * * *"), { after, count: 10_000 });
    expect(dates).toHaveLength(10_000);
    expect(dates.at(-1)?.toISOString()).toBe("2026-01-01T02:46:40.000Z");
  });

  test("end where the schedule ends", () => {
    expect(nextOccurrences(cron("@yearly"), { after: "+275759-01-01T00:00:00Z", count: 5 })).toHaveLength(1);
  });
});

describe("bad arguments are refused", () => {
  test.each<[unknown, string]>([
    [undefined, "INVALID_OPTION"],
    [{}, "INVALID_INSTANT"],
    [{ after: "2026-01-01" }, "INVALID_INSTANT"],
    [{ after, count: 0 }, "INVALID_OPTION"],
    [{ after, count: 10_001 }, "INVALID_OPTION"],
    [{ after, count: 1.5 }, "INVALID_OPTION"],
    [{ after, count: "3" }, "INVALID_OPTION"],
    [{ after, limit: 3 }, "INVALID_OPTION"],
  ])("%j with %s", (options, code) => {
    expect(() => nextOccurrences(cron("@daily"), options as NextOccurrencesOptions)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test("a schedule that no function made", () => {
    const typo = { kind: "cron", expression: "@daily", timezone: "Europe/Rome" } as unknown as Schedule;
    expect(() => nextOccurrences(typo, { after })).toThrow(expect.objectContaining({ code: "INVALID_SCHEDULE" }));
  });
});
