/** Wrong input, help, colours and completions of the command line: nothing here needs more than an empty store. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AzothDb } from "azoth-scheduler";
import { beforeEach, describe, expect, test } from "vitest";
import { buildProgram, eachCommand } from "../../../src/cli/program.ts";
import { scratchDirectory } from "../../store/scratch-directory.ts";
import { run, type Surroundings } from "../command-line.ts";

let cwd: string;
beforeEach(async () => {
  cwd = scratchDirectory();
  await (await AzothDb.open(join(cwd, "azoth-data"))).close();
});
const azoth = (argv: readonly string[], more: Surroundings = {}) => run(argv, { cwd, ...more });
const schedule = ["tasks", "schedule", "a", "--type", "job"];

test.each([
  [["tasks", "lst"], 2, "Did you mean list?"],
  [["tasks", "list", "--prefx", "a"], 2, "Did you mean --prefix?"],
  [["tasks", "list", "--state", "sleeping"], 2, "waiting"],
  [["tasks", "list", "--limit", "0"], 2, "whole number from 1"],
  [["tasks", "list", "--due-before", "soon"], 2, '--due-before is "soon"'],
  [["tasks", "show"], 2, "missing required argument"],
  [schedule, 2, "It is not said when."],
  [[...schedule, "--now", "--every", "5m"], 2, "more than once"],
  [[...schedule, "--now", "--tz", "UTC"], 2, "--tz goes with --cron only"],
  [[...schedule, "--every", "5 parsecs"], 2, "5 parsecs"],
  [[...schedule, "--cron", "61 * * * *"], 2, "61"],
  [[...schedule, "--cron", "* * * * *", "--tz", "Mars/Base"], 2, "Mars/Base"],
  [[...schedule, "--at", "yesterday"], 2, '--at is "yesterday"'],
  [[...schedule, "--now", "--payload", "{a}"], 2, "It takes JSON"],
  [[...schedule, "--now", "--max-retries", "-1"], 2, "whole number from 0"],
  [["next", "not cron"], 2, "not cron"],
  [["events", "--since", "32:00"], 2, '--since is "32:00"'],
  [["completion", "fish"], 2, "bash, zsh"],
  [["dead-letters", "drop", "x", "--reason", "r"], 2, "whole number from 1"],
  [["dead-letters", "drop", "7", "--reason", "r"], 3, "DEAD_LETTER_NOT_FOUND"],
  [["dead-letters", "replay", "7", "--handlers", "none.mjs"], 3, "none.mjs"],
  [["stats", "--store", "nowhere"], 3, "STORE_NOT_FOUND"],
  [["stats", "--store", "a-file"], 1, "STORE_CORRUPT"],
] as const)("refuses %j with %i", async (argv, code, words) => {
  writeFileSync(join(cwd, "a-file"), "");
  const told = await azoth(argv);
  expect(told.stderr).toContain(words);
  expect(told).toMatchObject({ code, stdout: "" });
  expect(told.stderr).not.toMatch(/^ +at /m);
  const { stderr } = await azoth(["--json", ...argv]);
  expect(JSON.parse(stderr)).toMatchObject({ error: { message: expect.any(String) as string } });
  expect(stderr.trimEnd()).not.toContain("\n");
});

test("shows a stack to those who ask", async () => {
  expect((await azoth(["stats", "--store", "nowhere", "--verbose"])).stderr).toMatch(/^ +at /m);
});

test("says on standard error that there is nothing, and only to people", async () => {
  for (const argv of [["tasks", "list"], ["events"], ["events", "--since", "2099-01-01"], ["dead-letters", "list"]]) {
    const { code, stdout, stderr } = await azoth(argv);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/^No .+\.\n$/);
    expect(await azoth([...argv, "--json"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
  }
});

test.each<[Surroundings, boolean]>([
  [{ columns: 80 }, true],
  [{}, false],
  [{ columns: 80, env: { NO_COLOR: "1" } }, false],
  [{ columns: 80, env: { TERM: "dumb" } }, false],
  [{ env: { FORCE_COLOR: "1" } }, true],
  [{ columns: 80, env: { FORCE_COLOR: "0" } }, false],
])("colours with %j: %s", async (surroundings, colours) => {
  expect((await azoth(["next", "@daily"], surroundings)).stdout.includes("\u001b[")).toBe(colours);
});

test("help fits 80 columns", async () => {
  const paths: string[][] = [];
  const unused = { env: {}, cwd, timeZone: "UTC" } as unknown as Parameters<typeof buildProgram>[0];
  eachCommand(buildProgram(unused), (command) => {
    const path: string[] = [];
    for (let at = command; at.parent !== null; at = at.parent) path.unshift(at.name());
    paths.push(path);
  });
  expect(paths.length).toBeGreaterThan(20);
  for (const path of paths) {
    const { code, lines } = await azoth([...path, "--help"], { columns: 80, env: { NO_COLOR: "1" } });
    expect(code).toBe(0);
    for (const line of lines) expect(line.length, `${path.join(" ")}: ${line}`).toBeLessThanOrEqual(80);
  }
});

test("marks what clock changes do to occurrences", async () => {
  const argv = ["next", "30 2 * * *", "--tz", "Europe/Rome", "--from", "2026-03-28T12:00:00Z", "--count", "2"];
  expect((await azoth(argv)).stdout).toContain("moved: its time does not exist");
  expect((await azoth([...argv, "--json"])).objects[0]).toMatchObject({ dst: "gap" });
});

describe("completion", () => {
  test.each([
    ["tasks li", "list"],
    ["tasks list --state wai", "waiting"],
    ["--store x dead-letters re", "replay"],
    ["completion z", "zsh"],
  ])("in bash, of %s", async (typed, completed) => {
    writeFileSync(join(cwd, "complete.bash"), (await azoth(["completion", "bash"])).stdout);
    const words = ["azoth-scheduler", ...typed.split(" ")];
    const script = `source complete.bash; COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; _azoth_scheduler; echo "\${COMPREPLY[@]}"`;
    expect(execFileSync("bash", ["-c", script], { cwd, encoding: "utf8" })).toBe(`${completed}\n`);
  });
});
