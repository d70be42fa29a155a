/** Errors: one class, one table of codes, and messages that are safe to show whatever they are about. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AzothError,
  type ErrorCode,
  errorCatalogue,
  isAzothError,
  messageOf,
  oneLine,
  quote,
  within,
} from "../src/errors.ts";
import { fcParameters, garbage } from "./input/arbitrary-garbage.ts";

/** One line without control characters, marks of direction, or halves of characters. */
const printable = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u;

describe("the catalogue", () => {
  const entries = Object.entries(errorCatalogue);

  test.each(entries)("%s says what is wrong and how to mend it", (code, texts) => {
    expect(code).toMatch(/^[A-Z]+(?:_[A-Z]+)+$/);
    expect(texts).toHaveLength(2);
    for (const text of texts) {
      expect(text).toMatch(/^[A-Z`].{5,150}\.$/);
      expect(text).toMatch(printable);
    }
  });

  test("has no two entries that mean the same", () => {
    expect(new Set(entries.map(([, [meaning]]) => meaning)).size).toBe(entries.length);
  });
});

describe("an AzothError", () => {
  test("has a code, a message, facts and a cause", () => {
    const cause = new RangeError("deep down");
    const error = new AzothError("STORE_FULL", "No room.", { cause, details: { bytes: 5 } });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "AzothError", code: "STORE_FULL", message: "No room.", details: { bytes: 5 } });
    expect(error.cause).toBe(cause);
    expect(String(error)).toBe("AzothError: No room.");
    expect(error.stack).toContain("errors.test.ts");
  });

  test("has no cause and no facts unless they are given", () => {
    const error = new AzothError("STORE_FULL", "No room.");
    expect("cause" in error).toBe(false);
    expect(error.details).toEqual({});
  });

  test("is told from all others, and by its code", () => {
    const error: unknown = new AzothError("STORE_FULL", "No room.");
    expect(isAzothError(error)).toBe(true);
    expect(isAzothError(error, "STORE_FULL")).toBe(true);
    expect(isAzothError(error, "STORE_BUSY")).toBe(false);
    for (const other of [
      new Error("STORE_FULL"),
      { name: "AzothError", code: "STORE_FULL" },
      null,
      undefined,
      "STORE_FULL",
    ]) {
      expect(isAzothError(other)).toBe(false);
    }
    if (isAzothError(error)) expect(error.code satisfies ErrorCode).toBe("STORE_FULL");
  });

  test("of a part is told as one of the whole", () => {
    const cause = new Error("deep down");
    const part = new AzothError("INVALID_TASK", "maxRetries must be …", { cause, details: { a: 1 } });
    expect(within('The handler of "a"', part, "INVALID_HANDLER")).toMatchObject({
      code: "INVALID_HANDLER",
      message: 'The handler of "a": maxRetries must be …',
      cause,
      details: { a: 1 },
    });
    expect(within("Task 3", part)).toMatchObject({ code: "INVALID_TASK", message: "Task 3: maxRetries must be …" });
    expect(within("Task 3", cause)).toBe(cause);
  });
});

describe("quote", () => {
  test.each<[unknown, string]>([
    ["text", '"text"'],
    ["", '""'],
    ['say "so"', '"say \\"so\\""'],
    ["a\nb\t\0", '"a\\nb\\t\\u0000"'],
    ["\u001b[31mred\u0007", '"\\u001b[31mred\\u0007"'],
    ["\u009b31m C1", '"\\u009b31m C1"'],
    ["\u202egnp.exe", '"\\u202egnp.exe"'],
    ["a\u2066b\u200bc\ufeff", '"a\\u2066b\\u200bc\\ufeff"'],
    ["line\u2028paragraph\u2029", '"line\\u2028paragraph\\u2029"'],
    ["tag \u{e0041}", '"tag \\u{e0041}"'],
    ["half \ud83d", '"half \\ud83d"'],
    ["Zürich 😀 東京", '"Zürich 😀 東京"'],
    [5, "5"],
    [-0, "-0"],
    [Number.NaN, "NaN"],
    [-5n, "-5n"],
    [10n ** 5_000n, "a bigint of many digits"],
    [true, "true"],
    [null, "null"],
    [undefined, "undefined"],
    [Symbol("secret"), "a symbol"],
    [() => "secret", "a function"],
    [Map, "a function"],
    [{ password: "secret" }, "an object"],
    [["secret", "secret"], "an array of 2"],
    [new Map(), "an object"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new Date(Number.NaN), "Invalid Date"],
  ])("shows %s", (value, shown) => {
    expect(quote(value)).toBe(shown);
  });

  test("cuts what is long, never through a character", () => {
    expect(quote("x".repeat(5_000_000))).toBe(`"${"x".repeat(79)}…`);
    expect(quote(`${"x".repeat(78)}😀😀`)).toBe(`"${"x".repeat(78)}…`);
    expect(quote("\0".repeat(500))).toHaveLength(81);
  });

  test("is not led astray by a date that writes itself", () => {
    for (const toISOString of [() => 5, () => ({}), () => "\u001b[2J".repeat(1_000), () => Symbol("x")]) {
      const shown = quote(Object.assign(new Date(0), { toISOString }));
      expect(shown).toMatch(printable);
      expect(shown.length).toBeLessThanOrEqual(81);
    }
  });

  test("never throws, and gives one short, harmless line for every value", () => {
    fc.assert(
      fc.property(garbage, (recipe) => {
        const value = recipe.make();
        const shown = quote(value);
        expect(shown).toMatch(printable);
        expect(shown.length).toBeLessThanOrEqual(81);
        expect(isAzothError(value)).toBe(false);
        expect(typeof messageOf(value)).toBe("string");
      }),
      fcParameters(3_000),
    );
  });
});

describe("words that are not ours", () => {
  test("are brought onto one line", () => {
    expect(oneLine('[\n  {\n    "code": "invalid"\r\n  }\n]', 100)).toBe('[ { "code": "invalid" } ]');
    expect(oneLine("  \u001b[31mno\u202e\ttable\0 ", 100)).toBe("\\u001b[31mno\\u202e table\\u0000");
  });

  test("are bounded", () => {
    expect(oneLine("x".repeat(10_000_000), 300)).toBe(`${"x".repeat(299)}…`);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.integer({ min: 2, max: 100 }), (words, limit) => {
        const line = oneLine(words, limit);
        expect(line).toMatch(printable);
        expect(line.length).toBeLessThanOrEqual(limit);
      }),
      fcParameters(1_000),
    );
  });

  test("are read from whatever was thrown", () => {
    expect(messageOf(new TypeError("why"))).toBe("why");
    expect(messageOf("why")).toBe('"why"');
    expect(messageOf(Object.assign(new Error("a"), { message: { not: "text" } }))).toBe("[object Object]");
    const hostile = Object.defineProperty(new Error("a"), "message", {
      get() {
        throw new Error("no");
      },
    });
    expect(messageOf(hostile)).toBe("an error that cannot be read");
  });
});
