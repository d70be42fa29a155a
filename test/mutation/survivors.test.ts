/** The list of mutants that may survive: what it says of the code is still so, and what is not in it is told. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compare, describeMutant, type Known, updated } from "../../tools/mutation/survivors.mjs";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const known = JSON.parse(read("tools/mutation/survivors.json")) as Known[];

test("a mutant is told by its line, before and after", () => {
  const source = "const a = 1;\n  if (a > 1) {\n    stop();\n  }\n";
  const at = (start: [number, number], end: [number, number]) => ({
    start: { line: start[0], column: start[1] },
    end: { line: end[0], column: end[1] },
  });
  expect(describeMutant(source, { location: at([2, 7], [2, 12]), replacement: "a >= 1" })).toBe(
    "if (a > 1) { → if (a >= 1) {",
  );
  expect(describeMutant(source, { location: at([2, 14], [4, 4]), replacement: "{}" })).toBe(
    "if (a > 1) { … → if (a > 1) {}",
  );
});

test("what survived and is not in the list is told, and so is what is there and did not", () => {
  const list = [{ file: "a.ts", mutants: ["x → y", "x → z"], why: "because" }];
  const other = { file: "a.ts", mutant: "x → w" };
  const elsewhere = { file: "b.ts", mutant: "x → y" };
  const survived = [{ file: "a.ts", mutant: "x → y" }, elsewhere, other];
  const change = { added: [elsewhere, other], obsolete: [{ file: "a.ts", mutant: "x → z" }] };
  expect(compare(survived, list, () => true)).toEqual(change);
  expect(compare([], list, () => false)).toEqual({ added: [], obsolete: [] });
  expect(updated(list, change)).toEqual([
    { file: "a.ts", mutants: ["x → y"], why: "because" },
    { file: "a.ts", mutants: ["x → w"], why: null },
    { file: "b.ts", mutants: ["x → y"], why: null },
  ]);
});

test("the list speaks of lines that its files have, and the page has its reasons", () => {
  const page = read("docs/mutation-testing.md");
  for (const { file, mutants, why } of known) {
    const lines = new Set(
      read(file)
        .split("\n")
        .map((line) => line.trim()),
    );
    for (const mutant of mutants) expect(lines).toContain(mutant.split(/ (?:… )?→ /)[0]);
    if (why !== null) expect(page).toContain(why);
  }
});
