/** An idle cluster is woken by notices, not by looking now and then; and where notices are lost, that is noticed. */
import { setTimeout as sleep } from "node:timers/promises";
import { immediate } from "azoth-scheduler";
import { expect, test } from "vitest";
import { connect } from "../../engines/postgres/clients.ts";
import { inScope, ownUrl } from "../../engines/postgres/scope.ts";
import { until } from "../stage.ts";
import { Cluster, dismissNodes } from "./cluster.ts";
import type { NodeOptions } from "./cluster.ts";
import type { NodeProcess } from "./messages.ts";
import { startProxy } from "./proxy.ts";

/** Longer than the patience of any test: what starts was not found by polling. */
const never = { pollInterval: "10m", claimDuration: "10m" } as const;
/** A notice that has to wait for a busy machine; before a listening connection is next tried. */
const soonMs = 5_000;

const asker: NodeOptions = { name: "asker", taskTypes: [], scheduler: never };
const doer: NodeOptions = { name: "doer", taskTypes: ["plain"], scheduler: never };

/** Schedules on one node; resolves with the milliseconds until the handler was called on another. */
async function latencyMs(asks: NodeProcess, does: NodeProcess, taskId: string): Promise<number> {
  asks.order({ do: "schedule", taskId, taskType: "plain" });
  const started = await does.told("started", (told) => told.taskId === taskId);
  const scheduled = await asks.told("scheduled", (told) => told.taskId === taskId);
  return started.monotonicMs - scheduled.monotonicMs;
}

async function latencies(asks: NodeProcess, does: NodeProcess, prefix: string, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let number = 0; number < count; number++) found.push(await latencyMs(asks, does, `${prefix}-${number}`));
  return found.toSorted((a, b) => a - b);
}

const quantile = (sorted: readonly number[], part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;

/** Resolves when a node has a connection that listens, other than these. */
async function untilListens(cluster: Cluster, name: string, others: readonly number[] = []): Promise<void> {
  await until(async () => {
    const listening = await cluster.backends(name, /LISTEN|trial /);
    return listening.some((pid) => !others.includes(pid));
  }, `${name} listens`);
}

/** Ends the connection by which a node hears, and perhaps another one by which it has told others. */
async function endListener(cluster: Cluster, name: string): Promise<readonly number[]> {
  const pids = await cluster.backends(name, /LISTEN|pg_notify/);
  await cluster.terminate(pids);
  return pids;
}

test("what one process schedules starts at once in another that was idle, and so does what a user's transaction commits", async () => {
  const cluster = await Cluster.on(ownUrl());
  const [asks, does] = [await cluster.node(asker), await cluster.node(doer)];
  for (const name of ["asker", "doer"]) await untilListens(cluster, name);
  const found = await latencies(asks, does, "task", 50);
  const shown = [0.5, 0.9, 1].map((part) => `p${part * 100} ${quantile(found, part - 1e-9).toFixed(1)} ms`);
  console.log(`From the call of scheduleTask to the call of the handler: ${shown.join(", ")}`);
  expect(quantile(found, 0.5)).toBeLessThan(500);

  const client = await connect(cluster.url);
  await client.query("BEGIN");
  const request = { taskId: "joined", taskType: "plain", schedule: immediate(), payload: {} };
  await cluster.desk.scheduler.joinTransaction(client).scheduleTask(request);
  expect(does.all("started").map(({ taskId }) => taskId)).not.toContain("joined");
  const committedAtMs = performance.now();
  await client.query("COMMIT");
  await does.told("started", ({ taskId }) => taskId === "joined");
  expect(performance.now() - committedAtMs).toBeLessThan(soonMs);
  await dismissNodes(asks, does);
});

test.concurrent(
  "a node whose listening connection was ended looks for commits until it hears again",
  inScope(async () => {
    const cluster = await Cluster.on(ownUrl());
    const [asks, does] = [await cluster.node(asker), await cluster.node(doer)];
    for (const name of ["asker", "doer"]) await untilListens(cluster, name);
    for (let round = 0; round < 3; round++) {
      const ended = await endListener(cluster, "doer");
      expect(ended).not.toEqual([]);
      expect(await latencyMs(asks, does, `meanwhile-${round}`)).toBeLessThan(soonMs);
      await untilListens(cluster, "doer", ended);
      expect(quantile(await latencies(asks, does, `after-${round}`, 5), 0.5)).toBeLessThan(soonMs);
    }
    // The one that tells as well.
    expect(await endListener(cluster, "asker")).not.toEqual([]);
    expect(await latencyMs(asks, does, "told-otherwise")).toBeLessThan(soonMs);
    await dismissNodes(asks, does);
  }),
);

test.concurrent(
  "where notices do not pass, a node looks for commits",
  inScope(async () => {
    const url = ownUrl();
    const cluster = await Cluster.on(url);
    const proxy = await startProxy(url);
    proxy.deaf = true;
    const asks = await cluster.node(asker);
    const does = await cluster.node({ ...doer, url: proxy.url });
    // Once it has noticed.
    await latencyMs(asks, does, "first");
    expect(quantile(await latencies(asks, does, "task", 10), 0.5)).toBeLessThan(soonMs);
    await dismissNodes(asks, does);
  }),
);

test.concurrent(
  "where notices do not pass, a transaction that takes its time before it commits is not overlooked",
  inScope(async () => {
    const url = ownUrl();
    const cluster = await Cluster.on(url);
    const proxy = await startProxy(url);
    proxy.deaf = true;
    const does = await cluster.node({ ...doer, url: proxy.url });
    const client = await connect(url);
    await client.query("BEGIN");
    const request = { taskId: "slow", taskType: "plain", schedule: immediate(), payload: {} };
    await cluster.desk.scheduler.joinTransaction(client).scheduleTask(request);
    // The node looks several times, and sees that something is on its way.
    await sleep(500);
    await client.query("COMMIT");
    await does.told("started", ({ taskId }) => taskId === "slow");
    await dismissNodes(does);
  }),
);

test.concurrent(
  "a listening connection that only went silent is noticed and replaced, and keeps no process alive",
  inScope(async () => {
    const url = ownUrl();
    const cluster = await Cluster.on(url);
    const proxy = await startProxy(url);
    const asks = await cluster.node(asker);
    const does = await cluster.node({ ...doer, url: proxy.url });
    await untilListens(cluster, "doer");
    const silent = [...proxy.links].filter(({ listens }) => listens);
    expect(silent).toHaveLength(1);
    for (const link of silent) link.stall();
    const silentAtMs = performance.now();
    await latencyMs(asks, does, "meanwhile");
    const noticedMs = performance.now() - silentAtMs;
    console.log(`A silent listener was made up for within ${Math.round(noticedMs)} ms`);
    expect(noticedMs).toBeLessThan(15_000);
    await until(async () => [...proxy.links].filter(({ listens }) => listens).length === 2, "it listens on another");
    expect(quantile(await latencies(asks, does, "after", 10), 0.5)).toBeLessThan(soonMs);
    const dismissedAtMs = performance.now();
    await dismissNodes(asks, does);
    expect(performance.now() - dismissedAtMs).toBeLessThan(10_000);
  }),
);
