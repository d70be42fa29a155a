/** What a user binds to a statement, checked before a driver sees it. */
import { AzothError, quote } from "../errors.ts";
import { readSafely } from "../names.ts";
import type { SqlValue } from "../store/engine.ts";

/**
 * A copy of the parameters. Drivers bind NaN as NULL, cut a text at its NUL, mend half characters, and take an object
 * (a Date, say) for what they like. @throws AzothError INVALID_SQL
 */
export function checkedParameters(parameters: readonly SqlValue[]): readonly SqlValue[] {
  return readSafely("The parameters of a statement", "INVALID_SQL", () => {
    if (!Array.isArray(parameters)) {
      throw new AzothError(
        "INVALID_SQL",
        `The parameters of a statement must be an array, and are ${quote(parameters)}.`,
      );
    }
    const wrong = parameters.findIndex((value) => !isSqlValue(value));
    if (wrong === -1) return [...(parameters as readonly SqlValue[])];
    const shown = `Parameter ${wrong + 1} is ${quote(parameters[wrong])}`;
    throw new AzothError(
      "INVALID_SQL",
      `${shown}. Bind null, booleans, numbers, bigints, strings without NUL and halves of characters, or Uint8Arrays; a date as its ISO string.`,
    );
  });
}

function isSqlValue(value: unknown): boolean {
  if (typeof value === "number") return !Number.isNaN(value);
  if (typeof value === "string") return !/[\0\p{Cs}]/u.test(value);
  return value === null || typeof value === "boolean" || typeof value === "bigint" || value instanceof Uint8Array;
}
