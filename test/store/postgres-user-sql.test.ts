/** Users' own SQL on PostgreSQL: what a statement may do to its transaction, its connection and the store's tables. */
import { describe, expect, test } from "vitest";
import { numberPlaceholders } from "../../src/engines/user-statement.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import type { AzothDb, AzothDbOptions } from "../../src/store/azoth-db.ts";
import type { SqlValue } from "../../src/store/engine.ts";
import { newLocation } from "../engine-under-test.ts";
import { eventsOf, openStore, valueOf } from "./scratch-stores.ts";

async function store(options?: AzothDbOptions): Promise<AzothDb> {
  const location = await newLocation({ shared: true });
  await fill(await openStore(location));
  return await openStore(location, options);
}

async function fill(db: AzothDb): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.execute("CREATE TABLE notes (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text UNIQUE)");
    await tx.scheduleTask({ taskId: "t", taskType: "work", schedule: immediate() });
  });
}

const refusal = { name: "AzothError", code: "INVALID_SQL" };

describe("refused are", () => {
  const statements = [
    "BEGIN",
    "begin isolation level serializable",
    "START TRANSACTION",
    "COMMIT",
    "COMMIT AND CHAIN",
    "COMMIT PREPARED 'x'",
    "END",
    "ABORT",
    "ROLLBACK",
    "ROLLBACK TO azoth_statement",
    "SAVEPOINT s",
    "RELEASE azoth_statement",
    "PREPARE TRANSACTION 'x'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE ALL",
    "SET search_path = public",
    "SET SESSION search_path = public",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET ROLE none",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ALL",
    "DISCARD ALL",
    "DISCARD TEMP",
    "LISTEN x",
    "UNLISTEN *",
    "LOAD 'x'",
    "COPY notes FROM STDIN",
    "COPY notes TO STDOUT",
    "COPY notes FROM PROGRAM 'true'",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "FETCH c",
    "CLOSE ALL",
    "VACUUM",
    "VACUUM notes",
    "REINDEX TABLE notes",
    "CLUSTER notes",
    "CHECKPOINT",
    "CREATE DATABASE x",
    "CREATE INDEX CONCURRENTLY x ON notes (body)",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "/* a comment */ COMMIT",
    "/* one /* within */ another */ COMMIT",
    "/*/* */*/COMMIT",
    "-- a comment\n  COMMIT",
    "-- a comment\r COMMIT",
    ";;COMMIT",
    "\uFEFFCOMMIT",
    "DO $$ BEGIN COMMIT; END $$",
    "DO $$ BEGIN ROLLBACK; END $$",
    "DO 'BEGIN INSERT INTO notes (body) VALUES (1); COMMIT; END'",
    "CALL commits()",
    "SELECT 1; COMMIT",
    "INSERT INTO notes (body) VALUES ('a'); INSERT INTO notes (body) VALUES ('b')",
    "SELECT ';' /* ; */; SELECT 2",
    "SELECT $$;$$; SELECT 2",
    "SELECT E'\\';'; SELECT 2",
    "DELETE FROM azoth_tasks",
    "delete from AZOTH_events",
    "DELETE/**/FROM/**/azoth_events",
    "DELETE /* /* */ FROM notes */ FROM azoth_events",
    'DELETE FROM "azoth_tasks"',
    'DELETE FROM U&"\\0061zoth_tasks"',
    'DELETE FROM U&"azoth\\+00005Ftasks"',
    "DELETE FROM ONLY azoth_tasks",
    "DELETE FROM azoth.azoth_tasks",
    'DELETE FROM "azoth"."azoth_tasks"',
    'DELETE FROM postgres . "azoth" . azoth_tasks WHERE true',
    "TRUNCATE azoth_tasks",
    "TRUNCATE TABLE ONLY azoth_tasks",
    "TRUNCATE notes, azoth_tasks CASCADE",
    "UPDATE azoth_tasks SET paused = 1",
    "UPDATE ONLY azoth_tasks SET paused = 1",
    "INSERT INTO azoth_names (name) VALUES ('x')",
    "MERGE INTO azoth_names n USING notes ON false WHEN NOT MATCHED THEN INSERT (name) VALUES ('x')",
    "WITH x AS (SELECT 1) DELETE FROM azoth_tasks",
    "WITH x AS (DELETE FROM azoth_tasks RETURNING *) SELECT * FROM x",
    "WITH x (y) AS (VALUES (1)) UPDATE azoth_tasks SET paused = (SELECT y FROM x)",
    "EXPLAIN ANALYZE DELETE FROM azoth_tasks",
    "EXPLAIN (ANALYZE, COSTS off) UPDATE azoth_tasks SET paused = 1",
    "SELECT 1 AS a INTO azoth_mine",
    "SELECT 1 AS a INTO TEMP TABLE azoth_mine",
    "DROP TABLE azoth_tasks",
    "DROP TABLE notes, azoth_tasks",
    "DROP TABLE IF EXISTS azoth.azoth_tasks CASCADE",
    "DROP INDEX azoth_tasks_by_id",
    "DROP SEQUENCE azoth_task_seq",
    "ALTER SEQUENCE azoth_task_seq RESTART",
    "ALTER TABLE azoth_tasks ADD COLUMN mine TEXT",
    "ALTER TABLE notes RENAME TO azoth_notes",
    "ALTER TABLE notes INHERIT azoth_tasks",
    "CREATE TABLE mine () INHERITS (azoth_tasks)",
    "CREATE TABLE IF NOT EXISTS azoth_mine (id INTEGER)",
    "CREATE TEMP TABLE azoth_tasks (id INTEGER)",
    "CREATE VIEW azoth_view AS SELECT 1",
    "CREATE UNIQUE INDEX mine ON azoth_events (at_ms)",
    "CREATE TRIGGER mine AFTER INSERT ON azoth_events FOR EACH ROW EXECUTE FUNCTION mine()",
    "CREATE RULE mine AS ON DELETE TO azoth_tasks DO INSTEAD NOTHING",
    "CREATE TABLE mine (task TEXT REFERENCES azoth_tasks (id) ON DELETE CASCADE)",
    "CREATE TABLE mine (task TEXT, FOREIGN KEY (task) REFERENCES azoth_tasks (id))",
    "DELETE FROM pg_class",
    'UPDATE "pg_catalog"."pg_class" SET relname = relname',
    "",
    " ;; -- nothing",
    "/* /* nothing */ at all */",
    "SELEKT",
    "SELECT * FROM nowhere",
    "SELECT 1 / 0",
    "SELECT 'never ends",
    "SELECT $$never ends",
    "SELECT \0",
  ];

  test("statements that reach beyond their transaction or their tables, or that are none", async () => {
    const db = await store();
    await db.transaction((tx) => tx.execute("CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$"));
    const before = await db.lastPosition();
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "first" });
      for (const sql of statements) {
        for (const call of [tx.execute.bind(tx), tx.query.bind(tx)]) {
          const error: unknown = await call(sql).catch((thrown: unknown) => thrown);
          expect(error, sql).toMatchObject(refusal);
          expect((error as Error).message.length).toBeLessThan(600);
        }
        // The rest of the transaction is still usable.
        await tx.execute("INSERT INTO notes (body) VALUES (?)", [null]);
      }
    });
    for (const sql of statements) await expect(db.query(sql), sql).rejects.toMatchObject(refusal);
    expect(await valueOf(db, "SELECT count(*) FROM notes")).toBe(statements.length);
    expect(await db.lastPosition()).toBe(before + 1);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test.each([
    "CREATE TABLE mine (id integer)",
    "INSERT INTO notes (body) VALUES ('a')",
    "SELECT nextval('notes_id_seq')",
  ])("writes in a query outside of a transaction: %s", async (sql) => {
    const db = await store();
    const refused = await db.query(sql).catch((error: unknown) => error as Error);
    expect(refused).toMatchObject(refusal);
    expect((refused as Error).message).toContain("Use a transaction");
  });
});

