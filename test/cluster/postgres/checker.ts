/**
 * What must hold of a database whose nodes were under load (`load.mjs`), once everything has run: told from the log
 * alone, and held against what the handlers and the callers have written down themselves.
 */
import type { AzothDb } from "azoth-scheduler";
import { expect } from "vitest";
import { expectOrdersOnce, expectTracesOnce, findViolations, Log } from "../log-checker.ts";
import type { Desk } from "../stage.ts";
import { until, untilDone } from "../stage.ts";
import type { Cluster } from "./cluster.ts";
import type { JournalEntry, NodeProcess, WorkPayload } from "./messages.ts";

/** The intervals of the recurring tasks, as `load.mjs` declares them. */
const ticks: Readonly<Record<string, number>> = { "tick.a": 40, "tick.b": 130, "tick.c": 250 };

/** What the callers were told of their commands. */
export class Ledger {
  readonly acknowledged = new Set<string>();
  readonly doubtful = new Set<string>();
  readonly rejected = new Map<string, string>();

  takeFrom(node: NodeProcess): void {
    for (const { keys } of node.all("acknowledged")) for (const key of keys) this.acknowledged.add(key);
    for (const { keys } of node.all("doubtful")) for (const key of keys) this.doubtful.add(key);
    for (const { keys, code } of node.all("rejected")) for (const key of keys) this.rejected.set(key, code);
    expect(node.output).toBe("");
  }

  /** Nothing that was acknowledged is missing, nothing that was rejected is there, and nothing is there twice. */
  expectKeptIn(log: Log): void {
    const scheduled = new Map<string, number>();
    for (const { payload } of log.all("TaskScheduled")) {
      const { key = "" } = payload.payload as WorkPayload;
      if (!(key in ticks)) scheduled.set(key, (scheduled.get(key) ?? 0) + 1);
    }
    const times = (key: string) => scheduled.get(key) ?? 0;
    const ofTasks = [...this.acknowledged].filter((key) => !(key in ticks));
    expect(ofTasks.filter((key) => times(key) !== 1)).toEqual([]);
    expect([...this.rejected.keys()].filter((key) => !(key in ticks) && times(key) !== 0)).toEqual([]);
    expect([...scheduled].filter(([, count]) => count > 1)).toEqual([]);
  }
}

/** Lets the nodes that are there do what is left, and stops the recurring tasks. */
export async function settle({ desk }: Cluster, nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) node.order({ do: "quiet" });
  for (const node of nodes) await node.told("quiet");
  for (const taskId of Object.keys(ticks)) await desk.scheduler.cancelTask(taskId, "the end of the test");
  await untilDone(desk);
  await until(() => isTallied(desk), "the event handler has come to the end");
}

async function isTallied({ db }: Desk): Promise<boolean> {
  const sql = "SELECT (SELECT count(*) FROM tally) AS tallied, (SELECT count(*) FROM orders) AS placed";
  const [row] = await db.query(sql);
  return row?.tallied === row?.placed;
}

/** Holds the store, at rest, to what was promised; resolves with its log. */
export async function expectSound(cluster: Cluster): Promise<Log> {
  const { db } = cluster.desk;
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const log = await Log.of(db);
  expect(findViolations(log, { positions: "holes" })).toEqual([]);
  await expectNoStrays(db, log);
  await expectTracesOnce(db, log);
  expectEachDoneOnce(log);
  expectJournalAgrees(log, cluster.journal());
  await expectOrdersOnce(db, log);
  const tally = await db.query("SELECT position FROM tally ORDER BY number");
  expect(tally.map(({ position }) => position)).toEqual(log.own("order_placed").map(({ position }) => position));
  return log;
}

/** No row of a run that did not succeed; shown is what the log tells of its task. */
async function expectNoStrays(db: AzothDb, log: Log): Promise<void> {
  const successes = log.all("TaskExecuted").filter(({ payload }) => payload.success);
  const succeeded = new Set(successes.map(({ executionId }) => executionId));
  const rows = await db.query("SELECT task, execution, process FROM notes");
  const strays = rows.filter(({ execution }) => !succeeded.has(String(execution)));
  const told = strays.map((row) => ({
    row,
    log: log.events
      .filter(({ taskId }) => taskId === row.task)
      .map(({ position, eventType, executionId, recordedAt, payload }) =>
        [position, eventType, executionId, recordedAt.toISOString(), JSON.stringify(payload)].join(" "),
      ),
  }));
  expect(told).toEqual([]);
}

/** Every task that was ever scheduled, but for the recurring ones, has run to its one success. */
function expectEachDoneOnce(log: Log): void {
  const successes = new Map<string, number>();
  for (const { taskId = "", payload } of log.all("TaskExecuted")) {
    if (payload.success) successes.set(taskId, (successes.get(taskId) ?? 0) + 1);
  }
  const scheduled = log.all("TaskScheduled").map(({ taskId = "" }) => taskId);
  expect(scheduled.filter((taskId) => !(taskId in ticks) && successes.get(taskId) !== 1)).toEqual([]);
}

/** Handlers were called for what the log says was claimed or started, once each, and every success is one that came to its end. */
function expectJournalAgrees(log: Log, journal: readonly JournalEntry[]): void {
  const of = (is: JournalEntry["is"]) => journal.filter((entry) => entry.is === is).map(({ execution }) => execution);
  // A process may die before it has recorded the start of what it had claimed ahead.
  const begins = [...log.all("TaskStarted"), ...log.all("TaskClaimed")];
  const started = new Set(begins.map(({ executionId }) => executionId));
  const [begun, done] = [of("begun"), new Set(of("done"))];
  expect(begun.filter((execution) => !started.has(execution))).toEqual([]);
  expect(begun).toHaveLength(new Set(begun).size);
  const successes = log.all("TaskExecuted").filter(({ payload }) => payload.success);
  expect(successes.filter(({ executionId = "" }) => !done.has(executionId))).toEqual([]);
}
