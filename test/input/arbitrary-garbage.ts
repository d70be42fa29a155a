/** Values of all types that nobody expects, for properties: "always success or AzothError". */
import fc from "fast-check";
import { engineUnderTest } from "../engine-under-test.ts";

/** Each call takes longer where a server answers it. */
const share = engineUnderTest === "postgres" ? 0.3 : 1;

/** How often a property is tried: RUNS multiplies it, SEED repeats a failure whose seed was printed. */
export function fcParameters(numRuns: number): { numRuns: number; seed?: number } {
  const { RUNS = "1", SEED } = process.env;
  return { numRuns: Math.ceil(numRuns * share * Number(RUNS)), ...(SEED === undefined ? {} : { seed: Number(SEED) }) };
}

/** How to make a value: fast-check looks at what it makes itself, which some of these values do not survive. */
export class Recipe {
  readonly make: () => unknown;
  readonly #description: string;

  constructor(description: string, make: () => unknown) {
    this.#description = description;
    this.make = make;
  }

  [fc.toStringMethod](): string {
    return this.#description;
  }
}

class Instance {
  readonly field = 1;
  method(): number {
    return this.field;
  }
}

/** What a trap, a getter or a method of a hostile object throws: not even an error, at times. */
const thrown: readonly Recipe[] = [
  new Recipe("an error", () => new Error("hostile\n\u001b[2Jobject")),
  new Recipe("a text", () => "text"),
  new Recipe("undefined", () => undefined),
  new Recipe("a symbol", () => Symbol("thrown")),
  new Recipe("no object", () => Object.create(null) as unknown),
  new Recipe("a revoked proxy", () => revokedProxy({})),
];

function hostileProxy(target: object, what: Recipe): object {
  const trap = (): never => {
    throw what.make();
  };
  return new Proxy(target, {
    get: trap,
    has: trap,
    ownKeys: trap,
    getPrototypeOf: trap,
    getOwnPropertyDescriptor: trap,
    apply: trap,
  });
}

function revokedProxy(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function throwingGetter(key: string, what: Recipe): object {
  return Object.defineProperty({}, key, {
    enumerable: true,
    get: () => {
      throw what.make();
    },
  });
}

function circle(keys: readonly string[]): object {
  const object: Record<string, unknown> = {};
  for (const key of keys) object[key] = [object];
  return object;
}

/** The fields that are read of objects somewhere. */
export const knownKeys: readonly string[] = [
  ..."taskId taskType schedule payload priority maxRetries retry timeout eventType eventTypes name handle".split(" "),
  ..."execute validate kind expression timeZone everyMs anchorMs atMs local dst signal limit cursor after".split(" "),
  ..."state enabled idPrefix dueFrom dueUntil handlers logger base factor cap jitter toJSON then length".split(" "),
  ..."since until onError constructor $date $bigint $bytes $object ~standard anchor count location".split(" "),
  "__proto__",
];

const hostileTargets: Readonly<Record<string, () => object>> = {
  object: () => ({}),
  array: () => [],
  function: () => () => {},
  date: () => new Date(0),
};
const target = fc.constantFrom(...Object.keys(hostileTargets));

const hostile: fc.Arbitrary<Recipe> = fc.oneof(
  fc
    .tuple(target, fc.constantFrom(...thrown))
    .map(
      ([of, what]) => new Recipe(`a throwing proxy of ${of}`, () => hostileProxy(hostileTargets[of]?.() ?? {}, what)),
    ),
  target.map((of) => new Recipe(`a revoked proxy of ${of}`, () => revokedProxy(hostileTargets[of]?.() ?? {}))),
  fc
    .tuple(fc.constantFrom(...knownKeys), fc.constantFrom(...thrown))
    .map(([key, what]) => new Recipe(`a getter ${key} that throws`, () => throwingGetter(key, what))),
  fc.constantFrom("valueOf", "toString", "toJSON", "then").map((key) => {
    const method = () => {
      throw new Error("no");
    };
    return new Recipe(`a method ${key} that throws`, () => ({ [key]: method }));
  }),
);

const strange: fc.Arbitrary<Recipe> = fc
  .constantFrom<(() => unknown)[]>(
    () => circle(["self"]),
    () => circle(["a", "b", "c"]),
    () => new Map([["a", 1]]),
    () => new Set([1]),
    () => new WeakMap(),
    () => new Instance(),
    () => new (class extends Array<unknown> {})(),
    () => /a/g,
    () => new Error("an error"),
    () => Promise.resolve(1),
    () => new Date(Number.NaN),
    () => new Date(8.64e15),
    () => Object.create(Date.prototype) as unknown,
    () => Object.create(null) as unknown,
    () => JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}') as unknown,
    () => Object.assign([], { length: 100_000_000 }),
    () => Object.assign([1], { 3: 2 }),
    () => new Uint8Array([1, 2]),
    () => new Float64Array(2),
    () => new BigInt64Array(1),
    () => new ArrayBuffer(8),
    () => new SharedArrayBuffer(8),
    () => Object("boxed") as unknown,
    () => Object(5n) as unknown,
    () => Symbol("s"),
    () => Symbol.iterator,
    () => () => 5,
    () => async () => {},
    () => Instance,
    () => function* () {},
    () => globalThis,
    () => process.env,
    () => "x".repeat(2_000_000),
    () => 10n ** 400n,
    () => AbortSignal.abort(new Error("aborted")),
    () => new AbortController().signal,
  )
  .map((make) => new Recipe(String(make), make));

