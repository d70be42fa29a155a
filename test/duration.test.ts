import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Duration, formatDuration, parseDuration } from "../src/duration.ts";
import { isAzothError } from "../src/errors.ts";

const hundredYearsMs = 36_525 * 86_400_000;
const read = (value: unknown, limits: { minMs?: number; maxMs?: number } = {}) =>
  parseDuration(value as Duration, { what: "timeout", ...limits });

describe("a duration is read", () => {
  test.each<[Duration, number]>([
    [0, 0],
    [1500, 1500],
    ["0s", 0],
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1h30m", 5_400_000],
    ["1w2d3h4m5s6ms", 788_645_006],
    ["5m250ms", 300_250],
    ["1.5h", 5_400_000],
    ["1m0.5s", 60_500],
    ["1.1s", 1100],
    ["007m", 420_000],
    ["PT5M", 300_000],
    ["PT0S", 0],
    ["PT0.5S", 500],
    ["PT1.500000000S", 1500],
    ["P1D", 86_400_000],
    ["P1DT2H", 93_600_000],
    ["P2W", 1_209_600_000],
    ["P1W2DT3H4M5.006S", 788_645_006],
    ["36525d", hundredYearsMs],
  ])("%j is %i ms", (value, ms) => {
    expect(read(value)).toBe(ms);
  });

  test("within its limits", () => {
    expect(read("5m", { minMs: 300_000, maxMs: 300_000 })).toBe(300_000);
    expect(() => read("5m", { minMs: 300_001 })).toThrow('timeout "5m" is below the least of 5m1ms.');
    expect(() => read(300_000, { maxMs: 299_999 })).toThrow("timeout 300000 is above the most of 4m59s999ms.");
  });
});

describe("what is no duration is refused with INVALID_DURATION, and named", () => {
  test.each<[unknown, string]>([
    [-1, "below"],
    [1.5, "no whole number"],
    [Number.NaN, "no whole number"],
    [Infinity, "no whole number"],
    [1e300, "above"],
    [hundredYearsMs + 1, "above"],
    ["36526d", "above"],
    ["99999999999999999999w", "above"],
    ["1.5ms", "no whole number"],
    ["0.0001s", "no whole number"],
    ["PT0.0001S", "no whole number"],
    ["1.5h30m", "fraction before its last part"],
    ["", "is no duration"],
    ["5", "is no duration"],
    ["m", "is no duration"],
    ["5 m", "is no duration"],
    [" 5m", "is no duration"],
    ["5m\n", "is no duration"],
    ["5M", "is no duration"],
    ["-5m", "is no duration"],
    ["+5m", "is no duration"],
    ["1m1h", "is no duration"],
    ["1h1h", "is no duration"],
    [".5h", "is no duration"],
    ["1e3s", "is no duration"],
    ["٥m", "is no duration"],
    ["5 minutes", "is no duration"],
    ["P", "is no duration"],
    ["PT", "is no duration"],
    ["P1DT", "is no duration"],
    ["pt5m", "is no duration"],
    ["-PT5M", "is no duration"],
    ["P5H", "is no duration"],
    ["P1M", "no fixed length"],
    ["P1Y2DT3H", "no fixed length"],
    [`${"1".repeat(100)}s`, "more than 64"],
    ["s".repeat(1_000_000), "more than 64"],
    [null, "no number"],
    [undefined, "no number"],
    [{}, "no number"],
    [5n, "no number"],
    [["5m"], "no number"],
  ])("%s", (value, part) => {
    try {
      read(value);
      expect.unreachable();
    } catch (error) {
      if (!isAzothError(error)) throw error;
      expect(error.code).toBe("INVALID_DURATION");
      expect(error.message).toContain("timeout");
      expect(error.message).toContain(part);
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("or with the code that the caller chose", () => {
    expect(() => parseDuration(0, { what: "interval", minMs: 1, code: "INVALID_INTERVAL" })).toThrow(
      expect.objectContaining({ code: "INVALID_INTERVAL" }),
    );
  });
});

describe("a duration is written", () => {
  test.each([
    [0, "0ms"],
    [999, "999ms"],
    [5_400_000, "1h30m"],
    [604_800_000, "7d"],
    [90_061_001, "1d1h1m1s1ms"],
    [-1500, "-1s500ms"],
    [1.4, "1ms"],
  ])("%d ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("so that it is read back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: hundredYearsMs }), (ms) => {
        expect(read(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});
