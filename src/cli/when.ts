/** Instants as they are typed: exact ones, and times from now. */
import { CliError } from "./errors.ts";

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * Epoch milliseconds of "now", of an ISO text with its offset, or of a time from now: "2h" and "+2h" are later,
 * "-2h" and "2h ago" earlier.
 */
export function instantOf(text: string, option: string, now: number): number {
  const trimmed = text.trim();
  if (trimmed === "now") return now;
  const relative = /^([+-]?)((?:\d+[smhdw])+)( ago)?$/.exec(trimmed);
  if (relative !== null) {
    const [, sign, parts = "", ago] = relative;
    let ms = 0;
    for (const [, number, unit = ""] of parts.matchAll(/(\d+)([smhdw])/g)) ms += Number(number) * (unitMs[unit] ?? 0);
    return now + (sign === "-" || ago !== undefined ? -ms : ms);
  }
  const isExact = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/i.test(trimmed);
  const ms = isExact ? Date.parse(trimmed.replace(" ", "T")) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new CliError(
    "usage",
    `${option} is ${JSON.stringify(text)}, which is no instant.`,
    'Give an ISO time with its offset, as "2026-01-31T09:00:00Z" or "2026-01-31T09:00+01:00"; or a time from now, as "2h" or "-30m".',
  );
}

/** As {@link instantOf}, for what lies in the past: "2h" is two hours ago. */
export function pastInstantOf(text: string, option: string, now: number): number {
  return instantOf(/^\d/.test(text.trim()) && /^[\dsmhdw]+$/.test(text.trim()) ? `-${text.trim()}` : text, option, now);
}
