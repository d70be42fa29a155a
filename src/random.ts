/** Randomness as a value that is passed in; see `clock.ts`. */
import { AzothError, quote } from "./errors.ts";

/** A number in [0, 1). */
export type Random = () => number;

/** The machine's randomness. */
export const systemRandom: Random = () => Math.random();

/** A text that no other process ever has: by it one tells one's own messages from those of others. */
export function uniqueToken(): string {
  return crypto.randomUUID();
}

/**
 * A small seeded generator (mulberry32) for tests and simulations: the same seed gives the same numbers.
 * Not for secrets.
 * @throws AzothError INVALID_OPTION if the seed is no whole number
 */
export function seededRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) {
    throw new AzothError("INVALID_OPTION", `seed must be a whole number, and is ${quote(seed)}.`);
  }
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
