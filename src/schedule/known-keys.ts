/** Refuses objects with keys that nobody reads: a misspelt option must not pass for its default. */

import { AzothError, type ErrorCode, quote } from "../errors.ts";

export interface KeyRefusal {
  readonly code: ErrorCode;
  /** Names the object in the message. */
  readonly what: string;
}

/** Throws unless `value` is an object, no array, with no keys but the `known` ones. */
export function refuseUnknownKeys(value: unknown, known: readonly string[], { code, what }: KeyRefusal): void {
  const allowed = known.length === 0 ? "none" : known.join(", ");
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AzothError(code, `The ${what} have to be an object (keys: ${allowed}), not ${quote(value)}.`);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new AzothError(code, `The ${what} have the unknown key ${quote(unknown)}; known are: ${allowed}.`);
  }
}
