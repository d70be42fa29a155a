/** docs/errors.md is what the table in src/errors.ts makes of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCatalogue } from "azoth-scheduler";
import { expect, test } from "vitest";
import { errorsPage } from "../../scripts/docs-errors.mjs";
import { readPage, root } from "./markdown.ts";

test("docs/errors.md is up to date: npm run docs:errors", () => {
  const source = readFileSync(join(root, "src/errors.ts"), "utf8");
  expect(readPage("docs/errors.md")).toBe(errorsPage(errorCatalogue, source));
});
