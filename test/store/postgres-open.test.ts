/** Opening a store on PostgreSQL: URLs, schemas and options that are refused, and passwords that nobody gets to see. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { Client } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { storeError } from "../../src/engines/postgres/postgres-errors.ts";
import { AzothError } from "../../src/errors.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import { canStartServers, freshServer, freshUrl, schemaOf, sharedServerUrl } from "../postgres/databases.ts";
import type { PostgresServer } from "../postgres/server.ts";
import { eventsOf, openStore, until } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

/** What nobody gets to see, in a URL and in clear. */
const password = "hush/hush@42";
const encoded = encodeURIComponent(password);

/** All that a person could see of a value: its text, its stack, its causes, and the fields that are hidden. */
function expectNoPassword(value: unknown): void {
  const seen = [inspect(value, { depth: 20, showHidden: true, getters: true }), JSON.stringify(value), String(value)];
  if (value instanceof Error) seen.push(value.stack ?? "", inspect(value.cause, { depth: 20, showHidden: true }));
  for (const text of seen) expect(text).not.toContain("hush");
}

/** The error of an opening that is refused. */
async function refusalOf(location: string, options: AzothDbOptions = {}): Promise<AzothError> {
  const error: unknown = await AzothDb.open(location, options).then(
    async (db) => await db.close(),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AzothError);
  const refusal = error as AzothError;
  expectNoPassword(refusal);
  expect(refusal.message.length).toBeLessThan(700);
  // eslint-disable-next-line no-control-regex -- That is what must not be in it.
  expect(refusal.message).not.toMatch(/[\u0000-\u001f]/);
  return refusal;
}

test.each([" postgres://", "jdbc:postgresql://", "postgres:/", "postgresql:"])(
  "a URL that begins with %j is refused, and makes no directory with a password in its name",
  async (start) => {
    const error = await refusalOf(`${start}user:${encoded}@localhost/database`);
    expect(error).toMatchObject({ code: "INVALID_LOCATION" });
    expectNoPassword(error);
  },
);

/** The shared server's URL with other parts. */
function urlWith(parts: Partial<Pick<URL, "username" | "password" | "hostname" | "port" | "pathname">>): string {
  return Object.assign(new URL(sharedServerUrl()), parts).href;
}

async function query(url: string, sql: string): Promise<object[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<object>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Processes of the server that serve a store in this schema. */
async function connectionsTo(url: string): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE application_name = 'azoth-scheduler' AND query LIKE '%${schemaOf(url)}%'`;
  const [row] = (await query(url, sql)) as { count: number }[];
  return row?.count ?? 0;
}

describe("a URL", () => {
  test.each([
    [`postgres://user:${encoded}@host:99999/db`, "INVALID_LOCATION"],
    [`postgres://user:${encoded}@host:port/db`, "INVALID_LOCATION"],
    [`postgres://user:${encoded}@ho st/db`, "INVALID_LOCATION"],
    [`postgres://user:${encoded}@[::1/db`, "INVALID_LOCATION"],
    [`postgres://user:${encoded}%ZZ@127.0.0.1:1/db`, "STORE_UNREACHABLE"],
    [`postgres://user:${encoded}@127.0.0.1:1/%E0%A4%A`, "INVALID_LOCATION"],
    [`postgresql://user:${encoded}@127.0.0.1:1/db`, "STORE_UNREACHABLE"],
    [`POSTGRES://user:${encoded}@localhost:1/db`, "STORE_UNREACHABLE"],
    [`postgres://user@127.0.0.1:1/db?password=${encoded}`, "STORE_UNREACHABLE"],
    [`postgres://user:${encoded}@no-such-host.invalid/db`, "STORE_UNREACHABLE"],
    [`postgres://user:${encoded}@localhost/db?host=/no/such/directory`, "STORE_UNREACHABLE"],
    [`postgres://user:${encoded}@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/no/such/file`, "STORE_UNREACHABLE"],
    [`mysql://user:${encoded}@127.0.0.1/db`, "INVALID_LOCATION"],
  ])("%#: is refused in words that say why, and not the password", async (location, code) => {
    const refusal = await refusalOf(location);
    expect(refusal.code, refusal.message).toBe(code);
    // A reason, and not nothing where one should be.
    expect(refusal.message).toMatch(/\w{3}.*[^ (]\.$/);
    expect(refusal.message).not.toMatch(/: +\(/);
  });

  test("of a host with several addresses, none of which answers, says why as well", () => {
    const refused = Object.assign(new AggregateError([new Error("connect ECONNREFUSED ::1:1")]), {
      code: "ECONNREFUSED",
    });
    expect(storeError(refused, "postgres://host/db")).toMatchObject({
      code: "STORE_UNREACHABLE",
      message: "The server cannot be reached: connect ECONNREFUSED ::1:1 (postgres://host/db).",
    });
  });

  test("of a database that does not exist says so", async () => {
    const refusal = await refusalOf(urlWith({ pathname: "/nowhere", password: encoded }));
    expect(refusal.code).toBe("INVALID_LOCATION");
    expect(refusal.message).toContain("nowhere");
  });

  test("of a server that speaks something else", async () => {
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    expect((await refusalOf(`postgres://user:${encoded}@127.0.0.1:${port}/db`)).code).toBe("STORE_UNREACHABLE");
  });
});

