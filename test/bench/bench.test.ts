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
import type { SystemResult } from "../../bench/rounds.ts";
import { scenarios } from "../../bench/scenarios/all.ts";
import { median, percentile, ratios, rotated, summarize } from "../../bench/statistics.ts";
import { peersDirectory, peerVersion } from "../../bench/systems/peers.ts";
import { factsOf, type SystemName, systemNames } from "../../bench/systems/system.ts";
import { reachedIn } from "../../bench/targets.ts";

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

  describe("results", () => {
    const [scenario] = parseOptions(["--scenario", "whole-lives"]).scenarios;
    if (scenario === undefined) throw new Error("no scenario");
    const rates = (system: SystemName, ...tasksPerSecond: number[]) => ({ system, rounds: { tasksPerSecond } });
    const result = (...systems: SystemResult[]) => ({ scenario, systems, failures: [] });

    test("a table shows medians and ranges, and nothing where nothing was measured", () => {
      const section = scenarioSection(result(rates("azoth-sqlite", 100, 300, 200), rates("plainjob", 50, 50, 50)));
      expect(section).toContain("\n| azoth | SQLite | 200 (100 – 300) |  |  |  |  |  |\n");
      expect(section).toContain("\n| plainjob | SQLite | 50.0 |  |  |  |  |  |\n");
      expect(section).toContain(
        "| Whole lives: tasks/s | SQLite | azoth ÷ plainjob | 4.00 (2.00 – 6.00) | ≥ 4.00 | yes |",
      );
    });

    test("a system that failed is named with its reason", () => {
      const section = scenarioSection({
        scenario,
        systems: [],
        failures: [{ system: "pg-boss", reason: "gone\nat x" }],
      });
      expect(section).toContain("\n**pg-boss failed:** gone");
    });

    test("a ratio is the median of the rounds' ratios, to the better of the peers", () => {
      const [reached, ...others] = reachedIn(
        result(
          rates("azoth-postgres", 130, 260, 100),
          rates("graphile-worker", 100, 100, 100),
          rates("pg-boss", 50, 200, 40),
        ),
      );
      expect(others).toEqual([]);
      expect(reached).toMatchObject({ against: "graphile-worker", median: 1.3, min: 1, max: 2.6, met: true });
    });

    test("where little is wanted, the better one is the one with the least", () => {
      const memory = (system: SystemName, ...peakMiB: number[]) => ({ system, rounds: { peakMiB } });
      const [reached] = reachedIn(result(memory("azoth-sqlite", 210), memory("bare-loop", 100)));
      expect(reached).toMatchObject({ metric: "peakMiB", against: "bare-loop", median: 2.1, met: false });
    });

    test("without a peer there is no ratio", () => {
      expect(reachedIn(result(rates("azoth-postgres", 100)))).toEqual([]);
    });
  });

  test("statements of one kind get one line", () => {
    expect(shortSql("INSERT INTO t (a, b) VALUES (?,?),(?,?)")).toBe("INSERT INTO t (…) VALUES … × 2");
    expect(shortSql("UPDATE t SET a = ?,\n  b = ? WHERE seq = ?")).toBe("UPDATE t SET … WHERE seq = ?");
  });
});

