/** The monitor example: what it shows, how it stops, and that a kill in the middle costs and doubles nothing. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzothDb } from "azoth-scheduler";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ExampleProcess } from "./run-example.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "azoth-monitor-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const quick = { MONITOR_SAMPLE_EVERY: "20ms", MONITOR_REPORT_CRON: "* * * * * *" };

interface Sample {
  readonly sampledAt: Date;
  readonly load: number;
  readonly memory: number;
  readonly disk: number;
}

/** The report's rows, folded anew from the samples in the log. */
async function foldSamples(db: AzothDb, through: number): Promise<{ samples: number; rows: string[] }> {
  const minutes = new Map<string, Sample[]>();
  let samples = 0;
  for await (const { position, payload } of db.readLog({ eventTypes: ["machine_sampled"] })) {
    if (position > through) break;
    const sample = payload as Sample;
    const minute = sample.sampledAt.toISOString().slice(0, 16);
    minutes.set(minute, [...(minutes.get(minute) ?? []), sample]);
    samples++;
  }
  const rows = [...minutes].map(([minute, samples]) => {
    const cells = (["load", "memory", "disk"] as const).map((gauge) => {
      const values = samples.map((sample) => sample[gauge]);
      const average = values.reduce((sum, value) => sum + value, 0) / values.length;
      return [Math.min(...values), average, Math.max(...values)].map((value) => value.toFixed(2)).join(", ");
    });
    return `| ${[minute, samples.length, ...cells].join(" | ")} |`;
  });
  return { samples, rows };
}

async function positionsOf(db: AzothDb, eventType: string): Promise<number[]> {
  const positions: number[] = [];
  for await (const { position } of db.readLog({ eventTypes: [eventType] })) positions.push(position);
  return positions;
}

test("a report after a kill and a restart agrees with the log", async () => {
  const location = join(directory, "killed");
  const run = { args: [location], env: { ...quick, MONITOR_DISK_LIMIT: "0" } };

  const killed = new ExampleProcess("monitor", run);
  await killed.until((output) => output.split("machine_sampled").length > 30 && output.includes("report_written"));
  killed.kill("SIGKILL");
  expect(await killed.ended()).toBeNull();
  expect(killed.output).toContain("a new store");

  const again = new ExampleProcess("monitor", { ...run, env: { ...run.env, MONITOR_SAMPLES: "80" } });
  expect(await again.ended()).toBe(0);
  expect(again.output).toMatch(/^Found {5}\d+ events; \d+ samples, the last one due /m);
  expect(again.output).toContain("Scheduled sample-machine (unchanged)");

  await using db = await AzothDb.open(location);
  const report = await readFile(join(location, "report.md"), "utf8");
  const [, counted, through] = /^(\d+) samples, up to position (\d+) of the log/m.exec(report) ?? [];
  const folded = await foldSamples(db, Number(through));
  expect(Number(counted)).toBe(folded.samples);
  expect(report.split("\n").filter((line) => /^\| \d/.test(line))).toEqual(folded.rows);

  // Each sample has an occurrence of its own: nothing ran twice and was recorded twice.
  const executions = new Set<string | undefined>();
  for await (const { executionId } of db.readLog({ eventTypes: ["machine_sampled"] })) {
    expect(executions).not.toContain(executionId);
    executions.add(executionId);
  }
  expect(await positionsOf(db, "alert_raised")).toHaveLength(1);
  // The report tells of both lives.
  const starts = await positionsOf(db, "SchedulerStarted");
  expect(starts).toHaveLength(2);
  expect(Number(through)).toBeGreaterThan(starts.at(-1) ?? Number.NaN);
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
});

test("Ctrl-C stops it with exit code 0, and every line fits 80 columns", async () => {
  const monitor = new ExampleProcess("monitor", { args: [join(directory, "stopped")], env: quick });
  await monitor.until((output) => output.includes("report_written"));
  monitor.kill("SIGINT");
  expect(await monitor.ended()).toBe(0);
  expect(monitor.output).toContain("SchedulerStopped");
  expect(monitor.output.trimEnd()).toMatch(
    /Stopped\. The log has \d+ events; start it again, and it goes on from there\.$/,
  );
  const [head = "", log = ""] = monitor.output.split("\ntime ");
  expect(log.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(head).toContain("to stop   Ctrl-C");
});
