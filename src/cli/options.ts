/** Values of options as they are typed, and what is said of those that cannot be read. */
import { InvalidArgumentError, Option } from "commander";
import type { Call } from "./action.ts";
import { CliError } from "./errors.ts";

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  return wholeNumber(text, 1);
}

/** A whole number of at least 0. */
export function parseNumber(text: string): number {
  return wholeNumber(text, 0);
}

function wholeNumber(text: string, least: number): number {
  const number = Number(text);
  if (/^\d{1,15}$/.test(text) && number >= least) return number;
  throw new InvalidArgumentError(`It takes a whole number from ${least}.`);
}

/** A whole number of any sign. */
export function parseSigned(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}

/** JSON, for a payload. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError(`It takes JSON, such as '{"region":"eu"}' or '"text"'.`);
  }
}

export interface LimitOptions {
  readonly limit?: number;
}

/** Lists that nobody reads as they come are whole. */
const limitOnTerminal = 50;

export function limitOption(what: string): Option {
  const text = `at most so many ${what} (default: ${limitOnTerminal} on a terminal, all otherwise)`;
  return new Option("-n, --limit <n>", text).argParser(parseCount);
}

/** How many items a list has at the most. */
export function limitOf({ options, output }: Call<LimitOptions>): number {
  return options.limit ?? (output.isTerminal && !output.json ? limitOnTerminal : Number.POSITIVE_INFINITY);
}

/** One of some words. @throws CliError that names the nearest */
export function oneOf(text: string, words: readonly string[], option: string): void {
  if (words.includes(text)) return;
  throw new CliError("usage", `${option} is ${JSON.stringify(text)}.`, `It takes ${words.join(", ")}.`);
}
