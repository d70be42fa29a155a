/**
 * A node that is cut off from the database, or suspended, for longer than its claims last: others take over, what it
 * brings back too late is refused, and it goes on as a new instance. Its locks do not outlive it for long.
 */
import { immediate } from "azoth-scheduler";
import { expect, test } from "vitest";
import { backendsOf } from "../../engines/postgres/clients.ts";
import { atEnd, eachInScope, ownUrl } from "../../engines/postgres/scope.ts";
import { expectTracesOnce, findViolations, Log } from "../log-checker.ts";
import { type Desk, until, untilDone } from "../stage.ts";
import { Cluster, dismissNodes } from "./cluster.ts";
import type { NodeProcess, NodeTaskType } from "./messages.ts";
import { type Proxy, startProxy } from "./proxy.ts";

/** Longer than a busy machine keeps a node from a sign of life. */
const claimMs = 4_000;
/** What a busy machine may add to a takeover. */
const marginMs = 10_000;

const scheduler = { claimDuration: `${claimMs}ms`, gracePeriod: "60s" } as const;

async function schedule({ scheduler }: Desk, taskType: NodeTaskType, ...taskIds: readonly string[]): Promise<void> {
  await scheduler.scheduleTasks(taskIds.map((taskId) => ({ taskId, taskType, schedule: immediate(), payload: {} })));
}

async function untilCompleted({ scheduler }: Desk, taskId: string): Promise<void> {
  await until(async () => (await scheduler.getTask(taskId))?.state === "completed", `${taskId} is completed`);
}

/** All that must hold at rest. */
async function expectWhole({ desk: { db } }: Cluster): Promise<Log> {
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const log = await Log.of(db);
  expect(findViolations(log, { positions: "holes" })).toEqual([]);
  await expectTracesOnce(db, log);
  return log;
}

/** The instance numbers that a node has had, in order. */
function instancesOf(log: Log, name: string): number[] {
  const started = log.all("SchedulerStarted").filter(({ payload }) => payload.name === name);
  return started.map(({ payload }) => payload.instance);
}

/** How long after the last sign of life of a task's first runner the task was taken from it, by the log. */
function takeoverMs(log: Log, taskId: string): number {
  const [released] = log.all("TaskReleased", taskId);
  const lost = log.all("SchedulerLost").find(({ payload }) => payload.instance === released?.payload.instance);
  if (released === undefined || lost === undefined) throw new Error(`${taskId} was not taken over.`);
  return released.recordedAt.getTime() - lost.payload.lastHeardMs;
}

interface Absence {
  begin(node: NodeProcess, proxy: Proxy): void;
  end(node: NodeProcess, proxy: Proxy): void;
}

const absences: Readonly<Record<string, Absence>> = {
  "cut off, with its sockets open": {
    begin: (_, proxy) => proxy.stall(),
    end: (_, proxy) => proxy.resume(),
  },
  "cut off, and refused when it connects": {
    begin: (_, proxy) => proxy.refuse(),
    end: (_, proxy) => proxy.admit(),
  },
  suspended: {
    begin: (node) => node.signal("SIGSTOP"),
    end: (node) => node.signal("SIGCONT"),
  },
};

async function versionOf({ client }: Cluster): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int AS version",
  );
  return rows[0]?.version ?? 0;
}

async function isOutsideOfTransactions({ client, url }: Cluster, name: string): Promise<boolean> {
  return (await backendsOf(client, url, name)).every(({ isInTransaction }) => !isInTransaction);
}

/** A node behind a proxy that runs two held tasks, and another one that can take them over. */
async function twoNodes() {
  const url = ownUrl();
  const cluster = await Cluster.on(url);
  const proxy = await startProxy(url);
  const lone = await cluster.node({
    name: "lone",
    url: proxy.url,
    taskTypes: ["hold", "red"],
    scheduler,
    db: { busyTimeout: "500ms" },
  });
  await schedule(cluster.desk, "hold", "one", "two");
  for (const taskId of ["one", "two"]) await lone.told("started", (started) => started.taskId === taskId);
  const heir = await cluster.node({ name: "heir", taskTypes: ["hold", "note"], scheduler });
  heir.order({ do: "release" });
  return { cluster, proxy, lone, heir };
}

