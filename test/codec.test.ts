/** The codec: what goes in comes out as it was, or is refused with the place where it stands. */
import { deepStrictEqual } from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeJson, encodeJson } from "../src/codec.ts";
import { AzothError, isAzothError } from "../src/errors.ts";
import { fcParameters } from "./input/arbitrary-garbage.ts";

const encode = (value: unknown, maxBytes = 1_048_576) => encodeJson(value, { what: "payload", maxBytes });
const roundTrip = (value: unknown) => decodeJson(encode(value));

function refusalOf(value: unknown, maxBytes?: number): AzothError {
  try {
    encode(value, maxBytes);
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** Nested `depth` objects deep. */
function nested(depth: number): unknown {
  let value: unknown = "end";
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? { in: value } : [value];
  return value;
}

const key = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    "$date",
    "$bigint",
    "$bytes",
    "$object",
    "$",
    "0",
    "-1",
    "1.5",
  ),
  fc.integer({ min: 0, max: 2 ** 32 }).map(String),
);
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, ""),
  fc.string({ unit: "binary" }),
  fc.string().map((text) => `$${text}`),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
);
/** Everything that can be stored: plain data, with keys of all kinds, and objects that look like our own encoding. */
const { storable } = fc.letrec<{ storable: unknown }>((tie) => ({
  storable: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    leaf,
    fc.array(tie("storable"), { maxLength: 5 }),
    fc.dictionary(key, tie("storable"), { maxKeys: 5, noNullPrototype: true }),
    fc
      .tuple(fc.constantFrom("$date", "$bigint", "$bytes", "$object", "$x"), tie("storable"))
      .map(([tag, value]) => ({ [tag]: value })),
  ),
}));

