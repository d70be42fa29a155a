/**
 * Random cron expressions for property tests, each together with what it means: the meaning comes from how the
 * text was put together, and never from reading it.
 */

import fc from "fast-check";
import type { CronRule } from "./wall-clock-oracle.ts";

interface FieldRule {
  readonly text: string;
  readonly values: ReadonlySet<number>;
  readonly recurs: boolean;
}

const span = (from: number, to: number, step = 1): Set<number> => {
  const values = new Set<number>();
  for (let value = from; value <= to; value += step) values.add(value);
  return values;
};

/** One field; about half of the values are `likely` ones, so that they fall where clocks change. */
function field(min: number, max: number, likely: readonly number[]): fc.Arbitrary<FieldRule> {
  const value = fc.oneof(fc.integer({ min, max }), fc.constantFrom(...likely));
  const step = fc.integer({ min: 1, max: max - min + 1 });
  const ordered = fc.tuple(value, value).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  return fc.oneof(
    fc.constantFrom("*", "?").map((text) => ({ text, values: span(min, max), recurs: true })),
    step.map((n) => ({ text: `*/${n}`, values: span(min, max, n), recurs: true })),
    fc.tuple(value, step).map(([from, n]) => ({ text: `${from}/${n}`, values: span(from, max, n), recurs: true })),
    fc.tuple(ordered, step).map(([[from, to], n]) => {
      return { text: `${from}-${to}/${n}`, values: span(from, to, n), recurs: true };
    }),
    ordered.map(([from, to]) => ({ text: `${from}-${to}`, values: span(from, to), recurs: false })),
    fc.array(value, { minLength: 2, maxLength: 4 }).map((list) => {
      return { text: list.join(","), values: new Set(list), recurs: false };
    }),
    { weight: 4, arbitrary: value.map((one) => ({ text: `${one}`, values: new Set([one]), recurs: false })) },
  );
}

type DateTest = CronRule["matchesDate"];

const dayNames = ["SUN", "mon", "Tue", "WED", "thu", "Fri", "SAT"];

interface DateRule {
  readonly text: string;
  readonly test: DateTest | undefined;
}

const any: fc.Arbitrary<DateRule> = fc.constantFrom("*", "?").map((text) => ({ text, test: undefined }));
const restricted = (text: string, test: DateTest): DateRule => ({ text, test });
const weekday = fc.integer({ min: 0, max: 7 });
const week = fc.integer({ min: 1, max: 5 });
const day = fc.integer({ min: 1, max: 31 });

const dayOfMonth: fc.Arbitrary<DateRule> = fc.oneof(
  { weight: 3, arbitrary: any },
  day.map((n) => restricted(`${n}`, (date) => date.day === n)),
  fc.constantFrom("L", "l").map((text) => restricted(text, (date) => date.day === date.monthLength)),
  day.map((n) => restricted(`${n},L`, (date) => date.day === n || date.day === date.monthLength)),
  day.map((n) => restricted(`1-${n}`, (date) => date.day <= n)),
);

const dayOfWeek: fc.Arbitrary<DateRule> = fc.oneof(
  { weight: 3, arbitrary: any },
  weekday.map((n) => restricted(`${n}`, (date) => date.weekday === n % 7)),
  weekday.map((n) => restricted(dayNames[n % 7] ?? "", (date) => date.weekday === n % 7)),
  fc.tuple(weekday, week).map(([n, nth]) => {
    return restricted(`${n}#${nth}`, (date) => date.weekday === n % 7 && Math.ceil(date.day / 7) === nth);
  }),
  weekday.map((n) => restricted(`${n}L`, (date) => date.weekday === n % 7 && date.day + 7 > date.monthLength)),
  fc.constantFrom("MON-FRI", "1-5").map((text) => {
    return restricted(text, (date) => date.weekday >= 1 && date.weekday <= 5);
  }),
  fc.constantFrom("FRI-SUN", "5-7").map((text) => restricted(text, (date) => [5, 6, 0].includes(date.weekday))),
);

const month: fc.Arbitrary<DateRule> = fc.oneof(
  { weight: 3, arbitrary: any },
  fc.integer({ min: 1, max: 12 }).map((n) => restricted(`${n}`, (date) => date.month === n)),
  fc.constant(restricted("mar-Apr,OCT", (date) => [3, 4, 10].includes(date.month))),
);

/** Six-field expressions with their meaning. Some match no date at all. */
export const arbitraryCron: fc.Arbitrary<CronRule> = fc
  .record({
    second: fc.oneof({ weight: 3, arbitrary: fc.constant(zero()) }, field(0, 59, [0, 59])),
    minute: field(0, 59, [0, 29, 30, 59]),
    hour: field(0, 23, [0, 1, 2, 3, 23]),
    dayOfMonth,
    month,
    dayOfWeek,
  })
  .map(({ second, minute, hour, dayOfMonth, month, dayOfWeek }) => ({
    text: [second.text, minute.text, hour.text, dayOfMonth.text, month.text, dayOfWeek.text].join(" "),
    fixedTime: !second.recurs && !minute.recurs && !hour.recurs,
    matchesTime: (h, m, s) => hour.values.has(h) && minute.values.has(m) && second.values.has(s),
    matchesDate: (date) => (month.test?.(date) ?? true) && matchesDay(dayOfMonth.test, dayOfWeek.test, date),
  }));

function zero(): FieldRule {
  return { text: "0", values: new Set([0]), recurs: false };
}

/** Both restricted: either matches. */
function matchesDay(byDate: DateTest | undefined, byWeekday: DateTest | undefined, date: Parameters<DateTest>[0]) {
  if (byDate !== undefined && byWeekday !== undefined) return byDate(date) || byWeekday(date);
  return byDate?.(date) ?? byWeekday?.(date) ?? true;
}
