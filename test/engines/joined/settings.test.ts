/** Transactions as users set them: isolation, search path, role, schema, and what stays locked meanwhile. */
import { AzothDb, immediate, oneTime, Scheduler } from "azoth-scheduler";
import { describe, expect, onTestFinished, test } from "vitest";
import { fencesOf } from "../../docs/markdown.ts";
import { deferred } from "../../scheduler/support.ts";
import { never, openShop, outcomeOf, quiet, refusal, type Shop } from "./support.ts";

const later = { taskType: "job", schedule: oneTime(never) } as const;
const task = { ...later, taskId: "task" } as const;

/** Two clients with an open transaction each. */
async function twoOpen(shop: Shop, begin = "BEGIN") {
  const clients = [await shop.connect(), await shop.connect()] as const;
  for (const client of clients) await client.query(begin);
  const [first, second] = clients;
  return {
    first,
    second,
    inFirst: shop.scheduler.joinTransaction(first),
    inSecond: shop.scheduler.joinTransaction(second),
  };
}

/** Resolves when a client waits for a lock of another one. */
async function waits(shop: Shop): Promise<void> {
  const sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE ?";
  for (;;) {
    const [row] = await shop.db.query(sql, [`%${shop.schema}%`]);
    if (Number(row?.count) > 0) return;
  }
}

describe("the same id in two open transactions", () => {
  test.each<[what: string, definition: object, change: string]>([
    ["the same definition changes nothing", {}, "unchanged"],
    ["another definition replaces", { priority: 7 }, "replaced"],
  ])("the second waits; when the first has committed, %s", async (_, definition, change) => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop);
    expect(await inFirst.scheduleTask(task)).toMatchObject({ change: "new" });
    const scheduled = inSecond.scheduleTask({ ...task, ...definition });
    await waits(shop);
    await first.query("COMMIT");
    expect(await scheduled).toMatchObject({ change });
    await second.query("COMMIT");
    expect(await shop.scheduler.getTask("task")).toMatchObject({
      revision: change === "replaced" ? 2 : 1,
      ...definition,
    });
    expect(await shop.db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("the second waits; when the first has rolled back, the task is new", async () => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop);
    await inFirst.scheduleTask(task);
    const scheduled = inSecond.scheduleTask(task);
    await waits(shop);
    await first.query("ROLLBACK");
    expect(await scheduled).toMatchObject({ change: "new" });
    await second.query("COMMIT");
    expect(await shop.db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("of a task that is there, the second waits and then decides on what the first has left", async () => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask(task);
    const { first, second, inFirst, inSecond } = await twoOpen(shop);
    await inFirst.cancelTask("task", "first");
    const scheduled = inSecond.scheduleTask(task);
    await waits(shop);
    await first.query("COMMIT");
    expect(await scheduled).toMatchObject({ change: "revived" });
    await second.query("COMMIT");
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("the scheduler's own call waits a while as well, and holds up nobody else", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    await shop.scheduler.joinTransaction(client).scheduleTask(task);
    const same = refusal(shop.scheduler.scheduleTask(task));
    await shop.scheduler.scheduleTask({ ...later, taskId: "other" });
    expect(await same).toBe("STORE_BUSY");
    const waiting = shop.scheduler.scheduleTask(task);
    await waits(shop);
    await client.query("COMMIT");
    expect(await waiting).toMatchObject({ change: "unchanged" });
  });

  test("two that wait for each other: one is told, and the other goes on", async () => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop);
    await inFirst.scheduleTask({ ...later, taskId: "a" });
    await inSecond.scheduleTask({ ...later, taskId: "b" });
    const end = async (client: typeof first, call: Promise<unknown>) => {
      const outcome = await outcomeOf(call.then(() => "done"));
      await client.query(outcome === "done" ? "COMMIT" : "ROLLBACK");
      return outcome;
    };
    const outcomes = await Promise.all([
      end(first, inFirst.scheduleTask({ ...later, taskId: "b" })),
      end(second, inSecond.scheduleTask({ ...later, taskId: "a" })),
    ]);
    expect(outcomes.toSorted()).toEqual(["STORE_BUSY", "done"]);
    expect(await shop.scheduler.countTasks()).toMatchObject({ waiting: 2 });
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("whoever does not want to wait sets lock_timeout, and the transaction goes on", async () => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop);
    await inFirst.scheduleTask(task);
    await second.query("SET LOCAL lock_timeout = '50ms'");
    expect(await refusal(inSecond.scheduleTask(task))).toBe("STORE_BUSY");
    await inSecond.scheduleTask({ ...later, taskId: "other" });
    await second.query("COMMIT");
    await first.query("COMMIT");
    expect((await shop.log()).map(({ taskId }) => taskId).toSorted()).toEqual(["other", "task"]);
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });
});