describe("allowed are", () => {
  const statements = [
    "INSERT INTO notes (body) SELECT data::text FROM azoth_events",
    "INSERT INTO notes (body) SELECT e.data FROM azoth_events e JOIN azoth_tasks ON azoth_tasks.seq = e.task",
    "INSERT INTO notes (body) VALUES ('COMMIT; DELETE FROM azoth_tasks')",
    "INSERT INTO notes (body) VALUES ($$COMMIT; DELETE FROM azoth_tasks$$)",
    "INSERT INTO notes (body) VALUES ($a$ $$ ; $b$ ' -- /* $a$) ;",
    "INSERT INTO notes (body) VALUES (E'\\'; DELETE FROM azoth_tasks; --')",
    "INSERT INTO notes (body) VALUES ('\\'); -- a backslash is no sign of its own here",
    "INSERT INTO notes (body) VALUES (U&'\\0061;')",
    "INSERT INTO notes (body) VALUES ('it''s -- no comment; /*')",
    "INSERT INTO notes (body) VALUES ('a') /* a /* comment; */ within; COMMIT */",
    "INSERT INTO notes (body) VALUES ('a') -- COMMIT; x",
    "INSERT INTO notes (body) VALUES ('a') ON CONFLICT (body) DO UPDATE SET body = excluded.body RETURNING id",
    "WITH x AS (SELECT id FROM azoth_tasks) INSERT INTO notes (body) SELECT id FROM x",
    "DELETE FROM notes USING azoth_tasks WHERE notes.body = azoth_tasks.id",
    "UPDATE notes SET body = azoth_tasks.id FROM azoth_tasks",
    "MERGE INTO notes n USING azoth_tasks t ON n.body = t.id WHEN NOT MATCHED THEN INSERT (body) VALUES (t.id)",
    "TRUNCATE notes",
    "CREATE TABLE mine AS SELECT * FROM azoth_tasks",
    "CREATE TABLE mine (LIKE azoth_tasks INCLUDING ALL)",
    "CREATE TEMP TABLE mine (id integer) ON COMMIT DROP",
    "CREATE TABLE not_azoth_mine (azoth_id text)",
    "CREATE VIEW mine AS SELECT t.id FROM azoth_tasks t JOIN notes n ON (n.body = t.id)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$",
    "CREATE RULE mine AS ON DELETE TO notes DO INSTEAD (SELECT 1; SELECT 2)",
    "DO $$ BEGIN INSERT INTO notes (body) VALUES ('a'); EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "GRANT SELECT ON azoth_tasks TO PUBLIC",
    "COMMENT ON TABLE notes IS 'azoth_'",
    "LOCK TABLE notes",
    "NOTIFY mine",
    "SET LOCAL search_path = public",
    "set local work_mem = '1MB'",
    "SET CONSTRAINTS ALL DEFERRED",
    "ANALYZE notes",
    "SELECT * FROM azoth_tasks",
    "SELECT 1 AS a INTO mine",
    "(SELECT 1) UNION (SELECT 2)",
    "TABLE azoth_tasks",
    "VALUES (1)",
    "SHOW search_path",
    "EXPLAIN SELECT * FROM azoth_tasks",
    "EXPLAIN ANALYZE SELECT * FROM azoth_tasks",
  ];

  test("statements on the user's own tables, whatever they read and say", async () => {
    const db = await store();
    const refused: unknown[] = [];
    for (const sql of statements) {
      const tried = db.transaction(async (tx) => {
        await tx.execute(sql).catch((error: unknown) => refused.push([sql, (error as Error).message]));
        throw new Error("enough");
      });
      await expect(tried, sql).rejects.toThrow("enough");
    }
    expect(refused).toEqual([]);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("and say how many rows they changed, if they are of the kind that changes rows", async () => {
    const db = await store();
    const counts = await db.transaction(async (tx) => [
      await tx.execute("CREATE TABLE mine (id integer)"),
      await tx.execute("INSERT INTO mine SELECT generate_series(1, 5)"),
      await tx.execute("UPDATE mine SET id = id + 1 WHERE id > 2"),
      await tx.execute("SELECT * FROM mine"),
      await tx.execute("WITH gone AS (DELETE FROM mine RETURNING id) INSERT INTO mine SELECT 1"),
      await tx.execute("DELETE FROM mine"),
    ]);
    expect(counts).toEqual([0, 5, 3, 0, 1, 1]);
  });
});

describe("a statement that fails", () => {
  test("is undone alone, also among others that were asked for at the same moment", async () => {
    const db = await store();
    const settled = await db.transaction(async (tx) => {
      const made = [
        tx.append({ eventType: "one" }),
        tx.execute("INSERT INTO notes (body) VALUES ('a')"),
        tx.execute("INSERT INTO notes (body) VALUES ('a')"),
        tx.append({ eventType: "two, of a new type" }),
        tx.query("SELECT count(*) FROM notes"),
        tx.query("SELECT 1 / 0"),
        tx.scheduleTask({ taskId: "u", taskType: "work", schedule: immediate() }),
        tx.cancelTask("t", "because"),
        tx.execute("INSERT INTO nowhere VALUES (1)"),
        tx.execute("INSERT INTO notes (body) VALUES ('b')"),
      ];
      return await Promise.allSettled(made);
    });
    const failed = settled.map(({ status }, index) => (status === "rejected" ? index : null));
    expect(failed.filter((index) => index !== null)).toEqual([2, 5, 8]);
    expect(await db.query("SELECT body FROM notes ORDER BY body")).toEqual([{ body: "a" }, { body: "b" }]);
    const types = (await eventsOf(db)).map(({ eventType }) => eventType);
    expect(types.toSorted()).toEqual(["TaskCancelled", "TaskScheduled", "TaskScheduled", "one", "two, of a new type"]);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 2 });
  });

  test("and is waited for by nobody, harms nobody", async () => {
    const db = await store();
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "kept" });
      for (const sql of ["SELECT 1 / 0", "INSERT INTO nowhere VALUES (1)", "SELECT pg_sleep(0.05), 1 / 0"]) {
        void tx.execute(sql).catch(() => {});
      }
    });
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["TaskScheduled", "kept"]);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });
});

