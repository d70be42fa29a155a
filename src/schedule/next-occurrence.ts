/** Says when a schedule is due next. Schedules are taken as valid here: `parseSchedule` is the door. */

import { compileCron } from "./cron/cron-expression.ts";
import { nextCronOccurrence } from "./cron/cron-occurrence.ts";
import { nextIntervalMs } from "./interval.ts";
import type { Occurrence, OneTimeSchedule, Schedule } from "./schedule.ts";
import { timeZoneNamed } from "./time/time-zone.ts";

/**
 * The first occurrence strictly after `afterMs`, or undefined if there is none.
 * An immediate schedule has no nominal time, and so none after any instant.
 */
export function nextOccurrence(schedule: Schedule, afterMs: number): Occurrence | undefined {
  switch (schedule.kind) {
    case "cron":
      return nextCronOccurrence(compileCron(schedule.expression), timeZoneNamed(schedule.timeZone), afterMs);
    case "interval": {
      const atMs = nextIntervalMs(schedule, afterMs);
      return atMs === undefined ? undefined : { atMs };
    }
    case "one-time":
      return schedule.atMs > afterMs ? onlyOccurrence(schedule) : undefined;
    case "immediate":
      return undefined;
  }
}

function onlyOccurrence({ atMs, dst }: OneTimeSchedule): Occurrence {
  return dst === undefined ? { atMs } : { atMs, dst };
}
