/**
 * The one way in which users' values become stored text and come back.
 *
 * JSON, so that payloads stay queryable in SQL, with a small tagged encoding for what JSON lacks:
 * `{"$date": iso}`, `{"$bigint": digits}`, `{"$bytes": base64}`; a user's own object whose only key
 * begins with `$` is wrapped as `{"$object": …}`. Anything else is refused, never silently changed.
 */
import { AzothError, quote } from "./errors.ts";

/** Deeper nesting than this is refused; it bounds the recursion over hostile values. */
const deepestNesting = 100;

/** How values are bounded when they are encoded. */
export interface EncodeOptions {
  /** What the value is, for error messages: "payload", "event payload". */
  readonly what: string;
  /** The longest stored text, in UTF-8 bytes. */
  readonly maxBytes: number;
}

/**
 * Encodes a value as JSON text; `undefined` is stored as `null`.
 * @throws AzothError PAYLOAD_NOT_JSON (with the path of the culprit) or PAYLOAD_TOO_LARGE.
 */
export function encodeJson(value: unknown, options: EncodeOptions): string {
  const text = JSON.stringify(toPlain(value, options.what, []) ?? null);
  // Each UTF-16 unit is 1 to 3 bytes of UTF-8, so most texts need no second pass.
  if (text.length * 3 > options.maxBytes) {
    const bytes = Buffer.byteLength(text);
    if (bytes > options.maxBytes) {
      throw new AzothError(
        "PAYLOAD_TOO_LARGE",
        `The ${options.what} is ${bytes} bytes of JSON, and the limit is ${options.maxBytes}. Store the bulk elsewhere and pass a reference, or raise the limit.`,
        { details: { bytes, maxBytes: options.maxBytes } },
      );
    }
  }
  return text;
}

/** Reads what {@link encodeJson} wrote. */
export function decodeJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return text.includes('"$') ? fromPlain(value) : value;
}

/** Copies only where something must change: the usual payload passes through untouched. */
function toPlain(value: unknown, what: string, path: readonly (string | number)[]): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw refusal(value, what, path);
      return value;
    case "bigint":
      return { $bigint: value.toString() };
    case "object":
      break;
    default:
      throw refusal(value, what, path);
  }
  if (value === null) return null;
  if (path.length >= deepestNesting) {
    throw new AzothError(
      "PAYLOAD_NOT_JSON",
      `The ${what} is nested deeper than ${deepestNesting} levels, or refers to itself. Pass plain, acyclic data.`,
    );
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw refusal(value, what, path);
    return { $date: value.toISOString() };
  }
  if (value instanceof Uint8Array) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (Array.isArray(value)) return arrayToPlain(value, what, path);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw refusal(value, what, path);
  return objectToPlain(value as Record<string, unknown>, what, path);
}

function arrayToPlain(value: readonly unknown[], what: string, path: readonly (string | number)[]): unknown {
  let copy: unknown[] | undefined;
  for (let index = 0; index < value.length; index++) {
    const item = value[index];
    const plain = toPlain(item, what, isLeaf(item) ? path : [...path, index]) ?? null;
    if (plain !== item) copy ??= value.slice(0, index);
    copy?.push(plain);
  }
  return copy ?? value;
}

function objectToPlain(value: Record<string, unknown>, what: string, path: readonly (string | number)[]): unknown {
  let copy: Record<string, unknown> | undefined;
  const keys = Object.keys(value);
  for (const key of keys) {
    const item = value[key];
    const plain = toPlain(item, what, isLeaf(item) ? path : [...path, key]);
    // A key named __proto__ would vanish in an assignment: define it.
    if (plain !== item && copy === undefined) copy = { ...value };
    if (copy !== undefined && plain !== item) {
      Object.defineProperty(copy, key, { value: plain, enumerable: true, writable: true, configurable: true });
    }
  }
  if (typeof value.toJSON === "function") throw refusal(value, what, path);
  const only = keys.length === 1 ? keys[0] : undefined;
  return only?.startsWith("$") === true ? { $object: copy ?? value } : (copy ?? value);
}

/** Leaves that cannot be refused need no path of their own. */
function isLeaf(value: unknown): boolean {
  return value === null || typeof value === "string" || typeof value === "boolean";
}

function refusal(value: unknown, what: string, path: readonly (string | number)[]): AzothError {
  const shown =
    value instanceof Object && !Array.isArray(value) ? `a ${value.constructor?.name ?? "object"}` : quote(value);
  const at = path.length === 0 ? "" : ` at ${path.slice(0, 10).map(String).join(".").slice(0, 120)}`;
  return new AzothError(
    "PAYLOAD_NOT_JSON",
    `The ${what}${at} is ${shown}, which cannot be stored as JSON. Use null, booleans, finite numbers, strings, arrays, plain objects, Date, bigint or Uint8Array.`,
    { details: { path } },
  );
}

function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== "object" || value === null) return value;
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  const only = keys.length === 1 ? keys[0] : undefined;
  const tagged = only === undefined ? undefined : record[only];
  if (only === "$object" && typeof tagged === "object" && tagged !== null)
    return mapValues(tagged as Record<string, unknown>);
  if (only === "$date" && typeof tagged === "string") return new Date(tagged);
  if (only === "$bigint" && typeof tagged === "string") return BigInt(tagged);
  if (only === "$bytes" && typeof tagged === "string") return new Uint8Array(Buffer.from(tagged, "base64"));
  return mapValues(record);
}

function mapValues(record: Record<string, unknown>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(record)) {
    Object.defineProperty(copy, key, {
      value: fromPlain(record[key]),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
}
