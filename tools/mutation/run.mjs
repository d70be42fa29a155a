/**
 * Breaks the code in every small way and runs the tests each time, to see that they notice: `npm run mutation`.
 *
 *     npm run mutation                          everything
 *     npm run mutation -- tasks claims          parts of it (parts.mjs)
 *     npm run mutation -- claims --file src/scheduler/turn.ts:50-80
 *                                               some files, or lines, by the tests of a part
 *     npm run mutation -- --concurrency 2       beside each other; default 1
 *     npm run mutation -- --fresh               tries every mutant again, not only what a change may concern
 *     npm run mutation -- --record              writes figures into docs/mutation-testing.md, and new survivors into
 *                                               survivors.json, without a reason
 *
 * Fails if tests notice less than `leastScore` percent of a part's mutants, or if one survives that is not in
 * survivors.json, or if one that is there has not survived. The mutator is Stryker, installed here when it is missing or out of date.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installFolder } from "../../scripts/install-folder.mjs";
import { figuresPage, percent, total } from "./figures.mjs";
import { parts } from "./parts.mjs";
import { compare, describeMutant, isCaught, isSurvivor, updated } from "./survivors.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const leastScore = 85;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    file: { type: "string", multiple: true, default: [] },
    concurrency: { type: "string", default: "1" },
    fresh: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(parts);
const unknown = names.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) {
  console.error(`No part ${unknown.join(", ")}; there is ${Object.keys(parts).join(", ")}.`);
  process.exit(2);
}
if (options.record && (positionals.length > 0 || options.file.length > 0)) {
  console.error("--record goes with a run of everything.");
  process.exit(2);
}
installFolder(folder, "the mutation tester");
const { Stryker } = await import("@stryker-mutator/core");

/** Runs one part, and returns its mutants by file. */
async function runPart(name) {
  const { files, tests } = parts[name];
  console.log(`\n${parts[name].title}: ${files.join(", ")}`);
  process.env.MUTATION_TESTS = JSON.stringify(tests);
  // Tests that draw at random draw the same each time, so that the same mutants get the same verdict.
  process.env.SEED = "20260101";
  const stryker = new Stryker({
    mutate: options.file.length > 0 ? options.file : files,
    testRunner: "vitest",
    vitest: { configFile: "tools/mutation/vitest.config.ts", related: false },
    plugins: ["@stryker-mutator/vitest-runner", "./tools/mutation/ignore-messages.mjs"],
    ignorers: ["messages"],
    coverageAnalysis: "perTest",
    // What runs only while a module is loaded: the runner does not bring every such mutant into effect (a SELECT without
    // columns survived), so their verdicts would be worth nothing.
    ignoreStatic: true,
    concurrency: Number(options.concurrency),
    disableTypeChecks: false,
    tempDirName: ".stryker-tmp",
    ignorePatterns: ["/.build", "/dist", "/coverage", "/bench", "/docs", "/examples", "/etc", "/tools/node-versions"],
    // Verdicts of earlier runs stand for what has not changed since, neither the code nor the tests that met it.
    incremental: true,
    incrementalFile: `.build/mutation/${name}.incremental.json`,
    force: options.fresh,
    reporters: ["progress-append-only", "json"],
    jsonReporter: { fileName: `.build/mutation/${name}.json` },
    allowConsoleColors: false,
  });
  await stryker.runMutationTest();
  const { files: found, testFiles } = JSON.parse(readFileSync(`.build/mutation/${name}.json`, "utf8"));
  // A test file that cannot be loaded here would go unnoticed, and let mutants survive.
  const missing = tests.filter((test) => (testFiles[test]?.tests.length ?? 0) === 0);
  if (missing.length > 0) throw new Error(`No test ran of ${missing.join(", ")}.`);
  return Object.entries(found).map(([file, { source, mutants }]) => ({ part: name, file, source, mutants }));
}

/** What is said of one file. */
function figuresOf({ part, file, mutants }) {
  const count = (...statuses) => mutants.filter(({ status }) => statuses.includes(status)).length;
  const caught = mutants.filter(isCaught).length;
  const survived = mutants.filter(isSurvivor).length;
  return {
    part,
    file,
    killed: count("Killed"),
    timeout: count("Timeout"),
    survived,
    failed: count("RuntimeError"),
    caught,
  };
}

/** Part by part: a part's score is that of its files together. */
function tell(figures) {
  console.table(figures.map(({ file, caught, ...rest }) => ({ file, ...rest, score: percent({ caught, ...rest }) })));
  for (const name of names) {
    const sum = total(figures.filter(({ part }) => part === name));
    console.log(`${parts[name].title}: ${percent(sum)} % of ${sum.caught + sum.survived} mutants were noticed.`);
    if (percent(sum) < leastScore) fail(`It has to be ${leastScore} %.`);
  }
}

function fail(why) {
  console.error(why);
  process.exitCode = 1;
}

const startedMs = performance.now();
const results = [];
for (const name of names) results.push(...(await runPart(name)));
const minutes = (performance.now() - startedMs) / 60_000;

const figures = results.map(figuresOf);
tell(figures);
const known = JSON.parse(readFileSync(join(folder, "survivors.json"), "utf8"));
const survived = results.flatMap(({ file, source, mutants }) =>
  mutants.filter(isSurvivor).map((mutant) => ({ file, mutant: describeMutant(source, mutant) })),
);
const tried = new Set(options.file.length > 0 ? [] : results.map(({ file }) => file));
const { added, obsolete } = compare(survived, known, (file) => tried.has(file));
if (options.record) {
  const list = updated(known, { added, obsolete });
  writeFileSync(join(folder, "survivors.json"), `${JSON.stringify(list, null, 2)}\n`);
  const page = join(folder, "../../docs/mutation-testing.md");
  writeFileSync(page, figuresPage(readFileSync(page, "utf8"), { figures, known: list }));
} else {
  for (const { file, mutant } of added) fail(`Survived, and is not in survivors.json: ${file}\n    ${mutant}`);
  for (const { file, mutant } of obsolete) fail(`In survivors.json, but it did not survive: ${file}\n    ${mutant}`);
}
console.log(`${Math.round(minutes)} minutes.`);
