/** Schedules that could never be kept are refused where they are made. */
import { cron, immediate, interval, nextOccurrences, oneTime } from "azoth-scheduler";
import { describe } from "vitest";
import { Doors, wrong } from "./doors.ts";

const doors = new Doors();

describe("a schedule", () => {
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["with a minute out of range", "INVALID_CRON", () => cron("0 61 * * * *"), "minute", '"61"', "0-59"],
    ["with an hour that is no number", "INVALID_CRON", () => cron("0 0 noon * * *"), "hour", '"noon"', "0-23"],
    ["with a day that no month has", "INVALID_CRON", () => cron("0 0 0 32 * *"), "day-of-month", '"32"', "1-31"],
    ["with a month by a wrong name", "INVALID_CRON", () => cron("0 0 0 1 foo *"), "month", '"foo"', "JAN-DEC"],
    ["with a ninth weekday", "INVALID_CRON", () => cron("0 0 * * 9"), "day-of-week", '"9"', "0-7"],
    ["with a range that runs backwards", "INVALID_CRON", () => cron("0 30-10 * * * *"), "minute", "30-10", "backwards"],
    ["with a step of zero", "INVALID_CRON", () => cron("*/0 * * * * *"), "second", "*/0", "1 to 60"],
    ["with an empty list item", "INVALID_CRON", () => cron("0 1,,2 * * * *"), "minute", "empty item"],
    ["with too few fields", "INVALID_CRON", () => cron("* * *"), '"* * *"', "5 (minute first) or 6"],
    ["with seven fields", "INVALID_CRON", () => cron("0 0 0 1 1 * 2026"), "5 or 6"],
    ["of a million characters", "INVALID_CRON", () => cron("* ".repeat(500_000)), "1000000 characters", "256"],
    ["that is empty", "INVALID_CRON", () => cron(""), '""'],
    ["that is no text", "INVALID_CRON", () => cron(wrong(5)), "5"],
    ["by a wrong nickname", "INVALID_CRON", () => cron("@fortnightly"), '"@fortnightly"', "@daily"],
    ["on a day that never comes", "CRON_NEVER_MATCHES", () => cron("0 0 0 31 2,4 *"), '"0 0 0 31 2,4 *"', "choose"],
    ["in an unknown zone", "INVALID_TIME_ZONE", () => cron("* * * * *", { timeZone: "Europe/Atlantis" }), '"Europe/Atlantis"', "Europe/Rome"],
    ["in an empty zone", "INVALID_TIME_ZONE", () => cron("* * * * *", { timeZone: "" }), '""'],
    ["in an offset for a zone", "INVALID_TIME_ZONE", () => cron("* * * * *", { timeZone: "+02:00" }), '"+02:00"'],
    ["in a zone that is no text", "INVALID_TIME_ZONE", () => cron("* * * * *", { timeZone: wrong(null) }), "null"],
    ["with a misspelt option", "INVALID_OPTION", () => cron("* * * * *", wrong({ timezone: "UTC" })), '"timezone"', "timeZone"],
    ["with options that are none", "INVALID_OPTION", () => cron("* * * * *", wrong("UTC")), '"UTC"', "timeZone"],
    ["every zero seconds", "INVALID_INTERVAL", () => interval(0), "0", "1ms"],
    ["every minus five minutes", "INVALID_INTERVAL", () => interval(-300_000), "-300000", "1ms"],
    ["every minus five minutes in words", "INVALID_INTERVAL", () => interval("-5m"), '"-5m"', '"5m"'],
    ["every half millisecond", "INVALID_INTERVAL", () => interval(0.5), "0.5", "whole number"],
    ["every NaN", "INVALID_INTERVAL", () => interval(Number.NaN), "NaN"],
    ["every month", "INVALID_INTERVAL", () => interval("P1M"), '"P1M"', "days or weeks"],
    ["every thousand years", "INVALID_INTERVAL", () => interval("365000d"), '"365000d"', "36525d"],
    ["every soon", "INVALID_INTERVAL", () => interval("soon"), '"soon"', '"90s"'],
    ["every null", "INVALID_INTERVAL", () => interval(wrong(null)), "null"],
    ["from an anchor that is none", "INVALID_INSTANT", () => interval("5m", { anchor: "today" }), "anchor", '"today"'],
    ["with a misspelt anchor", "INVALID_OPTION", () => interval("5m", wrong({ from: 0 })), '"from"', "anchor"],
    ["on 30 February", "INVALID_INSTANT", () => oneTime("2026-02-30T00:00:00Z"), "2026-02-30", "does not exist"],
    ["on 29 February of no leap year", "INVALID_INSTANT", () => oneTime("2026-02-29T00:00:00Z"), "does not exist"],
    ["at 24 o'clock", "INVALID_INSTANT", () => oneTime("2026-01-01T24:00:00Z"), "23:59:59"],
    ["without an offset", "INVALID_INSTANT", () => oneTime("2026-01-01T00:00:00"), "offset", '"Z"'],
    ["on a date without a time", "INVALID_INSTANT", () => oneTime("2026-01-01"), '"2026-01-01"', "2026-01-31T09:00:00Z"],
    ["at an invalid Date", "INVALID_INSTANT", () => oneTime(new Date("nonsense")), "Invalid Date"],
    ["at NaN", "INVALID_INSTANT", () => oneTime(Number.NaN), "NaN"],
    ["after the end of time", "INVALID_INSTANT", () => oneTime(1e17), "range"],
    ["at nothing", "INVALID_INSTANT", () => oneTime(wrong(undefined)), "undefined"],
    ["at a local time without a zone", "INVALID_TIME_ZONE", () => oneTime(wrong({ local: "2026-01-01T00:00" })), "undefined"],
    ["at a local time with an offset", "INVALID_INSTANT", () => oneTime({ local: "2026-01-01T00:00Z", timeZone: "UTC" }), "has an offset"],
    ["at a local time on a day that was skipped", "INVALID_INSTANT", () => oneTime({ local: "2011-12-30T12:00", timeZone: "Pacific/Apia" }), "Pacific/Apia", "skipped"],
    ["at a local time with a misspelt part", "INVALID_SCHEDULE", () => oneTime(wrong({ local: "2026-01-01T00:00", zone: "UTC" })), '"zone"', "timeZone"],
    ["previewed without a start", "INVALID_OPTION", () => nextOccurrences(immediate(), wrong(undefined)), "after"],
    ["previewed from garbage", "INVALID_INSTANT", () => nextOccurrences(immediate(), { after: wrong({}) }), "after"],
    ["previewed minus one time", "INVALID_OPTION", () => nextOccurrences(immediate(), { after: 0, count: -1 }), "count", "-1", "10000"],
    ["previewed too often", "INVALID_OPTION", () => nextOccurrences(immediate(), { after: 0, count: 10_001 }), "10001"],
    ["previewed that is none", "INVALID_SCHEDULE", () => nextOccurrences(wrong("* * * * *"), { after: 0 }), '"* * * * *"', "cron()"],
  ]);
});
