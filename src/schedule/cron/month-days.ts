/**
 * The days of a month that a cron expression chooses, as bit masks, and the search for the next such day.
 *
 * A month is one of 28 shapes (weekday of its first day, 28 to 31 days); the masks of all are made once, and
 * then a month costs one look-up. Day of month and day of week both restricted: either matches.
 */

import { civilFromDays, daysFromCivil, monthLength, weekdayOfDays, yearsPerCycle } from "../time/civil-date.ts";
import { type CronField, lastWeek } from "./cron-field.ts";

export interface MonthDays {
  /** By shape: bit d - 1 is set if day d is chosen. */
  readonly masks: Int32Array;
  /** By month: 1 if chosen. */
  readonly months: Uint8Array;
  /** Every day of every month is chosen. */
  readonly everyDay: boolean;
}

export interface DateFields {
  readonly dayOfMonth: CronField;
  readonly month: CronField;
  readonly dayOfWeek: CronField;
}

export function compileMonthDays(fields: DateFields): MonthDays {
  const masks = new Int32Array(28);
  let everyDay = fields.month.marks.subarray(1).every((mark) => mark !== 0);
  for (let firstWeekday = 0; firstWeekday < 7; firstWeekday++) {
    for (let length = 28; length <= 31; length++) {
      let mask = 0;
      for (let day = 1; day <= length; day++) {
        if (isChosen(fields, { day, length, weekday: (firstWeekday + day - 1) % 7 })) mask |= 1 << (day - 1);
        else everyDay = false;
      }
      masks[shapeOf(firstWeekday, length)] = mask;
    }
  }
  return { masks, months: fields.month.marks, everyDay };
}

interface DayOfMonth {
  readonly day: number;
  readonly length: number;
  readonly weekday: number;
}

function isChosen({ dayOfMonth, dayOfWeek }: DateFields, { day, length, weekday }: DayOfMonth): boolean {
  const byDate = dayOfMonth.marks[day] === 1 || (dayOfMonth.lastDay && day === length);
  if (dayOfWeek.any) return byDate;
  const week = (1 << (Math.ceil(day / 7) - 1)) | (day + 7 > length ? lastWeek : 0);
  const byWeekday = ((dayOfWeek.marks[weekday] ?? 0) & week) !== 0;
  return dayOfMonth.any ? byWeekday : byDate || byWeekday;
}

function shapeOf(firstWeekday: number, length: number): number {
  return firstWeekday * 4 + length - 28;
}

/** The first chosen day from `fromDay` on, in days since 1970-01-01; undefined if a whole calendar cycle has none. */
export function nextDay({ masks, months, everyDay }: MonthDays, fromDay: number): number | undefined {
  if (everyDay) return fromDay;
  const from = civilFromDays(fromDay);
  let { year, month, day } = from;
  while (year <= from.year + yearsPerCycle) {
    if (months[month] === 1) {
      const firstDay = daysFromCivil(year, month, 1);
      const mask = masks[shapeOf(weekdayOfDays(firstDay), monthLength(year, month))] ?? 0;
      const later = mask & (-1 << (day - 1));
      if (later !== 0) return firstDay + 31 - Math.clz32(later & -later);
    }
    day = 1;
    month = month === 12 ? 1 : month + 1;
    if (month === 1) year++;
  }
  return undefined;
}
