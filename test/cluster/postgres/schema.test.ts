/** The tables, while many want to make them at once, and while two versions of the code work on them. */
import { randomBytes } from "node:crypto";
import { immediate, oneTime, Scheduler } from "azoth-scheduler";
import type { Client } from "pg";
import { expect, test } from "vitest";
import { Connections } from "../../../src/engines/postgres/connections.ts";
import { loadDriver } from "../../../src/engines/postgres/driver.ts";
import { parsePlace } from "../../../src/engines/postgres/place.ts";
import { migrate, migrations, type Migration } from "../../../src/engines/postgres/schema.ts";
import { begin, connect, openDb } from "../../engines/postgres/clients.ts";
import { atEnd, inScope, ownUrl } from "../../engines/postgres/scope.ts";
import { schemaOf } from "../../postgres/databases.ts";
import { until } from "../stage.ts";
import { expectSound, Ledger, settle } from "./checker.ts";
import { Cluster, dismissNodes } from "./cluster.ts";

const later = oneTime("2100-01-01T00:00:00Z");

/** The tables and what they are made of, with the row that says so. */
async function shapeOf(client: Client, schema: string): Promise<unknown> {
  const columns = await client.query<object>(
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = $1 ORDER BY 1, 2",
    [schema],
  );
  const { rows } = await client.query<object>(`SELECT * FROM "${schema}".azoth_schema`);
  return { columns: columns.rows, stand: rows };
}

/** Says that the schema is of a version to come. */
async function pretend(client: Client, version: number, worksFrom: number): Promise<void> {
  await client.query("UPDATE azoth_schema SET version = $1, works_from = $2", [version, worksFrom]);
}

/** Migrates as code would that knows more. */
async function migrateBy(url: string, known: readonly Migration[]): Promise<void> {
  const place = parsePlace(url, undefined);
  const connections = new Connections({ driver: await loadDriver(), place, max: 4, statementTimeoutMs: 60_000 });
  try {
    await migrate(connections, place, known);
  } finally {
    await connections.close();
  }
}

const second: Migration = {
  worksFrom: 1,
  sql: (schema) => `
    ALTER TABLE ${schema}.azoth_tasks ADD COLUMN label text;
    ALTER TABLE ${schema}.azoth_events ADD COLUMN label text;
    CREATE INDEX azoth_tasks_by_label ON ${schema}.azoth_tasks (label);
  `,
};

test.concurrent(
  "twenty that start at once on an empty database make one store, and all of them work",
  inScope(async () => {
    const url = ownUrl();
    const nodes = ["one", "two", "three", "four"].map((name) => ({ name, url }));
    // Nobody has made anything before them: the nodes' own tables are missing, and so these take no notes.
    const cluster = await Cluster.beside(url);
    const spawned = nodes.map(({ name }) => cluster.spawn({ name, taskTypes: ["plain"] }));
    const dbs = await Promise.all(Array.from({ length: 16 }, () => openDb(url, { maxConnections: 5 })));
    for (const node of spawned) await node.told("ready");
    const ids = dbs.map((_, number) => `task-${number}`);
    await Promise.all(
      dbs.map(async (db, number) => {
        const scheduler = new Scheduler(db, { externalTaskTypes: ["plain"] });
        await scheduler.scheduleTask({
          taskId: ids[number] ?? "",
          taskType: "plain",
          schedule: immediate(),
          payload: {},
        });
      }),
    );
    const started = () => spawned.flatMap((node) => node.all("started").map(({ taskId }) => taskId));
    await until(async () => started().length >= ids.length, "all tasks have run");
    expect(started().toSorted()).toEqual(ids.toSorted());
    await dismissNodes(...spawned);
    expect(await dbs[0]?.verify()).toMatchObject({ ok: true, tasks: ids.length });
    const client = await connect(url);
    const { rows } = await client.query<object>("SELECT * FROM azoth_schema");
    expect(rows).toEqual([{ version: migrations.length, works_from: expect.any(Number) as number }]);
  }),
);

