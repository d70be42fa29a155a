/** The command line of `run`: what it shows, refuses and leaves behind. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "azoth-scheduler";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { OutputStream } from "../../../src/cli/context.ts";
import { besideIt } from "../../../src/cli/invocation.ts";
import { runProgram } from "../../../src/cli/program.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "azoth-run-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function run(args: readonly string[], signal = new AbortController().signal) {
  const written = { out: "", err: "" };
  const stream = (name: keyof typeof written): OutputStream => ({
    write: (text) => ((written[name] += text), true),
    once: () => {},
    off: () => {},
  });
  const [stdout, stderr] = [stream("out"), stream("err")];
  const context = { stdout, stderr, env: {}, cwd: process.cwd(), clock: systemClock, timeZone: "UTC", signal };
  const code = await runProgram(["run", ...args], context);
  return { code, ...written };
}

function write(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

describe("the commands to try next", () => {
  const beside = (script: string, store?: string) => besideIt({ script, cwd: "/work", store }, ["stats"]);

  test.each([
    ["/usr/local/bin/azoth-scheduler", "azoth-scheduler stats"],
    ["/work/node_modules/.bin/azoth-scheduler", "npx azoth-scheduler stats"],
    ["/home/a/.npm/_npx/1f/node_modules/.bin/azoth-scheduler", "npx azoth-scheduler stats"],
    ["/work/dist/cli/main.js", "node dist/cli/main.js stats"],
    ["/work/my copy/dist/cli/main.js", "node 'my copy/dist/cli/main.js' stats"],
  ])("of %s", (script, line) => {
    expect(beside(script)).toBe(`beside it: ${line}`);
  });

  test("name the store for a shell, and never a password", () => {
    const script = "/usr/bin/azoth-scheduler";
    expect(beside(script, "./it's here; rm x")).toBe(
      String.raw`beside it: azoth-scheduler --store './it'\''s here; rm x' stats`,
    );
    expect(beside(script, "postgres://a@host/db")).toContain("--store postgres://a@host/db stats");
    const secret = beside(script, "postgres://a:hush@host/db");
    expect(secret).toBe("beside it, with AZOTH_STORE set to the same URL: azoth-scheduler stats");
  });
});

test("--check and --dry-run refuse the settings of a store that run would refuse", async () => {
  const file = write(
    "jobs.mjs",
    "export default { store: { payloadCodec: {} }, tasks: { a: { every: '1h', shell: 'true' } } };",
  );
  for (const trial of ["--check", "--dry-run"]) {
    const { code, err } = await run([trial, file]);
    expect({ trial, code }).toEqual({ trial, code: 2 });
    expect(err).toContain("payloadCodec");
  }
});

test("--json tells each mistake by itself", async () => {
  const file = write("tab", "61 * * * * a\n* 25 * * * b\n");
  const { code, err } = await run(["--json", file]);
  expect(code).toBe(2);
  expect(JSON.parse(err)).toMatchObject({
    error: {
      message: "2 mistakes; nothing was started or changed.",
      complaints: [expect.stringMatching(/tab:1:1: /), expect.stringMatching(/tab:2:3: /)],
    },
  });
});

test("no form of a mistake shows the password of a URL", async () => {
  const file = write("tab", "https://a:hush@host/ * * * * b\n");
  for (const form of [[], ["--json"]]) {
    const { code, err } = await run([...form, file]);
    expect(code).toBe(2);
    expect(err).toContain("a:***@host");
    expect(err).not.toContain("hush");
  }
});

test("a store that is refused leaves no directory for the jobs behind", async () => {
  const file = write("tab", "@daily a\n");
  const jobs = join(directory, "jobs");
  const { code, err } = await run(["--store", write("no-store", "text"), "--cwd", jobs, file]);
  expect(code).toBeGreaterThan(0);
  expect(err).toContain("no-store");
  expect(existsSync(jobs)).toBe(false);
});

test("told to stop while the store is being opened, it stops, and declares nothing", async () => {
  const file = write("tab", "# azoth: id=a\n@daily a\n");
  const store = join(directory, "store");
  const { code, out } = await run(["--json", "--store", store, file], AbortSignal.abort());
  expect({ code, out }).toEqual({ code: 0, out: '{"event":"stopped"}\n' });
  const dry = await run(["--json", "--store", store, "--dry-run", file]);
  expect(JSON.parse(dry.out)).toMatchObject({ taskId: "a", change: "new" });
});
