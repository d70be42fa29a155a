/** The check for regressions: its counts are the same every time, and it says what grew. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Census, type Counts, takeCensus } from "../../bench/check/counts.ts";
import { judge, limitsFrom } from "../../bench/check/limits.ts";
import { shortNumber } from "../../bench/markdown.ts";

const scratch = mkdtempSync(join(tmpdir(), "azoth-check-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("counting twice gives the same, for the phases that are recorded", async () => {
  const first = await takeCensus(mkdtempSync(join(scratch, "census-")));
  const second = await takeCensus(mkdtempSync(join(scratch, "census-")));
  expect(second.phases).toEqual(first.phases);
  // Where pages are split depends on names and instants; a page more or less is no difference.
  expect(second.bytesPerTask / first.bytesPerTask).toBeCloseTo(1, 1);
  const { census } = JSON.parse(readFileSync("bench/limits.json", "utf8")) as { census: Census };
  expect(Object.keys(first.phases)).toEqual(Object.keys(census.phases));
  const { tasks, events } = first.phases["schedule in batches"] as Counts;
  expect(events).toBe(tasks);
});

describe("verdicts", () => {
  const ratios = { azoth: { schedule: 20, process: 30 }, bareLoop: { schedule: 10, process: 10 } };
  const counts: Counts = { tasks: 100, commits: 2, events: 300, statements: { COMMIT: 2, "INSERT INTO t": 10 } };
  const census: Census = { phases: { process: counts }, bytesPerTask: 500 };
  const limits = limitsFrom(ratios, census);
  const withCounts = (changed: Partial<Counts>): Census => ({
    ...census,
    phases: { process: { ...counts, ...changed } },
  });

  test("what was just recorded passes", () => {
    expect(judge(limits, ratios, census)).toEqual({ failures: [], gains: [] });
  });

  test("a task that costs twice as much fails", () => {
    const { schedule, process } = ratios.azoth;
    const twice = { ...ratios, azoth: { schedule: 2 * schedule, process: 2 * process } };
    expect(judge(limits, twice, census).failures).toHaveLength(2);
  });

  test("a slower machine changes nothing", () => {
    const slower = { azoth: { schedule: 60, process: 90 }, bareLoop: { schedule: 30, process: 30 } };
    expect(judge(limits, slower, census)).toEqual({ failures: [], gains: [] });
  });

  test("a ratio beyond its limit fails, and says where to look", () => {
    const limit = limits.ratios.process;
    const process = (limit + 0.1) * ratios.bareLoop.process;
    const { failures } = judge(limits, { ...ratios, azoth: { ...ratios.azoth, process } }, census);
    const [ratio, of, to] = [limit + 0.1, process, ratios.bareLoop.process].map(shortNumber);
    expect(failures).toEqual([
      `process: processor time is ${ratio} times that of the bare loop (${of} to ${to} µs a task); the limit is ${shortNumber(limit)}. Where it goes: npm run bench -- --profile`,
    ]);
  });

  test("one statement more fails, and is named", () => {
    const { failures } = judge(limits, ratios, withCounts({ statements: { COMMIT: 2, "INSERT INTO t": 11 } }));
    expect(failures).toEqual([
      "process: the SQL statements of 100 tasks grew from 12 to 13.\n    10 → 11: INSERT INTO t",
    ]);
  });

  test("so do a commit, an event, and bytes; fewer are gains", () => {
    expect(judge(limits, ratios, withCounts({ commits: 3 })).failures).toHaveLength(1);
    expect(judge(limits, ratios, withCounts({ events: 301 })).failures).toHaveLength(1);
    expect(judge(limits, ratios, { ...census, bytesPerTask: 510 }).failures).toHaveLength(1);
    expect(judge(limits, ratios, { ...census, bytesPerTask: 504 }).failures).toEqual([]);
    const gain = judge(limits, ratios, withCounts({ events: 299 }));
    expect(gain).toEqual({ failures: [], gains: ["process: the events of 100 tasks fell from 300 to 299."] });
  });

  test("a phase that is not measured any more fails", () => {
    expect(judge(limits, ratios, { ...census, phases: {} }).failures).toHaveLength(1);
  });
});
