/**
 * A COMMIT whose answer does not arrive: the server is asked what became of it, so that the caller is told the truth
 * and nothing is done twice.
 */
import { AzothDb, type AzothDbOptions, immediate, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { connect, openDb } from "../../engines/postgres/clients.ts";
import { atEnd, eachInScope, inScope, ownServer, ownUrl } from "../../engines/postgres/scope.ts";
import { canStartServers } from "../../postgres/databases.ts";
import type { PostgresServer } from "../../postgres/server.ts";
import { eventsOf, until } from "../../store/scratch-stores.ts";
import { type Proxy, startProxy } from "./proxy.ts";

const later = oneTime("2100-01-01T00:00:00Z");
const task = (taskId: string) => ({ taskId, taskType: "job", schedule: later });

/** A transaction that stores something for this statement. */
const touching = (what: string) => (statements: readonly string[]) => statements.some((text) => text.includes(what));

interface Line {
  readonly url: string;
  readonly proxy: Proxy;
  /** Through the proxy. */
  readonly db: AzothDb;
  readonly scheduler: Scheduler;
  /** Past it. */
  readonly direct: AzothDb;
}

/** A store through a proxy, and the same past it. */
async function line(options: AzothDbOptions = {}, given?: string): Promise<Line> {
  const url = given ?? ownUrl();
  const proxy = await startProxy(url);
  const db = await openDb(proxy.url, options);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
  return { url, proxy, db, scheduler, direct: await openDb(url) };
}

/** The types of a task's events. */
async function storyOf(db: AzothDb, taskId: string): Promise<string[]> {
  return (await eventsOf(db, { taskId })).map(({ eventType }) => eventType);
}

/** What a promise rejects with, or a note that it does not. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ resolved: value }),
    (error: unknown) => error,
  );
}

describe("a command", () => {
  test.concurrent(
    "that was committed resolves, though the connection broke before its answer came",
    inScope(async () => {
      const { proxy, scheduler, direct } = await line();
      const lost = proxy.lose("after", "cut");
      const scheduled = scheduler.scheduleTask(task("once"));
      await lost;
      expect(await scheduled).toMatchObject({ taskId: "once", change: "new" });
      expect(await storyOf(direct, "once")).toEqual(["TaskScheduled"]);
      // The store goes on, on new connections.
      expect(await scheduler.scheduleTask(task("once"))).toMatchObject({ change: "unchanged" });
      expect(await scheduler.getTask("once")).toMatchObject({ state: "waiting" });
    }),
  );

  test.concurrent(
    "of which every command in the same commit is told, each once",
    inScope(async () => {
      const { proxy, scheduler, direct } = await line();
      const ids = Array.from({ length: 50 }, (_, number) => `task-${number}`);
      const lost = proxy.lose("after", "cut");
      const scheduled = await Promise.all(ids.map((taskId) => scheduler.scheduleTask(task(taskId))));
      await lost;
      expect(scheduled.map(({ change }) => change)).toEqual(ids.map(() => "new"));
      for (const taskId of ids) expect(await storyOf(direct, taskId)).toEqual(["TaskScheduled"]);
    }),
  );

  test.concurrent(
    "whose COMMIT never reached the server rejects, says that nothing happened, and nothing has",
    inScope(async () => {
      const { proxy, scheduler, direct } = await line();
      const lost = proxy.lose("before", "cut");
      const error = await errorOf(scheduler.scheduleTask(task("never")));
      await lost;
      expect(error).toMatchObject({ code: "STORE_UNREACHABLE" });
      expect(error).not.toMatchObject({ details: { outcome: "unknown" } });
      expect(await storyOf(direct, "never")).toEqual([]);
      expect(await scheduler.scheduleTask(task("never"))).toMatchObject({ change: "new" });
    }),
  );

  test.concurrent(
    "that was committed resolves, though its connection only went silent",
    inScope(async () => {
      const { proxy, scheduler, direct } = await line({ busyTimeout: "100ms" });
      const lost = proxy.lose("after", "hold");
      const scheduled = scheduler.scheduleTask(task("once"));
      await lost;
      expect(await scheduled).toMatchObject({ change: "new" });
      expect(await storyOf(direct, "once")).toEqual(["TaskScheduled"]);
    }),
  );

  test.concurrent(
    "whose COMMIT is held back for so long that it is given up rejects, and never happens later",
    inScope(async () => {
      const { proxy, scheduler, direct, url } = await line({ busyTimeout: "100ms", transactionTimeout: "100ms" });
      const lost = proxy.lose("before", "hold");
      const outcome = errorOf(scheduler.scheduleTask(task("never")));
      const link = await lost;
      expect(await outcome).toMatchObject({ code: "STORE_UNREACHABLE" });
      // The COMMIT arrives after all, at a session that the server has ended meanwhile.
      link.resume();
      const client = await connect(url);
      await client.query("SELECT 1");
      expect(await outcome).not.toMatchObject({ details: { outcome: "unknown" } });
      expect(await storyOf(direct, "never")).toEqual([]);
      expect(await scheduler.scheduleTask(task("never"))).toMatchObject({ change: "new" });
    }),
  );

  test.concurrent(
    "that was committed resolves, though the server cannot be reached for a while",
    inScope(async () => {
      const { proxy, scheduler, direct } = await line();
      const lost = proxy.lose("after", "cut");
      let answered = false;
      const scheduled = scheduler.scheduleTask(task("once")).finally(() => {
        answered = true;
      });
      await lost;
      proxy.refuse();
      const before = proxy.made;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(answered).toBe(false);
      expect(proxy.made).toBe(before);
      proxy.admit();
      expect(await scheduled).toMatchObject({ change: "new" });
      expect(await storyOf(direct, "once")).toEqual(["TaskScheduled"]);
    }),
  );
});

test.concurrent(
  "a transaction of the user's that was committed resolves with its value, and is there once",
  inScope(async () => {
    const { proxy, db, direct } = await line();
    await direct.transaction((tx) => tx.execute("CREATE TABLE orders (id integer)"));
    const lost = proxy.lose("after", "cut", touching("orders"));
    const position = db.transaction(async (tx) => {
      await tx.execute("INSERT INTO orders VALUES (?)", [1]);
      return await tx.append({ eventType: "order_placed", payload: 1 });
    });
    await lost;
    const [placed, ...more] = await eventsOf(direct, { eventTypes: ["order_placed"] });
    expect(await position).toBe(placed?.position);
    expect(more).toEqual([]);
    expect(await direct.query("SELECT id FROM orders")).toEqual([{ id: 1 }]);
  }),
);

describe("a scheduler at work", () => {
  /** Runs one task; the handler says when it is called. */
  async function atWork(writes: boolean) {
    const { proxy, db, direct } = await line();
    await direct.transaction((tx) => tx.execute("CREATE TABLE done (execution text)"));
    const calls: string[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const job = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        calls.push(ctx.executionId);
        await released;
        if (writes) ctx.transaction.execute("INSERT INTO done VALUES (?)", [ctx.executionId]);
        return { eventType: "job_done", payload: ctx.executionId };
      },
    });
    // Nothing but this task is committed meanwhile.
    const scheduler = new Scheduler(db, { handlers: [job], claimDuration: "10m" });
    await scheduler.start();
    atEnd(() => scheduler.stop());
    return { proxy, direct, scheduler, calls, release };
  }

  const whole = ["TaskScheduled", "TaskStarted", "TaskExecuted", "job_done"];

  test.concurrent(
    "runs a task once whose start was committed and not answered",
    inScope(async () => {
      const { proxy, direct, scheduler, calls, release } = await atWork(false);
      release();
      const lost = proxy.lose("after", "cut", touching("FOR UPDATE SKIP LOCKED"));
      const direct2 = new Scheduler(direct, { externalTaskTypes: ["job"] });
      await direct2.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
      await lost;
      await until(async () => (await direct2.getTask("task"))?.state === "completed", "it is completed");
      expect(calls).toHaveLength(1);
      expect((await storyOf(direct, "task")).toSorted()).toEqual(whole.toSorted());
      await scheduler.stop();
      expect((await storyOf(direct, "task")).toSorted()).toEqual(whole.toSorted());
    }),
  );

  test.concurrent.for([
    ["without writes", false, "SKIP LOCKED"],
    ["with writes of the handler", true, "INTO done"],
  ] as const)(
    "records a result once whose record was committed and not answered, %s",
    eachInScope(async ([, writes, statement]) => {
      const { proxy, direct, scheduler, calls, release } = await atWork(writes);
      await scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
      await until(() => calls.length === 1, "it runs");
      const lost = proxy.lose("after", "cut", touching(statement));
      release();
      await lost;
      await scheduler.stop();
      expect((await storyOf(direct, "task")).toSorted()).toEqual(whole.toSorted());
      expect(await direct.query("SELECT execution FROM done")).toEqual(writes ? [{ execution: calls[0] }] : []);
      expect(await direct.verify()).toMatchObject({ ok: true });
    }),
  );
});