describe("what goes in", () => {
  test("comes out as it was", () => {
    fc.assert(
      fc.property(storable, (value) => {
        deepStrictEqual(roundTrip(value), value);
      }),
      fcParameters(2_000),
    );
  });

  test("is not touched, and its text does not depend on how often it was stored", () => {
    fc.assert(
      fc.property(storable, (value) => {
        const before = structuredClone(value);
        const text = encode(value);
        deepStrictEqual(value, before);
        expect(encode(decodeJson(text))).toBe(text);
      }),
      fcParameters(500),
    );
  });

  test.each<[string, unknown]>([
    ["a date", new Date("2026-03-04T05:06:07.008Z")],
    ["the first and last date", [new Date(-8.64e15), new Date(8.64e15)]],
    ["big integers", [0n, -1n, 2n ** 64n, -(10n ** 300n)]],
    ["bytes", new Uint8Array([0, 1, 127, 128, 255])],
    ["no bytes", new Uint8Array()],
    ["a part of a buffer", new Uint8Array([1, 2, 3, 4]).subarray(1, 3)],
    ["deep and wide", { a: [{ b: [new Date(0), { c: 1n }] }], d: { e: { f: new Uint8Array([7]) } } }],
    ["an object that looks like a date", { $date: "2026-01-01T00:00:00.000Z" }],
    ["an object that looks like a big integer", { $bigint: "12" }],
    ["an object that looks like bytes", { $bytes: "AQID" }],
    ["an object that looks like a wrapped one", { $object: { $object: { $date: "x" } } }],
    ["a wrapped real one", { $object: new Date(0) }],
    ["$ keys beside others", { $date: "2026-01-01T00:00:00.000Z", other: 1 }],
    ["$ keys in a list", [{ $set: 1n }, { $: { $: null } }]],
    ["integer-like keys", { 10: "ten", 2: "two", "-1": "minus", "01": "octal", a: 1n }],
    ["a key named __proto__", JSON.parse('{"__proto__": {"admin": true}, "a": {"__proto__": null}}')],
    [
      "a key named __proto__ over what changes",
      JSON.parse('{"__proto__": 1}', (_, value) => (value === 1 ? 1n : value) as unknown),
    ],
    ["lone surrogates and NUL", { "\ud800": "\udfff\0\u2028" }],
    ["the edges of numbers", [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, -0.1]],
  ])("comes out as it was: %s", (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  test("changes nobody's prototype on its way out", () => {
    const value = roundTrip(JSON.parse('{"__proto__": {"polluted": 1}, "d": {"$x": 1}}')) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.hasOwn(value, "__proto__")).toBe(true);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test.each<[string, unknown, unknown]>([
    ["nothing is null", undefined, null],
    ["undefined members are left out", { a: 1, b: undefined, c: { d: undefined } }, { a: 1, c: {} }],
    ["undefined items and holes are null", Object.assign([undefined], { 2: 1n }), [null, null, 1n]],
    ["minus zero is zero", [-0], [0]],
    ["symbols are no members", { [Symbol("a")]: 1, b: 2 }, { b: 2 }],
    ["objects without prototype are objects", Object.assign(Object.create(null), { a: 1n }), { a: 1n }],
    ["a Buffer is bytes", Buffer.from("ab"), new Uint8Array([97, 98])],
    ["frozen or not", Object.freeze({ a: Object.freeze([new Date(5)]) }), { a: [new Date(5)] }],
    [
      "a tag beside nothing stays what it is",
      { $date: "2026-01-01T00:00:00.000Z", b: undefined },
      { $date: "2026-01-01T00:00:00.000Z" },
    ],
  ])("is taken for what JSON takes it for: %s", (_, value, stored) => {
    expect(roundTrip(value)).toStrictEqual(stored);
  });

  test("stays queryable JSON", () => {
    expect(encode({ a: [1, "b", null], at: new Date(0), n: 5n, bytes: new Uint8Array([1]), $x: 1 })).toBe(
      '{"a":[1,"b",null],"at":{"$date":"1970-01-01T00:00:00.000Z"},"n":{"$bigint":"5"},"bytes":{"$bytes":"AQ=="},"$x":1}',
    );
    expect(encode({ $x: 1 })).toBe('{"$object":{"$x":1}}');
  });
});

describe("what is no data is refused", () => {
  class Point {
    x = 1;
  }
  class BadlyNamed extends Point {}
  Object.defineProperty(BadlyNamed, "name", { value: "\u001b[31m" });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const throwing = {
    get a(): unknown {
      throw new Error("no\nentry");
    },
  };
  const trap = (): never => {
    throw new RangeError("trapped");
  };

  test.each<[string, unknown, string]>([
    ["a function", { a: { b: [1, () => {}] } }, "payload at a.b.1 is a function"],
    ["a symbol", [Symbol("a")], "payload at 0 is a symbol"],
    ["NaN", { n: Number.NaN }, "payload at n is NaN"],
    ["Infinity", -Infinity, "payload is -Infinity"],
    ["an invalid date", { at: new Date(Number.NaN) }, "payload at at is an invalid Date"],
    ["a Map", { m: new Map() }, "payload at m is a Map"],
    ["a Set", new Set([1]), "payload is a Set"],
    ["a class instance", { p: new Point() }, "payload at p is a Point"],
    ["an error", new TypeError("x"), "payload is a TypeError"],
    ["a regular expression", /a/, "payload is a RegExp"],
    ["a promise", Promise.resolve(), "payload is a Promise"],
    ["a boxed string", Object("a"), "payload is a String"],
    ["another typed array", new Float64Array(1), "payload is a Float64Array"],
    ["a buffer without a view", new ArrayBuffer(1), "payload is a ArrayBuffer"],
    ["what inherits", Object.create({ a: 1 }), "payload is a Object"],
    ["what only looks like a date", Object.create(Date.prototype), "payload cannot be read"],
    [
      "an object that writes itself",
      { toJSON: undefined, b: { toJSON: () => 1 } },
      "payload at b is an object with toJSON",
    ],
    ["a list that writes itself", Object.assign([1], { toJSON: () => 1 }), "payload is an object with toJSON"],
    ["a class with a bad name", new BadlyNamed(), "payload is an object of a class"],
    ["a revoked proxy", { p: revoked.proxy }, "payload at p cannot be read"],
    ["a throwing getter", { t: throwing }, "payload at t cannot be read: no entry"],
    ["a throwing proxy", [new Proxy({}, { ownKeys: trap })], "payload at 0 cannot be read: trapped"],
    ["a proxy of bytes", new Proxy(new Uint8Array(1), {}), "payload cannot be read"],
  ])("%s", (_, value, part) => {
    const error = refusalOf(value);
    expect(error.code).toBe("PAYLOAD_NOT_JSON");
    expect(error.message).toContain(part);
    expect(error.message).toMatch(/^[^\p{Cc}]{1,700}$/u);
  });

  test("with a path that is itself harmless and short", () => {
    const hostile = { ["\u001b[2J\n".repeat(50)]: { "\u202e": [Number.NaN] } };
    const { message, details } = refusalOf(hostile);
    expect(message).toMatch(/^[^\p{Cc}\p{Cf}]{1,700}$/u);
    expect(details.path).toEqual(["\u001b[2J\n".repeat(50), "\u202e", 0]);
  });

  test("with the path on which it refers to itself", () => {
    const circle: Record<string, unknown> = { a: {} };
    (circle.a as Record<string, unknown>).back = [circle];
    expect(refusalOf(circle).message).toContain(
      "at a.back.0.a.back.0.a.back.0.a is nested deeper than 100 levels, or refers to itself",
    );
  });
});

describe("the bounds", () => {
  test("of nesting: 100 levels, and not one more", () => {
    expect(roundTrip(nested(100))).toStrictEqual(nested(100));
    expect(refusalOf(nested(101)).code).toBe("PAYLOAD_NOT_JSON");
    expect(refusalOf(nested(50_000)).code).toBe("PAYLOAD_NOT_JSON");
  });

  test.each<[string, unknown]>([
    ["one byte each", "x".repeat(50)],
    ["two bytes each", "ä".repeat(50)],
    ["three bytes each", "€".repeat(50)],
    ["four bytes each", "😀".repeat(50)],
    ["escaped", '\0\n"\ud800'.repeat(10)],
    ["of all kinds", { a: [new Date(0), 10n ** 30n, new Uint8Array(40), { $x: "ä" }], "€": undefined, z: null }],
  ])("of size: UTF-8 bytes of the text, to the very byte: %s", (_, value) => {
    const bytes = Buffer.byteLength(encode(value));
    expect(encode(value, bytes)).toBe(encode(value));
    const error = refusalOf(value, bytes - 1);
    expect(error.code).toBe("PAYLOAD_TOO_LARGE");
    expect(error.message).toContain(`${bytes - 1}`);
    expect(error.details.maxBytes).toBe(bytes - 1);
  });

  test("of size hold for every value", () => {
    fc.assert(
      fc.property(storable, (value) => {
        const bytes = Buffer.byteLength(encode(value));
        encode(value, bytes);
        expect(refusalOf(value, bytes - 1).code).toBe("PAYLOAD_TOO_LARGE");
      }),
      fcParameters(500),
    );
  });

  test("say how large a value is that is a little too large", () => {
    expect(refusalOf("ä".repeat(10), 15)).toMatchObject({
      message:
        "The payload is 22 bytes of JSON, and the limit is 15. Store the bulk elsewhere and pass a reference, or raise the limit.",
      details: { bytes: 22, maxBytes: 15 },
    });
  });

  test.each<[string, () => unknown]>([
    [
      "objects that refer to each other many times over",
      () => {
        let value: unknown = "x";
        for (let level = 0; level < 40; level++) value = { a: value, b: value, c: [value] };
        return value;
      },
    ],
    ["one long text, many times over", () => Array.from({ length: 1_000_000 }).fill("x".repeat(1_000_000))],
    [
      "an array of four billion holes",
      () => Array.from({ length: 0 }, () => 1).concat(Object.assign([], { length: 2 ** 32 - 1 })),
    ],
    ["a huge number", () => 2n ** 100_000_000n],
    ["a huge key", () => ({ ["k".repeat(10_000_000)]: 1 })],
    ["many bytes", () => new Uint8Array(600_000_000)],
  ])("are told at once for %s", (_, make) => {
    const value = make();
    const startedMs = performance.now();
    expect(refusalOf(value).code).toBe("PAYLOAD_TOO_LARGE");
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

test("a stored text that is damaged is not repeated by the error", () => {
  const thrown = (() => {
    try {
      return decodeJson('{"secret": "canary"');
    } catch (error) {
      return error;
    }
  })();
  expect(isAzothError(thrown, "STORE_CORRUPT")).toBe(true);
  expect((thrown as AzothError).message).toContain("19 characters");
  expect(inspect(thrown, { depth: 9 })).not.toContain("canary");
});
