import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { cron } from "../../src/schedule/cron.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { oneTime } from "../../src/schedule/one-time.ts";
import { parseSchedule } from "../../src/schedule/parse-schedule.ts";

describe("what the four functions make", () => {
  test.each([
    cron("0 0 9 * * 1-5", { timeZone: "Europe/Rome" }),
    interval("5m"),
    interval("5m", { anchor: 1 }),
    oneTime(-5),
    oneTime({ local: "2026-03-29T02:30", timeZone: "Europe/Rome" }),
    immediate(),
  ])("comes back from JSON as it was: %j", (schedule) => {
    const parsed = parseSchedule(JSON.parse(JSON.stringify(schedule)));
    expect(parsed).toEqual(schedule);
    expect(parsed).not.toBe(schedule);
  });
});

test("defaults are filled in, and undefined is absent", () => {
  expect(parseSchedule({ kind: "cron", expression: "@daily" })).toEqual(cron("@daily"));
  expect(Object.keys(parseSchedule({ kind: "interval", everyMs: 5, anchorMs: undefined }))).toEqual([
    "kind",
    "everyMs",
  ]);
});

test("a stored instant stands, whatever this node's time-zone data would make of the local time", () => {
  const stored = { kind: "one-time", atMs: 42, local: { dateTime: "2026-03-29T02:30", timeZone: "Europe/Rome" } };
  expect(parseSchedule(stored)).toEqual(stored);
});

describe("anything else is refused", () => {
  test.each<[unknown, string]>([
    [null, "INVALID_SCHEDULE"],
    [undefined, "INVALID_SCHEDULE"],
    ["0 0 * * *", "INVALID_SCHEDULE"],
    [[], "INVALID_SCHEDULE"],
    [{}, "INVALID_SCHEDULE"],
    [{ kind: "weekly" }, "INVALID_SCHEDULE"],
    [{ kind: "toString" }, "INVALID_SCHEDULE"],
    [{ kind: "immediate", at: 5 }, "INVALID_SCHEDULE"],
    [{ kind: "cron", expression: "@daily", timezone: "Europe/Rome" }, "INVALID_SCHEDULE"],
    [{ kind: "cron" }, "INVALID_CRON"],
    [{ kind: "cron", expression: "0 0 30 2 *" }, "CRON_NEVER_MATCHES"],
    [{ kind: "cron", expression: "@daily", timeZone: "Mars/Olympus" }, "INVALID_TIME_ZONE"],
    [{ kind: "cron", expression: "@daily", timeZone: null }, "INVALID_TIME_ZONE"],
    [{ kind: "interval" }, "INVALID_SCHEDULE"],
    [{ kind: "interval", everyMs: "5m" }, "INVALID_SCHEDULE"],
    [{ kind: "interval", everyMs: 0 }, "INVALID_INTERVAL"],
    [{ kind: "interval", everyMs: 1.5 }, "INVALID_INTERVAL"],
    [{ kind: "interval", everyMs: 5, anchorMs: "1970-01-01T00:00:00Z" }, "INVALID_SCHEDULE"],
    [{ kind: "interval", everyMs: 5, anchorMs: null }, "INVALID_SCHEDULE"],
    [{ kind: "interval", everyMs: 5, anchorMs: 1.5 }, "INVALID_INSTANT"],
    [{ kind: "one-time" }, "INVALID_SCHEDULE"],
    [{ kind: "one-time", atMs: "2026-01-31T09:00:00Z" }, "INVALID_SCHEDULE"],
    [{ kind: "one-time", atMs: 9e15 }, "INVALID_INSTANT"],
    [{ kind: "one-time", atMs: 5, dst: "skipped" }, "INVALID_SCHEDULE"],
    [{ kind: "one-time", atMs: 5, local: "2026-01-31T09:00" }, "INVALID_SCHEDULE"],
    [{ kind: "one-time", atMs: 5, local: { dateTime: "2026-02-30T09:00", timeZone: "UTC" } }, "INVALID_INSTANT"],
    [{ kind: "one-time", atMs: 5, local: { dateTime: "2026-01-31T09:00" } }, "INVALID_TIME_ZONE"],
    [{ kind: "one-time", atMs: 5, local: { dateTime: "2026-01-31T09:00", timeZone: "UTC", x: 1 } }, "INVALID_SCHEDULE"],
  ])("%j with %s", (value, code) => {
    try {
      parseSchedule(value);
      expect.unreachable();
    } catch (error) {
      if (!isAzothError(error)) throw error;
      expect(error.code).toBe(code);
      expect(error.message.length).toBeLessThan(300);
    }
  });
});
