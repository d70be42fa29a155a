/** A connection that is open and passes nothing any more: whoever uses it is told in the end, and everybody goes on. */
import { immediate, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { openDb } from "../../engines/postgres/clients.ts";
import { atEnd, inScope, ownUrl } from "../../engines/postgres/scope.ts";
import { eventsOf, until } from "../../store/scratch-stores.ts";
import { startProxy } from "./proxy.ts";

const transactionTimeoutMs = 500;
/** What the store adds to the time that its own statements may take, with room for a busy machine. */
const toldWithinMs = transactionTimeoutMs + 5_000 + 5_000;

async function line() {
  const url = ownUrl();
  const proxy = await startProxy(url);
  const options = { busyTimeout: "500ms", transactionTimeout: `${transactionTimeoutMs}ms` };
  return { proxy, db: await openDb(proxy.url, options), direct: await openDb(url) };
}

/** How a promise ends, and after how long. */
async function endOf(promise: Promise<unknown>): Promise<{ readonly error: unknown; readonly ms: number }> {
  const startedAtMs = performance.now();
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, ms: performance.now() - startedAtMs };
}

test.concurrent(
  "a transaction on it rejects, and the next one is made on another",
  inScope(async () => {
    const { proxy, db, direct } = await line();
    await direct.transaction((tx) => tx.execute("CREATE TABLE own (a integer)"));
    const { error, ms } = await endOf(
      db.transaction(async (tx) => {
        await tx.execute("INSERT INTO own VALUES (1)");
        for (const link of proxy.links) link.stall();
        await tx.execute("INSERT INTO own VALUES (2)");
      }),
    );
    expect(error).toMatchObject({ code: "TRANSACTION_TIMEOUT" });
    expect(ms).toBeLessThan(toldWithinMs);
    await db.transaction((tx) => tx.execute("INSERT INTO own VALUES (3)"));
    expect(await direct.query("SELECT a FROM own")).toEqual([{ a: 3 }]);
  }),
);

test.concurrent(
  "a reader on it is told, and a later one is answered",
  inScope(async () => {
    const { proxy, db } = await line();
    const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
    await scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: oneTime("2100-01-01T00:00:00Z") });
    const reads = [() => scheduler.countTasks(), () => scheduler.listTasks(), () => scheduler.getTask("task")];
    for (const read of reads) await read();
    for (const link of proxy.links) link.stall();
    const ends = await Promise.all(reads.map((read) => endOf(read())));
    for (const { error, ms } of ends) {
      // One that was given a connection made since is answered.
      if (error !== undefined) expect(error).toMatchObject({ code: "STORE_UNREACHABLE" });
      expect(ms).toBeLessThan(toldWithinMs);
    }
    // Other connections are silent as well; whoever tries again finds a new one in the end.
    for (const read of reads) {
      await until(async () => (await endOf(read())).error === undefined, "it is answered", 3 * toldWithinMs);
    }
  }),
);

test.concurrent(
  "a result with writes of the handler is recorded once, on another",
  inScope(async () => {
    const { proxy, db, direct } = await line();
    await direct.transaction((tx) => tx.execute("CREATE TABLE own (execution text)"));
    const job = taskHandler({
      taskType: "job",
      execute: (ctx) => ctx.transaction.execute("INSERT INTO own VALUES (?)", [ctx.executionId]),
    });
    const scheduler = new Scheduler(db, { handlers: [job] });
    await scheduler.start();
    atEnd(() => scheduler.stop());
    const held = proxy.lose("before", "hold", (statements) => statements.some((text) => text.includes("INTO own")));
    await scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
    await held;
    const observer = new Scheduler(direct, { externalTaskTypes: ["job"] });
    const isCompleted = async () => (await observer.getTask("task"))?.state === "completed";
    await until(isCompleted, "it is recorded", toldWithinMs + transactionTimeoutMs + 5_000);
    expect(await direct.query("SELECT execution FROM own")).toHaveLength(1);
    expect((await eventsOf(direct, { taskId: "task" })).map(({ eventType }) => eventType)).toEqual([
      "TaskScheduled",
      "TaskStarted",
      "TaskExecuted",
    ]);
  }),
);

// Alone: it counts what the whole process has open.
test("a store is closed all the same, and keeps no connection", async () => {
  const { proxy, db } = await line();
  const ending = new AbortController();
  const following = (async () => {
    for await (const _ of db.subscribe({ signal: ending.signal }));
  })();
  await until(() => [...proxy.links].some(({ listens }) => listens), "it listens");
  await db.transaction((tx) => tx.append({ eventType: "any" }));
  ending.abort();
  await following;
  const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
  const before = sockets();
  proxy.stall();
  const { error, ms } = await endOf(db.close());
  expect(error).toBeUndefined();
  expect(ms).toBeLessThan(toldWithinMs);
  // Of each connection through the proxy there were two ends in this process.
  await until(() => sockets() <= before - proxy.links.size, "its ends of all connections are closed");
});
