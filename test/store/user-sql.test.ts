/** Users' own SQL: what a statement may do to its transaction and to the store's tables. */
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import type { SqlValue } from "../../src/store/engine.ts";
import { openStore, valueOf } from "./scratch-stores.ts";

async function store(): Promise<AzothDb> {
  const db = await openStore();
  await db.transaction(async (tx) => {
    await tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT UNIQUE)");
    await tx.scheduleTask({ taskId: "t", taskType: "work", schedule: immediate() });
  });
  return db;
}

const refusal = { name: "AzothError", code: "INVALID_SQL" };

describe("refused are", () => {
  const statements = [
    "BEGIN",
    "begin immediate",
    "COMMIT",
    "END",
    "END TRANSACTION",
    "ROLLBACK",
    "ROLLBACK TO azoth_1",
    "SAVEPOINT s",
    "RELEASE azoth_1",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version",
    "ATTACH DATABASE '/tmp/x.db' AS x",
    "DETACH DATABASE main",
    "VACUUM",
    "VACUUM INTO '/tmp/x.db'",
    "REINDEX",
    "/* a comment */ COMMIT",
    "/* comments do not nest: /* */ COMMIT",
    "/*/ one begins and ends with two signs each */ COMMIT",
    "-- a comment\n  COMMIT",
    ";;COMMIT",
    "\uFEFFCOMMIT",
    "EXPLAIN PRAGMA user_version",
    "SELECT 1; COMMIT",
    "INSERT INTO notes (body) VALUES ('a'); INSERT INTO notes (body) VALUES ('b')",
    "SELECT ';' /* ; */; SELECT 2",
    "DELETE FROM azoth_tasks",
    "delete from AZOTH_events",
    "DELETE/**/FROM/**/azoth_events",
    'DELETE FROM "azoth_tasks"',
    "DELETE FROM `azoth_tasks`",
    "DELETE FROM [azoth_tasks]",
    "DELETE FROM 'azoth_tasks'",
    "DELETE FROM main.azoth_tasks",
    'DELETE FROM "main"."azoth_tasks"',
    "DELETE FROM main . azoth_tasks WHERE 1",
    "UPDATE azoth_tasks SET paused = 1",
    "UPDATE OR REPLACE azoth_tasks SET paused = 1",
    "INSERT INTO azoth_names (name) VALUES ('x')",
    "INSERT OR IGNORE INTO azoth_names (name) VALUES ('x')",
    "REPLACE INTO azoth_names (name) VALUES ('x')",
    "WITH x AS (SELECT 1) DELETE FROM azoth_tasks",
    "WITH x AS (SELECT 1) INSERT INTO azoth_names (name) SELECT 'x' FROM x",
    "WITH x (y) AS (VALUES (1)) UPDATE azoth_tasks SET paused = (SELECT y FROM x)",
    "DROP TABLE azoth_tasks",
    "DROP TABLE IF EXISTS main.azoth_tasks",
    "DROP INDEX azoth_tasks_by_id",
    "ALTER TABLE azoth_tasks ADD COLUMN mine TEXT",
    "ALTER TABLE notes RENAME TO azoth_notes",
    "CREATE TABLE azoth_tasks_rebuilt (id INTEGER)",
    "CREATE TABLE IF NOT EXISTS azoth_mine (id INTEGER)",
    "CREATE TEMP TABLE azoth_tasks (id INTEGER)",
    "CREATE VIEW azoth_view AS SELECT 1",
    "CREATE UNIQUE INDEX mine ON azoth_events (data)",
    "CREATE INDEX IF NOT EXISTS main.mine ON azoth_events (data)",
    "CREATE TRIGGER mine AFTER INSERT ON azoth_events BEGIN SELECT 1; END",
    "CREATE TRIGGER mine AFTER INSERT ON notes BEGIN DELETE FROM azoth_tasks; END",
    "CREATE TEMP TRIGGER mine AFTER INSERT ON notes BEGIN UPDATE azoth_tasks SET paused = 1; END",
    "CREATE TABLE mine (task TEXT REFERENCES azoth_tasks (id) ON DELETE CASCADE)",
    "CREATE TABLE mine (task TEXT, FOREIGN KEY (task) REFERENCES azoth_tasks (id))",
    "DELETE FROM sqlite_sequence",
    "UPDATE sqlite_schema SET sql = ''",
    "",
    " ;; -- nothing",
    "SELEKT",
    "SELECT",
    "SELECT * FROM nowhere",
    "SELECT \0",
  ];

  test("statements that reach beyond their transaction or their tables, or that are none", async () => {
    const db = await store();
    const before = await db.lastPosition();
    for (const sql of statements) {
      await db.transaction(async (tx) => {
        await tx.execute("INSERT INTO notes (body) VALUES (?)", [null]);
        for (const call of [tx.execute.bind(tx), tx.query.bind(tx)]) {
          const error: unknown = await call(sql).catch((thrown: unknown) => thrown);
          expect(error, sql).toMatchObject(refusal);
          expect((error as Error).message.length).toBeLessThan(600);
        }
        // The rest of the transaction is still usable.
        await tx.execute("INSERT INTO notes (body) VALUES (?)", [null]);
      });
      await expect(db.query(sql), sql).rejects.toMatchObject(refusal);
    }
    expect(await valueOf(db, "SELECT count(*) FROM notes")).toBe(2 * statements.length);
    expect(await db.lastPosition()).toBe(before);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });
});

