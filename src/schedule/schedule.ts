/**
 * What a schedule is: plain, serialisable data, made by `cron`, `interval`, `oneTime` and `immediate`.
 *
 * A schedule holds no behaviour and no clock. `nextOccurrence` says when it is due next; time zones
 * are IANA names, instants are epoch milliseconds.
 */

/** When a task is due. */
export type Schedule = CronSchedule | IntervalSchedule | OneTimeSchedule | ImmediateSchedule;

/** Due whenever the wall clock of a time zone matches a cron expression. */
export interface CronSchedule {
  readonly kind: "cron";
  /** Five fields (minute first, second 0), six fields (second first) or a nickname such as `@daily`. */
  readonly expression: string;
  /** The IANA zone whose wall clock counts. */
  readonly timeZone: string;
}

/** Due every so many milliseconds: occurrence k is `anchorMs + k * everyMs`, for k = 0, 1, 2, ... */
export interface IntervalSchedule {
  readonly kind: "interval";
  /** At least 1. */
  readonly everyMs: number;
  /** Without it the instant that is asked from is the anchor, and the first occurrence one interval later. */
  readonly anchorMs?: number;
}

/** Due once. */
export interface OneTimeSchedule {
  readonly kind: "one-time";
  readonly atMs: number;
  /** The local time that `atMs` was computed from, if it was given so. */
  readonly local?: LocalDateTime;
  /** How the zone's clock change moved or chose `atMs`, if it did. */
  readonly dst?: ClockChange;
}

/** Due now, once. */
export interface ImmediateSchedule {
  readonly kind: "immediate";
}

/** A wall-clock time such as `2026-03-29T02:30` in an IANA zone. */
export interface LocalDateTime {
  readonly dateTime: string;
  readonly timeZone: string;
}

/**
 * What a zone's clock change did to a fixed local time. `gap`: the time does not exist, and the first
 * instant after the gap stands for it. `overlap`: the time occurs twice, and the first pass was chosen.
 */
export type ClockChange = "gap" | "overlap";

/** One nominal time of a schedule. */
export interface Occurrence {
  readonly atMs: number;
  readonly dst?: ClockChange;
  /** How many nominal times directly before this one were lost in a gap of more than three hours; absent if none. */
  readonly dropped?: number;
}
