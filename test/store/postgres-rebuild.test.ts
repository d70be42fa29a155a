/** A rebuild on a server that others use as well: open transactions of users, and what they have hung on the table. */
import { Client } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { oneTime } from "../../src/schedule/one-time.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { AzothDbOptions } from "../../src/store/azoth-db.ts";
import { freshUrl } from "../postgres/databases.ts";
import { eventsOf, openStore, scheduleMany } from "./scratch-stores.ts";

const task = (taskId: string) => ({ taskId, taskType: "work", schedule: oneTime("2100-01-01T00:00:00Z") });

/** A connection of the user's own, which ends with the test. */
async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function storeWithTasks(options: AzothDbOptions = {}) {
  const url = await freshUrl();
  const db = await openStore(url, options);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  await scheduler.scheduleTasks([task("a"), task("b")]);
  return { url, db, scheduler, user: await connect(url) };
}

/** Resolves when a connection waits for the lock of the whole table, or has it. */
async function untilLocking(user: Client): Promise<void> {
  const sql = `SELECT 1 FROM pg_locks WHERE relation = 'azoth_tasks'::regclass AND mode = 'ExclusiveLock'`;
  while ((await user.query(sql)).rowCount === 0);
}

describe("a rebuild", () => {
  test("leaves the table the same one: with its rights, views, keys and triggers of the user's", async () => {
    const { db, user, scheduler } = await storeWithTasks();
    await user.query(`
      GRANT SELECT ON azoth_tasks TO PUBLIC;
      GRANT UPDATE (priority) ON azoth_tasks TO PUBLIC;
      COMMENT ON TABLE azoth_tasks IS 'mine';
      CREATE VIEW mine AS SELECT id, phase FROM azoth_tasks;
      CREATE MATERIALIZED VIEW kept AS SELECT id FROM azoth_tasks;
      CREATE INDEX mine_by_payload ON azoth_tasks ((payload::text));
      CREATE TABLE written (id text);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO written VALUES (coalesce(NEW.id, OLD.id)); RETURN NULL; END $$;
      CREATE TRIGGER noting AFTER INSERT OR UPDATE OR DELETE ON azoth_tasks FOR EACH ROW EXECUTE FUNCTION note()`);
    const facts = async () => {
      const { rows } = await user.query<object>(
        `SELECT c.oid, c.relacl::text, obj_description(c.oid) AS comment,
           (SELECT array_agg(attacl::text) FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) AS columns,
           (SELECT array_agg(indexrelid ORDER BY 1) FROM pg_index WHERE indrelid = c.oid) AS indexes,
           (SELECT array_agg(tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers
         FROM pg_class c WHERE c.oid = 'azoth_tasks'::regclass`,
      );
      return rows[0];
    };
    const before = await facts();
    await db.rebuild();
    // Rows that are right are not touched.
    expect((await user.query("SELECT * FROM written")).rows).toEqual([]);
    await user.query("UPDATE azoth_tasks SET runs = 5 WHERE id = 'a'; DELETE FROM written");
    await db.rebuild();
    expect((await user.query("SELECT DISTINCT id FROM written")).rows).toEqual([{ id: "a" }]);
    expect(await facts()).toEqual(before);
    expect(await db.query("SELECT id, phase FROM mine ORDER BY id")).toEqual([
      { id: "a", phase: 0 },
      { id: "b", phase: 0 },
    ]);
    await scheduler.cancelTask("a", "because");
    expect(await db.query("SELECT phase FROM mine WHERE id = 'a'")).toEqual([{ phase: 4 }]);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test.each([
    ["COMMIT", "cancelled"],
    ["ROLLBACK", "waiting"],
  ])("takes in what a transaction does that was open all the time (%s)", async (end, state) => {
    const { url, db, user, scheduler } = await storeWithTasks();
    await user.query("BEGIN");
    const joined = scheduler.joinTransaction(user);
    await joined.cancelTask("a", "because");
    await joined.scheduleTask(task("late"));
    // Beyond the positions that the open transaction has drawn.
    await scheduler.scheduleTask(task("beside"));
    const rebuilt = db.rebuild();
    await untilLocking(await connect(url));
    await user.query(end);
    // Each task and event once, also what was committed in the last moment.
    expect(await rebuilt).toEqual(end === "COMMIT" ? { tasks: 4, events: 5 } : { tasks: 3, events: 3 });
    expect(await scheduler.getTask("a")).toMatchObject({ state });
    expect((await scheduler.getTask("late"))?.state).toBe(end === "COMMIT" ? "waiting" : undefined);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("gives up where one stays open, and holds nobody else up meanwhile", async () => {
    const { db, user, scheduler } = await storeWithTasks({ busyTimeout: "1s" });
    await user.query("BEGIN");
    await scheduler.joinTransaction(user).cancelTask("a", "because");
    const refused = expect(db.rebuild()).rejects.toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
    let rebuilding = true;
    void refused.then(() => {
      rebuilding = false;
    });
    let meanwhile = 0;
    for (; rebuilding; meanwhile++) await scheduler.scheduleTask({ taskType: "work", schedule: task("b").schedule });
    expect(meanwhile).toBeGreaterThan(5);
    await refused;
    await user.query("COMMIT");
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 2 + meanwhile });
    expect(await db.rebuild()).toMatchObject({ tasks: 2 + meanwhile });
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("does not wait for transactions that change no task, however long they take", async () => {
    const { url, db, user, scheduler } = await storeWithTasks({ busyTimeout: "1s" });
    const reader = await connect(url);
    await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM azoth_tasks");
    await user.query("BEGIN; CREATE TABLE notes (id integer)");
    await scheduler.joinTransaction(user).append({ eventType: "noted" });
    await user.query("UPDATE azoth_tasks SET runs = 5 WHERE false");
    await user.query("ROLLBACK; BEGIN");
    await scheduler.joinTransaction(user).append({ eventType: "noted" });
    expect(await db.rebuild()).toMatchObject({ tasks: 2 });
    await user.query("COMMIT");
    await reader.query("COMMIT");
    expect((await eventsOf(db, { eventTypes: ["noted"] })).length).toBe(1);
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

describe("verify", () => {
  test("is not misled by a transaction that is open, nor by holes of those that were rolled back", async () => {
    const { db, user, scheduler } = await storeWithTasks();
    await scheduleMany(db, 20);
    for (const end of ["ROLLBACK", "COMMIT"]) {
      await user.query("BEGIN");
      const joined = scheduler.joinTransaction(user);
      await joined.append({ eventType: "noted" });
      await joined.scheduleTask(task(`of ${end}`));
      await joined.cancelTask("a", "because");
      expect(await db.verify()).toMatchObject({ ok: true, tasks: 22, difference: null });
      await user.query(end);
    }
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 23, difference: null });
  });
});