const plain: fc.Arbitrary<Recipe> = fc
  .oneof(
    fc.constantFrom(undefined, null, true, false, "", " ", "a", "1", "*", "5m", "UTC", "job", ":memory:"),
    fc.constantFrom(0, -0, 1, -1, 0.5, 1e300, 2 ** 53, -(2 ** 53), Number.NaN, Infinity, -Infinity),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.bigInt(),
    fc.double(),
    fc.date(),
  )
  .map((value) => new Recipe(fc.stringify(value), () => value));

/** Anything. */
export const garbage: fc.Arbitrary<Recipe> = fc.letrec<{ any: Recipe }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    plain,
    strange,
    hostile,
    fc.array(tie("any"), { maxLength: 4 }).map((items) => {
      return new Recipe(fc.stringify(items), () => items.map((item) => item.make()));
    }),
    fc.sparseArray(tie("any"), { maxLength: 6, maxNumElements: 3 }).map((items) => {
      return new Recipe(fc.stringify(items), () => items.map((item) => item.make()));
    }),
    recordOf(fc.dictionary(fc.oneof(fc.constantFrom(...knownKeys), fc.string({ unit: "binary" })), tie("any"))),
  ),
})).any;

/** Objects made by recipes of their fields. */
export function recordOf(fields: fc.Arbitrary<Readonly<Record<string, Recipe>>>): fc.Arbitrary<Recipe> {
  return fields.map((recipes) => {
    return new Recipe(fc.stringify(recipes), () => {
      const made: Record<string, unknown> = {};
      for (const [key, recipe] of Object.entries(recipes)) {
        Object.defineProperty(made, key, {
          value: recipe.make(),
          enumerable: true,
          writable: true,
          configurable: true,
        });
      }
      return made;
    });
  });
}

/** Texts that mean something to a database, a shell, a terminal, a path, a printer of numbers, or a reader of Unicode. */
export const nastyText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "'; DROP TABLE azoth_tasks; --",
    '" OR 1=1 --',
    "%",
    "_",
    "*[a-z]?",
    "$(rm -rf /)",
    "`id`; && || > /dev/null",
    "../../etc/passwd",
    "C:\\NUL",
    "-rf",
    "__proto__",
    "constructor",
    "null",
    "0",
    "1e5",
    "NaN",
    "\u001b]0;title\u0007",
    "\u001b[2J",
    "\0",
    "a\0b",
    "a\nb",
    "\u202egnp.exe",
    "\u200b",
    "\ufeff",
    "é",
    "e\u0301",
    "ﬁ",
    "İ",
    "ß",
    "👩‍👩‍👧‍👦",
    "😀",
    "𠜎",
    "\ud800",
    "\u{10ffff}",
    "x\u{10ffff}\u{10ffff}y",
    "x",
    "\ufffe",
    "\ufffd",
    "TaskScheduled",
    "taskscheduled",
    " padded ",
    "x".repeat(255),
    "x".repeat(256),
    "😀".repeat(127),
  ),
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({ unit: "binary-ascii", maxLength: 30 }),
);