test.concurrent.for(Object.keys(absences))(
  "a node that is %s is replaced within its claim time, and comes back",
  eachInScope(async (kind) => {
    const { cluster, proxy, lone, heir } = await twoNodes();
    const { desk } = cluster;
    const absence = absences[kind];
    atEnd(() => absence?.end(lone, proxy));
    // Outside of its transactions: what those hold, others get when the server ends them, which is another test.
    await until(async () => {
      absence?.begin(lone, proxy);
      const isIdle = await isOutsideOfTransactions(cluster, "lone");
      if (!isIdle) absence?.end(lone, proxy);
      return isIdle;
    }, "the node is away, and has no transaction open");
    for (const taskId of ["one", "two"]) await untilCompleted(desk, taskId);
    await schedule(desk, "red", "meanwhile");

    // It finishes what it had begun, and brings it back too late.
    lone.order({ do: "release" });
    absence?.end(lone, proxy);
    await lone.told("declared-dead");
    await schedule(desk, "red", "afterwards");
    await untilDone(desk);
    const refused = async () => (await Log.of(desk.db)).all("TaskResultRefused");
    await until(async () => (await refused()).length === 2, "both results are refused");
    await dismissNodes(lone, heir);

    const log = await expectWhole(cluster);
    const [first, second, ...further] = instancesOf(log, "lone");
    expect(further).toEqual([]);
    for (const taskId of ["one", "two"]) {
      expect(takeoverMs(log, taskId)).toBeGreaterThan(claimMs);
      expect(takeoverMs(log, taskId)).toBeLessThan(claimMs + marginMs);
      expect(log.all("TaskReleased", taskId).map(({ payload }) => payload)).toMatchObject([
        { because: "claim-lost", instance: first },
      ]);
      expect(log.all("TaskStarted", taskId).map(({ payload }) => payload.instance)).toEqual([
        first,
        instancesOf(log, "heir")[0],
      ]);
      expect(log.all("TaskExecuted", taskId)).toHaveLength(1);
      expect(log.all("TaskResultRefused", taskId).map(({ payload }) => payload)).toMatchObject([
        { because: "claim-lost", instance: first, success: true },
      ]);
    }
    // Nothing is claimed in the name of an instance that is gone: nobody would notice if it were lost.
    for (const taskId of ["meanwhile", "afterwards"]) {
      expect(log.all("TaskStarted", taskId).map(({ payload }) => payload.instance)).toEqual([second]);
    }
  }),
);

test.concurrent.for([
  ["before its commit", "before"],
  // The server waits for the rest, and the session is not idle.
  ["in the middle of a statement", "within"],
  ["in the middle of its commit", "after"],
] as const)(
  "a node that is cut off with claims in an open transaction, %s, keeps them from nobody for long",
  eachInScope(async ([, moment]) => {
    const url = ownUrl();
    const cluster = await Cluster.on(url);
    const proxy = await startProxy(url);
    const transactionTimeoutMs = 500;
    // Before PostgreSQL 17, a session that has got half of a statement waits for the rest until TCP gives up.
    if (moment === "within" && (await versionOf(cluster)) < 170_000) return;
    // A session that is idle in its transaction is ended after that, and one that waits for the rest a little later.
    const endsAfterMs = transactionTimeoutMs + (moment === "within" ? 10_000 : 5_000);
    const db = { busyTimeout: "500ms", transactionTimeout: `${transactionTimeoutMs}ms` };
    const lone = await cluster.node({ name: "lone", url: proxy.url, taskTypes: ["note", "red"], scheduler, db });
    // At work already: to start a process may take a busy machine longer than the server takes to end the transaction.
    const witness = await cluster.node({ name: "witness", taskTypes: ["blue"], scheduler, db });
    const lost = proxy.lose(moment, "hold", (statements) =>
      statements.some((text) => /UPDATE \S+azoth_tasks/.test(text)),
    );
    const ids = Array.from({ length: 10 }, (__, number) => `task-${number}`);
    await schedule(cluster.desk, "note", ...ids);
    await lost;
    const cutAtMs = performance.now();
    // All its other connections as well.
    proxy.stall();
    atEnd(() => proxy.resume());
    await schedule(cluster.desk, "blue", "free");
    await untilCompleted(cluster.desk, "free");
    expect(performance.now() - cutAtMs).toBeLessThan(endsAfterMs - 500);
    const heir = await cluster.node({ name: "heir", taskTypes: ["note"], scheduler, db });
    for (const taskId of ids) await untilCompleted(cluster.desk, taskId);
    expect(performance.now() - cutAtMs).toBeLessThan(endsAfterMs + claimMs + marginMs);
    proxy.resume();
    await schedule(cluster.desk, "red", "afterwards");
    await untilCompleted(cluster.desk, "afterwards");
    await dismissNodes(lone, witness, heir);
    await expectWhole(cluster);
  }),
);
