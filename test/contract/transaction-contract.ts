/** The contract of write transactions, users' statements, notices, backups and closing. */
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import type { Engine, SqlValue } from "../../src/store/engine.ts";
import {
  append,
  type ContractSubject,
  connect,
  logOf,
  newEvent,
  nowMs,
  positionsOf,
  range,
  rejectionOf,
  saveNew,
  storeOf,
  taskState,
} from "./subject.ts";

export function transactionContract(subject: ContractSubject): void {
  const insertNote = `INSERT INTO notes (id, body) VALUES (${subject.placeholder(1)}, ${subject.placeholder(2)})`;

  async function withNotes(): Promise<Engine> {
    const engine = await connect(subject);
    await engine.write((tx) => tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)", []));
    return engine;
  }
  const notesOf = (engine: Engine) => engine.reads.query("SELECT id, body FROM notes ORDER BY id", []);

  describe("write", () => {
    test("commits all or nothing, and passes on what its work returns and throws", async () => {
      const engine = await connect(subject);
      expect(await engine.write(async () => "result")).toBe("result");
      const thrown = new Error("mine");
      const refused = engine.write(async (tx) => {
        await tx.drawTaskSeqs(1);
        await tx.saveTasks([{ before: null, after: taskState(1) }]);
        await tx.append([newEvent("a")]);
        await tx.saveCheckpoint({
          name: "c",
          position: 1,
          status: "active",
          attempts: 0,
          retryAtMs: null,
          error: null,
          updatedAtMs: nowMs,
        });
        await tx.addInstance({ name: "i", nowMs, claimMs: 1 });
        await tx.addDeadLetter({ id: 1, handler: "h", position: 1, error: "e", attempts: 1, atMs: nowMs });
        await tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)", []);
        throw thrown;
      });
      expect(await rejectionOf(refused)).toBe(thrown);
      expect(await engine.reads.lastPosition()).toBe(0);
      expect(await engine.reads.lastTaskSeq()).toBe(0);
      expect(await engine.reads.findTask("task-1")).toBeNull();
      expect(await engine.reads.listCheckpoints()).toEqual([]);
      expect(await engine.reads.listInstances()).toEqual([]);
      expect(await engine.reads.listDeadLetters({ afterId: 0, limit: 1 })).toEqual([]);
      expect(isAzothError(await rejectionOf(notesOf(engine)), "INVALID_SQL")).toBe(true);
      await saveNew(engine, [taskState(1)]);
    });

    test("waits for the transaction of another connection", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const order: string[] = [];
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      let begun = () => {};
      const hasBegun = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const first = engine.write(async (tx) => {
        await tx.append([newEvent("first")]);
        begun();
        await held;
        order.push("first");
      });
      await hasBegun;
      const second = other.write(async (tx) => {
        order.push("second");
        expect(await tx.append([newEvent("second")])).toBe(2);
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(order).toEqual([]);
      release();
      await Promise.all([first, second]);
      expect(order).toEqual(["first", "second"]);
    });
  });

  describe("nested", () => {
    test("takes back what its work wrote, and nothing else", async () => {
      const engine = await withNotes();
      await engine.write(async (tx) => {
        await tx.execute(insertNote, [1, "outer"]);
        const thrown = new Error("inner");
        const inner = tx.nested(async () => {
          await tx.execute(insertNote, [2, "inner"]);
          await tx.append([newEvent("lost")]);
          await tx.saveTasks([{ before: null, after: taskState(1) }]);
          expect(await tx.drawTaskSeqs(5)).toBe(1);
          throw thrown;
        });
        expect(await rejectionOf(inner)).toBe(thrown);
        expect(await tx.drawTaskSeqs(1)).toBe(1);
        expect(
          await tx.nested(async () => {
            await tx.execute(insertNote, [3, "kept"]);
            await rejectionOf(
              tx.nested(async () => {
                await tx.execute(insertNote, [4, "innermost"]);
                throw new Error("innermost");
              }),
            );
            return await tx.nested(async () => await tx.execute(insertNote, [5, "kept as well"]));
          }),
        ).toBe(1);
      });
      expect(await notesOf(engine)).toEqual([
        { id: 1, body: "outer" },
        { id: 3, body: "kept" },
        { id: 5, body: "kept as well" },
      ]);
      expect(await engine.reads.lastPosition()).toBe(0);
      expect(await engine.reads.findTask("task-1")).toBeNull();
    });
  });

  describe("users' statements", () => {
    test("bind and give back every kind of value", async () => {
      const engine = await connect(subject);
      const values: SqlValue[] = [null, 0, -1.5, 9_007_199_254_740_991, "", "é 🦊 'q'", new Uint8Array([0, 255])];
      await engine.write(async (tx) => {
        for (const [index, value] of values.entries()) {
          const isBytes = value instanceof Uint8Array;
          const type = isBytes
            ? "BLOB"
            : typeof value === "number"
              ? Number.isInteger(value)
                ? "BIGINT"
                : "DOUBLE PRECISION"
              : "TEXT";
          await tx.execute(`CREATE TABLE t${index} (value ${type})`, []);
          expect(await tx.execute(`INSERT INTO t${index} VALUES (${subject.placeholder(1)})`, [value])).toBe(1);
          expect(await tx.query(`SELECT value FROM t${index}`, [])).toEqual([{ value }]);
        }
      });
      for (const [index, value] of values.entries()) {
        expect(await engine.reads.query(`SELECT value FROM t${index}`, [])).toEqual([{ value }]);
      }
    });

    test("tell how many rows they changed", async () => {
      const engine = await withNotes();
      await engine.write(async (tx) => {
        for (const id of range(1, 5)) expect(await tx.execute(insertNote, [id, "a"])).toBe(1);
        expect(await tx.execute("UPDATE notes SET body = 'b' WHERE id > 2", [])).toBe(3);
        expect(await tx.execute("CREATE TABLE more (id INTEGER)", [])).toBe(0);
        expect(await tx.execute("UPDATE notes SET body = 'b' WHERE id > 20", [])).toBe(0);
        expect(await tx.execute("DELETE FROM notes", [])).toBe(5);
        expect(await tx.execute("DROP TABLE more", [])).toBe(0);
      });
    });

    test("that fail say so, and leave the rest of the transaction usable", async () => {
      const engine = await withNotes();
      await engine.write(async (tx) => {
        await tx.execute(insertNote, [1, "first"]);
        const inNested = (sql: string, parameters: SqlValue[] = []) => tx.nested(() => tx.execute(sql, parameters));
        for (const refused of [
          () => inNested(insertNote, [1, "again"]),
          () => inNested("SELEKT 1"),
          () => inNested("INSERT INTO nowhere VALUES (1)"),
          () => inNested(insertNote, [1]),
          () => inNested("   "),
        ]) {
          const error = await rejectionOf(refused());
          expect(error).toMatchObject({ name: "AzothError", code: "INVALID_SQL" });
          expect((error as Error).message.length).toBeLessThan(1_000);
        }
        await tx.execute(insertNote, [2, "second"]);
      });
      expect(await notesOf(engine)).toEqual([
        { id: 1, body: "first" },
        { id: 2, body: "second" },
      ]);
    });

    test("outside of a transaction can only read", async () => {
      const engine = await withNotes();
      for (const sql of ["INSERT INTO notes (id) VALUES (1)", "DROP TABLE notes", "CREATE TABLE x (y INTEGER)"]) {
        expect(await rejectionOf(engine.reads.query(sql, []))).toMatchObject({
          name: "AzothError",
          code: "INVALID_SQL",
        });
      }
      expect(await notesOf(engine)).toEqual([]);
    });
  });

  describe("foreignChanges", () => {
    test("changes with every commit of others, and with none of one's own", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      let seen = await engine.foreignChanges();
      expect(await engine.foreignChanges()).toBe(seen);
      await append(engine, [newEvent("own")]);
      expect(await engine.foreignChanges()).toBe(seen);
      for (const change of [
        () => append(other, [newEvent("a")]),
        () => other.write((tx) => tx.drawTaskSeqs(1)),
        () => append(other, [newEvent("b")]),
      ]) {
        await change();
        const now = await engine.foreignChanges();
        expect(now).not.toBe(seen);
        expect(await engine.foreignChanges()).toBe(now);
        seen = now;
        await append(engine, [newEvent("own")]);
        expect(await engine.foreignChanges()).toBe(seen);
      }
      const refused = other.write(async (tx) => {
        await tx.append([newEvent("lost")]);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.foreignChanges()).toBe(seen);
    });
  });

  describe("backup", () => {
    test("copies the whole store while it is written to, as it was at one moment", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const body = JSON.stringify("x".repeat(40_000));
      for (const round of range(0, 9)) {
        await append(
          engine,
          range(1, 50).map((index) => newEvent(`e${round}`, { run: index, data: body })),
        );
      }
      await saveNew(engine, [taskState(1)]);
      const target = store.backupTarget();
      let done = false;
      const writing = [engine, other].map(async (writer) => {
        let written = 0;
        for (; !done; written++) {
          await append(writer, [newEvent("meanwhile"), newEvent("meanwhile")]);
          await new Promise((resolve) => setImmediate(resolve));
        }
        return written;
      });
      await engine.backup(target);
      done = true;
      const written = await Promise.all(writing);
      expect(Math.min(...written)).toBeGreaterThan(0);
      const copy = await store.connectToBackup(target);
      try {
        const events = await logOf(copy);
        expect(positionsOf(events)).toEqual(range(1, events.length));
        // Whole transactions only.
        expect((events.length - 500) % 2).toBe(0);
        expect(events.length).toBeGreaterThanOrEqual(500);
        expect(await copy.reads.lastPosition()).toBe(events.length);
        expect(await copy.reads.findTask("task-1")).toEqual(taskState(1));
        expect(await copy.reads.checkIntegrity()).toBeNull();
        expect(await append(copy, [newEvent("of the copy")])).toBe(events.length + 1);
      } finally {
        await copy.close();
      }
      expect(await logOf(engine)).toHaveLength(500 + 2 * written.reduce((sum, count) => sum + count, 0));
    });

    test("overwrites nothing", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      await append(engine, [newEvent("a")]);
      const target = store.backupTarget();
      await engine.backup(target);
      expect(await rejectionOf(engine.backup(target))).toMatchObject({ code: "INVALID_LOCATION" });
      const copy = await store.connectToBackup(target);
      expect(await logOf(copy)).toHaveLength(1);
      await copy.close();
    });
  });

  describe("close", () => {
    test("ends reads and writes with STORE_CLOSED, and can be repeated", async () => {
      const engine = await connect(subject);
      await append(engine, [newEvent("a")]);
      await engine.close();
      await engine.close();
      for (const refused of [
        () => engine.write(async () => "never"),
        () => engine.reads.lastPosition(),
        () => engine.reads.readEvents({ afterPosition: 0, limit: 1, scanLimit: 1 }),
        () => engine.reads.query("SELECT 1", []),
        () => engine.reads.checkIntegrity(),
        () => engine.foreignChanges(),
        () => engine.backup("never"),
      ]) {
        expect(await rejectionOf(refused())).toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
      }
    });
  });
}
