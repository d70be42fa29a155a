import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { memoize } from "../../src/schedule/memoize.ts";
import { firstUnreached, locate } from "../../src/schedule/time/local-time.ts";
import { parseTimeZone, timeZoneNamed } from "../../src/schedule/time/time-zone.ts";
import { clockChangesIn, offsetSec } from "./wall-clock-oracle.ts";

describe("offset periods", () => {
  test("the offset is that of Intl, in all zones and years", () => {
    const timeZones = fc.constantFrom(...Intl.supportedValuesOf("timeZone"));
    const instants = fc.oneof(
      fc.integer({ min: -4_000_000_000, max: 4_500_000_000 }),
      fc.integer({ min: -60_000_000_000, max: 8_600_000_000_000 }),
    );
    fc.assert(
      fc.property(timeZones, instants, (timeZone, epochSec) => {
        const { startSec, endSec, offsetSec: offset } = timeZoneNamed(timeZone).periodAt(epochSec);
        expect(startSec).toBeLessThanOrEqual(epochSec);
        expect(endSec).toBeGreaterThan(epochSec);
        expect(offset).toBe(offsetSec(timeZone, epochSec));
        if (startSec !== -Infinity) expect(offsetSec(timeZone, startSec)).toBe(offset);
        if (endSec !== Infinity) expect(offsetSec(timeZone, endSec - 1)).toBe(offset);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["Europe/Rome", 2026],
    ["America/Recife", 2000],
    ["Africa/Casablanca", 2030],
    ["Asia/Gaza", 2054],
    ["America/Juneau", 1867],
    ["Africa/Monrovia", 1972],
    ["Europe/Moscow", 1919],
  ])("every change of %s in %i is found, to the second", (timeZone, year) => {
    const zone = timeZoneNamed(timeZone);
    const found: unknown[] = [];
    let period = zone.periodAt(Date.UTC(year, 0, 1) / 1000);
    while (period.endSec < Date.UTC(year + 1, 0, 1) / 1000) {
      const next = zone.periodAt(period.endSec);
      expect(next.startSec).toBe(period.endSec);
      if (next.offsetSec !== period.offsetSec) {
        found.push({ atSec: next.startSec, beforeSec: period.offsetSec, afterSec: next.offsetSec });
      }
      period = next;
    }
    expect(found).toEqual(clockChangesIn(timeZone, year));
  });

  test("aliases of UTC need no probing", () => {
    for (const name of ["UTC", "utc", "Etc/UTC", "Zulu"]) {
      expect(timeZoneNamed(name).periodAt(0)).toEqual({ startSec: -Infinity, endSec: Infinity, offsetSec: 0 });
    }
  });

  test("the last offset goes on beyond the range of Date", () => {
    expect(timeZoneNamed("Asia/Tokyo").periodAt(9_000_000_000_000).offsetSec).toBe(9 * 3600);
    expect(timeZoneNamed("Europe/Rome").periodAt(-9_000_000_000_000).offsetSec).toBe(2996);
  });
});

describe("local times", () => {
  const rome = timeZoneNamed("Europe/Rome");
  const local = (text: string) => Date.parse(`${text}Z`) / 1000;
  const instant = (text: string) => Date.parse(text) / 1000;

  test("a local time that occurs once", () => {
    const place = { epochSec: instant("2026-06-01T10:00:00Z"), dst: undefined, gapSec: 0 };
    expect(locate(rome, local("2026-06-01T12:00:00"))).toEqual(place);
  });

  test("a local time in a gap is at its end", () => {
    const place = { epochSec: instant("2026-03-29T01:00:00Z"), dst: "gap", gapSec: 3600 };
    expect(locate(rome, local("2026-03-29T02:00:00"))).toEqual(place);
    expect(locate(rome, local("2026-03-29T02:59:59"))).toEqual(place);
    expect(locate(rome, local("2026-03-29T03:00:00")).dst).toBeUndefined();
  });

  test("a local time in an overlap is in its first pass", () => {
    const place = { epochSec: instant("2026-10-25T00:00:00Z"), dst: "overlap", gapSec: 0 };
    expect(locate(rome, local("2026-10-25T02:00:00"))).toEqual(place);
    expect(locate(rome, local("2026-10-25T03:00:00")).dst).toBeUndefined();
  });

  test("what the clock has not reached yet: in the second pass, nothing of the overlap", () => {
    expect(firstUnreached(rome, instant("2026-10-25T00:30:00Z"))).toBe(local("2026-10-25T02:30:01"));
    expect(firstUnreached(rome, instant("2026-10-25T01:30:00Z"))).toBe(local("2026-10-25T03:00:00"));
    expect(firstUnreached(rome, instant("2026-10-25T02:30:00Z"))).toBe(local("2026-10-25T03:30:01"));
  });
});

describe("names", () => {
  test("what Intl knows is accepted as it was written", () => {
    for (const name of ["Europe/Rome", "america/new_york", "Etc/GMT+5", "GB-Eire", "EST5EDT"]) {
      expect(parseTimeZone(name)).toBe(name);
    }
  });

  test.each([
    "",
    "Mars/Olympus",
    "+02:00",
    "-0530",
    "Europe/Rome\n",
    "\u0000",
    "x".repeat(100_000),
    null,
    undefined,
    1,
  ])("a name that is refused (%#)", (name) => {
    try {
      parseTimeZone(name);
      expect.unreachable();
    } catch (error) {
      if (!isAzothError(error)) throw error;
      expect(error.code).toBe("INVALID_TIME_ZONE");
      expect(error.message.length).toBeLessThan(300);
    }
  });
});

describe("the bounded memory", () => {
  test("keeps results up to its limit, then drops the oldest", () => {
    const made: string[] = [];
    const upper = memoize(2, (key) => {
      made.push(key);
      return key.toUpperCase();
    });
    for (const key of ["a", "a", "b", "a", "c", "b", "a"]) expect(upper(key)).toBe(key.toUpperCase());
    expect(made).toEqual(["a", "b", "c", "a"]);
  });
});