test.each<unknown>([5, null, undefined, {}, Symbol("x"), ["SELECT 1"], Buffer.from("SELECT 1")])(
  "refused is what is no text: %o",
  async (sql) => {
    const db = await openStore();
    await db.transaction(async (tx) => {
      await expect(tx.execute(sql as string)).rejects.toMatchObject(refusal);
      await expect(tx.query(sql as string)).rejects.toMatchObject(refusal);
    });
    await expect(db.query(sql as string)).rejects.toMatchObject(refusal);
  },
);

describe("allowed are", () => {
  const statements = [
    "INSERT INTO notes (body) SELECT data FROM azoth_events",
    "INSERT INTO notes (body) SELECT e.data FROM azoth_events e JOIN azoth_tasks ON azoth_tasks.seq = e.task",
    "INSERT INTO notes (body) VALUES ('COMMIT; DELETE FROM azoth_tasks')",
    "INSERT INTO notes (body) VALUES (';') ;",
    "INSERT INTO notes (body) VALUES ('it''s -- no comment; /*')",
    "INSERT INTO notes (body) VALUES ('a') ON CONFLICT (body) DO UPDATE SET body = excluded.body",
    "INSERT INTO notes (body) VALUES ('a') -- COMMIT; x",
    "WITH x AS (SELECT id FROM azoth_tasks) INSERT INTO notes (body) SELECT id FROM x",
    "DELETE FROM notes WHERE body IN (SELECT id FROM azoth_tasks)",
    "UPDATE notes SET body = (SELECT max(position) FROM azoth_events)",
    "CREATE TABLE mine AS SELECT * FROM azoth_tasks",
    "CREATE TABLE not_azoth_mine (azoth_id TEXT)",
    "CREATE TRIGGER mine AFTER INSERT ON notes BEGIN INSERT INTO notes (body) VALUES ('b'); DELETE FROM notes; END",
    "CREATE VIEW mine AS SELECT id FROM azoth_tasks",
    "ANALYZE notes",
    "SELECT * FROM azoth_tasks",
    "VALUES (1)",
    "EXPLAIN QUERY PLAN SELECT * FROM azoth_tasks",
  ];

  test("statements on the user's own tables, whatever they read and say", async () => {
    const db = await store();
    for (const sql of statements) {
      const tried = db.transaction(async (tx) => {
        await tx.execute(sql);
        throw new Error("enough");
      });
      await expect(tried, sql).rejects.toThrow("enough");
    }
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
  });
});