describe.skipIf(!canStartServers())("a server that crashes", () => {
  /** Its log reaches the disk only with commits: what a crash takes with it is then certain. */
  async function forgetfulServer(): Promise<PostgresServer> {
    return await ownServer({ settings: { wal_writer_delay: "10s" } });
  }

  test.concurrent(
    "with a transaction that it had not committed: the number is given to another one, and does not speak for it",
    inScope(async () => {
      const server = await forgetfulServer();
      const { proxy, scheduler } = await line({}, server.url);
      const holder = await connect(server.url);
      const { rows } = await holder.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'",
      );
      process.kill(rows[0]?.pid ?? Number.NaN, "SIGSTOP");
      await scheduler.scheduleTask(task("kept"));
      const lost = proxy.lose("before", "hold");
      const outcome = errorOf(scheduler.scheduleTask(task("lost")));
      await lost;
      const { rows: open } = await holder.query<{ xid: string }>(
        "SELECT backend_xid::text AS xid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()",
      );
      const xid = Number(open[0]?.xid);
      await server.kill();
      await server.start();
      const client = await connect(server.url);
      for (let latest = 0; latest <= xid; ) {
        const { rows } = await client.query<{ xid: string }>("SELECT pg_current_xact_id()::text AS xid");
        latest = Number(rows[0]?.xid);
      }
      proxy.cut();
      expect(await outcome).toMatchObject({ code: "STORE_UNREACHABLE", details: { outcome: "unknown" } });
      expect(await scheduler.getTask("lost")).toBeNull();
    }),
  );
});