describe("a schema", () => {
  test.each([
    "",
    " ",
    "1a",
    "a-b",
    "a b",
    'a"b',
    "a;b",
    "a.b",
    "pg_mine",
    "PG_mine",
    "Ä",
    "x".repeat(64),
    "a\0b",
    "a\n",
  ])("cannot have the name %j", async (schema) => {
    for (const refused of [
      refusalOf(sharedServerUrl(), { schema }),
      refusalOf(`${sharedServerUrl()}&schema=${encodeURIComponent(schema)}`),
    ]) {
      const { code, message } = await refused;
      expect(code).toBe("INVALID_OPTION");
      expect(message).toContain("schema");
    }
  });

  test.each([5, null, {}, Symbol("s"), ["a"]])("cannot have a name that is %s", async (schema) => {
    expect((await refusalOf(sharedServerUrl(), { schema: schema as string })).code).toBe("INVALID_OPTION");
  });

  test("of the option goes before that of the URL, and each holds a store of its own", async () => {
    const [one, other] = [await freshUrl(), await freshUrl()];
    const first = await openStore(one);
    const second = await openStore(one, { schema: schemaOf(other) });
    await first.transaction((tx) => tx.append({ eventType: "of the first" }));
    expect(await eventsOf(second)).toEqual([]);
    expect(second.location).toContain(schemaOf(other));
    expect(await eventsOf(await openStore(other))).toEqual([]);
    expect(await (await openStore(other, { schema: schemaOf(one) })).lastPosition()).toBe(1);
  });

  test("may have a name with capitals, or one of SQL's words", async () => {
    const url = await freshUrl();
    for (const schema of [schemaOf(url).replace("azoth_test_", "Azoth_Test_"), `select_${schemaOf(url).slice(-8)}`]) {
      onTestFinished(() => tamper(url, `DROP SCHEMA "${schema}" CASCADE`));
      const db = await openStore(url, { schema });
      const following = db.subscribe()[Symbol.asyncIterator]();
      const next = following.next();
      const other = await openStore(url, { schema });
      await other.transaction((tx) => tx.append({ eventType: "a" }));
      expect((await next).value).toMatchObject({ eventType: "a" });
      await following.return?.();
      expect(await db.verify()).toMatchObject({ ok: true });
    }
  });

  test("may hold tables of the user's, made before or after", async () => {
    const url = await freshUrl();
    await tamper(url, `CREATE SCHEMA ${schemaOf(url)}; CREATE TABLE tasks (id integer); INSERT INTO tasks VALUES (5)`);
    const db = await openStore(url);
    expect(await db.query("SELECT * FROM tasks")).toEqual([{ id: 5 }]);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test.each([
    ["CREATE TABLE azoth_schema (name text)", "STORE_NOT_AZOTH"],
    ["CREATE TABLE azoth_schema (version integer, works_from integer)", "STORE_NOT_AZOTH"],
    ["CREATE VIEW azoth_schema AS SELECT 1 AS version", "STORE_NOT_AZOTH"],
    ["CREATE TABLE azoth_tasks (id integer)", "STORE_NOT_AZOTH"],
    ["CREATE VIEW azoth_events AS SELECT 1", "STORE_NOT_AZOTH"],
    ["CREATE SEQUENCE azoth_task_seq", "STORE_NOT_AZOTH"],
  ])("of another program is left alone: %s", async (sql, code) => {
    const url = await freshUrl();
    await tamper(url, `CREATE SCHEMA ${schemaOf(url)}; ${sql}`);
    const tables = () =>
      query(url, `SELECT relname FROM pg_class WHERE relnamespace = '${schemaOf(url)}'::regnamespace ORDER BY 1`);
    const before = await tables();
    const refusal = await refusalOf(url);
    expect(refusal.code, refusal.message).toBe(code);
    expect(refusal.message).toContain(schemaOf(url));
    expect(await tables()).toEqual(before);
  });

  test("of a newer version of this library is left alone, unless it says that it still works", async () => {
    const url = await freshUrl();
    await (await openStore(url)).close();
    await tamper(url, "UPDATE azoth_schema SET version = version + 5");
    await (await openStore(url)).close();
    await tamper(url, "UPDATE azoth_schema SET works_from = version");
    expect((await refusalOf(url)).code).toBe("STORE_TOO_NEW");
  });

  test("that was damaged says so, at the latest when it is used", async () => {
    const url = await freshUrl();
    await (await openStore(url)).close();
    await tamper(url, "DROP TABLE azoth_events");
    const db = await openStore(url);
    for (const refused of [
      () => db.lastPosition(),
      () => eventsOf(db),
      () => db.verify(),
      () => db.transaction((tx) => tx.append({ eventType: "a" })),
    ]) {
      await expect(refused()).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
    }
  });

  test("that may not be written says so", async () => {
    const url = new URL(await freshUrl());
    url.searchParams.set("options", "-c default_transaction_read_only=on");
    expect((await refusalOf(url.href)).code).toBe("STORE_NOT_WRITABLE");
  });
});

describe("maxConnections", () => {
  test.each([4, 0, -1, 4.5, 1_001, Number.NaN, Infinity, "10", null, {}, 5n, Symbol("s")])(
    "cannot be %s",
    async (most) => {
      const refusal = await refusalOf(sharedServerUrl(), { maxConnections: most as number });
      expect(refusal.code).toBe("INVALID_OPTION");
      expect(refusal.message).toContain("maxConnections");
    },
  );

  test("of 5 are enough for everything at once, and no more are opened", async () => {
    const url = new URL(await freshUrl());
    const ran = new Set<string>();
    const db = await openStore(url.href, { maxConnections: 5 });
    const scheduler = new Scheduler(db, {
      handlers: [
        taskHandler({
          taskType: "work",
          execute: async (context) => {
            ran.add(context.taskId);
            await db.query("SELECT pg_sleep(0.01)");
            return { eventType: "worked" };
          },
        }),
      ],
      maxConcurrentTasks: 20,
    });
    await scheduler.start();
    onTestFinished(() => scheduler.stop());
    const ids = Array.from({ length: 50 }, (_, index) => `task-${index}`);
    const most = { connections: 0 };
    const counting = until(async () => {
      most.connections = Math.max(most.connections, await connectionsTo(url.href));
      return (await scheduler.countTasks()).completed === ids.length;
    }, "all have run");
    await Promise.all([
      ...ids.map((taskId) => scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate() })),
      ...ids.map((id) => db.transaction((tx) => tx.append({ eventType: "own", payload: id }))),
      db.rebuild(),
      db.verify(),
      eventsOf(db),
      counting,
    ]);
    expect(ran.size).toBe(ids.length);
    expect(most.connections).toBeGreaterThan(0);
    expect(most.connections).toBeLessThanOrEqual(4);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 50 });
  });

  test("are all given back at the close", async () => {
    const url = await freshUrl();
    const db = await openStore(url);
    const following = db.subscribe()[Symbol.asyncIterator]();
    const next = following.next().catch(() => {});
    await Promise.all(Array.from({ length: 20 }, () => db.transaction((tx) => tx.append({ eventType: "a" }))));
    await next;
    await db.close();
    await until(async () => (await connectionsTo(url)) === 0, "the server has noticed");
  });
});

