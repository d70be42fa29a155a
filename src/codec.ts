/**
 * The one way in which users' values become stored text and come back.
 *
 * JSON, so that payloads stay queryable in SQL, with a small tagged encoding for what JSON lacks:
 * `{"$date": iso}`, `{"$bigint": digits}`, `{"$bytes": base64}`; a user's own object whose only key
 * begins with `$` is wrapped as `{"$object": …}`. Anything else is refused, never silently changed, but for what
 * JSON itself takes for the same: undefined members are left out, undefined items are null, and -0 is 0.
 */
import { AzothError, isAzothError, messageOf, oneLine, quote } from "./errors.ts";

/** Deeper nesting than this is refused; it bounds the recursion over hostile values. */
const deepestNesting = 100;

/** What holds for all payloads of a store. */
export interface PayloadRules {
  /** The longest stored text, in UTF-8 bytes, before it is sealed. */
  readonly maxBytes: number;
  /** True if no error message may repeat a part of a payload, or words about one that are not ours. Defaults to false. */
  readonly secret?: boolean;
}

/** How values are bounded when they are encoded. */
export interface EncodeOptions extends PayloadRules {
  /** What the value is, for error messages: "payload", "event payload". */
  readonly what: string;
}

/**
 * Encodes a value as JSON text; `undefined` is stored as `null`.
 * @throws AzothError PAYLOAD_NOT_JSON (with the path of the culprit) or PAYLOAD_TOO_LARGE.
 */
export function encodeJson(value: unknown, options: EncodeOptions): string {
  return new Encoding(options).encode(value);
}

/** Reads what {@link encodeJson} wrote. @throws AzothError STORE_CORRUPT if that is not what it is given */
export function decodeJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return text.includes('"$') ? fromPlain(value) : value;
  } catch {
    // Neither the text nor the cause, which quotes it: it may be what nobody else is to read.
    const message = `A stored value of ${text.length} characters is no JSON. Restore a backup, and keep the damaged file.`;
    throw new AzothError("STORE_CORRUPT", message);
  }
}

/** One value on its way to text: where in it we are, and how much may still come. */
class Encoding {
  readonly #what: string;
  readonly #maxBytes: number;
  readonly #secret: boolean;
  readonly #path: (string | number)[] = [];
  /**
   * What is left of the limit after the least that each part seen so far will take. Without it, a few objects that
   * refer to each other many times over, or an array of four billion holes, would be walked until the memory ends.
   */
  #left: number;

  constructor({ what, maxBytes, secret = false }: EncodeOptions) {
    this.#what = what;
    this.#maxBytes = maxBytes;
    this.#secret = secret;
    this.#left = maxBytes;
  }

  encode(value: unknown): string {
    let text: string;
    try {
      text = JSON.stringify(this.#plain(value) ?? null);
    } catch (thrown) {
      // Getters and proxies are the user's code: they may throw anything.
      throw isAzothError(thrown) ? thrown : this.#unreadable(thrown);
    }
    // Each UTF-16 unit is 1 to 3 bytes of UTF-8, so most texts need no second pass.
    if (text.length * 3 > this.#maxBytes) {
      const bytes = Buffer.byteLength(text);
      if (bytes > this.#maxBytes) throw this.#tooLarge(bytes);
    }
    return text;
  }

  /** Copies only where something must change: the usual payload passes through untouched. */
  #plain(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        this.#spend(value.length);
        return value;
      case "boolean":
      case "undefined":
        return value;
      case "number":
        if (!Number.isFinite(value)) throw this.#refusal(quote(value));
        this.#spend(1);
        return value;
      case "bigint":
        // In linear time; the decimal digits of a huge number take seconds.
        this.#spend(value.toString(16).length);
        return { $bigint: value.toString() };
      case "object":
        return value === null ? null : this.#plainObject(value);
      default:
        throw this.#refusal(quote(value));
    }
  }

