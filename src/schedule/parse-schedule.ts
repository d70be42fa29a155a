/**
 * Reads a schedule from outside (a user's object, JSON) strictly: an unknown kind or key, a missing or wrongly
 * typed part is refused. A one-time instant is not computed again from its local time: nodes may carry different
 * time-zone data, and the instant that was chosen stands.
 */

import { AzothError, quote } from "../errors.ts";
import { makeCron } from "./cron.ts";
import { immediate } from "./immediate.ts";
import { parseInstant } from "./instant.ts";
import { makeInterval } from "./interval.ts";
import { readFields, readSafely } from "../names.ts";
import { parseLocalDateTime } from "./one-time.ts";
import type { ClockChange, LocalDateTime, OneTimeSchedule, Schedule } from "./schedule.ts";
import { parseTimeZone } from "./time/time-zone.ts";

const keysOfKind = {
  cron: ["kind", "expression", "timeZone"],
  interval: ["kind", "everyMs", "anchorMs"],
  "one-time": ["kind", "atMs", "local", "dst"],
  immediate: ["kind"],
} as const satisfies Record<Schedule["kind"], readonly string[]>;

/**
 * Returns a checked copy of `value` with defaults filled in. Throws INVALID_SCHEDULE for the shape, and the code of the
 * part (INVALID_CRON, INVALID_TIME_ZONE, ...) for what stands in it.
 */
export function parseSchedule(value: unknown): Schedule {
  const kind = parseKind(readSafely("A schedule", "INVALID_SCHEDULE", () => kindOf(value)));
  const parts = readFields<Parts>(value, keysOfKind[kind], `A schedule of kind ${kind}`, "INVALID_SCHEDULE");
  switch (kind) {
    case "cron":
      return makeCron(parts.expression, parts.timeZone);
    case "interval":
      return makeInterval(parts.everyMs, parts.anchorMs);
    case "one-time":
      return parseOneTime(parts);
    case "immediate":
      return immediate();
  }
}

type Parts = Readonly<Record<string, unknown>>;

function kindOf(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return (value as Parts).kind;
  throw refusal(`A schedule has to be what cron(), interval(), oneTime() or immediate() returns, not ${quote(value)}`);
}

function parseKind(kind: unknown): Schedule["kind"] {
  if (typeof kind === "string" && Object.hasOwn(keysOfKind, kind)) return kind as Schedule["kind"];
  throw refusal(`A schedule has the kind ${quote(kind)}; known are: ${Object.keys(keysOfKind).join(", ")}`);
}

function parseOneTime({ atMs, local, dst }: Parts): OneTimeSchedule {
  if (typeof atMs !== "number") throw refusal(`atMs has to be a number of milliseconds, not ${quote(atMs)}`);
  return {
    kind: "one-time",
    atMs: parseInstant(atMs, "atMs"),
    ...(local === undefined ? undefined : { local: parseLocal(local) }),
    ...(dst === undefined ? undefined : { dst: parseClockChange(dst) }),
  };
}

function parseLocal(value: unknown): LocalDateTime {
  const { dateTime, timeZone } = readFields<Parts>(value, ["dateTime", "timeZone"], "A local time", "INVALID_SCHEDULE");
  parseLocalDateTime(dateTime);
  return { dateTime: dateTime as string, timeZone: parseTimeZone(timeZone) };
}

function parseClockChange(value: unknown): ClockChange {
  if (value === "gap" || value === "overlap") return value;
  throw refusal(`dst has to be "gap" or "overlap", not ${quote(value)}`);
}

function refusal(problem: string): AzothError {
  return new AzothError("INVALID_SCHEDULE", `${problem}.`);
}
