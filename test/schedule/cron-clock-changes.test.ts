/** The clock-change rule, case by case, over zones of every kind. */

import { describe, expect, test } from "vitest";
import { cron } from "../../src/schedule/cron.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";

interface Case {
  readonly timeZone: string;
  readonly expression: string;
  readonly after: string;
  /** Instants in UTC without their zeros of milliseconds; a mark where the occurrence carries one. */
  readonly expected: readonly string[];
}

function occurrences({ expression, timeZone, after, expected }: Case): string[] {
  const schedule = cron(expression, { timeZone });
  const found: string[] = [];
  let afterMs = Date.parse(after);
  while (found.length < expected.length) {
    const next = nextOccurrence(schedule, afterMs);
    if (next === undefined) break;
    const marks = [next.dst, next.dropped === undefined ? undefined : `${next.dropped} dropped`];
    const instant = new Date(next.atMs).toISOString().replace(".000Z", "Z");
    found.push([instant, ...marks.filter((mark) => mark !== undefined)].join(" "));
    afterMs = next.atMs;
  }
  return found;
}

const title = "$timeZone $expression after $after";

describe("a fixed time in a gap runs once, at the first instant after the gap", () => {
  const cases: Case[] = [
    {
      timeZone: "Europe/Rome",
      expression: "0 30 2 * * *",
      after: "2026-03-28T00:00:00Z",
      expected: ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z gap", "2026-03-30T00:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "30 2 29 3 *",
      after: "2026-01-01T00:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2027-03-29T00:30:00Z"],
    },
    {
      timeZone: "America/New_York",
      expression: "0 0 2 * * *",
      after: "2026-03-07T12:00:00Z",
      expected: ["2026-03-08T07:00:00Z gap", "2026-03-09T06:00:00Z"],
    },
    {
      timeZone: "Australia/Lord_Howe",
      expression: "0 15 2 * * *",
      after: "2026-10-02T18:00:00Z",
      expected: ["2026-10-03T15:30:00Z gap", "2026-10-04T15:15:00Z"],
    },
    {
      timeZone: "Antarctica/Troll",
      expression: "0 30 1,2 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2026-03-29T23:30:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      timeZone: "America/St_Johns",
      expression: "0 30 0 * * *",
      after: "2010-03-13T12:00:00Z",
      expected: ["2010-03-14T03:31:00Z gap", "2010-03-15T03:00:00Z"],
    },
    {
      timeZone: "Asia/Beirut",
      expression: "0 0 0 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-28T22:00:00Z gap", "2026-03-29T21:00:00Z"],
    },
    {
      timeZone: "Africa/Cairo",
      expression: "@daily",
      after: "2026-04-23T12:00:00Z",
      expected: ["2026-04-23T22:00:00Z gap", "2026-04-24T21:00:00Z"],
    },
    {
      timeZone: "America/Havana",
      expression: "0 15,45 0 * * *",
      after: "2026-03-07T12:00:00Z",
      expected: ["2026-03-08T05:00:00Z gap", "2026-03-09T04:15:00Z"],
    },
    {
      timeZone: "Asia/Kathmandu",
      expression: "0 10 0 * * *",
      after: "1985-12-31T00:00:00Z",
      expected: ["1985-12-31T18:30:00Z gap", "1986-01-01T18:25:00Z"],
    },
    {
      timeZone: "Asia/Tehran",
      expression: "0 30 0 * * *",
      after: "2021-03-21T12:00:00Z",
      expected: ["2021-03-21T20:30:00Z gap", "2021-03-22T20:00:00Z"],
    },
    {
      timeZone: "Europe/Dublin",
      expression: "0 30 1 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2026-03-30T00:30:00Z"],
    },
    {
      timeZone: "Africa/Casablanca",
      expression: "0 30 2 * * *",
      after: "2026-03-21T12:00:00Z",
      expected: ["2026-03-22T02:00:00Z gap", "2026-03-23T01:30:00Z"],
    },
    {
      timeZone: "Antarctica/Casey",
      expression: "0 30 5 * * *",
      after: "2018-10-06T12:00:00Z",
      expected: ["2018-10-06T20:00:00Z gap", "2018-10-07T18:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 55 23 31 10 *",
      after: "1893-10-30T00:00:00Z",
      expected: ["1893-10-31T23:00:00Z gap", "1894-10-31T22:55:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("several fixed times in one gap meet after it and run once", () => {
  const cases: Case[] = [
    {
      timeZone: "Europe/Rome",
      expression: "0 0,15,30,45 2 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2026-03-30T00:00:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 30 2-3 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 0,30 2,3 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-29T01:00:00Z gap", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("a date is judged on the nominal local date, also where a gap ends at midnight", () => {
  const cases: Case[] = [
    {
      timeZone: "Asia/Pyongyang",
      expression: "0 30,45 23 4 5 *",
      after: "2018-05-04T00:00:00Z",
      expected: ["2018-05-04T15:00:00Z gap", "2019-05-04T14:30:00Z"],
    },
    {
      timeZone: "Asia/Pyongyang",
      expression: "59 59 23 * * 5",
      after: "2018-05-04T00:00:00Z",
      expected: ["2018-05-04T15:00:00Z gap", "2018-05-11T14:59:59Z"],
    },
    {
      timeZone: "Asia/Pyongyang",
      expression: "0 45 23 5 5 *",
      after: "2018-05-04T00:00:00Z",
      expected: ["2018-05-05T14:45:00Z", "2019-05-05T14:45:00Z"],
    },
    {
      timeZone: "Asia/Pyongyang",
      expression: "0 0 0 5 5 *",
      after: "2018-05-04T00:00:00Z",
      expected: ["2018-05-04T15:00:00Z", "2019-05-04T15:00:00Z"],
    },
    {
      timeZone: "America/Scoresbysund",
      expression: "0 30 23 L * *",
      after: "2030-03-15T00:00:00Z",
      expected: ["2030-04-01T00:30:00Z", "2030-05-01T00:30:00Z"],
    },
    {
      timeZone: "America/Scoresbysund",
      expression: "0 30 23 * * 6",
      after: "2030-03-29T12:00:00Z",
      expected: ["2030-03-31T01:00:00Z gap", "2030-04-07T00:30:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("a fixed time in an overlap runs once, the first time", () => {
  const cases: Case[] = [
    {
      timeZone: "Europe/Rome",
      expression: "0 30 2 * * *",
      after: "2026-10-24T12:00:00Z",
      expected: ["2026-10-25T00:30:00Z overlap", "2026-10-26T01:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 30 2 * * *",
      after: "2026-10-25T00:45:00Z",
      expected: ["2026-10-26T01:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 45 2 * * *",
      after: "2026-10-25T01:10:00Z",
      expected: ["2026-10-26T01:45:00Z"],
    },
    {
      timeZone: "America/New_York",
      expression: "0 0,30 1-2 * * *",
      after: "2026-10-31T12:00:00Z",
      expected: [
        "2026-11-01T05:00:00Z overlap",
        "2026-11-01T05:30:00Z overlap",
        "2026-11-01T07:00:00Z",
        "2026-11-01T07:30:00Z",
        "2026-11-02T06:00:00Z",
      ],
    },
    {
      timeZone: "Australia/Lord_Howe",
      expression: "0 45 1 * * *",
      after: "2026-04-04T00:00:00Z",
      expected: ["2026-04-04T14:45:00Z overlap", "2026-04-05T15:15:00Z"],
    },
    {
      timeZone: "America/St_Johns",
      expression: "0 30 23 * * *",
      after: "2010-11-06T12:00:00Z",
      expected: ["2010-11-07T02:00:00Z overlap", "2010-11-08T03:00:00Z"],
    },
    {
      timeZone: "America/Havana",
      expression: "@midnight",
      after: "2026-10-31T12:00:00Z",
      expected: ["2026-11-01T04:00:00Z overlap", "2026-11-02T05:00:00Z"],
    },
    {
      timeZone: "Africa/Casablanca",
      expression: "0 30 2 * * *",
      after: "2026-02-14T12:00:00Z",
      expected: ["2026-02-15T01:30:00Z overlap", "2026-02-16T02:30:00Z"],
    },
    {
      timeZone: "Pacific/Kwajalein",
      expression: "0 0 15 * * *",
      after: "1969-09-29T12:00:00Z",
      expected: ["1969-09-30T04:00:00Z overlap", "1969-10-02T03:00:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("an interval-like expression has nothing in a gap and both passes of an overlap", () => {
  const cases: Case[] = [
    {
      timeZone: "Europe/Rome",
      expression: "0 */30 2 * * *",
      after: "2026-03-28T12:00:00Z",
      expected: ["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "@hourly",
      after: "2026-03-28T23:30:00Z",
      expected: ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 ? 2 25 10 ?",
      after: "2026-10-25T00:58:30Z",
      expected: ["2026-10-25T00:59:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:01:00Z"],
    },
    {
      timeZone: "Europe/Rome",
      expression: "0 15/30 2 * * *",
      after: "2026-10-24T12:00:00Z",
      expected: [
        "2026-10-25T00:15:00Z",
        "2026-10-25T00:45:00Z",
        "2026-10-25T01:15:00Z",
        "2026-10-25T01:45:00Z",
        "2026-10-26T01:15:00Z",
      ],
    },
    {
      timeZone: "Australia/Lord_Howe",
      expression: "0 */20 1 * * *",
      after: "2026-04-04T14:10:00Z",
      expected: ["2026-04-04T14:20:00Z", "2026-04-04T14:40:00Z", "2026-04-04T15:10:00Z", "2026-04-05T14:30:00Z"],
    },
    {
      timeZone: "Antarctica/Troll",
      expression: "0 0 */1 * * *",
      after: "2026-10-24T23:30:00Z",
      expected: ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"],
    },
    {
      timeZone: "Pacific/Apia",
      expression: "0 0 */12 * * *",
      after: "2011-12-29T20:00:00Z",
      expected: ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"],
    },
    {
      timeZone: "Africa/Monrovia",
      expression: "0 */30 * * * *",
      after: "1972-01-07T00:10:00Z",
      expected: ["1972-01-07T00:14:30Z", "1972-01-07T01:00:00Z", "1972-01-07T01:30:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("a gap longer than three hours drops its occurrences", () => {
  const cases: Case[] = [
    {
      timeZone: "Pacific/Apia",
      expression: "0 0 12 * * *",
      after: "2011-12-29T00:00:00Z",
      expected: ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z 1 dropped", "2011-12-31T22:00:00Z"],
    },
    {
      timeZone: "Pacific/Apia",
      expression: "0 0 0,12 30 12 *",
      after: "2011-01-01T00:00:00Z",
      expected: ["2012-12-29T10:00:00Z 2 dropped", "2012-12-29T22:00:00Z"],
    },
    {
      timeZone: "Pacific/Kwajalein",
      expression: "0 0 8 * * *",
      after: "1993-08-20T12:00:00Z",
      expected: ["1993-08-20T20:00:00Z", "1993-08-21T20:00:00Z 1 dropped"],
    },
    {
      timeZone: "Antarctica/Vostok",
      expression: "0 0 1,2,3 * * *",
      after: "1994-10-31T12:00:00Z",
      expected: ["1994-11-01T18:00:00Z 3 dropped", "1994-11-01T19:00:00Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});

describe("the local mean times of the past count to the second", () => {
  const cases: Case[] = [
    {
      timeZone: "Europe/Rome",
      expression: "0 0 12 * * *",
      after: "1850-01-01T00:00:00Z",
      expected: ["1850-01-01T11:10:04Z"],
    },
    {
      timeZone: "America/New_York",
      expression: "0 0 12 * * *",
      after: "1883-11-17T00:00:00Z",
      expected: ["1883-11-17T16:56:02Z", "1883-11-18T16:56:02Z overlap", "1883-11-19T17:00:00Z"],
    },
    {
      timeZone: "Africa/Monrovia",
      expression: "0 0 6 * * *",
      after: "1972-01-06T00:00:00Z",
      expected: ["1972-01-06T06:44:30Z", "1972-01-07T06:00:00Z"],
    },
    {
      timeZone: "Europe/Dublin",
      expression: "0 0 12 * * *",
      after: "1900-06-01T00:00:00Z",
      expected: ["1900-06-01T12:25:21Z"],
    },
  ];
  test.each(cases)(title, (row) => expect(occurrences(row)).toEqual(row.expected));
});
