/** docs/performance.md names the scenarios that the benchmark has. */
import { expect, test } from "vitest";
import { scenarios } from "../../bench/scenarios/all.ts";
import { readPage, tableRows } from "./markdown.ts";

test("the scenarios", () => {
  const [, section = ""] = readPage("docs/performance.md").split("| scenario | asks |");
  const [table = ""] = section.split("\n\n");
  const named = tableRows(table).flatMap(([names = ""]) => names.replaceAll("`", "").split(", "));
  expect(named.toSorted()).toEqual(scenarios.map(({ name }) => name).toSorted());
});
