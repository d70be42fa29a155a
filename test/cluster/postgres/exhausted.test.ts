/** No connection left, on our side or the server's, and a server that is away for longer than claims last: all go on afterwards. */
import { setTimeout as sleep } from "node:timers/promises";
import { immediate, Scheduler, type SchedulerOptions, taskHandler } from "azoth-scheduler";
import { expect, test, vi } from "vitest";
import { connect, openDb } from "../../engines/postgres/clients.ts";
import { atEnd, inScope, ownServer, ownUrl } from "../../engines/postgres/scope.ts";
import { canStartServers } from "../../postgres/databases.ts";
import { eventsOf, until } from "../../store/scratch-stores.ts";

vi.setConfig({ testTimeout: 60_000 });

const job = taskHandler({ taskType: "job", execute: () => {} });

async function started(db: Awaited<ReturnType<typeof openDb>>, options: SchedulerOptions = {}): Promise<Scheduler> {
  const scheduler = new Scheduler(db, { handlers: [job], claimDuration: "1s", pollInterval: "100ms", ...options });
  atEnd(() => scheduler.stop());
  await scheduler.start();
  return scheduler;
}

async function untilCompleted(scheduler: Scheduler, count: number): Promise<void> {
  const completed = async () => (await scheduler.countTasks()).completed === count;
  await until(completed, `${count} tasks are completed`, 30_000);
}

const jobs = (count: number) => Array.from({ length: count }, () => ({ taskType: "job", schedule: immediate() }));

test.concurrent(
  "all connections for users are busy with their transactions: the scheduler goes on, and further ones wait",
  inScope(async () => {
    const db = await openDb(ownUrl(), { maxConnections: 5, transactionTimeout: "20s" });
    const scheduler = await started(db);
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const begun: string[] = [];
    const transactions = ["one", "two", "three"].map((name) =>
      db.transaction(async (tx) => {
        begun.push(name);
        await tx.append({ eventType: "noted", payload: name });
        await released;
      }),
    );
    await until(() => begun.length === 1, "the first transaction has begun");
    await scheduler.scheduleTasks(jobs(20));
    const log = () => db.query("SELECT count(*) AS count FROM azoth_tasks WHERE phase = 2");
    // For longer than the claims last: the heartbeats pass by the users' connections.
    await sleep(1_500);
    expect(begun).toEqual(["one"]);
    release();
    await Promise.all(transactions);
    expect(begun).toHaveLength(3);
    await untilCompleted(scheduler, 20);
    expect(await log()).toEqual([{ count: 20 }]);
    expect(await eventsOf(db, { eventTypes: ["SchedulerLost", "TaskReleased"] })).toEqual([]);
    const executed = await eventsOf(db, { eventTypes: ["TaskExecuted"] });
    const [third] = await eventsOf(db, { eventTypes: ["noted"] }).then((noted) => noted.slice(-1));
    expect(Math.max(...executed.map(({ recordedAt }) => recordedAt.getTime()))).toBeLessThan(
      third?.recordedAt.getTime() ?? 0,
    );
  }),
);

test.skipIf(!canStartServers()).concurrent(
  "the server has no connection left: a new store is refused in its words, and one that is open goes on",
  inScope(async () => {
    const server = await ownServer({ settings: { max_connections: 12, superuser_reserved_connections: 0 } });
    const db = await openDb(server.url, { maxConnections: 5 });
    const scheduler = await started(db);
    await scheduler.scheduleTasks(jobs(5));
    await untilCompleted(scheduler, 5);
    const clients: Awaited<ReturnType<typeof connect>>[] = [];
    const fill = async (): Promise<unknown> => {
      for (;;) {
        try {
          clients.push(await connect(server.url));
        } catch (error) {
          return error;
        }
      }
    };
    expect(await fill()).toMatchObject({ code: "53300" });
    const refused = await openDb(server.url).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "STORE_UNREACHABLE" });
    expect(String(refused)).toContain("The server has no connection left");
    await scheduler.scheduleTasks(jobs(5));
    await Promise.all(clients.map((client) => client.end()));
    await untilCompleted(scheduler, 10);
    const other = await openDb(server.url);
    expect(await other.verify()).toMatchObject({ ok: true });
  }),
);

test.skipIf(!canStartServers()).concurrent(
  "the server is away for longer than the claims last: runs that were open end once, whoever is first afterwards",
  inScope(async () => {
    const server = await ownServer();
    const failures: string[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const calls: string[] = [];
    const held = taskHandler({
      taskType: "held",
      execute: async ({ taskId }) => {
        calls.push(taskId);
        await released;
      },
    });
    const options: SchedulerOptions = {
      handlers: [job, held],
      claimDuration: "500ms",
      onSignal: ({ name }) => void failures.push(name),
    };
    const dbs = [await openDb(server.url), await openDb(server.url)] as const;
    const [one] = [await started(dbs[0], options), await started(dbs[1], options)];
    const ids = ["a", "b", "c", "d"];
    await one.scheduleTasks(ids.map((taskId) => ({ taskId, taskType: "held", schedule: immediate() })));
    await until(() => calls.length === ids.length, "all are running");
    await server.stop("immediate");
    await sleep(2_000);
    release();
    await server.start();
    await one.scheduleTasks(jobs(5));
    await untilCompleted(one, 5 + ids.length);
    for (const taskId of ids) expect(await eventsOf(dbs[0], { taskId, eventTypes: ["TaskExecuted"] })).toHaveLength(1);
    expect(failures).toContain("store.failed");
    expect(await dbs[0].verify()).toMatchObject({ ok: true });
  }),
);