test.concurrent(
  "a role that may make no schema works in one that it owns, and says so if there is none",
  inScope(async () => {
    const url = ownUrl();
    const admin = await connect(url);
    const [role, password, schema] = [`azoth_test_${randomBytes(8).toString("hex")}`, "secret", schemaOf(url)];
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    atEnd(() => admin.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`));
    const own = new URL(url);
    Object.assign(own, { username: role, password });
    await expect(openDb(own.href)).rejects.toMatchObject({ code: "STORE_NOT_WRITABLE" });
    await admin.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
    const db = await openDb(own.href);
    const scheduler = new Scheduler(db, { externalTaskTypes: ["plain"] });
    await scheduler.scheduleTask({ taskId: "task", taskType: "plain", schedule: later });
    await db.transaction((tx) => tx.append({ eventType: "any" }));
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
    await db.rebuild();
    const { rows } = await admin.query<{ owner: string }>(
      "SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE schemaname = $1",
      [schema],
    );
    expect(rows).toEqual([{ owner: role }]);
  }),
);

test.concurrent(
  "a schema that is too new is refused, and left as it is; one that still works is not touched either",
  inScope(async () => {
    const url = ownUrl();
    const db = await openDb(url);
    const scheduler = new Scheduler(db, { externalTaskTypes: ["plain"] });
    await scheduler.scheduleTask({ taskId: "before", taskType: "plain", schedule: later });
    const client = await connect(url);
    const next = migrations.length + 1;
    await pretend(client, next, next);
    const before = await shapeOf(client, schemaOf(url));
    await expect(openDb(url)).rejects.toMatchObject({ code: "STORE_TOO_NEW" });
    expect(await shapeOf(client, schemaOf(url))).toEqual(before);

    await pretend(client, next, 1);
    const other = new Scheduler(await openDb(url), { externalTaskTypes: ["plain"] });
    await other.scheduleTask({ taskId: "after", taskType: "plain", schedule: later });
    expect((await scheduler.listTasks()).tasks.map(({ taskId }) => taskId)).toEqual(["before", "after"]);
    const { rows } = await client.query<object>("SELECT * FROM azoth_schema");
    expect(rows).toEqual([{ version: next, works_from: 1 }]);
  }),
);

test("a migration is made while nodes of the version before are at work, who do not notice", async () => {
  const cluster = await Cluster.on(ownUrl());
  const scheduler = { claimDuration: "5s", maxConcurrentTasks: 20 };
  const options = ["one", "two"].map((name, number) => ({ name, scheduler, load: { seed: number }, tally: true }));
  const nodes = await Promise.all(options.map((each) => cluster.node(each)));
  const acknowledged = () => nodes.map((node) => node.all("acknowledged").length);
  const goOn = async (count: number) => {
    const before = acknowledged();
    await until(async () => acknowledged().every((now, index) => now >= (before[index] ?? 0) + count), "they go on");
  };
  await goOn(20);
  // A transaction of a user's that has changed a task keeps the tables from being altered, and nobody from working.
  const client = await begin(cluster.url);
  const joined = cluster.desk.scheduler.joinTransaction(client);
  await joined.scheduleTask({ taskId: "held", taskType: "note", schedule: immediate(), payload: { key: "held" } });
  const twins = [1, 2, 3].map(() => migrateBy(cluster.url, [...migrations, second]));
  let migrated = false;
  const migrating = Promise.all(twins).then(() => {
    migrated = true;
  });
  await goOn(20);
  expect(migrated).toBe(false);
  await client.query("COMMIT");
  await migrating;
  await goOn(20);
  nodes.push(await cluster.node({ name: "three", scheduler, load: { seed: 3 }, tally: true }));
  await goOn(20);
  await settle(cluster, nodes);
  await dismissNodes(...nodes);

  const ledger = new Ledger();
  for (const node of nodes) ledger.takeFrom(node);
  expect([...ledger.rejected]).toEqual([]);
  const log = await expectSound(cluster);
  ledger.expectKeptIn(log);
  const { rows } = await cluster.client.query<object>("SELECT * FROM azoth_schema");
  expect(rows).toEqual([{ version: migrations.length + 1, works_from: 1 }]);
});
