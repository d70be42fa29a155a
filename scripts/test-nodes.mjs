/**
 * Runs the tests on every Node version of tools/node-versions and prints a table: `npm run test:nodes`.
 *
 *     npm run test:nodes -- 20 26              only the versions that begin so
 *     npm run test:nodes -- 22 test/schedule   the rest goes to vitest
 *
 * The binaries come from the npm registry, locked, installed when they are missing or out of date.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installFolder } from "./install-folder.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "tools/node-versions");
const platform = `${process.platform}-${process.arch}`;
const isVersion = (word) => /^\d+(\.\d+)*$/.test(word);
const wanted = process.argv.slice(2).filter(isVersion);
const vitestArguments = process.argv.slice(2).filter((word) => !isVersion(word));

/** The versions that exist for this platform, as { name: "20.19", binary }. */
function nodeVersions() {
  const { optionalDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return Object.keys(optionalDependencies)
    .filter((alias) => alias.endsWith(`-${platform}`))
    .map((alias) => ({
      name: alias.slice("node-".length, -`-${platform}`.length),
      binary: join(folder, "node_modules", alias, "bin/node"),
    }));
}

/** Runs the tests on one version; returns its line of the table. */
function runTests({ name, binary }) {
  const resultsFile = join(root, ".build/nodes", `${name}.json`);
  mkdirSync(dirname(resultsFile), { recursive: true });
  rmSync(resultsFile, { force: true });
  const version = spawnSync(binary, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "does not start";
  console.log(`\nNode ${name} (${version})`);
  const startedMs = performance.now();
  const { status } = spawnSync(
    binary,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--reporter=dot",
      "--reporter=json",
      `--outputFile.json=${resultsFile}`,
      ...vitestArguments,
    ],
    {
      cwd: root,
      stdio: "inherit",
      // Processes that tests start as `node` run this version too.
      env: { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH ?? ""}` },
    },
  );
  const results = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, "utf8")) : {};
  return {
    Node: name,
    version,
    result: status === 0 ? "passed" : "FAILED",
    passed: results.numPassedTests ?? 0,
    failed: results.numFailedTests ?? 0,
    skipped: (results.numPendingTests ?? 0) + (results.numTodoTests ?? 0),
    seconds: Math.round((performance.now() - startedMs) / 1000),
  };
}

installFolder(folder, "the Node versions (about 1 GB)");
const known = nodeVersions();
const chosen = known.filter(({ name }) => {
  return wanted.length === 0 || wanted.some((version) => name === version || name.startsWith(`${version}.`));
});
const unmatched = wanted.filter((version) => {
  return !known.some(({ name }) => name === version || name.startsWith(`${version}.`));
});
if (chosen.length === 0 || unmatched.length > 0) {
  console.error(
    `No Node ${unmatched.join(", ")} for ${platform}; there is ${known.map(({ name }) => name).join(", ")}.`,
  );
  process.exit(2);
}
const table = chosen.map(runTests);
console.table(table);
if (table.some(({ result }) => result !== "passed")) process.exitCode = 1;
