/** Nodes whose clocks are wrong, or are set while they run: the database's clock is what all of them go by. */
import { immediate, interval, oneTime, Scheduler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { begin, openDb } from "../../engines/postgres/clients.ts";
import { inScope, ownUrl } from "../../engines/postgres/scope.ts";
import { eventsOf } from "../../store/scratch-stores.ts";
import { Log } from "../log-checker.ts";
import { until } from "../stage.ts";
import { Cluster, dismissNodes } from "./cluster.ts";
import type { NodeConfig, NodeProcess, NodeTaskType } from "./messages.ts";

const minuteMs = 60_000;
/** Longer than a busy machine keeps a node from a sign of life, and far less than the clocks are wrong. */
const claimMs = 4_000;
/** How far an instant may be off: half an answer of the server's, on a busy machine. */
const doubtMs = 500;
const latestMs = 5_000;

/** Each node has a type of tasks to itself. */
const wrong: readonly { name: string; taskType: NodeTaskType; clock?: NodeConfig["clock"] }[] = [
  { name: "early", taskType: "red", clock: { of: "process", shiftMs: -5 * minuteMs } },
  { name: "late", taskType: "blue", clock: { of: "process", shiftMs: 5 * minuteMs } },
  { name: "early-store", taskType: "note", clock: { of: "store", shiftMs: -5 * minuteMs } },
  { name: "leaping", taskType: "plain", clock: { of: "process", shiftMs: 0 } },
];

/** Schedules a task on a node; resolves with how far the log's instant of it is from the machine's clock. */
async function scheduledOffMs(cluster: Cluster, node: NodeProcess, taskId: string, taskType: NodeTaskType) {
  const before = Date.now();
  node.order({ do: "schedule", taskId, taskType });
  await node.told("scheduled", (told) => told.taskId === taskId);
  const after = Date.now();
  // The task's own events are there at once, whatever others may still commit before them.
  const [scheduled] = await eventsOf(cluster.desk.db, { taskId });
  const at = scheduled?.recordedAt.getTime() ?? Number.NaN;
  return Math.max(before - at, at - after, 0);
}

test.concurrent(
  "a process that runs no scheduler dates what it commits by the database's clock, too",
  inScope(async () => {
    const url = ownUrl();
    let shiftMs = 0;
    const now = () => Date.now() + shiftMs;
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    const db = await openDb(url, { clock: { now, sleep } });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["plain"] });
    const request = (taskId: string) => ({ taskId, taskType: "plain", schedule: immediate() });
    for (const [index, shift] of [5 * minuteMs, -5 * minuteMs].entries()) {
      // Nothing has asked for the time since.
      shiftMs = shift;
      const client = await begin(url);
      await scheduler.joinTransaction(client).scheduleTask(request(`joined-${index}`));
      await client.query("COMMIT");
      shiftMs = -shift;
      await db.transaction((tx) => tx.scheduleTask(request(`apart-${index}`)));
      shiftMs = shift;
      await scheduler.scheduleTask(request(`alone-${index}`));
    }
    const log = await Log.of(db);
    for (const { taskId, recordedAt, payload } of log.all("TaskScheduled")) {
      expect(Math.abs(recordedAt.getTime() - Date.now()), taskId).toBeLessThan(minuteMs);
      expect(Math.abs(payload.next.scheduledForMs - Date.now()), taskId).toBeLessThan(minuteMs);
    }
    expect(log.all("TaskScheduled")).toHaveLength(6);
  }),
);

test.concurrent(
  "tasks of nodes with wrong clocks start when they are due, and nobody is taken for dead",
  inScope(async () => {
    const cluster = await Cluster.on(ownUrl());
    const { db, scheduler } = cluster.desk;
    const nodes = await Promise.all(
      wrong.map(async ({ name, taskType, clock }) => {
        const options = { claimDuration: `${claimMs}ms`, pollInterval: "500ms" };
        const node = await cluster.node({ name, taskTypes: [taskType], scheduler: options, ...(clock && { clock }) });
        return { name, taskType, node };
      }),
    );
    const leaping = nodes.at(-1)?.node;
    const beganAtMs = Date.now();
    const dueAt = new Map<string, number>();
    for (const { taskType } of nodes) {
      for (let number = 0; number < 3; number++) {
        const [taskId, dueAtMs] = [`${taskType}-${number}`, Date.now() + 2_000 + number * 150];
        dueAt.set(taskId, dueAtMs);
        await scheduler.scheduleTask({ taskId, taskType, schedule: oneTime(new Date(dueAtMs)), payload: {} });
      }
    }
    await scheduler.scheduleTask({ taskId: "tick", taskType: "plain", schedule: interval("300ms"), payload: {} });
    // While it sleeps, forwards and then back; a third time when the tasks are running.
    for (const shiftMs of [5 * minuteMs, -5 * minuteMs, 0, 3 * minuteMs]) {
      leaping?.order({ do: "set-clock", shiftMs });
      const ticks = leaping?.all("started").length ?? 0;
      await until(async () => (leaping?.all("started").length ?? 0) > ticks + 1, "it goes on after its clock was set");
    }

    for (const { node, taskType } of nodes) {
      for (let number = 0; number < 3; number++) {
        const { taskId, atMs } = await node.told("started", (told) => told.taskId === `${taskType}-${number}`);
        const lateMs = atMs - (dueAt.get(taskId) ?? 0);
        expect(lateMs, taskId).toBeGreaterThan(-doubtMs);
        expect(lateMs, taskId).toBeLessThan(latestMs);
      }
    }
    for (const { name, node, taskType } of nodes) {
      expect(await scheduledOffMs(cluster, node, `by-${name}`, taskType), name).toBeLessThan(doubtMs);
    }
    // Everybody has shown signs of life for longer than a claim lasts.
    await until(async () => Date.now() - beganAtMs > 1.5 * claimMs, "time passes");
    await scheduler.cancelTask("tick", "the end of the test");
    await dismissNodes(...nodes.map(({ node }) => node));

    const log = await Log.of(db);
    expect(log.all("TaskReleased")).toEqual([]);
    expect(log.all("SchedulerLost")).toEqual([]);
    expect(log.all("SchedulerStarted")).toHaveLength(nodes.length);
    // What the handlers saw of the machine's clock is what the log says.
    for (const { node } of nodes) {
      for (const { executionId, atMs } of node.all("started")) {
        const start = log.all("TaskStarted").find((event) => event.executionId === executionId);
        const waitedMs = atMs - (start?.recordedAt.getTime() ?? Number.NaN);
        expect(waitedMs, executionId).toBeGreaterThan(-doubtMs);
        expect(waitedMs, executionId).toBeLessThan(latestMs);
      }
    }
    // However its clock leapt, each of its occurrences ran in its time, or is accounted for.
    const ticks = log.all("TaskStarted", "tick");
    for (const { payload, recordedAt } of ticks) {
      const lateMs = recordedAt.getTime() - payload.scheduledForMs;
      expect(lateMs).toBeGreaterThanOrEqual(-doubtMs);
      expect(lateMs).toBeLessThan(latestMs);
    }
    expect(await db.verify()).toMatchObject({ ok: true });
  }),
);
