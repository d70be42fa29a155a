/**
 * The times of day that a cron expression chooses, as tables that answer "the next one from here" at once.
 */

import { secondsPerDay } from "../time/civil-date.ts";
import type { CronField } from "./cron-field.ts";

export interface TimesOfDay {
  /** By value: the first chosen value that is not less. Past the last chosen value the table ends. */
  readonly seconds: Uint8Array;
  readonly minutes: Uint8Array;
  readonly hours: Uint8Array;
}

export interface TimeFields {
  readonly second: CronField;
  readonly minute: CronField;
  readonly hour: CronField;
}

export function compileTimesOfDay({ second, minute, hour }: TimeFields): TimesOfDay {
  return { seconds: nextTable(second), minutes: nextTable(minute), hours: nextTable(hour) };
}

function nextTable({ marks }: CronField): Uint8Array {
  const table = new Uint8Array(marks.lastIndexOf(1) + 1);
  let next = 0;
  for (let value = table.length - 1; value >= 0; value--) {
    if (marks[value] === 1) next = value;
    table[value] = next;
  }
  return table;
}

/** The first chosen second of the day from `from` on; a day's length or more if the rest of the day has none. */
export function nextTimeOfDay({ seconds, minutes, hours }: TimesOfDay, from: number): number {
  const [firstSecond = 0] = seconds;
  const [firstMinute = 0] = minutes;
  const fromHour = Math.floor(from / 3600);
  const fromMinute = Math.floor(from / 60) % 60;
  let second = seconds[from % 60];
  let minute = minutes[second === undefined ? fromMinute + 1 : fromMinute];
  const hour = hours[minute === undefined ? fromHour + 1 : fromHour];
  if (hour === undefined) return secondsPerDay;
  if (hour !== fromHour || minute === undefined) minute = firstMinute;
  if (hour !== fromHour || minute !== fromMinute || second === undefined) second = firstSecond;
  return hour * 3600 + minute * 60 + second;
}
