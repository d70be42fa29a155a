/** docs/your-own-transaction.md shows the adapters that the tests use. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fencesOf } from "../../docs/markdown.ts";

/** The definitions of a TypeScript source: what lies between blank lines and begins with `export const`. */
const definitions = (source: string) => source.split("\n\n").filter((part) => part.startsWith("export const"));

test("the page shows the adapters as they are tested", () => {
  const tested = definitions(readFileSync(new URL("adapters.ts", import.meta.url), "utf8"));
  const shown = fencesOf("docs/your-own-transaction.md").flatMap(({ text }) => definitions(text));
  expect(tested).toHaveLength(3);
  expect(shown.map((definition) => definition.trimEnd())).toEqual(tested.map((definition) => definition.trimEnd()));
});
