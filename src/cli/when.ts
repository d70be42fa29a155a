/** Instants as they are typed: exact ones, local times, and times from now. */
import { isAzothError, oneTime } from "../index.ts";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { dateTime } from "./times.ts";

type Here = Pick<Context, "clock" | "timeZone">;

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const span = /^([+-]?)((?:\d+[smhdw])+)( ago)?$/;
const dayMs = 86_400_000;

/**
 * Epoch milliseconds of "now"; of an ISO time, in this machine's zone if it has no offset; or of a time from now: "2h"
 * and "+2h" are later, "-2h" and "2h ago" earlier.
 * @throws CliError
 */
export function instantOf(text: string, option: string, { clock, timeZone }: Here): number {
  const trimmed = text.trim();
  const now = clock.now();
  if (trimmed === "now") return now;
  const [, sign, parts, ago] = span.exec(trimmed) ?? [];
  if (parts !== undefined) {
    let ms = 0;
    for (const [, number, unit = ""] of parts.matchAll(/(\d+)([smhdw])/g)) ms += Number(number) * (unitMs[unit] ?? 0);
    return now + (sign === "-" || ago !== undefined ? -ms : ms);
  }
  const iso = trimmed.replace(/^(\d{4}-\d\d-\d\d) (?=\d)/, "$1T");
  const local = /^\d{4}-\d\d-\d\d$/.test(iso) ? `${iso}T00:00` : iso;
  try {
    if (/(?:Z|[+-]\d\d:?\d\d)$/i.test(local) && local.includes("T")) return oneTime(local).atMs;
    return oneTime({ local, timeZone }).atMs;
  } catch (error) {
    if (!isAzothError(error, "INVALID_INSTANT")) throw error;
    throw new CliError("usage", `${option} is ${JSON.stringify(text)}, which is no instant.`, hint);
  }
}

const hint =
  'Give an ISO time, as "2026-01-31T09:00:00Z" or "2026-01-31 09:00" (this machine\'s zone); or a time from now, as "2h" or "-30m".';

/** As {@link instantOf}, for what lies in the past: "2h" is two hours ago, and "03:07" was today or yesterday. */
export function pastInstantOf(text: string, option: string, here: Here): number {
  const trimmed = text.trim();
  if (span.test(trimmed) && /^\d/.test(trimmed) && !trimmed.endsWith("ago"))
    return instantOf(`-${trimmed}`, option, here);
  if (!/^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/.test(trimmed)) return instantOf(text, option, here);
  const now = here.clock.now();
  const onDay = (ms: number) => {
    const [day = ""] = dateTime(new Date(ms), here.timeZone).split(" ");
    return instantOf(
      `${day}T${trimmed.padStart(trimmed.length === 4 || trimmed.length === 7 ? trimmed.length + 1 : 0, "0")}`,
      option,
      here,
    );
  };
  const today = onDay(now);
  return today <= now ? today : onDay(now - dayMs);
}
