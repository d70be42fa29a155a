/**
 * Reads one field of a cron expression: `*`, values, ranges, steps and lists of these, names for months and
 * weekdays, `L` for the last day of the month, `5#3` and `5L` for the third and last Friday.
 *
 * The result is a table of marks by value. It knows nothing of other fields, dates or zones. The syntax is that of
 * croner 11; docs/decisions/0002-own-cron-evaluator.md lists what is stricter here.
 */

import { AzothError, quote } from "../../errors.ts";

export interface CronFieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** The last value of `*` and of an open step such as `5/15`. */
  readonly last: number;
  /** Names in the order of their values, from `min`. */
  readonly names: readonly string[];
  readonly allowed: string;
}

export interface CronField {
  /** By value: 0, or 1 if it was chosen. For weekdays: bits 0 to 4 the first to fifth of a month, bit 5 the last. */
  readonly marks: Uint8Array;
  /** The field is `*` or `?`: as day of month or day of week it leaves the choice to the other one. */
  readonly any: boolean;
  /** The field has `*`, `?` or a step anywhere. */
  readonly recurs: boolean;
  /** The last day of the month, too. */
  readonly lastDay: boolean;
}

export const everyWeek = 0b111111;
export const lastWeek = 0b100000;

const monthNames = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const dayNames = "sun mon tue wed thu fri sat".split(" ");

/** In the order of a six-field expression. */
export const cronFieldRules = {
  second: { name: "second", min: 0, max: 59, last: 59, names: [], allowed: "0-59" },
  minute: { name: "minute", min: 0, max: 59, last: 59, names: [], allowed: "0-59" },
  hour: { name: "hour", min: 0, max: 23, last: 23, names: [], allowed: "0-23" },
  dayOfMonth: { name: "day-of-month", min: 1, max: 31, last: 31, names: [], allowed: "1-31, L" },
  month: { name: "month", min: 1, max: 12, last: 12, names: monthNames, allowed: "1-12, JAN-DEC" },
  dayOfWeek: { name: "day-of-week", min: 0, max: 7, last: 6, names: dayNames, allowed: "0-7, SUN-SAT, 5#3, 5L" },
} as const satisfies Record<string, CronFieldRule>;

export function parseCronField(rule: CronFieldRule, text: string): CronField {
  const marks = new Uint8Array(rule.max + 1);
  const isLastDay = (item: string) => rule === cronFieldRules.dayOfMonth && /^l$/i.test(item);
  const items = text.split(",");
  const values = items.filter((item) => !isLastDay(item));
  for (const item of values) markItem(rule, item, marks);
  if (rule === cronFieldRules.dayOfWeek) foldSunday(marks);
  return {
    marks,
    any: values.length === 1 && isStar(values[0]),
    recurs: /[*?/]/.test(text),
    lastDay: values.length < items.length,
  };
}

/** `0`, `*`, `1-5`, `JAN`; then `/2`; then, for weekdays, `#3`, `#L` or `L`. */
const itemShape = /^([*?]|\d+|[a-z]{3})(?:-(\d+|[a-z]{3}))?(?:\/(\d+))?(?:#(\d+|l)|(l))?$/i;

function markItem(rule: CronFieldRule, item: string, marks: Uint8Array): void {
  const match = itemShape.exec(item);
  if (match === null) throw refusal(rule, item, problemOf(item));
  const [, from = "", to, step, nth, last] = match;
  const week = nth ?? last;
  if (isStar(from) && (to !== undefined || (week !== undefined && step === undefined))) {
    throw refusal(rule, item, `"${from}" stands alone or before a step`);
  }
  const mark = weekMark(rule, item, week);
  const stepSize = step === undefined ? 1 : parseStep(rule, item, step);
  const start = isStar(from) ? rule.min : parseValue(rule, item, from);
  const end = to === undefined ? endOf(rule, isStar(from) || step !== undefined, start) : parseUpper(rule, item, to);
  if (start > end) throw refusal(rule, item, "the range runs backwards");
  for (let value = start; value <= end; value += stepSize) marks[value] = (marks[value] ?? 0) | mark;
}

function isStar(text: string | undefined): boolean {
  return text === "*" || text === "?";
}

/** `5/15` goes on to the end of the field, `7/2` (Sunday as 7) is already there. */
function endOf(rule: CronFieldRule, open: boolean, start: number): number {
  return open ? Math.max(start, rule.last) : start;
}

function parseValue(rule: CronFieldRule, item: string, text: string): number {
  if (/^\d/.test(text)) {
    const value = Number(text);
    if (value < rule.min || value > rule.max) throw refusal(rule, item, "it is out of range");
    return value;
  }
  const index = rule.names.indexOf(text.toLowerCase());
  if (index === -1) throw refusal(rule, item, `the field knows no name ${quote(text)}`);
  return rule.min + index;
}

/** As the end of a range SUN is 7: FRI-SUN is Friday to Sunday, SUN-SUN the whole week. */
function parseUpper(rule: CronFieldRule, item: string, text: string): number {
  const value = parseValue(rule, item, text);
  return rule === cronFieldRules.dayOfWeek && /^sun$/i.test(text) ? 7 : value;
}

/** A step may be as large as the number of values in the field, so that it chooses the first one only. */
function parseStep(rule: CronFieldRule, item: string, text: string): number {
  const step = Number(text);
  const most = rule.last - rule.min + 1;
  if (step < 1 || step > most) throw refusal(rule, item, `its step has to be 1 to ${most}`);
  return step;
}

function weekMark(rule: CronFieldRule, item: string, week: string | undefined): number {
  if (rule !== cronFieldRules.dayOfWeek) {
    if (week !== undefined) throw refusal(rule, item, '"#" and a suffix "L" belong to the day of the week');
    return 1;
  }
  if (week === undefined) return everyWeek;
  if (/^l$/i.test(week)) return lastWeek;
  const number = Number(week);
  if (number < 1 || number > 5) throw refusal(rule, item, 'after "#" stands a week of 1 to 5, or L');
  return 1 << (number - 1);
}

function foldSunday(marks: Uint8Array): void {
  marks[0] = (marks[0] ?? 0) | (marks[7] ?? 0);
}

function problemOf(item: string): string {
  if (item === "") return "the list has an empty item";
  if (item.startsWith("/")) return 'a step needs "*" or a first value before it';
  if (/^l-/i.test(item)) return "days before the last day of the month are not supported";
  if (/^l$/i.test(item)) return '"L" needs a weekday before it';
  if (/w$/i.test(item)) return '"W" (nearest weekday) is not supported';
  if (item.startsWith("+")) return 'the prefix "+" is not supported';
  return "it is no value, range a-b or step a-b/n";
}

function refusal(rule: CronFieldRule, item: string, problem: string): AzothError {
  const { name, allowed } = rule;
  const message = `The ${name} field of a cron expression has ${quote(item)}: ${problem}; allowed is ${allowed}.`;
  return new AzothError("INVALID_CRON", message, { details: { field: name, allowed } });
}
