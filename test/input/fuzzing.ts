/** Calls a public door with garbage, and with what is nearly right; who uses it judges what came of it. */
import { isAzothError } from "azoth-scheduler";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fcParameters, garbage, Recipe, recordOf } from "./arbitrary-garbage.ts";
import { harmlessLine } from "./doors.ts";

const longestCallMs = 10_000;

/** Rejects if the call does not settle. */
export async function inTime(act: () => unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the call hangs")), longestCallMs);
  });
  try {
    return await Promise.race([act(), hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Objects of the right shape but for one to three fields, which are garbage. */
export function almost(right: Readonly<Record<string, unknown>>): fc.Arbitrary<Recipe> {
  const fields = fc.dictionary(fc.constantFrom(...Object.keys(right)), garbage, { minKeys: 1, maxKeys: 3 });
  return recordOf(
    fields.map((wrongs) => {
      const rights = Object.entries(right).map(
        ([key, value]) => [key, new Recipe("what is right", () => value)] as const,
      );
      return { ...Object.fromEntries(rights), ...wrongs };
    }),
  );
}

export const always = <T>(value: T): fc.Arbitrary<Recipe> => fc.constant(new Recipe(fc.stringify(value), () => value));
/** A test of one door: with nothing but garbage, and with what is nearly right. */
export function fuzz(
  what: string,
  act: (...given: never[]) => unknown,
  nearly: readonly fc.Arbitrary<Recipe>[] = [],
  judge: (call: () => unknown, values: readonly unknown[]) => Promise<void> = succeedsOrRefuses,
): void {
  const anything = fc.array(garbage, { maxLength: Math.max(1, act.length) });
  const given = nearly.length === 0 ? anything : fc.oneof(anything, fc.tuple(...nearly));
  test(what, async () => {
    await fc.assert(
      fc.asyncProperty(given, async (recipes) => {
        const values = recipes.map((recipe) => recipe.make());
        await judge(() => act(...(values as never[])), values);
      }),
      fcParameters(60),
    );
  });
}

/** Fails unless the call goes well, or is refused in our words. */
export async function succeedsOrRefuses(act: () => unknown): Promise<void> {
  try {
    await inTime(act);
  } catch (error) {
    if (!isAzothError(error)) throw error;
    expect(error.message).toMatch(harmlessLine);
  }
}
