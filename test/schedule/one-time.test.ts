import { describe, expect, test } from "vitest";
import type { Instant } from "../../src/schedule/instant.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";
import { type LocalTimeInput, oneTime } from "../../src/schedule/one-time.ts";

const at = (local: string, timeZone: string) => oneTime({ local, timeZone });
const ms = (text: string) => Date.parse(text);

describe("a one-time schedule", () => {
  test("is made from an instant", () => {
    expect(oneTime("2026-01-31T09:00:00Z")).toEqual({ kind: "one-time", atMs: ms("2026-01-31T09:00:00Z") });
    expect(oneTime(0)).toEqual({ kind: "one-time", atMs: 0 });
    expect(oneTime(new Date(5))).toEqual({ kind: "one-time", atMs: 5 });
  });

  test("occurs once, strictly after the instant that is asked from", () => {
    expect(nextOccurrence(oneTime(10), 9)).toEqual({ atMs: 10 });
    expect(nextOccurrence(oneTime(10), 10)).toBeUndefined();
  });

  test.each([undefined, null, "soon", "2026-01-31T09:00:00", Number.NaN])("%j is refused", (value) => {
    expect(() => oneTime(value as Instant)).toThrow(expect.objectContaining({ code: "INVALID_INSTANT" }));
  });
});

describe("a local time follows the rule of a fixed-time cron expression", () => {
  test("it keeps what it was made from", () => {
    expect(at("2026-06-01T12:00", "Europe/Rome")).toEqual({
      kind: "one-time",
      atMs: ms("2026-06-01T10:00:00Z"),
      local: { dateTime: "2026-06-01T12:00", timeZone: "Europe/Rome" },
    });
  });

  test("in a gap it is the first instant after it, whatever its own fraction of a second", () => {
    const schedule = at("2026-03-29T02:30:15.250", "Europe/Rome");
    expect(schedule).toMatchObject({ atMs: ms("2026-03-29T01:00:00Z"), dst: "gap" });
    expect(nextOccurrence(schedule, 0)).toEqual({ atMs: ms("2026-03-29T01:00:00Z"), dst: "gap" });
    expect(at("2018-05-04T23:45", "Asia/Pyongyang")).toMatchObject({ atMs: ms("2018-05-04T15:00:00Z"), dst: "gap" });
  });

  test("in an overlap it is the first pass, to the millisecond", () => {
    const atMs = ms("2026-10-25T00:30:15.250Z");
    expect(at("2026-10-25T02:30:15.250", "Europe/Rome")).toMatchObject({ atMs, dst: "overlap" });
  });

  test("before 1970 a fraction of a second counts forwards", () => {
    expect(at("1969-12-31T23:59:59.750", "UTC").atMs).toBe(-250);
  });

  test("on a day that the zone skipped it does not exist", () => {
    expect(() => at("2011-12-30T12:00", "Pacific/Apia")).toThrow(
      expect.objectContaining({
        code: "INVALID_INSTANT",
        message: expect.stringContaining("does not exist") as string,
      }),
    );
  });

  test.each<[unknown, string]>([
    [{ local: "2026-02-30T12:00", timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: "2026-02-20T12:00Z", timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: "2026-02-20T12:00+01:00", timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: "2026-02-20", timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: 5, timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: "+275760-09-13T00:00:01", timeZone: "UTC" }, "INVALID_INSTANT"],
    [{ local: "2026-02-20T12:00" }, "INVALID_TIME_ZONE"],
    [{ local: "2026-02-20T12:00", timeZone: "" }, "INVALID_TIME_ZONE"],
    [{ local: "2026-02-20T12:00", zone: "UTC" }, "INVALID_SCHEDULE"],
    [["2026-02-20T12:00"], "INVALID_SCHEDULE"],
  ])("%j is refused with %s", (input, code) => {
    expect(() => oneTime(input as LocalTimeInput)).toThrow(expect.objectContaining({ code }));
  });
});
