/**
 * Our payload codec: AES-256-GCM with keys that can be changed.
 *
 * The nonce is made of the text and its context by a keyed hash, so that the same gives the same; only who has the key can
 * tell anything else by it. Of its 24 bytes the first half makes a key for this text alone, and the second half is the
 * nonce of GCM: no two texts ever share both, however many there are.
 *
 *   id "." base64( format (1) · nonce (24) · ciphertext · tag (16) )
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { AzothError } from "./errors.ts";
import { readFields, readSafely } from "./names.ts";
import type { PayloadCodec } from "./payload-codec.ts";

/** A key of {@link aesGcm}. */
export interface AesGcmKey {
  /** 1 to 32 letters, digits, "-" or "_". It is stored in clear with each text that the key has sealed. */
  readonly id: string;
  /** 32 random bytes: as they are, as base64, or as "env:NAME" for base64 in an environment variable, looked up when a store opens. */
  readonly key: string | Uint8Array;
}

export interface AesGcmOptions {
  /** The first one seals, and each opens what it has sealed. */
  readonly keys: readonly AesGcmKey[];
}

interface Key {
  readonly id: string;
  readonly forNonces: Buffer;
  readonly forTexts: Buffer;
}

const keyBytes = 32;
const format = 1;
const nonceBytes = 24;
const tagBytes = 16;
const isId = /^[\w-]{1,32}$/;
const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/;
const isVariable = /^env:[A-Za-z_]\w*$/;

/**
 * A payload codec that encrypts with AES-256-GCM. To change the key, put the new one first and keep the old ones.
 *
 * @example
 * const payloadCodec = aesGcm({ keys: [{ id: "2026-11", key: "env:AZOTH_KEY" }] });
 * await using db = await AzothDb.open("./data", { payloadCodec });
 * @throws AzothError INVALID_OPTION; when the store opens also for a variable that is not set or holds no key
 */
export function aesGcm(options: AesGcmOptions): PayloadCodec {
  const sources = parseKeys(options);
  let made: readonly Key[] | undefined;
  const makeKeys = () => sources.map(({ id, bytes }) => keyOf(id, bytes()));
  const keys = () => {
    made ??= makeKeys();
    return made;
  };
  return {
    prepare() {
      made = makeKeys();
    },
    seal(text, context) {
      const [first] = keys();
      if (first === undefined) throw new TypeError("there is no key");
      return seal(first, text, context);
    },
    open(sealed, context) {
      const id = sealed.slice(0, Math.max(0, sealed.indexOf(".")));
      if (!isId.test(id)) throw unopened("it is no text that aesGcm has sealed");
      const key = keys().find((known) => known.id === id);
      if (key === undefined) throw unopened(`the codec has no key "${id}". Add it behind the first of its keys`);
      return open(key, sealed.slice(id.length + 1), context);
    },
  };
}

function seal(key: Key, text: string, context: string): string {
  const plain = Buffer.from(text);
  const bound = boundTo(key, context);
  // With its length, so that nothing can be moved from the one to the other.
  const nonce = createHmac("sha256", key.forNonces).update(`${bound.length} `).update(bound).update(plain).digest();
  const cipher = createCipheriv("aes-256-gcm", textKey(key, nonce), nonce.subarray(12, nonceBytes));
  cipher.setAAD(bound);
  const parts = [Buffer.of(format), nonce.subarray(0, nonceBytes), cipher.update(plain), cipher.final()];
  return `${key.id}.${Buffer.concat([...parts, cipher.getAuthTag()]).toString("base64")}`;
}

function open(key: Key, base64: string, context: string): string {
  const blob = Buffer.from(base64, "base64");
  const nonceEnd = 1 + nonceBytes;
  const textEnd = blob.length - tagBytes;
  // What is decoded leniently could be altered without anybody's noticing.
  if (textEnd < nonceEnd || blob[0] !== format || blob.toString("base64") !== base64) throw altered(key);
  const nonce = blob.subarray(1, nonceEnd);
  try {
    const decipher = createDecipheriv("aes-256-gcm", textKey(key, nonce), nonce.subarray(12), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(boundTo(key, context)).setAuthTag(blob.subarray(textEnd));
    return Buffer.concat([decipher.update(blob.subarray(nonceEnd, textEnd)), decipher.final()]).toString();
  } catch {
    throw altered(key);
  }
}

/** What is authenticated along with the text, and not stored. */
function boundTo({ id }: Key, context: string): Buffer {
  return Buffer.from(`azoth-scheduler aes-gcm ${format} ${id} ${context}`);
}

function textKey({ forTexts }: Key, nonce: Buffer): Buffer {
  return createHmac("sha256", forTexts).update(nonce.subarray(0, 12)).digest();
}

function keyOf(id: string, bytes: Uint8Array): Key {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync("sha256", bytes, "", `azoth-scheduler ${purpose}`, keyBytes));
  return { id, forNonces: derive("nonces"), forTexts: derive("texts") };
}