describe("busyTimeout", () => {
  test("bounds the wait for another transaction, and reads never wait", async () => {
    const url = await freshUrl();
    const holder = await openStore(url);
    const waiter = await openStore(url, { busyTimeout: "200ms" });
    const task = { taskId: "t", taskType: "work", schedule: immediate() };
    await holder.transaction((tx) => tx.scheduleTask(task));
    await holder.transaction(async (tx) => {
      await tx.cancelTask("t", "because");
      const startedAt = performance.now();
      const refused = waiter.transaction((other) => other.cancelTask("t", "because"));
      await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(190);
      expect(await waiter.lastPosition()).toBe(1);
      // What others hold is no matter to anybody else.
      await waiter.transaction((other) => other.append({ eventType: "meanwhile" }));
    });
    await waiter.transaction((tx) => tx.cancelTask("t", "because"));
    expect(await waiter.verify()).toMatchObject({ ok: true });
  });
});

describe.skipIf(!canStartServers())("on a server that asks for a password", () => {
  /** Lets the superuser in without one. */
  async function server(): Promise<PostgresServer> {
    const made = await freshServer();
    await made.stop();
    writeFileSync(join(made.directory, "data/pg_hba.conf"), "local all postgres trust\nlocal all all scram-sha-256\n");
    await made.start();
    await query(
      made.url,
      `CREATE ROLE keeper LOGIN PASSWORD '${password}'; CREATE ROLE guest LOGIN PASSWORD '${password}';
       GRANT CREATE ON DATABASE postgres TO keeper`,
    );
    return made;
  }

  test("it opens the store, and is seen nowhere, whatever goes wrong", async () => {
    const made = await server();
    const url = (username: string, given: string) =>
      Object.assign(new URL(made.url), { username, password: given }).href;
    expect((await refusalOf(url("keeper", "hush-hush"))).code).toBe("STORE_UNREACHABLE");
    expect((await refusalOf(url("keeper", ""))).code).toBe("STORE_UNREACHABLE");
    expect((await refusalOf(url("nobody", encoded))).code).toBe("STORE_UNREACHABLE");
    expect((await refusalOf(url("guest", encoded))).code).toBe("STORE_NOT_WRITABLE");

    const db = await openStore(url("keeper", encoded), { busyTimeout: "200ms" });
    expect(db.location).toBe(`postgres://keeper@${made.directory}/postgres, schema azoth`);
    expectNoPassword(db);
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    expectNoPassword(scheduler);
    // Who may not read the tables learns that, and no more.
    await query(made.url, "GRANT USAGE ON SCHEMA azoth TO guest");
    expect((await refusalOf(url("guest", encoded))).code).toBe("STORE_NOT_WRITABLE");

    const errors: unknown[] = [];
    const fails = async (...acts: (() => Promise<unknown>)[]) => {
      for (const act of acts)
        errors.push(
          await act().then(
            () => "it went well",
            (error: unknown) => error,
          ),
        );
    };
    await fails(
      () => db.query("SELECT * FROM nowhere"),
      () => db.query("SELECT rolpassword FROM pg_authid"),
      () => db.transaction((tx) => tx.execute("SELECT 1 / 0")),
      () => db.transaction((tx) => tx.append({ eventType: "" })),
    );
    await query(made.url, "REVOKE ALL ON ALL TABLES IN SCHEMA azoth FROM keeper");
    await fails(() => db.verify());
    await query(made.url, "ALTER ROLE keeper PASSWORD 'another'");
    await query(made.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'");
    await fails(
      () => db.lastPosition(),
      () => db.transaction((tx) => tx.append({ eventType: "a" })),
    );
    await made.stop("immediate");
    await fails(
      () => db.lastPosition(),
      () => eventsOf(db),
      () => db.transaction((tx) => tx.append({ eventType: "a" })),
      () => scheduler.scheduleTask({ taskType: "work", schedule: immediate() }),
      () => AzothDb.open(url("keeper", encoded)),
    );
    await db.close();
    await fails(() => db.lastPosition());
    for (const error of errors) {
      expect(error).toBeInstanceOf(AzothError);
      expectNoPassword(error);
    }
    expect(errors.map((error) => (error as AzothError).code)).toEqual([
      "INVALID_SQL",
      "INVALID_SQL",
      "INVALID_SQL",
      "INVALID_EVENT",
      "STORE_NOT_WRITABLE",
      ...Array.from({ length: 7 }, () => "STORE_UNREACHABLE"),
      "STORE_CLOSED",
    ]);
  });
});
