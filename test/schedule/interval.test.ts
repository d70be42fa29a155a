import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Duration } from "../../src/duration.ts";
import { isAzothError } from "../../src/errors.ts";
import { interval } from "../../src/schedule/interval.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";

describe("an interval", () => {
  test("is made from any duration, with or without an anchor", () => {
    expect(interval("5m")).toEqual({ kind: "interval", everyMs: 300_000 });
    expect(interval(1, { anchor: "1970-01-01T00:00:01Z" })).toEqual({ kind: "interval", everyMs: 1, anchorMs: 1000 });
  });

  test.each<[unknown]>([
    [0],
    ["0s"],
    [-1],
    [1.5],
    [Number.NaN],
    ["5"],
    [""],
    [null],
    [undefined],
    ["101y"],
    ["36526d"],
  ])("%j is refused with INVALID_INTERVAL", (every) => {
    expect(() => interval(every as Duration)).toThrow(
      expect.objectContaining({ code: "INVALID_INTERVAL", message: expect.stringContaining("interval") as string }),
    );
  });

  test("a misspelt option or an anchor without offset is refused", () => {
    expect(() => interval("5m", { anchorMs: 0 } as object)).toThrow(
      expect.objectContaining({
        code: "INVALID_OPTION",
        message: expect.stringMatching(/^The interval options .*unknown field "anchorMs"/) as string,
      }),
    );
    expect(() => interval("5m", { anchor: "2026-01-01T00:00:00" })).toThrow(/anchor .* lacks its offset/);
  });
});

describe("occurrence k is anchor + k x interval, strictly in the future", () => {
  test.each([
    [0, 10],
    [9, 10],
    [10, 20],
    [15, 20],
    [-1, 0],
    [-100, 0],
  ])("after %i comes %i", (afterMs, atMs) => {
    expect(nextOccurrence(interval(10, { anchor: 0 }), afterMs)).toEqual({ atMs });
  });

  test("without an anchor the first is one interval later", () => {
    expect(nextOccurrence(interval("1h"), 5)).toEqual({ atMs: 3_600_005 });
  });

  test("exactly, wherever anchor and instant are in the range of Date", () => {
    const lastMs = 8_640_000_000_000_000;
    const instants = fc.integer({ min: -lastMs, max: lastMs });
    fc.assert(
      fc.property(instants, instants, fc.integer({ min: 1, max: 3_000_000_000_000 }), (anchor, afterMs, every) => {
        const next = nextOccurrence(interval(every, { anchor }), afterMs)?.atMs;
        const steps = anchor > afterMs ? 0n : (BigInt(afterMs) - BigInt(anchor)) / BigInt(every) + 1n;
        const expected = BigInt(anchor) + steps * BigInt(every);
        expect(next === undefined ? undefined : BigInt(next)).toBe(expected > BigInt(lastMs) ? undefined : expected);
      }),
    );
  });

  test("to the last instant that a Date can hold, and not beyond", () => {
    const lastMs = 8_640_000_000_000_000;
    expect(nextOccurrence(interval(1, { anchor: 0 }), lastMs - 1)).toEqual({ atMs: lastMs });
    expect(nextOccurrence(interval(1, { anchor: 0 }), lastMs)).toBeUndefined();
  });

  test("errors are of the one class", () => {
    try {
      interval(0);
      expect.unreachable();
    } catch (error) {
      expect(isAzothError(error, "INVALID_INTERVAL")).toBe(true);
    }
  });
});
