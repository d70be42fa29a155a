/** The benchmark measures what it says, adds up right, and runs from its command line. No test here looks at a speed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { scenarioSection, shortNumber } from "../../bench/markdown.ts";
import { parseOptions, UsageError } from "../../bench/options.ts";
import { shortSql } from "../../bench/profile/stopwatch.ts";
import { systemsOf } from "../../bench/rounds.ts";
import { scenarios } from "../../bench/scenarios/all.ts";
import { median, percentile, ratios, rotated, summarize } from "../../bench/statistics.ts";
import type { System } from "../../bench/systems/system.ts";

const scratch = mkdtempSync(join(tmpdir(), "azoth-bench-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("arithmetic", () => {
  test("median is the middle value, or the mean of the two middle ones", () => {
    expect(median([3])).toBe(3);
    expect(median([100, 9, 20])).toBe(20);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  test("percentile is the nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(hundred, 50)).toBe(50);
    expect(percentile(hundred, 99)).toBe(99);
    expect(percentile(hundred, 100)).toBe(100);
    expect(percentile([7], 1)).toBe(7);
  });

  test("a summary has the median between the least and the greatest value", () => {
    expect(summarize([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
  });

  test("ratios are taken round by round", () => {
    expect(ratios([10, 40], [20, 10])).toEqual([0.5, 4]);
    expect(() => ratios([1], [1, 2])).toThrow(RangeError);
  });

  test("rotation begins elsewhere and keeps all", () => {
    expect([0, 1, 2, 3].map((by) => rotated(["a", "b", "c"], by).join(""))).toEqual(["abc", "bca", "cab", "abc"]);
    expect(rotated([], 5)).toEqual([]);
  });

  test("numbers keep three digits", () => {
    expect([0, 0.5, 1.234, 12.34, 123.4, 12345.6].map(shortNumber)).toEqual([
      "0",
      "0.500",
      "1.23",
      "12.3",
      "123",
      "12,346",
    ]);
  });

  test("a table shows medians, ranges, and the median ratio to the bare loop of as many slots and the same durability", () => {
    const [scenario] = parseOptions(["--scenario", "process-only"]).scenarios;
    if (scenario === undefined) throw new Error("no scenario");
    const system = (kind: System["kind"], slots: number): System => ({ kind, durability: "full", slots });
    const section = scenarioSection({
      scenario,
      systems: [
        { system: system("azoth", 10), rounds: { tasksPerSecond: [100, 300, 200] } },
        { system: system("azoth", 20), rounds: { tasksPerSecond: [100, 100, 100] } },
        { system: system("bare-loop", 10), rounds: { tasksPerSecond: [400, 400, 200] } },
      ],
    });
    expect(section.split("\n").slice(-3)).toEqual([
      "| azoth, 10 slots | 200 (100 – 300) | 0.750 |",
      "| azoth, 20 slots | 100 (100 – 100) |  |",
      "| bare loop, 10 a turn | 400 (200 – 400) | 1 |",
    ]);
  });

  test("statements of one kind get one line", () => {
    expect(shortSql("INSERT INTO t (a, b) VALUES (?,?),(?,?)")).toBe("INSERT INTO t (…) VALUES … × 2");
    expect(shortSql("UPDATE t SET a = ?,\n  b = ? WHERE seq = ?")).toBe("UPDATE t SET … WHERE seq = ?");
  });
});

describe("scenarios", () => {
  const measurements = scenarios.flatMap((scenario) => {
    return systemsOf(scenario, [5]).map((system) => ({
      scenario,
      system,
      name: scenario.name,
      kind: system.kind,
      durability: system.durability,
    }));
  });
  test.each(measurements)("$name of $kind, $durability", async ({ scenario, system }) => {
    const directory = mkdtempSync(join(scratch, "store-"));
    const values = await scenario.measure({ directory, system, tasks: 30 });
    expect(Object.keys(values).toSorted()).toEqual(Object.keys(scenario.metrics).toSorted());
    for (const value of Object.values(values)) expect(value).toBeGreaterThanOrEqual(0);
  });
});

describe("command line", () => {
  /** As `npm run bench -- …`, which compiles first. */
  function bench(...args: string[]) {
    const file = fileURLToPath(new URL("../../.build/bench/run.js", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [file, "--dir", scratch, ...args], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  }

  test("prints a table, and writes every value of every round", () => {
    const json = join(scratch, "bench.json");
    const { status, stdout, stderr } = bench(
      "--tasks",
      "200",
      "--rounds",
      "2",
      "--slots",
      "5",
      "--scenario",
      "whole-lives",
      "--json",
      json,
    );
    expect(stderr.split("\n").filter((line) => line.startsWith("whole-lives: "))).toHaveLength(8);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^200 tasks, 2 rounds/);
    expect(stdout).toContain("| fdatasync of 4 KiB, p50 and p99 | ");
    const written = JSON.parse(readFileSync(json, "utf8")) as {
      scenarios: { name: string; systems: { system: System; rounds: { tasksPerSecond: number[] } }[] }[];
    };
    const [scenario, ...others] = written.scenarios;
    expect(others).toEqual([]);
    expect(scenario?.name).toBe("whole-lives");
    for (const { rounds } of scenario?.systems ?? []) {
      const [first = 0, second = 0] = rounds.tasksPerSecond;
      const least = shortNumber(Math.min(first, second));
      const greatest = shortNumber(Math.max(first, second));
      expect(stdout).toContain(`| ${shortNumber((first + second) / 2)} (${least} – ${greatest}) |`);
    }
  });

  test("tells where the time goes, in shares that make up the whole", () => {
    const { status, stdout } = bench("--profile", "--tasks", "200", "--slots", "5");
    expect(status).toBe(0);
    const [, areas = "", functions = "", statements = ""] = stdout.split("\n### ");
    expect(stdout).toMatch(/^## 200 whole lives, 5 slots\n/);
    for (const part of [areas, functions]) {
      const shares = [...part.matchAll(/\| (?<share>[\d.]+) % \|/g)].map(({ groups }) => Number(groups?.["share"]));
      expect(shares.at(-1)).toBe(100);
      const sum = shares.slice(0, -1).reduce((total, share) => total + share, 0);
      expect(Math.abs(sum - 100)).toBeLessThan(3);
    }
    expect(areas).toContain("| SQLite: commit (write-ahead log, fsync) |");
    expect(areas).toContain("| tasks/: the rules, and events as JSON |");
    expect(functions).toMatch(/\| SQLite ← \S+ engines\/sqlite\/\S+ \|/);
    expect(statements).toContain("| COMMIT | ");
    expect(statements).toContain("| JSON.stringify | ");
  });

  test("refuses what it does not know, and tells what there is", () => {
    const { status, stderr } = bench("--scenario", "nothing");
    expect(status).toBe(2);
    expect(stderr).toContain('There is no scenario "nothing".');
    expect(stderr).toContain("whole-lives");
    expect(() => parseOptions(["--rounds", "0"])).toThrow(UsageError);
    expect(() => parseOptions(["--speed"])).toThrow(UsageError);
  });
});
