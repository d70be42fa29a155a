/** The payload codec that is ours: what it seals opens as it was, with its key and in its place only. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { aesGcm, type AzothError, isAzothError, type PayloadCodec } from "azoth-scheduler";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { fcParameters } from "./input/arbitrary-garbage.ts";

const here = "a context";
const newKey = (id: string) => ({ id, key: randomBytes(32) });
const old = newKey("2026-10");
const current = newKey("2026-11");
const codec = aesGcm({ keys: [current] });

function refusalOf(action: () => unknown): AzothError {
  try {
    action();
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const isSealed = (action: () => unknown) => expect(refusalOf(action).code).toBe("PAYLOAD_SEALED");

afterEach(() => vi.unstubAllEnvs());

test("opens what it sealed", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (text, context) => {
      expect(codec.open(codec.seal(text, context), context)).toBe(text);
    }),
    fcParameters(200),
  );
});

test("seals the same alike with the same key and context, and otherwise not", () => {
  const sealed = codec.seal("{}", here);
  expect(aesGcm({ keys: [{ ...current }] }).seal("{}", here)).toBe(sealed);
  const others = [codec.seal("{ }", here), codec.seal("{}", "elsewhere"), aesGcm({ keys: [old] }).seal("{}", here)];
  const sameBytes = aesGcm({ keys: [{ ...current, id: "other" }] }).seal("{}", here);
  // Not a piece of it: neither the nonce nor what follows it.
  const pieces = [sealed, ...others, sameBytes].map((text) =>
    text.slice(text.indexOf(".") + 3, text.indexOf(".") + 30),
  );
  expect(new Set(pieces).size).toBe(pieces.length);
});

test("does not mix up the end of the context and the beginning of the text", () => {
  const nonceOf = (text: string) => text.slice(0, 40);
  expect(nonceOf(codec.seal("bc", "a"))).not.toBe(nonceOf(codec.seal("c", "ab")));
});

test("shows nothing of the text, and its key's id", () => {
  const sealed = codec.seal(JSON.stringify("canary"), here);
  expect(sealed).toMatch(/^2026-11\.[A-Za-z0-9+/]+=*$/);
  expect(Buffer.from(sealed.slice(8), "base64").toString("latin1")).not.toContain("canary");
});

describe("refuses to open", () => {
  test("what was altered, wherever it was", () => {
    const sealed = codec.seal('{"amount":1}', here);
    for (let at = 0; at < sealed.length; at++) {
      for (const other of ["A", "B", ".", "=", " "]) {
        const altered = sealed.slice(0, at) + other + sealed.slice(at + 1);
        if (altered !== sealed) isSealed(() => codec.open(altered, here));
      }
      isSealed(() => codec.open(sealed.slice(0, at), here));
      isSealed(() => codec.open(sealed.slice(0, at) + sealed.slice(at + 1), here));
    }
    isSealed(() => codec.open(`${sealed}A`, here));
  });

  test("each bit that is turned", () => {
    const sealed = codec.seal("1", here);
    const blob = Buffer.from(sealed.slice("2026-11.".length), "base64");
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const turned = Buffer.from(blob);
      turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      isSealed(() => codec.open(`2026-11.${turned.toString("base64")}`, here));
    }
  });

  test("what belongs elsewhere", () => {
    isSealed(() => codec.open(codec.seal("1", here), "elsewhere"));
  });

  test("with another key of the same id", () => {
    const other = aesGcm({ keys: [newKey(current.id)] });
    const error = refusalOf(() => other.open(codec.seal("1", here), here));
    expect(error).toMatchObject({ code: "PAYLOAD_SEALED", message: expect.stringContaining('"2026-11"') as string });
  });

  test("under another id with the same key", () => {
    const both = aesGcm({ keys: [current, { ...current, id: "other" }] });
    isSealed(() => both.open(both.seal("1", here).replace("2026-11", "other"), here));
  });

  test.each(["", ".", "2026-11", "2026-11.", '{"plain":1}', "..\u0000", "ä.AAAA"])(
    "%j, which nobody sealed",
    (text) => {
      isSealed(() => codec.open(text, here));
    },
  );
});

describe("keys that change", () => {
  test("the first seals, and the others open", () => {
    const before = aesGcm({ keys: [old] }).seal("1", here);
    const both = aesGcm({ keys: [current, old] });
    expect(both.open(before, here)).toBe("1");
    expect(both.seal("1", here)).toBe(codec.seal("1", here));
  });

  test("one that is missing is named", () => {
    const before = aesGcm({ keys: [old] }).seal("1", here);
    expect(refusalOf(() => codec.open(before, here)).message).toContain('no key "2026-10"');
  });
});

describe("a key", () => {
  const bytes = randomBytes(32);
  const sealedBy = (key: string | Uint8Array) => aesGcm({ keys: [{ id: "k", key }] }).seal("1", here);
  const expected = sealedBy(bytes);

  test("is the same in all its forms", () => {
    vi.stubEnv("AZOTH_TEST_KEY", `${bytes.toString("base64")}\n`);
    const forms = [bytes.toString("base64"), bytes.toString("base64url"), new Uint8Array(bytes), "env:AZOTH_TEST_KEY"];
    expect(forms.map(sealedBy)).toEqual(forms.map(() => expected));
  });

  test("is a copy of the user's bytes", () => {
    const own = Buffer.from(bytes);
    const made = aesGcm({ keys: [{ id: "k", key: own }] });
    own.fill(0);
    expect(made.seal("1", here)).toBe(expected);
  });

  test("in a variable is looked up when a store opens, and not before", async () => {
    const made = aesGcm({ keys: [{ id: "k", key: "env:AZOTH_TEST_KEY" }] });
    expect(await problemOf(made)).toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/AZOTH_TEST_KEY.*"k".*not set/) as string,
    });
    vi.stubEnv("AZOTH_TEST_KEY", bytes.toString("base64"));
    await made.prepare?.();
    expect(made.seal("1", here)).toBe(expected);
  });

  test("is not shown by whoever prints the codec", () => {
    const text = bytes.toString("base64");
    const made = aesGcm({ keys: [{ id: "k", key: text }] });
    made.seal("1", here);
    for (const printed of [inspect(made, { depth: 9, showHidden: true }), JSON.stringify(made)]) {
      expect(printed).not.toContain(text);
      expect(printed).not.toContain(bytes.toString("hex"));
    }
  });
});

describe("refuses, without repeating what was given,", () => {
  const secret = "kEyMaterial".repeat(4);
  const other: (key: unknown) => unknown = (key) => ({ keys: [{ id: "k", key }] });
  // biome-ignore format: a table, one row to a line.
  test.each<[string, unknown, ...string[]]>([
    ["nothing", undefined, "keys", "undefined"],
    ["a key instead of options", secret, "keys", "a text of 44 characters"],
    ["no keys", { keys: [] }, "at least one"],
    ["keys that are one", { keys: secret }, "array"],
    ["a key without its id", { keys: [secret] }, "keys[0]", "id"],
    ["options with another field", { keys: [{ id: "k", key: secret, kid: 1 }] }, '"kid"'],
    ["an id that is a key", { keys: [{ id: secret, key: "k" }] }, "id of keys[0]", "44 characters"],
    ["an id with a dot", { keys: [{ id: "a.b", key: secret }] }, "id of keys[0]", "letters"],
    ["an empty id", { keys: [{ id: "", key: secret }] }, "id of keys[0]"],
    ["no key", other(undefined), '"k"', "undefined", "openssl"],
    ["a number", other(5), '"k"', "number"],
    ["a key that is too short", other(secret.slice(2)), '"k"', "32 bytes", "42 characters"],
    ["a key in hex", other("ab".repeat(32)), '"k"', "64 characters"],
    ["bytes that are too few", other(Buffer.alloc(31)), '"k"', "has 31 bytes"],
    ["bytes that are too many", other(new Uint8Array(33)), '"k"', "has 33 bytes"],
    ["a variable without a name", other("env:"), '"k"', "environment variable"],
    ["a variable that cannot be one", other(`env:${secret}=`), '"k"', "environment variable"],
    ["two keys of one id", { keys: [newKey("k"), newKey("k")] }, 'two keys have the id "k"'],
  ])("%s", (_, options, ...words) => {
    const error = refusalOf(() => aesGcm(options as never));
    expect(error.code).toBe("INVALID_OPTION");
    for (const word of words) expect(error.message).toContain(word);
    expect(inspect(error, { depth: 9 })).not.toContain(secret.slice(0, 20));
  });

  test("a variable that holds no key", async () => {
    vi.stubEnv("AZOTH_TEST_KEY", secret.slice(2));
    const error = await problemOf(aesGcm({ keys: [{ id: "k", key: "env:AZOTH_TEST_KEY" }] }));
    expect(error.message).toMatch(/"k".*a text of 42 characters in the environment variable AZOTH_TEST_KEY/);
    expect(inspect(error)).not.toContain(secret.slice(2, 20));
  });
});

async function problemOf(made: PayloadCodec): Promise<AzothError> {
  try {
    await made.prepare?.();
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}
