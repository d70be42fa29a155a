/** docs/cli.md is what the commands themselves make of it. */
import { systemClock } from "azoth-scheduler";
import { expect, test } from "vitest";
import { cliPage } from "../../scripts/docs-cli.mjs";
import { exitCodes } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { readPage } from "./markdown.ts";

test("docs/cli.md is up to date: npm run docs:cli", () => {
  const stream = { write: () => true, once: () => {}, off: () => {} };
  const program = buildProgram({
    stdout: stream,
    stderr: stream,
    env: {},
    cwd: "/",
    clock: systemClock,
    timeZone: "UTC",
    signal: new AbortController().signal,
  });
  expect(readPage("docs/cli.md")).toBe(cliPage(program, exitCodes));
});
