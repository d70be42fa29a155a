/** What the README says of the project's own files. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fencesOf, readPage, root } from "./markdown.ts";

test("it has less than 200 lines", () => {
  expect(readPage("README.md").split("\n").length).toBeLessThan(200);
});

test("the log that it shows is what the example prints", () => {
  const [excerpt] = fencesOf("README.md");
  const example = readFileSync(join(root, "examples/why-did-it-run.ts"), "utf8");
  const [, printed = ""] = example.split("\n// Prints:\n");
  const lines = printed.replaceAll(/^\/\/ ?/gm, "").split("\n");
  const shown = excerpt?.text.trimEnd().split("\n") ?? [];
  expect(shown.length).toBeGreaterThan(5);
  expect(lines.filter((line) => shown.includes(line))).toEqual(shown);
});

test("the commands of CONTRIBUTING.md exist", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const named = [...readPage("CONTRIBUTING.md").matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name);
  expect(named.filter((name) => name === undefined || !Object.hasOwn(scripts, name))).toEqual([]);
});
