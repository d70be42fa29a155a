/** What may be used as an id, a type or a name. Ids are data: never part of SQL, a path or a terminal escape. */
import { AzothError, type ErrorCode, isAzothError, messageOf, oneLine, quote } from "./errors.ts";
import { maxNameLength } from "./limits.ts";

const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** False for texts that no name has in it: control characters, marks of direction, halves of characters. */
export function isPrintable(text: string): boolean {
  return !unprintable.test(text);
}

/** Returns the name if it is 1 to 255 printable characters. @throws AzothError with `code` */
export function parseName(value: unknown, what: string, code: ErrorCode): string {
  if (typeof value !== "string") throw new AzothError(code, `${what} must be a string, and is ${quote(value)}.`);
  if (value.length === 0 || value.length > maxNameLength) {
    throw new AzothError(
      code,
      `${what} must have 1 to ${maxNameLength} characters, and ${quote(value)} has ${value.length}.`,
    );
  }
  if (value.trim() !== value || !isPrintable(value)) {
    throw new AzothError(
      code,
      `${what} must have no control characters and no spaces around it, and is ${quote(value)}.`,
    );
  }
  return value;
}

/**
 * The fields of an object from outside, each read once: getters and proxies may throw, or answer otherwise the next
 * time. Refuses anything but an object whose keys are all known: a misspelt option must not pass for its default.
 * @param what names the object at the head of a message: "The task", "The cron options"
 */
export function readFields<Fields extends object>(
  value: unknown,
  known: readonly string[],
  what: string,
  code: ErrorCode,
): Fields {
  return readSafely(what, code, () => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new AzothError(code, `${what} must be an object with ${known.join(", ")}, and not ${quote(value)}.`);
    }
    const unknown = Object.keys(value).find((key) => !known.includes(key));
    if (unknown !== undefined) {
      throw new AzothError(
        code,
        `${what} cannot have the unknown field ${quote(unknown)}; known are ${known.join(", ") || "none"}.`,
      );
    }
    const fields: Record<string, unknown> = {};
    for (const key of known) {
      const field = (value as Record<string, unknown>)[key];
      if (field !== undefined) fields[key] = field;
    }
    return fields as Fields;
  });
}

/** Returns the function, or undefined where there is none. @throws AzothError INVALID_OPTION */
export function parseFunction<Given>(value: Given, what: string): Given {
  if (value === undefined || typeof value === "function") return value;
  throw new AzothError("INVALID_OPTION", `${what} must be a function, and is ${quote(value)}.`);
}

/** Reads something of a user's object; what its getters and proxies throw becomes an error of ours. */
export function readSafely<Result>(what: string, code: ErrorCode, read: () => Result): Result {
  try {
    return read();
  } catch (thrown) {
    if (isAzothError(thrown)) throw thrown;
    throw new AzothError(code, `${what} cannot be read: ${oneLine(messageOf(thrown), 300)}.`, { cause: thrown });
  }
}
