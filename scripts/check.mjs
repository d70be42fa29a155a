/**
 * Everything that is held about the code without running it: `npm run check`.
 * With `--fix` (`npm run fix`) it formats, applies the safe lint fixes and rewrites the API reports instead.
 *
 * Plain JavaScript, as it runs before anything is built. Each step is one command; all of them run, whatever fails.
 * `--results <file>` writes the outcome of each step as JSON.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const tarball = ".build/package.tgz";
const { values: options } = parseArgs({ options: { fix: { type: "boolean" }, results: { type: "string" } } });

const apiReports = ["index", "config", "testing"].map((entry) => ({
  name: `API report (${entry})`,
  run: ["node", "scripts/api-report.mjs", entry, ...(options.fix ? ["--write"] : [])],
}));

const steps = options.fix
  ? [
      { name: "lint", run: ["oxlint", "--type-aware", "--fix", "--quiet"] },
      { name: "format", run: ["biome", "format", "--write"] },
      { name: "build", run: ["tsc", "-b", "tsconfig.build.json"] },
      ...apiReports,
    ]
  : [
      { name: "format", run: ["biome", "format"] },
      { name: "lint", run: ["oxlint", "--type-aware", "--deny-warnings"] },
      { name: "types", run: ["tsc", "--noEmit"] },
      { name: "import direction", run: ["depcruise", "src", "--config"] },
      { name: "package", run: ["node", "scripts/pack.mjs", tarball] },
      { name: "package exports", run: ["publint", tarball, "--strict"] },
      { name: "package types", run: ["attw", tarball, "--profile", "esm-only"] },
      ...apiReports,
      { name: "examples, benchmark, simulation and soak", run: ["tsc", "-b", "tsconfig.examples.json"] },
      // Counts, and ratios within one process: it does not depend on the machine's mood.
      { name: "performance", run: ["node", ".build/bench/check/run.js"] },
      // A new seed each time, whatever SEED says to the tests; SIMULATION_SEED repeats one that was printed.
      { name: "simulation", run: ["node", ".build/simulation/run.js", "--minutes", "0.3"], tell: true },
      { name: "simulation of mutants", run: ["node", ".build/simulation/mutants.js"], tell: true },
    ];

function runStep({ name, run: [command, ...args], tell = false }) {
  const file = command === "node" ? process.execPath : join(root, "node_modules/.bin", command);
  const startedMs = performance.now();
  const { status, error, stdout, stderr } = spawnSync(file, args, {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32" && command !== "node",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? "1" : "0" },
  });
  const passed = status === 0;
  console.log(`${passed ? "ok  " : "FAIL"}  ${name}  (${Math.round(performance.now() - startedMs)} ms)`);
  if (tell && passed) console.log(stdout.trimEnd());
  if (!passed) console.log([error?.message, stdout, stderr].filter(Boolean).join("\n").trimEnd());
  return { name, passed };
}

if (existsSync(join(root, tarball))) rmSync(join(root, tarball));
const results = steps.map(runStep);
if (options.results !== undefined) {
  mkdirSync(dirname(options.results), { recursive: true });
  writeFileSync(options.results, `${JSON.stringify(results, null, 2)}\n`);
}
const failed = results.filter(({ passed }) => !passed);
if (failed.length > 0) {
  console.log(`Failed: ${failed.map(({ name }) => name).join(", ")}.`);
  process.exitCode = 1;
}