function unopened(why: string): AzothError {
  return new AzothError("PAYLOAD_SEALED", `What is sealed cannot be opened: ${why}.`);
}

function altered({ id }: Key): AzothError {
  return unopened(
    `its key "${id}" is another than the one that sealed it, or it was altered or put in another's place`,
  );
}

interface KeySource {
  readonly id: string;
  readonly bytes: () => Uint8Array;
}

/** No message repeats what was given: where a key was expected, and also where none was, it may be one. */
function parseKeys(options: AesGcmOptions): readonly KeySource[] {
  const { keys } = fieldsOf<AesGcmOptions>(options, ["keys"], "aesGcm");
  const sources = readSafely("keys of aesGcm", "INVALID_OPTION", () => {
    if (!Array.isArray(keys) || keys.length === 0) throw invalid("keys must be an array of at least one { id, key }");
    return Array.from(keys as readonly unknown[], parseKey);
  });
  const twice = sources.find(({ id }, index) => sources.findIndex((other) => other.id === id) !== index);
  if (twice !== undefined) throw invalid(`two keys have the id "${twice.id}"; each has its own`);
  return sources;
}

function parseKey(given: unknown, index: number): KeySource {
  const { id, key } = fieldsOf<AesGcmKey>(given, ["id", "key"], `keys[${index}] of aesGcm`);
  if (typeof id !== "string" || !isId.test(id)) {
    throw invalid(`the id of keys[${index}] must be 1 to 32 letters, digits, "-" or "_", and is ${shapeOf(id)}`);
  }
  if (key instanceof Uint8Array) {
    if (key.byteLength !== keyBytes) throw wrongKey(id, `has ${key.byteLength} bytes`);
    // A copy: the user may wipe theirs.
    const copy = Uint8Array.from(key);
    return { id, bytes: () => copy };
  }
  if (typeof key !== "string") throw wrongKey(id, `is ${shapeOf(key)}`);
  if (!key.startsWith("env:")) {
    const bytes = bytesOf(id, key);
    return { id, bytes: () => bytes };
  }
  if (!isVariable.test(key)) throw wrongKey(id, 'begins with "env:" and names no environment variable');
  return { id, bytes: () => bytesOfVariable(id, key.slice("env:".length)) };
}

function bytesOfVariable(id: string, name: string): Uint8Array {
  const value = process.env[name]?.trim() ?? "";
  if (value === "") throw invalid(`the environment variable ${name}, which is to hold the key "${id}", is not set`);
  return bytesOf(id, value, ` in the environment variable ${name}`);
}

function bytesOf(id: string, base64: string, where = ""): Uint8Array {
  if (!isBase64.test(base64)) throw wrongKey(id, `is ${shapeOf(base64)}${where}`);
  return Buffer.from(base64, "base64");
}

function wrongKey(id: string, is: string): AzothError {
  return invalid(
    `the key "${id}" must be 32 bytes, or 44 characters of base64, or "env:NAME", and ${is}. Make one with: openssl rand -base64 32`,
  );
}

function fieldsOf<Fields extends object>(value: unknown, known: readonly string[], what: string): Fields {
  if (typeof value === "object") return readFields<Fields>(value, known, what, "INVALID_OPTION");
  throw new AzothError("INVALID_OPTION", `${what} takes { ${known.join(", ")} }, and got ${shapeOf(value)}.`);
}

function shapeOf(value: unknown): string {
  if (typeof value === "string") return `a text of ${value.length} characters`;
  return value === null || value === undefined ? String(value) : `of type ${typeof value}`;
}

function invalid(what: string): AzothError {
  return new AzothError("INVALID_OPTION", `aesGcm: ${what}.`);
}
