/** Values of options as they are typed, and what is said of those that cannot be read. */
import { InvalidArgumentError } from "commander";

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("It takes a whole number from 1.");
}

/** An instant: an ISO text with its offset, "now", or a time from now such as "2h" or "-90m". */
export function parseInstantText(text: string): string {
  return text;
}
