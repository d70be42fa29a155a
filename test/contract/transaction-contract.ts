/** The contract of write transactions, users' statements, clocks and closing. */
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import type { Engine, SqlValue, WriteMode } from "../../src/store/engine.ts";
import { connectTwo } from "./open-write.ts";
import {
  append,
  type ContractSubject,
  connect,
  logOf,
  newEvent,
  nowMs,
  range,
  rejectionOf,
  saveNew,
  taskState,
} from "./subject.ts";

export function transactionContract(subject: ContractSubject): void {
  const insertNote = "INSERT INTO notes (id, body) VALUES (?, ?)";

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
      expect(await engine.reads.findTask("task-1")).toBeNull();
      expect(await engine.reads.listCheckpoints()).toEqual([]);
      expect(await engine.reads.listInstances()).toEqual([]);
      expect(await engine.reads.listDeadLetters({ afterId: 0, limit: 1 })).toEqual([]);
      expect(isAzothError(await rejectionOf(notesOf(engine)), "INVALID_SQL")).toBe(true);
      const again = await engine.write(async (tx) => {
        const [seq = 0] = await tx.drawTaskSeqs(1);
        await tx.saveTasks([{ before: null, after: taskState(seq) }]);
        return seq;
      });
      if (engine.writers === "one") expect(again).toBe(1);
      expect(await engine.reads.lastTaskSeq()).toBe(again);
      expect(await engine.reads.findTask(`task-${again}`)).toEqual(taskState(again));
    });

    test("is the same to a patient transaction that meets nobody", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1)]);
      for (const patient of [true, false]) {
        const work = engine.write(
          async (tx) => {
            await tx.append([newEvent(`patient: ${patient}`)]);
            return await tx.lockTasks(["task-1", "nobody"]);
          },
          { patient },
        );
        expect(await work).toEqual({ tasks: [taskState(1)], held: [] });
      }
      expect(await logOf(engine)).toHaveLength(2);
    });

    test("takes several at a time where the engine says so", async () => {
      const engine = await connect(subject);
      const writing = (index: number, mode?: WriteMode) =>
        engine.write((tx) => tx.append([newEvent(`e${index}`), newEvent(`e${index}`)]), mode);
      // As the store does it: the group commit, and any number beside it.
      const group = async () => {
        for (const index of range(1, 20)) await writing(index);
      };
      if (engine.writers === "one") await group();
      else await Promise.all([group(), ...range(21, 60).map((index) => writing(index, { patient: index % 2 === 0 }))]);
      const events = await logOf(engine);
      const writes = engine.writers === "one" ? 20 : 60;
      expect(events).toHaveLength(2 * writes);
      expect(new Set(events.map(({ type }) => type)).size).toBe(writes);
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
          expect(await tx.drawTaskSeqs(5)).toHaveLength(5);
          throw thrown;
        });
        expect(await rejectionOf(inner)).toBe(thrown);
        const drawn = await tx.drawTaskSeqs(1);
        if (engine.writers === "one") expect(drawn).toEqual([1]);
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
      const values: readonly (readonly [type: string, value: SqlValue, back?: SqlValue])[] = [
        ["TEXT", null],
        ["TEXT", ""],
        ["TEXT", "é 🦊 'q' ? $1"],
        ["INTEGER", 0],
        ["BIGINT", 9_007_199_254_740_991],
        ["BIGINT", -12n, -12],
        ["DOUBLE PRECISION", -1.5],
        ["BYTEA", new Uint8Array([0, 255])],
        ["BOOLEAN", true, engine.kind === "sqlite" ? 1 : true],
        ["BOOLEAN", false, engine.kind === "sqlite" ? 0 : false],
      ];
      await engine.write(async (tx) => {
        for (const [index, [type, value, back = value]] of values.entries()) {
          await tx.execute(`CREATE TABLE t${index} (value ${type})`, []);
          expect(await tx.execute(`INSERT INTO t${index} VALUES (?)`, [value])).toBe(1);
          expect(await tx.query(`SELECT value FROM t${index}`, [])).toEqual([{ value: back }]);
          expect(await tx.execute(`UPDATE t${index} SET value = ? WHERE value = ?`, [value, value])).toBe(
            value === null ? 0 : 1,
          );
        }
      });
      for (const [index, [, value, back = value]] of values.entries()) {
        expect(await engine.reads.query(`SELECT value FROM t${index}`, [])).toEqual([{ value: back }]);
      }
    });

    test("have their parameters where a question mark is no text, name or comment", async () => {
      const engine = await withNotes();
      await engine.write(async (tx) => {
        await tx.execute("INSERT INTO notes (id, body) VALUES (?, 'what? it''s ?') -- and why?", [1]);
        await tx.execute('INSERT INTO /* ? */ notes ("id", body)\nVALUES (?,?)', [2, "?"]);
      });
      const sql = 'SELECT id AS "id?", body FROM notes WHERE id >= ? AND body <> ? ORDER BY id';
      expect(await engine.reads.query(sql, [1, "'"])).toEqual([
        { "id?": 1, body: "what? it's ?" },
        { "id?": 2, body: "?" },
      ]);
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

  describe("clockOffsetMs", () => {
    test("is the same for all engines of a store, as well as one can tell", async () => {
      const engines = await connectTwo(subject);
      const [one, two] = engines.map((engine) => engine.clockOffsetMs());
      // Tests and databases share a machine.
      expect(Math.abs(one ?? Number.NaN)).toBeLessThan(1_000);
      expect(Math.abs(two ?? Number.NaN)).toBeLessThan(1_000);
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
        async () => await (engine.backup === undefined ? engine.reads.lastTaskSeq() : engine.backup("never")),
      ]) {
        expect(await rejectionOf(refused())).toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
      }
    });
  });
}
