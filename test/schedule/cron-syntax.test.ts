/** What cron expressions are accepted, what they mean, and what is refused with which words. */

import { describe, expect, test } from "vitest";
import { AzothError, type ErrorCode } from "../../src/errors.ts";
import { cron } from "../../src/schedule/cron.ts";
import { compileCron } from "../../src/schedule/cron/cron-expression.ts";
import { nextOccurrence } from "../../src/schedule/next-occurrence.ts";

/** The next occurrences in UTC after the start of 2026, a Thursday. */
function occurrences(expression: string, count: number): string[] {
  const schedule = cron(expression);
  const found: string[] = [];
  let next = nextOccurrence(schedule, Date.UTC(2026, 0, 1) - 1);
  while (next !== undefined && found.length < count) {
    found.push(new Date(next.atMs).toISOString().replace(":00.000Z", "").replace("T00:00", ""));
    next = nextOccurrence(schedule, next.atMs);
  }
  return found;
}

function refusalOf(run: () => unknown): AzothError {
  try {
    run();
  } catch (error) {
    if (error instanceof AzothError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function refused(expression: unknown, code: string, part: string): void {
  const refusal = refusalOf(() => cron(expression as string));
  expect(refusal.code).toBe(code);
  expect(refusal.message).toContain(part);
  expect(refusal.message.length).toBeLessThan(300);
}

describe("two texts of the same meaning", () => {
  test.each([
    ["0 9 * * *", "0 0 9 * * *", "five fields begin with the minute"],
    ["0 0 9 ? * ?", "0 0 9 * * *", "? is *"],
    ["0 0 9 * * mon-FRI", "0 0 9 * * 1-5", "names in any case"],
    ["0 0 9 * jan,Feb-APR *", "0 0 9 * 1,2-4 *", "names of months"],
    ["0 0 9 * * 7", "0 0 9 * * 0", "7 is Sunday"],
    ["0 0 9 * * 5-7", "0 0 9 * * 0,5,6", "a range that ends on Sunday"],
    ["0 0 9 * * 6-7", "0 0 9 * * SAT,SUN", "the weekend as a range"],
    ["0 0 9 * * FRI-SUN", "0 0 9 * * 5-7", "SUN as the end of a range is 7"],
    ["0 0 9 * * SUN-TUE", "0 0 9 * * 0-2", "SUN as the start of a range is 0"],
    ["0 0 9 * * 0-7", "0 0 9 * * *", "the whole week"],
    ["0 0 9 * * 1-7/2", "0 0 9 * * 0,1,3,5", "a step in a range up to Sunday"],
    ["0 0 9 * * 1/2", "0 0 9 * * 1,3,5", "an open step ends on Saturday, as */2 does"],
    ["0 0 9 * * 7/2", "0 0 9 * * 0", "an open step from 7 is Sunday"],
    ["0 0 9 * * */2", "0 0 9 * * 0,2,4,6", "a step over the week"],
    ["0 5/15 * * * *", "0 5-59/15 * * * *", "an open step goes on to the end"],
    ["0 0 0 10/10 * *", "0 0 0 10-31/10 * *", "the same for days"],
    ["0 ?/20 * * * *", "0 */20 * * * *", "? with a step"],
    ["0 */60 * * * *", "0 0/60 * * * *", "a step as large as the field"],
    ["0 1-5/30 * * * *", "0 1/60 * * * *", "a step larger than its range"],
    ["00 007 09 01 01 *", "0 7 9 1 1 *", "leading zeros"],
    ["  0\t0   9 * *\t*  ", "0 0 9 * * *", "white space of any kind and length"],
    ["0 0 9 * * FRI#3", "0 0 9 * * 5#3", "names before #"],
    ["0 0 9 * * friL", "0 0 9 * * 5#L", "two ways to write the last Friday"],
    ["0 0 9 * * 7l", "0 0 9 * * 0L", "the last Sunday"],
    ["0 0 9 * * 1-3#2", "0 0 9 * * 1#2,2#2,3#2", "# after a range"],
    ["0 0 9 l * *", "0 0 9 L * *", "L in any case"],
    ["0 0 9 L,15,L * *", "0 0 9 15,L * *", "L in a list"],
    ["0 0 9 *,5 * *", "0 0 9 * * *", "* in a list"],
    ["0 0 9 13 * 0-6", "0 0 9 * * *", "restricted to every weekday: either matches, so every day"],
    ["@yearly", "0 0 0 1 1 *", "nicknames"],
    ["@Annually", "@YEARLY", "nicknames in any case"],
    ["@monthly", "0 0 0 1 * *", "nicknames"],
    ["@weekly", "0 0 0 * * 0", "nicknames"],
    [" @daily ", "0 0 0 * * *", "nicknames between white space"],
    ["@midnight", "@daily", "nicknames"],
    ["@hourly", "0 0 * * * *", "nicknames"],
  ])("%j and %j: %s", (one, other) => {
    expect(compileCron(one)).toEqual(compileCron(other));
  });
});

describe("days", () => {
  test.each([
    ["0 0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]],
    ["0 0 0 L 2 *", ["2026-02-28", "2027-02-28", "2028-02-29"]],
    ["0 0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]],
    ["0 0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]],
    ["0 0 0 30,L 2 *", ["2026-02-28", "2027-02-28", "2028-02-29"]],
    ["0 0 0 * * 5#3", ["2026-01-16", "2026-02-20", "2026-03-20"]],
    ["0 0 0 * * 5#5", ["2026-01-30", "2026-05-29", "2026-07-31"]],
    ["0 0 0 * * 5L", ["2026-01-30", "2026-02-27", "2026-03-27"]],
    ["0 0 0 * 2 1#5", ["2044-02-29", "2072-02-29", "2112-02-29"]],
    ["0 0 0 * * MON-TUEL", ["2026-01-26", "2026-01-27", "2026-02-23", "2026-02-24"]],
    ["0 0 0 13 * 5", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]],
    ["0 0 0 13 2 5#1", ["2026-02-06", "2026-02-13", "2027-02-05", "2027-02-13"]],
    ["0 0 0 L * 1#1", ["2026-01-05", "2026-01-31", "2026-02-02", "2026-02-28"]],
    ["0 0 0 31 4,2 0#2", ["2026-02-08", "2026-04-12", "2027-02-14"]],
    ["0 0 0 */10 * *", ["2026-01-01", "2026-01-11", "2026-01-21", "2026-01-31", "2026-02-01"]],
  ])("%s", (expression, expected) => {
    expect(occurrences(expression, expected.length)).toEqual(expected);
  });

  test("a day that exists once in a leap year is found over a century without one", () => {
    const next = nextOccurrence(cron("0 0 0 29 2 *"), Date.UTC(2096, 2, 1));
    expect(next?.atMs).toBe(Date.UTC(2104, 1, 29));
  });
});

describe("fixed-time or interval-like: * or ? or a step in second, minute or hour", () => {
  test.each([
    ["0 0 9 * * *", true],
    ["0 0,30 9-17 */2 * */2", true],
    ["59 0-59 0-23 * * *", true],
    ["* 0 9 * * *", false],
    ["0 ? 9 * * *", false],
    ["0 0-30/10 9 * * *", false],
    ["0 0 9/12 * * *", false],
    ["0 5,* 9 * * *", false],
    ["@daily", true],
    ["@hourly", false],
  ])("%s is fixed-time: %s", (expression, fixedTime) => {
    expect(compileCron(expression).fixedTime).toBe(fixedTime);
  });
});

describe("what is malformed is refused with INVALID_CRON, and the field is named", () => {
  test.each([
    ["60 * * * * *", "second", "0-59"],
    ["-1 * * * * *", "second", "0-59"],
    ["0 60 * * * *", "minute", "0-59"],
    ["0 0 24 * * *", "hour", "0-23"],
    ["0 0 0 0 * *", "day-of-month", "1-31"],
    ["0 0 0 32 * *", "day-of-month", "1-31"],
    ["0 0 0 1 0 *", "month", "1-12"],
    ["0 0 0 1 13 *", "month", "1-12"],
    ["0 0 0 * * 8", "day-of-week", "0-7"],
    ["0 0 24/2 * * *", "hour", "out of range"],
    ["0 0 0 6-32/8 * *", "day-of-month", "out of range"],
    ["0 99999999999999999999 * * * *", "minute", "out of range"],
    ["0 30-10 * * * *", "minute", "backwards"],
    ["0 0 0 * DEC-JAN *", "month", "backwards"],
    ["0 0 0 * * 7-1", "day-of-week", "backwards"],
    ["0 0 0 * * FRI-MON", "day-of-week", "backwards"],
    ["0 */0 * * * *", "minute", "1 to 60"],
    ["0 0-30/0 * * * *", "minute", "1 to 60"],
    ["0 */61 * * * *", "minute", "1 to 60"],
    ["0 0 */25 * * *", "hour", "1 to 24"],
    ["0 0 0 */32 * *", "day-of-month", "1 to 31"],
    ["0 0 0 * */13 *", "month", "1 to 12"],
    ["0 0 0 * * */8", "day-of-week", "1 to 7"],
    ["0 /5 * * * *", "minute", "before it"],
    ["0 5/ * * * *", "minute", "5/"],
    ["0 1/2/3 * * * *", "minute", "1/2/3"],
    ["0 1-2-3 * * * *", "minute", "1-2-3"],
    ["0 *-5 * * * *", "minute", "stands alone"],
    ["0 1-* * * * *", "minute", "1-*"],
    ["0 ** * * * *", "minute", "**"],
    ["0 5- * * * *", "minute", "5-"],
    ["0 1,,2 * * * *", "minute", "empty item"],
    ["0 ,1 * * * *", "minute", "empty item"],
    ["0 1, * * * *", "minute", "empty item"],
    ["0 , * * * *", "minute", "empty item"],
    ["0 0 0 L, * *", "day-of-month", "empty item"],
    ["0 1.5 * * * *", "minute", "1.5"],
    ["0 0x5 * * * *", "minute", "0x5"],
    ["0 ١٢ * * * *", "minute", "١٢"],
    ["0 ５ * * * *", "minute", "５"],
    ["0 0 0 * * ſun", "day-of-week", "ſun"],
    ["0 0 0 * MON *", "month", "no name"],
    ["0 0 0 * * JAN", "day-of-week", "no name"],
    ["0 0 0 JAN * *", "day-of-month", "no name"],
    ["0 0 0 * * MONDAY", "day-of-week", "MONDAY"],
    ["0 0 0 * * */MON", "day-of-week", "*/MON"],
    ["0 H * * * *", "minute", "H"],
    ["0 0 0 L-3 * *", "day-of-month", "not supported"],
    ["0 0 0 15W * *", "day-of-month", "not supported"],
    ["0 0 0 LW * *", "day-of-month", "not supported"],
    ["0 0 0 1,LW * *", "day-of-month", "not supported"],
    ["0 0 0 * * +MON", "day-of-week", "not supported"],
    ["0 0 0 5L * *", "day-of-month", "day of the week"],
    ["0 0 0 * 1#2 *", "month", "day of the week"],
    ["0 5#1 0 * * *", "minute", "day of the week"],
    ["0 0 0 * * L", "day-of-week", "weekday before it"],
    ["0 0 0 * * 5#", "day-of-week", "5#"],
    ["0 0 0 * * #3", "day-of-week", "#3"],
    ["0 0 0 * * 5#0", "day-of-week", "1 to 5"],
    ["0 0 0 * * 5#6", "day-of-week", "1 to 5"],
    ["0 0 0 * * 5#1#2", "day-of-week", "5#1#2"],
    ["0 0 0 * * 5#1-3", "day-of-week", "5#1-3"],
    ["0 0 0 * * 5LL", "day-of-week", "5LL"],
    ["0 0 0 * * *#2", "day-of-week", "stands alone"],
    ["0 0 0 * * *L", "day-of-week", "stands alone"],
  ])("%j", (expression, field, part) => {
    const refusal = refusalOf(() => cron(expression));
    expect(refusal.code).toBe("INVALID_CRON");
    expect(refusal.message).toContain(`The ${field} field`);
    expect(refusal.message).toContain(part);
    expect(refusal.message.length).toBeLessThan(300);
    expect(refusal.details.field).toBe(field);
  });

  test.each<[unknown, ErrorCode, string]>([
    ["", "INVALID_CRON", "too few fields"],
    ["   ", "INVALID_CRON", "too few fields"],
    ["* * * *", "INVALID_CRON", "too few fields"],
    ["0 0 0 1 1 * 2026", "INVALID_CRON", "no field for years"],
    ["@reboot", "INVALID_CRON", "no nickname"],
    ["@every 5m", "INVALID_CRON", "no nickname"],
    ["@", "INVALID_CRON", "no nickname"],
    [`0 ${"1,".repeat(127)}1 * * * *`, "INVALID_CRON", "at most 256"],
    [`0 ${"9".repeat(200)} * * * *`, "INVALID_CRON", "out of range"],
    [undefined, "INVALID_CRON", "string"],
    [null, "INVALID_CRON", "string"],
    [5, "INVALID_CRON", "string"],
    [["0 0 * * *"], "INVALID_CRON", "string"],
    ["0 0 0 30 2 *", "CRON_NEVER_MATCHES", "never matches"],
    ["0 0 0 31 2,4,6,9,11 *", "CRON_NEVER_MATCHES", "never matches"],
    ["0 0 30-31 2 *", "CRON_NEVER_MATCHES", "never matches"],
  ])("%j: %s", refused);

  test("a million characters", () => refused("x".repeat(1_000_000), "INVALID_CRON", "at most 256"));

  test("256 characters are not too many", () => {
    const list = `0${",1".repeat(122)}`;
    const expression = `0 ${list} * * * *`.padEnd(256);
    expect(expression).toHaveLength(256);
    expect(compileCron(expression)).toEqual(compileCron("0 0,1 * * * *"));
  });
});

describe("options", () => {
  test("the zone is UTC by default, and stays as it was written", () => {
    expect(cron("@daily")).toEqual({ kind: "cron", expression: "@daily", timeZone: "UTC" });
    expect(cron("@daily", { timeZone: "europe/rome" }).timeZone).toBe("europe/rome");
  });

  test.each(["", " ", "Mars/Olympus", "+02:00", "-05", "UTC+1", "local", "Europe/Rome ", "Europe", null, 7, {}])(
    "time zone %j is refused",
    (timeZone) => {
      const refusal = refusalOf(() => cron("@daily", { timeZone: timeZone as string }));
      expect(refusal.code).toBe("INVALID_TIME_ZONE");
      expect(refusal.message.length).toBeLessThan(300);
    },
  );

  test("a misspelt option is refused instead of meaning UTC", () => {
    const refusal = refusalOf(() => cron("@daily", { timezone: "Europe/Rome" } as object));
    expect(refusal.code).toBe("INVALID_OPTION");
    expect(refusal.message).toContain("timezone");
  });
});