describe.each(["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])("isolation level %s", (level) => {
  const begin = `BEGIN ISOLATION LEVEL ${level}`;

  test("commits, and rolls back", async () => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop, begin);
    await inFirst.scheduleTask({ ...later, taskId: "first" });
    await inSecond.scheduleTask({ ...later, taskId: "second" });
    await inFirst.append({ eventType: "mine" });
    expect(await inFirst.getTask("first")).not.toBeNull();
    expect(await inFirst.getTask("second")).toBeNull();
    await first.query("COMMIT");
    await second.query("ROLLBACK");
    expect((await shop.log()).map(({ eventType }) => eventType)).toEqual(["TaskScheduled", "mine"]);
    expect(await shop.scheduler.countTasks()).toMatchObject({ waiting: 1 });
  });

  test("with the same id as another that has committed meanwhile", async () => {
    const shop = await openShop();
    const { first, second, inFirst, inSecond } = await twoOpen(shop, begin);
    await second.query("SELECT count(*) FROM orders");
    await inFirst.scheduleTask(task);
    await first.query("COMMIT");
    const outcome = await outcomeOf(inSecond.scheduleTask(task).then(({ change }) => change));
    expect(outcome).toBe(level === "READ COMMITTED" ? "unchanged" : "STORE_BUSY");
    // Even who does not mind, and commits, does no harm.
    await second.query("COMMIT").catch(() => {});
    expect((await shop.log()).map(({ eventType }) => eventType)).toEqual(["TaskScheduled"]);
    expect(await shop.db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("with a task that another has changed meanwhile", async () => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask(task);
    const client = await shop.connect();
    await client.query(begin);
    await client.query("SELECT count(*) FROM orders");
    await shop.scheduler.scheduleTask({ ...task, priority: 3 });
    const joined = shop.scheduler.joinTransaction(client);
    const outcome = await outcomeOf(joined.cancelTask("task", "superseded").then(({ state }) => state));
    expect(outcome).toBe(level === "READ COMMITTED" ? "cancelled" : "STORE_BUSY");
    await client.query("COMMIT").catch(() => {});
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });
});

test("a read-only transaction is refused", async () => {
  const shop = await openShop();
  const client = await shop.connect();
  await client.query("BEGIN READ ONLY");
  expect(await refusal(shop.scheduler.joinTransaction(client).scheduleTask(task))).toBe("STORE_NOT_WRITABLE");
  await client.query("COMMIT");
  expect(await shop.log()).toEqual([]);
});

describe("the user's settings", () => {
  test.each([
    "SET LOCAL search_path = ''",
    "SET LOCAL search_path = pg_temp, public, pg_catalog",
    "SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL timezone = 'Pacific/Chatham'; SET LOCAL intervalstyle = 'sql_standard'",
    "SET LOCAL bytea_output = 'escape'; SET LOCAL extra_float_digits = -15; SET LOCAL xmloption = 'document'",
    "SET LOCAL standard_conforming_strings = on; SET LOCAL backslash_quote = off; SET LOCAL quote_all_identifiers = on",
    "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_indexscan = off; SET LOCAL enable_hashjoin = off",
    "SET CONSTRAINTS ALL DEFERRED",
    "CREATE TEMPORARY TABLE azoth_tasks (a int); CREATE TEMPORARY TABLE azoth_events (a int)",
  ])("%s", async (settings) => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask({ ...later, taskId: "known" });
    const client = await shop.connect();
    await client.query(`BEGIN; ${settings}`);
    const joined = shop.scheduler.joinTransaction(client);
    const payload = { at: new Date("2026-03-01T12:00:00.123Z"), number: 0.1, bytes: Uint8Array.of(0, 92, 255) };
    await joined.scheduleTask({ ...task, payload });
    await joined.cancelTask("known", "superseded");
    await joined.append({ eventType: "mine", payload });
    expect(await joined.getTask("task")).toMatchObject({ payload });
    await client.query("COMMIT");
    expect(await shop.scheduler.getTask("task")).toMatchObject({ payload, nextRunAt: never });
    expect((await shop.log()).map(({ eventType }) => eventType)).toEqual([
      "TaskScheduled",
      "TaskScheduled",
      "TaskCancelled",
      "mine",
    ]);
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });
});