describe("scenarios", () => {
  const ours = parseOptions(["--engine", "sqlite"]).systems.filter((name) => factsOf(name).peer === undefined);
  // "open" starts a process from its compiled file: see the command line, below.
  const here = scenarios.filter(({ name }) => name !== "open");
  const measurements = here.flatMap((scenario) => {
    const systems = scenario.systems.filter((name) => ours.includes(name));
    return systems.map((system) => ({ scenario, system, name: scenario.name }));
  });
  test.each(measurements)("$name of $system", async ({ scenario, system }) => {
    const location = mkdtempSync(join(scratch, "store-"));
    const values = await scenario.measure({ location, system, slots: 5, tasks: 30 });
    expect(Object.keys(values).toSorted()).toEqual(Object.keys(scenario.metrics).toSorted());
    for (const value of Object.values(values)) expect(value).toBeGreaterThanOrEqual(0);
  });

  test("other people's systems have a version, which the lockfile has, too", () => {
    const peers = systemNames.filter((name) => factsOf(name).peer === true);
    expect(peers).toEqual(["plainjob", "graphile-worker", "pg-boss", "bullmq"]);
    const lock = JSON.parse(readFileSync(join(peersDirectory, "package-lock.json"), "utf8")) as {
      packages: Record<string, { version?: string }>;
    };
    for (const name of peers) expect(lock.packages[`node_modules/${name}`]?.version).toBe(peerVersion(name));
  });

  test("their targets are of metrics and systems that they have", () => {
    for (const { name, metrics, systems, targets } of scenarios) {
      for (const { metric, against = [] } of targets) {
        expect(Object.keys(metrics), name).toContain(metric);
        expect(systems, name).toEqual(expect.arrayContaining([...against]));
      }
    }
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

  test("prints tables, and writes every value of every round", () => {
    const json = join(scratch, "bench.json");
    const { status, stdout, stderr } = bench(
      ...["--tasks", "200", "--rounds", "2", "--slots", "5", "--json", json],
      ...["--scenario", "process-only", "--scenario", "open"],
      ...["--system", "azoth-sqlite", "--system", "bare-loop"],
    );
    expect(stderr.split("\n").filter((line) => line.startsWith("process-only: "))).toHaveLength(4);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^200 tasks, 2 rounds, 5 handlers at one time/);
    expect(stdout).toContain("| fdatasync of 4 KiB, p50 and p99 | ");
    const written = JSON.parse(readFileSync(json, "utf8")) as {
      scenarios: { name: string; systems: SystemResult[]; targets: { against: SystemName | null; median: number }[] }[];
    };
    const [processing, opening, ...others] = written.scenarios;
    expect(others).toEqual([]);
    expect([processing?.name, opening?.name]).toEqual(["process-only", "open"]);
    expect(opening?.systems.map(({ system, rounds }) => [system, Object.keys(rounds)])).toEqual([
      ["azoth-sqlite", ["openMs", "openAndStartMs", "growthMiB"]],
    ]);
    expect(processing?.systems.map(({ system }) => system)).toEqual(["azoth-sqlite", "bare-loop"]);
    for (const { rounds } of processing?.systems ?? []) {
      const [first = 0, second = 0] = rounds["tasksPerSecond"] ?? [];
      const least = shortNumber(Math.min(first, second));
      const greatest = shortNumber(Math.max(first, second));
      expect(stdout).toContain(`| ${shortNumber((first + second) / 2)} (${least} – ${greatest}) |`);
    }
    const ratio = processing?.targets.find(({ against }) => against === "bare-loop")?.median ?? Number.NaN;
    expect(stdout).toContain(`| azoth ÷ bare loop | ${shortNumber(ratio)} (`);
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
    expect(() => parseOptions(["--system", "cron"])).toThrow('There is no system "cron".');
    expect(() => parseOptions(["--engine", "oracle"])).toThrow('There is no engine "oracle".');
  });

  test("chooses systems by name and by engine; those on request only by name", () => {
    expect(parseOptions([]).systems).not.toContain("azoth-sqlite-normal");
    expect(parseOptions(["--system", "azoth-sqlite-normal"]).systems).toEqual(["azoth-sqlite-normal"]);
    expect(parseOptions(["--engine", "redis"]).systems).toEqual(["bullmq"]);
    expect(parseOptions(["--engine", "postgres", "--system", "pg-boss", "--system", "plainjob"]).systems).toEqual([
      "pg-boss",
    ]);
  });

  test("a long run has more tasks and rounds, unless they are given", () => {
    const { tasks, rounds } = parseOptions(["--long", "--rounds", "2"]);
    expect({ tasks, rounds }).toEqual({ tasks: 100_000, rounds: 2 });
  });
});