describe("a call that comes too late", () => {
  test("never writes into what others do on the connection", async () => {
    const db = await store({ maxConnections: 5 });
    const late: Promise<unknown>[] = [];
    for (let round = 0; round < 5; round++) {
      const rejected = db.transaction(async (tx) => {
        // Each type is new: its number is asked for on another connection, and meanwhile this transaction ends.
        late.push(tx.append({ eventType: `stray ${round}` }).catch((error: unknown) => error));
        late.push(
          tx.execute("INSERT INTO notes (body) VALUES (?)", [`stray ${round}`]).catch((error: unknown) => error),
        );
        throw new Error("enough");
      });
      await expect(rejected).rejects.toThrow("enough");
      await db.transaction((tx) => tx.execute("INSERT INTO notes (body) VALUES (?)", [`kept ${round}`]));
    }
    await Promise.all(late);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["TaskScheduled"]);
    const bodies = (await db.query("SELECT body FROM notes ORDER BY body")).map(({ body }) => body);
    expect(bodies).toEqual(Array.from({ length: 5 }, (_, round) => `kept ${round}`));
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

describe("a statement that takes longer than its transaction may", () => {
  test("is ended with it, and the store goes on", async () => {
    const db = await store({ transactionTimeout: "200ms" });
    const startedAt = performance.now();
    const slow = db.transaction(async (tx) => {
      await tx.append({ eventType: "lost" });
      await tx.execute("INSERT INTO notes (body) VALUES ('lost')");
      await tx.query("SELECT pg_sleep(60)");
    });
    await expect(slow).rejects.toMatchObject({ name: "AzothError", code: "TRANSACTION_TIMEOUT" });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(await valueOf(db, "SELECT count(*) FROM notes")).toBe(0);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["TaskScheduled"]);
    const busy = await db.query(
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()",
    );
    expect(busy).toEqual([]);
  });

  test("does not bound those of others: the bound goes with the transaction", async () => {
    const db = await store({ transactionTimeout: "5s", maxConnections: 5 });
    await db.transaction((tx) => tx.query("SELECT 1"));
    expect(await db.query("SHOW statement_timeout")).toEqual([{ statement_timeout: "0" }]);
  });

  test("is no matter of how long the timeouts are", async () => {
    const db = await store({ transactionTimeout: "300d", busyTimeout: "300d" });
    await db.transaction((tx) => tx.execute("INSERT INTO notes (body) VALUES ('a')"));
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });
});

describe("rules that are put off to the end", () => {
  const tables = [
    "CREATE TABLE parents (id integer PRIMARY KEY, place integer UNIQUE DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE children (id integer, parent integer REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$",
    "CREATE TABLE guarded (id integer)",
    "CREATE CONSTRAINT TRIGGER guard AFTER INSERT ON guarded DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
  ];

  test.each([
    ["a foreign key", "INSERT INTO children VALUES (1, 99)", "children_parent_fkey"],
    ["a unique key", "INSERT INTO parents VALUES (1, 5), (2, 5)", "parents_place_key"],
    ["a trigger", "INSERT INTO guarded VALUES (1)", "not on my watch"],
  ])("and are broken there keep nothing: %s", async (_what, sql, words) => {
    const db = await store();
    for (const table of tables) await db.transaction((tx) => tx.execute(table));
    const broken = await db
      .transaction(async (tx) => {
        await tx.append({ eventType: "lost" });
        await tx.execute(sql);
        await tx.scheduleTask({ taskId: "lost", taskType: "work", schedule: immediate() });
      })
      .catch((error: unknown) => error as Error);
    expect(broken).toMatchObject(refusal);
    expect((broken as Error).message).toContain(words);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["TaskScheduled"]);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
    // And the connection is as good as before.
    await db.transaction((tx) => tx.execute("INSERT INTO notes (body) VALUES ('next')"));
  });

  test("may be looked at earlier, and then are no end of the transaction", async () => {
    const db = await store();
    for (const table of tables) await db.transaction((tx) => tx.execute(table));
    await db.transaction(async (tx) => {
      await tx.execute("SET CONSTRAINTS ALL IMMEDIATE");
      await expect(tx.execute("INSERT INTO children VALUES (1, 99)")).rejects.toMatchObject(refusal);
      await tx.execute("INSERT INTO parents VALUES (1, 5)");
    });
    expect(await valueOf(db, "SELECT count(*) FROM parents")).toBe(1);
  });
});

describe("parameters", () => {
  test.each<[unknown, string]>([
    [["a", "b"], "too many"],
    [[], "too few"],
    [[undefined], "undefined"],
    [[Number.NaN], "NaN"],
    [[new Date(0)], "a Date"],
    [[{ a: 1 }], "an object"],
    [[[1]], "an array"],
    [[() => {}], "a function"],
    [["a\0b"], "a NUL"],
    [["a\ud800"], "half a character"],
    [Array.from({ length: 70_000 }, () => 1), "more than can be counted"],
    [5, "no array"],
    [null, "null"],
  ])("%# are refused: %s", async (parameters) => {
    const db = await openStore(undefined, { noticeInterval: 0 });
    const values = parameters as SqlValue[];
    const sql = "SELECT 1 AS one WHERE 'a' = ?";
    await db.transaction(async (tx) => {
      await expect(tx.execute(sql, values)).rejects.toMatchObject(refusal);
      await expect(tx.query(sql, values)).rejects.toMatchObject(refusal);
      expect(await tx.query(sql, ["a"])).toEqual([{ one: 1 }]);
    });
    await expect(db.query(sql, values)).rejects.toMatchObject(refusal);
    expect(await db.query(sql, ["a"])).toEqual([{ one: 1 }]);
  });

  test("go where the question marks are, and not into texts and comments", async () => {
    const db = await openStore();
    const [row] = await db.query(
      `SELECT ?::int AS "a?", '?' AS b, $$?$$ AS c, E'\\'?' AS d /* ? /* ? */ ? */, ?::int AS e -- ?
       , ?::text || '?' AS f`,
      [1, 2, "x"],
    );
    expect(row).toEqual({ "a?": 1, b: "?", c: "?", d: "'?", e: 2, f: "x?" });
    // As an operator, where the statement numbers its parameters itself, or has none.
    expect(
      await db.query(`SELECT '{"a": 1}'::jsonb ? $1 AS has, '["a"]'::jsonb ?| $2::text[] AS any`, ["a", "{b,a}"]),
    ).toEqual([{ has: true, any: true }]);
    expect(await db.query(`SELECT '{"a": 1}'::jsonb ? 'b' AS has`)).toEqual([{ has: false }]);
    expect(await db.query("SELECT $2::text AS b, $1::text AS a, $1::text AS c", ["x", "y"])).toEqual([
      { b: "y", a: "x", c: "x" },
    ]);
    expect(await db.query("SELECT 1 AS one WHERE 1=?AND 2=?", [1, 2])).toEqual([{ one: 1 }]);
  });

  test.each([
    ["SELECT ?, ?", 2, "SELECT $1, $2"],
    ["SELECT ?", 0, "SELECT ?"],
    ["SELECT ? FROM t WHERE a = $1", 1, "SELECT ? FROM t WHERE a = $1"],
    ["SELECT '?', \"?\", $$?$$, $a$?$$?$a$, E'\\'?', ?", 1, "SELECT '?', \"?\", $$?$$, $a$?$$?$a$, E'\\'?', $1"],
    ["SELECT ? -- ?\n, ? /* ? /* ? */ ? */", 2, "SELECT $1 -- ?\n, $2 /* ? /* ? */ ? */"],
    ["SELECT ? -- ?\r, ?", 2, "SELECT $1 -- ?\r, $2"],
    ["a=?AND b=?", 2, "a=$1 AND b=$2"],
    ["f$1(?)", 1, "f$1($1)"],
  ])("%s", (sql, count, numbered) => {
    expect(numberPlaceholders(sql, count)).toBe(numbered);
  });

  test("and values come back as what JavaScript can hold, and else in PostgreSQL's words", async () => {
    const db = await openStore();
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const [row] = await db.query(
      `SELECT ?::int8 AS small, ?::int8 AS large, ?::int8 AS lowest, ?::int4 AS int, ?::int2 AS short, ?::float8 AS float,
         ?::float8 AS infinite, 'NaN'::float8 AS nan, ?::float4 AS single, ?::numeric AS numeric, ?::bool AS yes, ?::bool AS no,
         ?::text AS text, ?::varchar(3) AS cut, ?::bytea AS bytes, ?::bytea AS none, ?::text AS nothing`,
      [
        2 ** 53 - 1,
        2n ** 62n,
        -(2n ** 63n),
        -5,
        7,
        0.1,
        Infinity,
        0.5,
        "12345678901234567890.10",
        true,
        false,
        "é 🦊 \u0001",
        "abc",
        bytes,
        new Uint8Array(),
        null,
      ],
    );
    expect(row).toEqual({
      small: 2 ** 53 - 1,
      large: 2n ** 62n,
      lowest: -(2n ** 63n),
      int: -5,
      short: 7,
      float: 0.1,
      infinite: Infinity,
      nan: Number.NaN,
      single: 0.5,
      numeric: "12345678901234567890.10",
      yes: true,
      no: false,
      text: "é 🦊 \u0001",
      cut: "abc",
      bytes,
      none: new Uint8Array(),
      nothing: null,
    });
    expect(
      await db.query(
        `SELECT '2026-01-02'::date AS date, '2026-01-02 03:04:05.678901+00'::timestamptz AT TIME ZONE 'UTC' AS timestamp,
           '1 day'::interval AS interval, '{"a":  1}'::json AS json, '{"a":  1}'::jsonb AS jsonb, ARRAY[1, NULL, 3] AS ints,
           ARRAY['a', 'b,c'] AS texts, ARRAY[true] AS bools, gen_random_uuid() IS NULL AS uuid, ROW(1, 'a')::text AS row,
           'a'::"char" AS char, count(*) AS count, sum(2) AS sum, 5 AS __proto__`,
      ),
    ).toEqual([
      Object.fromEntries([
        ["date", "2026-01-02"],
        ["timestamp", "2026-01-02 03:04:05.678901"],
        ["interval", "1 day"],
        ["json", '{"a":  1}'],
        ["jsonb", '{"a": 1}'],
        ["ints", "{1,NULL,3}"],
        ["texts", '{a,"b,c"}'],
        ["bools", "{t}"],
        ["uuid", false],
        ["row", "(1,a)"],
        ["char", "a"],
        ["count", 1],
        ["sum", 2],
        ["__proto__", 5],
      ]),
    ]);
  });
});

describe("what a transaction sets for itself", () => {
  test("is gone with it: the next one on the connection finds it as it was", async () => {
    // One connection for all users.
    const db = await store({ maxConnections: 5 });
    const seen = async () => {
      const shown = "search_path role work_mem statement_timeout lock_timeout default_transaction_isolation timezone";
      const settings = shown.split(" ").map((name) => `current_setting('${name}') AS ${name}`);
      return await db.query(`SELECT current_user AS me, ${settings.join(", ")}`);
    };
    // That of the transaction: others of the server are other tests'.
    const advisoryLock = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (0, 5)";
    await db.transaction(async (tx) => {
      await tx.execute("SELECT pg_advisory_xact_lock(5)");
      expect(await tx.query(advisoryLock)).toHaveLength(1);
    });
    const before = await seen();
    const set = [
      "SET LOCAL search_path = pg_catalog",
      "SET LOCAL ROLE pg_monitor",
      "SET LOCAL work_mem = '1MB'",
      "SET LOCAL timezone = 'Asia/Tokyo'",
      "SET LOCAL statement_timeout = '1h'",
      "SET LOCAL lock_timeout = '1h'",
      "CREATE TEMP TABLE passing (id integer) ON COMMIT DROP",
      "SELECT set_config('work_mem', '2MB', true)",
      "SELECT pg_advisory_xact_lock(5)",
    ];
    for (const sql of set) {
      await db.transaction((tx) => tx.execute(sql));
      await db.transaction((tx) => tx.execute(sql).then(() => Promise.reject(new Error("no")))).catch(() => {});
    }
    expect(await seen()).toEqual(before);
    expect(await db.query("SELECT 1 FROM pg_class WHERE relname = 'passing'")).toEqual([]);
    expect(await db.query(advisoryLock)).toEqual([]);
    await db.transaction((tx) => tx.append({ eventType: "next" }));
  });

  test("does not reach the store's own work, not even in the same transaction", async () => {
    const db = await store();
    await db.transaction(async (tx) => {
      await tx.execute("SET LOCAL search_path = pg_temp");
      await tx.execute("CREATE TEMP TABLE notes (id integer)");
      await tx.append({ eventType: "of a new type" });
      await tx.scheduleTask({ taskId: "u", taskType: "other", schedule: immediate() });
      await tx.cancelTask("t", "because");
      await tx.execute("DROP TABLE notes");
    });
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 2 });
  });
});

test.each([
  "SELECT set_config('search_path', 'nowhere', false)",
  "CREATE TEMP TABLE azimuth (x int)",
  "SELECT pg_advisory_lock(42)",
])("%s leaves nothing on the connection of the next", async (sql) => {
  // One connection for users, so that the next one would get the same.
  const db = await openStore(await newLocation({ shared: true }), { maxConnections: 5 });
  const facts = () =>
    db.query(`SELECT pg_backend_pid() AS pid, current_setting('search_path') AS path,
      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
      to_regclass('azimuth')::text AS "table"`);
  const [before] = await facts();
  await db.transaction((tx) => tx.execute(sql));
  const [after] = await facts();
  expect({ ...after, pid: 0 }).toEqual({ ...before, pid: 0 });
  expect(after?.pid).not.toBe(before?.pid);
});
