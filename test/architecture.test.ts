/**
 * Holds src to the import direction of .dependency-cruiser.cjs; and holds the rules themselves
 * to a tree in which each of them is broken on purpose, so that a rule that matches nothing is noticed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractDepcruiseConfig from "dependency-cruiser/config-utl/extract-depcruise-config";
import extractDepcruiseOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The violations of the project's rules in `<directory>/src`, as "rule: from -> to". */
async function violationsIn(directory: string): Promise<string[]> {
  const options = await extractDepcruiseOptions(join(root, ".dependency-cruiser.cjs"));
  const { output } = await cruise(["src"], { ...options, baseDir: directory, validate: true }, undefined, {
    tsConfig: extractTSConfig(join(root, "tsconfig.json")),
  });
  const { summary } = output as ICruiseResult;
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

async function ruleNames(): Promise<string[]> {
  const { forbidden = [] } = await extractDepcruiseConfig(join(root, ".dependency-cruiser.cjs"));
  return forbidden.map(({ name }) => name ?? "unnamed");
}

test("src keeps the import direction", async () => {
  expect(await violationsIn(root)).toEqual([]);
});

/** The packages of the wrong tree. */
const manifest = {
  dependencies: { "@standard-schema/spec": "1.0.0", commander: "1.0.0", "for-users": "1.0.0" },
  optionalDependencies: { "@photostructure/sqlite": "1.0.0" },
  peerDependencies: { pg: "1.0.0" },
  devDependencies: { "for-developers": "1.0.0" },
};

/** Files of a wrong tree: its imports, and the violation that each must be found as. */
const broken: Record<string, { imports: string[]; found: string[] }> = {
  "src/errors.ts": {
    imports: [`import "./store/store.ts"`],
    found: ["bottom-imports: src/errors.ts -> src/store/store.ts"],
  },
  "src/clock.ts": { imports: [], found: [] },
  "src/telemetry/metrics.ts": {
    imports: [`import "for-users"`, `import "@photostructure/sqlite"`, `import "for-developers"`, `import "commander"`],
    found: [
      "cli-packages-in-cli: src/telemetry/metrics.ts -> node_modules/commander/index.js",
      "sqlite-package-in-its-engine: src/telemetry/metrics.ts -> node_modules/@photostructure/sqlite/index.js",
      "declared-packages-only: src/telemetry/metrics.ts -> node_modules/for-developers/index.js",
    ],
  },
  "src/index.ts": { imports: [`export * from "./scheduler/scheduler.ts"`], found: [] },
  "src/schedule/cron.ts": {
    imports: [`import "../tasks/state.ts"`, `import "../clock.ts"`],
    found: ["schedule-imports: src/schedule/cron.ts -> src/tasks/state.ts"],
  },
  "src/tasks/schema.ts": { imports: [`import type { Value } from "@standard-schema/spec"`], found: [] },
  "src/tasks/validate.ts": {
    imports: [`import { value } from "@standard-schema/spec"`],
    found: ["standard-schema-as-types: src/tasks/validate.ts -> node_modules/@standard-schema/spec/index.js"],
  },
  "src/tasks/state.ts": {
    imports: [`import type { Value } from "../store/store.ts"`, `import "node:os"`],
    found: [
      "tasks-imports: src/tasks/state.ts -> src/store/store.ts",
      "pure-means-no-node-modules: src/tasks/state.ts -> os",
    ],
  },
  "src/store/store.ts": {
    imports: [`import "../scheduler/scheduler.ts"`, `import "node:fs"`, `import "./missing.ts"`],
    found: [
      "store-imports: src/store/store.ts -> src/scheduler/scheduler.ts",
      "input-and-output-at-the-edges: src/store/store.ts -> fs",
      "resolvable: src/store/store.ts -> ./missing.ts",
    ],
  },
  "src/store/engine.ts": { imports: [], found: [] },
  "src/store/open.ts": {
    imports: [
      `import "../engines/sqlite/engine.ts"`,
      `await import("../engines/postgres/engine.ts")`,
      `import "node:fs"`,
    ],
    found: ["engines-are-loaded-lazily: src/store/open.ts -> src/engines/sqlite/engine.ts"],
  },
  "src/engines/sqlite/engine.ts": {
    imports: [
      `import "../postgres/engine.ts"`,
      `import "../../store/store.ts"`,
      `import type { Value } from "../../store/engine.ts"`,
    ],
    found: [
      "engines-do-not-know-each-other: src/engines/sqlite/engine.ts -> src/engines/postgres/engine.ts",
      "engine-imports: src/engines/sqlite/engine.ts -> src/store/store.ts",
    ],
  },
  "src/engines/postgres/engine.ts": {
    imports: [`import { value } from "../../tasks/state.ts"`, `await import("pg")`],
    found: [
      "engine-imports-tasks-as-types: src/engines/postgres/engine.ts -> src/tasks/state.ts",
      "pg-in-its-engine: src/engines/postgres/engine.ts -> node_modules/pg/index.js",
    ],
  },
  "src/engines/postgres/driver.ts": { imports: [`await import("pg")`], found: [] },
  "src/engines/postgres/rows.ts": { imports: [`import type { Value } from "../../tasks/state.ts"`], found: [] },
  "src/scheduler/scheduler.ts": {
    imports: [`await import("../engines/sqlite/engine.ts")`, `import "../testing/clock.ts"`, `import "../cli/main.ts"`],
    found: [
      "scheduler-imports: src/scheduler/scheduler.ts -> src/engines/sqlite/engine.ts",
      "engines-only-through-open: src/scheduler/scheduler.ts -> src/engines/sqlite/engine.ts",
      "scheduler-imports: src/scheduler/scheduler.ts -> src/testing/clock.ts",
      "testing-is-not-imported: src/scheduler/scheduler.ts -> src/testing/clock.ts",
      "scheduler-imports: src/scheduler/scheduler.ts -> src/cli/main.ts",
    ],
  },
  "src/subscriptions/reader.ts": {
    imports: [`import "../index.ts"`, `import "./cycle.ts"`],
    found: [
      "subscriptions-imports: src/subscriptions/reader.ts -> src/index.ts",
      "index-is-the-top: src/subscriptions/reader.ts -> src/index.ts",
    ],
  },
  "src/subscriptions/cycle.ts": {
    imports: [`import "./reader.ts"`],
    found: ["no-cycles: src/subscriptions/cycle.ts -> src/subscriptions/reader.ts"],
  },
  "src/testing/clock.ts": {
    imports: [`import "../cli/main.ts"`],
    found: ["testing-imports: src/testing/clock.ts -> src/cli/main.ts"],
  },
  "src/cli/main.ts": {
    imports: [`import "../index.ts"`, `import "../tasks/state.ts"`, `import "commander"`],
    found: ["cli-imports: src/cli/main.ts -> src/tasks/state.ts"],
  },
  "src/http/server.ts": {
    imports: [`import "../store/store.ts"`],
    found: ["http-imports: src/http/server.ts -> src/store/store.ts"],
  },
};

describe("a tree that breaks the rules", () => {
  let directory: string;
  let violations: string[];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "azoth-architecture-"));
    const write = (file: string, text: string) => {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      writeFileSync(join(directory, file), text);
    };
    write("package.json", JSON.stringify(manifest));
    for (const name of Object.values(manifest).flatMap((packages) => Object.keys(packages))) {
      write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: "1.0.0", main: "index.js" }));
      write(`node_modules/${name}/index.js`, "export const value = 1;");
    }
    for (const [file, { imports }] of Object.entries(broken)) {
      write(file, [...imports, "export const value = 1", "export type Value = number", ""].join(";\n"));
    }
    violations = await violationsIn(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const expected = Object.values(broken).flatMap(({ found }) => found);
  test.each(expected)("is found: %s", (violation) => {
    expect(violations).toContain(violation);
  });

  test("breaks every rule", async () => {
    const found = new Set(expected.map((violation) => violation.split(":")[0]));
    expect((await ruleNames()).filter((name) => !found.has(name))).toEqual([]);
  });

  test("is not accused of what is allowed", () => {
    const others = violations.filter(
      (violation) => !expected.includes(violation) && !violation.startsWith("no-cycles:"),
    );
    expect(others).toEqual([]);
  });
});
