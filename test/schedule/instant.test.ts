import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { type Instant, parseInstant } from "../../src/schedule/instant.ts";

const lastMs = 8_640_000_000_000_000;

describe("an instant is read", () => {
  test("from a Date, milliseconds, or ISO 8601 with offset, to the same number", () => {
    const expected = Date.UTC(2026, 0, 31, 9, 0, 0);
    expect(parseInstant(new Date(expected))).toBe(expected);
    expect(parseInstant(expected)).toBe(expected);
    expect(parseInstant("2026-01-31T09:00:00Z")).toBe(expected);
    expect(parseInstant("2026-01-31T09:00Z")).toBe(expected);
    expect(parseInstant("2026-01-31T10:00:00+01:00")).toBe(expected);
    expect(parseInstant("2026-01-31T04:00:00.000-05:00")).toBe(expected);
    expect(parseInstant("2026-01-31T14:45:00.000000000+05:45")).toBe(expected);
    expect(parseInstant("+002026-01-31T09:00:00Z")).toBe(expected);
  });

  test("from the first to the last that a Date can hold, and never as -0", () => {
    expect([lastMs, -lastMs, -0].map((ms) => parseInstant(ms))).toEqual([lastMs, -lastMs, 0]);
  });

  test("as Date reads it, over Date's whole range", () => {
    fc.assert(
      fc.property(fc.integer({ min: -lastMs, max: lastMs }), (ms) => {
        expect(parseInstant(new Date(ms).toISOString())).toBe(ms);
        expect(parseInstant(ms)).toBe(ms);
      }),
    );
  });

  test("with digits below a millisecond cut off", () => {
    expect(parseInstant("1970-01-01T00:00:00.1239Z")).toBe(123);
    expect(parseInstant("1969-12-31T23:59:59.9999Z")).toBe(-1);
    expect(parseInstant("1970-01-01T00:00:00.5Z")).toBe(500);
  });

  test("with leap days where they exist", () => {
    expect(parseInstant("2028-02-29T00:00:00Z")).toBe(Date.UTC(2028, 1, 29));
    expect(parseInstant("2000-02-29T00:00:00Z")).toBe(Date.UTC(2000, 1, 29));
  });
});

describe("what is no instant is refused with INVALID_INSTANT, and named", () => {
  test.each<[unknown, string]>([
    ["2026-02-30T00:00:00Z", "does not exist"],
    ["2027-02-29T00:00:00Z", "does not exist"],
    ["2100-02-29T00:00:00Z", "does not exist"],
    ["2026-13-01T00:00:00Z", "does not exist"],
    ["2026-00-01T00:00:00Z", "does not exist"],
    ["2026-01-00T00:00:00Z", "does not exist"],
    ["2026-01-31T24:00:00Z", "outside 00:00:00"],
    ["2026-01-31T23:60:00Z", "outside 00:00:00"],
    ["2026-01-31T23:59:60Z", "outside 00:00:00"],
    ["2026-01-31T09:00:00", "lacks its offset"],
    ["2026-01-31T09:00:00+24:00", "offset outside"],
    ["2026-01-31T09:00:00+01:60", "offset outside"],
    ["2026-01-31T09:00:00+01", "is not a date with time"],
    ["2026-01-31T09:00:00+0100", "is not a date with time"],
    ["2026-01-31", "is not a date with time"],
    ["2026-01-31 09:00:00Z", "is not a date with time"],
    ["2026-1-31T09:00:00Z", "is not a date with time"],
    ["26-01-31T09:00:00Z", "is not a date with time"],
    ["-000000-01-31T09:00:00Z", "is not a date with time"],
    ["2026-01-31T09:00:00z", "is not a date with time"],
    ["2026-01-31T09:00:00Z ", "is not a date with time"],
    ["٢٠٢٦-01-31T09:00:00Z", "is not a date with time"],
    ["tomorrow", "is not a date with time"],
    ["", "is not a date with time"],
    ["+275760-09-13T00:00:00.001Z", "outside the range"],
    ["+999999-01-01T00:00:00Z", "outside the range"],
    [lastMs + 1, "outside the range"],
    [1.5, "no whole number"],
    [Number.NaN, "no whole number"],
    [Infinity, "no whole number"],
    [new Date(Number.NaN), "no whole number"],
    [null, "is no Date"],
    [undefined, "is no Date"],
    [{}, "is no Date"],
    [10n, "is no Date"],
    [[], "is no Date"],
  ])("%s", refused);

  test("what only looks like a Date", () => {
    refused({ getTime: () => 1 }, "is no Date");
    refused(Object.create(Date.prototype), "is no Date");
  });

  test("a text of a hundred thousand digits", () => refused("9".repeat(100_000), "is not a date with time"));
});

function refused(value: unknown, part: string): void {
  try {
    parseInstant(value as Instant, "start of the season");
    expect.unreachable();
  } catch (error) {
    if (!isAzothError(error)) throw error;
    expect(error.code).toBe("INVALID_INSTANT");
    expect(error.message).toContain("start of the season");
    expect(error.details).toEqual({ what: "start of the season" });
    expect(error.message).toContain(part);
    expect(error.message.length).toBeLessThan(300);
  }
}
