/** Which occurrence of a schedule is next, and which ones were passed over. */
import { AzothError, quote } from "../errors.ts";
import { maxCountedOccurrences } from "../limits.ts";
import { countOccurrences } from "../schedule/count-occurrences.ts";
import { nextOccurrence } from "../schedule/next-occurrence.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type { DecisionContext } from "./command.ts";
import type { OccurrencesSkippedData, PlannedOccurrence } from "./events.ts";

/** The first occurrence of a schedule that is defined now. A one-time instant in the past is due at once. */
export function firstOccurrence(schedule: Schedule, context: DecisionContext): PlannedOccurrence {
  switch (schedule.kind) {
    case "immediate":
      return { scheduledForMs: context.nowMs };
    case "one-time":
      return {
        scheduledForMs: schedule.atMs,
        ...(schedule.dst === undefined ? {} : { dst: schedule.dst }),
        ...(schedule.local === undefined ? {} : { tzdata: context.tzdata }),
      };
    case "interval":
    case "cron": {
      const next = plannedAfter(schedule, context.nowMs, context);
      if (next !== undefined) return next;
      const shown = schedule.kind === "cron" ? quote(schedule.expression) : "the interval";
      throw new AzothError("CRON_NEVER_MATCHES", `There is no occurrence of ${shown} after now.`);
    }
  }
}

/** The first occurrence of a recurring schedule strictly after an instant, or undefined. */
export function plannedAfter(
  schedule: Schedule,
  afterMs: number,
  { tzdata }: Pick<DecisionContext, "tzdata">,
): PlannedOccurrence | undefined {
  if (schedule.kind !== "cron" && schedule.kind !== "interval") return undefined;
  const next = nextOccurrence(schedule, afterMs);
  if (next === undefined) return undefined;
  const zoned = schedule.kind === "cron" && schedule.timeZone !== "UTC";
  return {
    scheduledForMs: next.atMs,
    ...(next.dst === undefined ? {} : { dst: next.dst }),
    ...(next.dropped === undefined ? {} : { dropped: next.dropped }),
    ...(zoned ? { tzdata } : {}),
  };
}

/** What to record of the occurrences in (afterMs, untilMs]: nothing, or one entry. */
export function skippedOccurrences(
  schedule: Schedule,
  afterMs: number,
  untilMs: number,
  because: OccurrencesSkippedData["because"],
): OccurrencesSkippedData[] {
  if (untilMs <= afterMs) return [];
  const limit = maxCountedOccurrences;
  const { count, atLeast, firstMs, lastMs, sample } = countOccurrences(schedule, { afterMs, untilMs, limit });
  if (count === 0 || firstMs === undefined || lastMs === undefined) return [];
  return [{ because, count, ...(atLeast ? { atLeast } : {}), firstMs, lastMs, sampleMs: sample }];
}