  #plainObject(value: object): unknown {
    if (this.#path.length >= deepestNesting) {
      const what = `${this.#what}${this.#at()}`;
      throw new AzothError(
        "PAYLOAD_NOT_JSON",
        `The ${what} is nested deeper than ${deepestNesting} levels, or refers to itself. Pass plain, acyclic data.`,
      );
    }
    this.#spend(2);
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) throw this.#refusal("an invalid Date");
      return { $date: new Date(value.getTime()).toISOString() };
    }
    if (value instanceof Uint8Array) {
      this.#spend(value.byteLength);
      return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
    }
    const isArray = Array.isArray(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (!isArray && prototype !== Object.prototype && prototype !== null) throw this.#refusal(classOf(value));
    if (typeof (value as { toJSON?: unknown }).toJSON === "function") throw this.#refusal("an object with toJSON");
    return isArray ? this.#array(value) : this.#object(value as Record<string, unknown>);
  }

  #array(value: readonly unknown[]): unknown {
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index++) {
      // The comma.
      if (index > 0) this.#spend(1);
      const item = value[index];
      const plain = this.#member(index, item) ?? null;
      if (plain !== item) copy ??= value.slice(0, index);
      copy?.push(plain);
    }
    return copy ?? value;
  }

  #object(value: Record<string, unknown>): unknown {
    let copy: Record<string, unknown> | undefined;
    let members = 0;
    let lastKey = "";
    for (const key of Object.keys(value)) {
      const item = value[key];
      const plain = this.#member(key, item);
      if (plain === undefined) continue;
      this.#spend(key.length);
      members++;
      lastKey = key;
      if (plain === item) continue;
      copy ??= { ...value };
      // A key named __proto__ would vanish in an assignment: define it.
      Object.defineProperty(copy, key, { value: plain, enumerable: true, writable: true, configurable: true });
    }
    return members === 1 && lastKey.startsWith("$") ? { $object: copy ?? value } : (copy ?? value);
  }

  #member(key: string | number, value: unknown): unknown {
    this.#path.push(key);
    const plain = this.#plain(value);
    this.#path.pop();
    return plain;
  }

  #spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw this.#tooLarge();
  }

  /** @param bytes the size, if it is known: much too large values are not encoded to the end */
  #tooLarge(bytes?: number): AzothError {
    const maxBytes = this.#maxBytes;
    return new AzothError(
      "PAYLOAD_TOO_LARGE",
      `The ${this.#what} is ${bytes ?? `over ${maxBytes}`} bytes of JSON, and the limit is ${maxBytes}. Store the bulk elsewhere and pass a reference, or raise the limit.`,
      { details: { ...(bytes === undefined ? {} : { bytes }), maxBytes } },
    );
  }

  #refusal(shown: string): AzothError {
    return new AzothError(
      "PAYLOAD_NOT_JSON",
      `The ${this.#what}${this.#at()} is ${shown}, which cannot be stored as JSON. Use null, booleans, finite numbers, strings, arrays, plain objects, Date, bigint or Uint8Array.`,
      { details: { path: [...this.#path] } },
    );
  }

  #unreadable(cause: unknown): AzothError {
    const why = this.#secret ? "" : `: ${oneLine(messageOf(cause), 300)}`;
    return new AzothError("PAYLOAD_NOT_JSON", `The ${this.#what}${this.#at()} cannot be read${why}. Pass plain data.`, {
      ...(this.#secret ? {} : { cause }),
      details: { path: [...this.#path] },
    });
  }

  #at(): string {
    if (this.#path.length === 0) return "";
    const parts = this.#path.slice(0, 10).map((part) => String(part).slice(0, 60));
    return ` at ${oneLine(parts.join("."), 120)}`;
  }
}

function classOf(value: object): string {
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && /^[\w$]{1,50}$/.test(name) ? `a ${name}` : "an object of a class";
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
