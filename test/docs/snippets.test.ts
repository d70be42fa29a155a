/** Every TypeScript block of the docs compiles; those marked to run do so, and print what the page says. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { root } from "./markdown.ts";
import { compile, folder, snippets } from "./snippets.ts";

const all = snippets();
let complaints: string[] = [];

beforeAll(() => {
  if (!existsSync(join(root, "dist/index.js"))) {
    throw new Error("dist is missing: npm test builds the package before it runs vitest.");
  }
  complaints = compile(all);
}, 120_000);

test("every block compiles", () => {
  expect(complaints).toEqual([]);
});

describe.concurrent("runs", () => {
  test.each(all.filter(({ runs }) => runs))("$name", async ({ file, until, output }) => {
    const cwd = await mkdtemp(join(tmpdir(), "azoth-docs-"));
    try {
      const ended = await run(file, cwd, until);
      expect(ended.exitCode, ended.printed).toBe(0);
      if (output !== undefined) expect(ended.printed).toBe(output);
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });
});

/** Runs a compiled block in a folder of its own; with `until` it gets Ctrl-C once it has printed that. */
async function run(file: string, cwd: string, until: string | undefined) {
  const child = spawn(process.execPath, [join(folder, `${file}.js`)], { cwd, env: { ...process.env, NO_COLOR: "1" } });
  let printed = "";
  let stopped = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (stopped || until === undefined || !printed.includes(until)) return;
      stopped = child.kill("SIGINT");
    });
  }
  return await new Promise<{ exitCode: number | null; printed: string }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve({ exitCode, printed }));
  });
}
