/**
 * Lengths of time as users write them: whole milliseconds, "90s", "1h30m", or ISO 8601 "P1DT2H".
 *
 * A duration has a fixed length: a day is 24 hours, a week seven days, and months and years are refused.
 * Whatever it is written in, it has to come to whole milliseconds.
 */

import { AzothError, type ErrorCode, quote } from "./errors.ts";

/** Milliseconds, or text such as "250ms", "90s", "5m", "2h", "1d", "1w", "1h30m", "PT5M", "P1DT2H", "PT0.5S". */
export type Duration = number | string;

export interface DurationLimits {
  /** Names the value in error messages. */
  readonly what: string;
  /** Default 0. */
  readonly minMs?: number;
  /** Default: 100 years. */
  readonly maxMs?: number;
  /** The code of the errors. Default INVALID_DURATION. */
  readonly code?: ErrorCode;
}

const unitMs = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
type Unit = keyof typeof unitMs;

const hundredYearsMs = 36_525 * unitMs.d;
const longestText = 64;
const number = String.raw`(\d+(?:\.\d+)?)`;
const shortShape = new RegExp(
  `^(?:${number}w)?(?:${number}d)?(?:${number}h)?(?:${number}m)?(?:${number}s)?(?:${number}ms)?$`,
);
const isoShape = new RegExp(
  `^P(?=.)(?:${number}W)?(?:${number}D)?(?:T(?=.)(?:${number}H)?(?:${number}M)?(?:${number}S)?)?$`,
);

/** The whole milliseconds of `value`; throws INVALID_DURATION if it cannot be read or is out of the limits. */
export function parseDuration(value: Duration, limits: DurationLimits): number {
  const { what, minMs = 0, maxMs = hundredYearsMs, code = "INVALID_DURATION" } = limits;
  const refuse = (problem: string): never => {
    throw new AzothError(code, `${what} ${quote(value)} ${problem}.`, { details: { what, minMs, maxMs } });
  };
  const ms = typeof value === "string" ? msOfText(value, refuse) : value;
  if (typeof ms !== "number") return refuse("is no number of milliseconds and no text");
  if (!Number.isInteger(ms)) return refuse("is no whole number of milliseconds");
  if (ms < minMs) return refuse(`is below the least of ${formatDuration(minMs)}`);
  if (ms > maxMs) return refuse(`is above the most of ${formatDuration(maxMs)}`);
  return ms + 0;
}

function msOfText(text: string, refuse: (problem: string) => never): number {
  if (text.length > longestText) return refuse(`has more than ${longestText} characters`);
  if (/^P[^T]*\d[YM]/.test(text)) return refuse("has years or months, which have no fixed length; use days or weeks");
  const match = shortShape.exec(text) ?? isoShape.exec(text);
  if (match === null || text === "") return refuse('is no duration such as "90s", "5m", "1h30m" or "PT5M"');
  const units = Object.keys(unitMs) as Unit[];
  const parts = units.flatMap((unit, index) => {
    const amount = match[index + 1];
    return amount === undefined ? [] : [{ unit, amount }];
  });
  if (parts.slice(0, -1).some(({ amount }) => amount.includes(".")))
    return refuse("has a fraction before its last part");
  return parts.reduce((sum, { amount, unit }) => sum + msOfPart(amount, unitMs[unit], refuse), 0);
}

/** In integers: in doubles 1.1 x 1000 is no whole number. */
function msOfPart(amount: string, unit: number, refuse: (problem: string) => never): number {
  const [whole = "", fraction = ""] = amount.split(".");
  const scaled = BigInt(whole + fraction) * BigInt(unit);
  const scale = 10n ** BigInt(fraction.length);
  return scaled % scale === 0n ? Number(scaled / scale) : refuse("is no whole number of milliseconds");
}

/** The short form of a number of milliseconds, such as "1h30m"; {@link parseDuration} reads it back. */
export function formatDuration(ms: number): string {
  let rest = Math.round(Math.abs(ms));
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"] as const) {
    const amount = Math.floor(rest / unitMs[unit]);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * unitMs[unit];
  }
  return text === "" ? "0ms" : `${ms < 0 ? "-" : ""}${text}`;
}