describe("a statement that ends the transaction from within", () => {
  test.each([
    "INSERT OR ROLLBACK INTO notes (body) VALUES ('twice')",
    "UPDATE OR ROLLBACK notes SET body = 'twice' WHERE id = 2",
    "INSERT INTO guarded VALUES (1)",
  ])("fails all of it: %s", async (sql) => {
    const db = await store();
    await db.transaction(async (tx) => {
      await tx.execute("INSERT INTO notes (id, body) VALUES (1, 'twice'), (2, 'once')");
      await tx.execute("CREATE TABLE guarded (id INTEGER)");
      await tx.execute("CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    });
    const ended = db.transaction(async (tx) => {
      await tx.execute("INSERT INTO notes (body) VALUES ('before')");
      await tx.execute(sql).catch(() => {});
      await tx.execute("INSERT INTO notes (body) VALUES ('after')").catch(() => {});
      await tx.append({ eventType: "after" }).catch(() => {});
      await tx.scheduleTask({ taskType: "work", schedule: immediate() }).catch(() => {});
    });
    await expect(ended).rejects.toMatchObject({ name: "AzothError" });
    expect(await valueOf(db, "SELECT count(*) FROM notes")).toBe(2);
    expect(await db.lastPosition()).toBe(1);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 1 });
    await db.transaction((tx) => tx.execute("INSERT INTO notes (body) VALUES ('next')"));
  });

  test("by a broken promise of foreign keys at its end", async () => {
    const db = await store();
    await db.transaction((tx) =>
      tx.execute("CREATE TABLE replies (note INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED, body TEXT)"),
    );
    const broken = db.transaction(async (tx) => {
      await tx.append({ eventType: "lost" });
      await tx.execute("INSERT INTO replies VALUES (99, 'a')");
    });
    await expect(broken).rejects.toMatchObject(refusal);
    expect(await db.lastPosition()).toBe(1);
    await db.transaction(async (tx) => {
      await tx.execute("INSERT INTO replies VALUES (99, 'a')");
      await tx.execute("INSERT INTO notes (id) VALUES (99)");
    });
  });
});

describe("parameters", () => {
  test.each<[unknown, string]>([
    [["a", "b"], "too many"],
    [[undefined], "undefined"],
    [[Number.NaN], "NaN"],
    [[new Date(0)], "a Date"],
    [[{ a: 1 }], "an object"],
    [[[1]], "an array"],
    [[() => {}], "a function"],
    [[Symbol("x")], "a symbol"],
    [[2n ** 70n], "a bigint beyond 64 bits"],
    [5, "no array"],
    [null, "null"],
    ["abc", "a string"],
  ])("%o are refused: %s", async (parameters) => {
    const db = await openStore(":memory:");
    await db.transaction((tx) => tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"));
    const values = parameters as SqlValue[];
    const sql = "SELECT id FROM notes WHERE body = ?";
    await db.transaction(async (tx) => {
      await expect(tx.execute(sql, values)).rejects.toMatchObject(refusal);
      await expect(tx.query(sql, values)).rejects.toMatchObject(refusal);
    });
    await expect(db.query(sql, values)).rejects.toMatchObject(refusal);
  });

  test("keep what SQLite can hold", async () => {
    const db = await store();
    const values = [null, 0.1, -0, 2 ** 53 - 1, 2n ** 62n, "é 🦊", "", new Uint8Array([0, 1, 255]), true];
    const rows = await db.query(
      "SELECT ? AS a, ? AS b, ? AS c, ? AS d, CAST(? AS TEXT) AS e, ? AS f, ? AS g, ? AS h, ? AS i",
      values,
    );
    expect(rows).toEqual([
      {
        a: null,
        b: 0.1,
        c: expect.any(Number) as number,
        d: 2 ** 53 - 1,
        e: `${2n ** 62n}`,
        f: "é 🦊",
        g: "",
        h: values[7],
        i: 1,
      },
    ]);
  });
});
