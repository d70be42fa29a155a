/** The list of mutants that may survive: what it says of the code is still so, and what is not in it is told. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compare, describeMutant, type Explained } from "../../tools/mutation/survivors.mjs";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const explained = JSON.parse(read("tools/mutation/survivors.json")) as Explained[];

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

test("what survived without a reason is told, and so is a reason without a survivor", () => {
  const list = [{ file: "a.ts", mutants: ["x → y", "x → z"], why: "because" }];
  const other = { file: "a.ts", mutant: "x → w" };
  const survived = [{ file: "a.ts", mutant: "x → y" }, { file: "b.ts", mutant: "x → y" }, other];
  expect(compare(survived, list, () => true)).toEqual({
    unexplained: [{ file: "b.ts", mutant: "x → y" }, other],
    obsolete: [{ file: "a.ts", mutant: "x → z" }],
  });
  expect(compare([], list, () => false)).toEqual({ unexplained: [], obsolete: [] });
});

test.each(explained)(
  "$file has the lines that the list speaks of, and the page has its reason",
  ({ file, mutants, why }) => {
    const lines = read(file)
      .split("\n")
      .map((line) => line.trim());
    for (const mutant of mutants) expect(lines).toContain(mutant.split(/ (?:… )?→ /)[0]);
    expect(read("docs/mutation-testing.md")).toContain(why);
  },
);
