/**
 * IANA time zones as periods of constant offset, taken from the engine's own data through Intl.
 *
 * A zone is asked for the period that holds an instant; it probes Intl on a grid around that instant,
 * bisects to the second where the offset changes, and remembers. Nothing is inferred for far years:
 * every period that is used was probed. Offsets are whole seconds, as the zones' local mean times need.
 */

import { AzothError, quote } from "../../errors.ts";
import { memoize } from "../memoize.ts";
import { civilFromDays, dateRangeMs, secondsPerDay } from "./civil-date.ts";

/** A stretch of time, end excluded, in which a zone's offset is constant. Neighbours may have the same offset. */
export interface OffsetPeriod {
  readonly startSec: number;
  readonly endSec: number;
  /** Local time minus UTC; always less than a day. */
  readonly offsetSec: number;
}

/**
 * A change that is reversed within one cell of the grid goes unseen. The two nearest changes in the tz data (2025b)
 * are 3.98 days apart, in Africa/Freetown in 1939; the next are 6.96 days apart.
 */
const cellSec = 3 * secondsPerDay;
/** A block is probed at once, some twenty calls of Intl: small, since a sparse expression asks for one day in years. */
const cellsPerBlock = 16;
const blockSec = cellSec * cellsPerBlock;
const blocksKept = 8192;
const zonesKept = 512;
const lastSec = dateRangeMs / 1000;

export class TimeZone {
  readonly #format: Intl.DateTimeFormat;
  readonly #blocks = new Map<number, readonly OffsetPeriod[]>();
  #recent: OffsetPeriod;

  constructor(format: Intl.DateTimeFormat) {
    this.#format = format;
    this.#recent =
      format.resolvedOptions().timeZone === "UTC"
        ? { startSec: -Infinity, endSec: Infinity, offsetSec: 0 }
        : { startSec: 0, endSec: 0, offsetSec: 0 };
  }

  /** The period that holds the instant. Beyond the range of Date the last offset goes on. */
  periodAt(epochSec: number): OffsetPeriod {
    const recent = this.#recent;
    if (epochSec >= recent.startSec && epochSec < recent.endSec) return recent;
    let found = recent;
    for (const period of this.#blockAt(Math.floor(epochSec / blockSec))) {
      if (period.startSec <= epochSec) found = period;
    }
    this.#recent = found;
    return found;
  }

  #blockAt(index: number): readonly OffsetPeriod[] {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    if (this.#blocks.size >= blocksKept) this.#blocks.clear();
    const periods = this.#probe(index * blockSec);
    this.#blocks.set(index, periods);
    return periods;
  }

  #probe(blockStartSec: number): readonly OffsetPeriod[] {
    const periods: OffsetPeriod[] = [];
    let startSec = blockStartSec;
    let offsetSec = this.#offsetAt(startSec);
    for (let cell = 1; cell <= cellsPerBlock; cell++) {
      const cellEndSec = blockStartSec + cell * cellSec;
      const endOffsetSec = this.#offsetAt(cellEndSec);
      while (offsetSec !== endOffsetSec) {
        const changeSec = this.#firstChange(Math.max(startSec, cellEndSec - cellSec), cellEndSec);
        if (changeSec === cellEndSec && cell === cellsPerBlock) break;
        periods.push({ startSec, endSec: changeSec, offsetSec });
        startSec = changeSec;
        offsetSec = this.#offsetAt(changeSec);
      }
    }
    periods.push({ startSec, endSec: blockStartSec + blockSec, offsetSec });
    return periods;
  }

  /** The first second after `fromSec` with another offset, given that `toSec` has another. */
  #firstChange(fromSec: number, toSec: number): number {
    const offsetSec = this.#offsetAt(fromSec);
    let same = fromSec;
    let other = toSec;
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2);
      if (this.#offsetAt(middle) === offsetSec) same = middle;
      else other = middle;
    }
    return other;
  }

  /** The date enters only as the day of the month: no year, no era, and so no trouble with either. */
  #offsetAt(epochSec: number): number {
    const sec = Math.min(Math.max(epochSec, -lastSec), lastSec);
    const [day, hour, minute, second] = (this.#format.format(sec * 1000).match(/\d+/g) ?? []).map(Number);
    const utcDay = Math.floor(sec / secondsPerDay);
    const localSecond = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
    return (dayShift(utcDay, Number(day)) + utcDay) * secondsPerDay + localSecond - sec;
  }
}

/** -1, 0 or 1: how many days the local date, of which only the day of the month is known, is ahead. */
function dayShift(utcDay: number, localDayOfMonth: number): number {
  if (civilFromDays(utcDay).day === localDayOfMonth) return 0;
  return civilFromDays(utcDay + 1).day === localDayOfMonth ? 1 : -1;
}

/** The zone of an IANA name; throws INVALID_TIME_ZONE for any other text. */
export const timeZoneNamed = memoize(zonesKept, (name: string): TimeZone => {
  // Some engines take offsets such as "+02:00" for zones; they have no clock changes and are no IANA names.
  if (/^[A-Za-z][\w+/-]*$/.test(name)) {
    try {
      return new TimeZone(formatFor(name));
    } catch {
      // Intl throws a RangeError for names that it does not know.
    }
  }
  throw refusal(name);
});

/** Throws INVALID_TIME_ZONE unless `value` is a known IANA name; returns it as it was given. */
export function parseTimeZone(value: unknown): string {
  if (typeof value !== "string") throw refusal(value);
  timeZoneNamed(value);
  return value;
}

function formatFor(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
    timeZone,
    hourCycle: "h23",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
}

function refusal(value: unknown): AzothError {
  const mend = 'use an IANA name such as "Europe/Rome" or "UTC"';
  return new AzothError("INVALID_TIME_ZONE", `Time zone ${quote(value)} is not known here; ${mend}.`, {
    details: { timeZone: typeof value === "string" ? value.slice(0, 80) : typeof value },
  });
}