test.each(["shop_tasks", "Shop_Tasks", "order", `s${"x".repeat(62)}`])("the schema %s", async (name) => {
  const shop = await openShop();
  const client = await shop.connect();
  onTestFinished(async () => void (await client.query(`DROP SCHEMA "${name}" CASCADE`)));
  await using db = await AzothDb.open(shop.url, { ...quiet.db, schema: name });
  const ran = deferred<string>();
  const handler = { taskType: "job", execute: ({ taskId }: { taskId: string }) => ran.resolve(taskId) };
  await using scheduler = new Scheduler(db, { ...quiet.scheduler, handlers: [handler] });
  await scheduler.start();
  await client.query("BEGIN");
  await scheduler.joinTransaction(client).scheduleTask({ taskId: "here", taskType: "job", schedule: immediate() });
  await client.query("COMMIT");
  const committedAtMs = Date.now();
  expect(await ran.promise).toBe("here");
  // Far from the poll interval, on a busy machine as well.
  expect(Date.now() - committedAtMs).toBeLessThan(10_000);
  expect(await shop.scheduler.getTask("here")).toBeNull();
});

test("a transaction cannot be prepared, for PostgreSQL tells nobody of its commit later", async () => {
  const shop = await openShop();
  const client = await shop.connect();
  await client.query("BEGIN");
  await shop.scheduler.joinTransaction(client).scheduleTask(task);
  await expect(client.query("PREPARE TRANSACTION 'mine'")).rejects.toThrow(/cannot PREPARE|prepared transactions/);
  await client.query("ROLLBACK");
});

describe("a role of the user's", () => {
  /** As the page says. */
  const rights = (schema: string, role: string): string => {
    const grants = fencesOf("docs/your-own-transaction.md").find(({ language }) => language === "sql")?.text ?? "";
    return grants.replaceAll(/\bazoth\b/g, schema).replaceAll(/\bshop\b/g, role);
  };

  async function withRole(shop: Shop) {
    const client = await shop.connect();
    const role = shop.schema.replace("azoth_test", "azoth_role");
    await client.query(`CREATE ROLE ${role}`);
    onTestFinished(
      async () => void (await client.query(`ROLLBACK; RESET ROLE; DROP OWNED BY ${role}; DROP ROLE ${role}`)),
    );
    return { client, role };
  }

  test("needs these rights on the store, and no others", async () => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask({ ...later, taskId: "known" });
    const { client, role } = await withRole(shop);
    await client.query(rights(shop.schema, role));
    await client.query(`BEGIN; SET LOCAL ROLE ${role}`);
    const joined = shop.scheduler.joinTransaction(client);
    await joined.scheduleTask(task);
    await joined.scheduleTask({ ...task, priority: 1 });
    await joined.cancelTask("known", "superseded");
    await joined.append({ eventType: "mine" });
    expect(await joined.getTask("task")).toMatchObject({ priority: 1 });
    await client.query("COMMIT");
    expect(await shop.scheduler.getTask("task")).toMatchObject({ priority: 1 });
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("without them is told so, and its transaction goes on", async () => {
    const shop = await openShop();
    const { client, role } = await withRole(shop);
    await client.query(`GRANT USAGE ON SCHEMA ${shop.schema} TO ${role}; GRANT INSERT ON orders TO ${role};
      GRANT USAGE ON SEQUENCE orders_id_seq TO ${role}`);
    await client.query(`BEGIN; SET LOCAL ROLE ${role}`);
    await client.query("INSERT INTO orders (note) VALUES ('1')");
    expect(await refusal(shop.scheduler.joinTransaction(client).scheduleTask(task))).toBe("STORE_NOT_WRITABLE");
    await client.query("COMMIT");
    expect(await shop.notes()).toEqual(["1"]);
    expect(await shop.log()).toEqual([]);
  });
});

describe("while the user's transaction stays open", () => {
  test("readers of the log wait at its position, and then miss nothing", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    const position = await shop.scheduler.joinTransaction(client).append({ eventType: "early" });
    await shop.scheduler.transaction((tx) => tx.append({ eventType: "late" }));
    expect(await shop.log()).toEqual([]);
    expect(await shop.db.lastPosition()).toBeLessThan(position);
    await client.query("COMMIT");
    expect((await shop.log()).map(({ eventType }) => eventType)).toEqual(["early", "late"]);
  });

  test("a task that it has touched is not started, and others are", async () => {
    const shop = await openShop();
    const due = new Date(Date.now() - 1_000);
    await shop.scheduler.scheduleTasks(
      ["held", "free"].map((taskId) => ({ taskId, taskType: "job", schedule: oneTime(due), payload: 1 })),
    );
    const client = await shop.connect();
    await client.query("BEGIN");
    const joined = shop.scheduler.joinTransaction(client);
    await joined.scheduleTask({ taskId: "held", taskType: "job", schedule: oneTime(due), payload: 2 });
    await shop.scheduler.start();
    await shop.ran("free");
    expect(shop.runs.map(({ taskId }) => taskId)).toEqual(["free"]);
    await client.query("COMMIT");
    expect(await shop.ran("held")).toMatchObject({ payload: 2 });
    expect(shop.runs).toHaveLength(2);
  });
});
