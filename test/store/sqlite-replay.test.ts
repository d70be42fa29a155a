/** What verify() finds in a file that no other engine could hold, and a rebuild whose statements fail. */
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { answerApart } from "../../src/engines/sqlite/apart.ts";
import { loadDriver } from "../../src/engines/sqlite/driver.ts";
import { type AzothDb, coreOf } from "../../src/store/azoth-db.ts";
import { faultyDriver, resultCode } from "../../simulation/faulty-driver.ts";
import { livelyCopies } from "./lively-copies.ts";
import { openStore, scheduleMany, scratchDirectory } from "./scratch-stores.ts";
import { changed, eventOf, tamper } from "./tampering.ts";

const newCopy = livelyCopies();

async function tampered(sql: string): Promise<AzothDb> {
  const location = await newCopy();
  await tamper(location, sql);
  return await openStore(location, { durability: "normal" });
}

describe("verify", () => {
  test.each([
    ["definition", changed("definition", "'not JSON'", "paused")],
    ["payload", changed("payload", "'not JSON'", "paused")],
  ])("finds a %s that is no JSON, and a rebuild mends it", async (field, sql) => {
    const db = await tampered(sql);
    expect(await db.verify()).toMatchObject({ ok: false, difference: { taskId: "paused", field } });
    await db.rebuild();
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 9, difference: null });
  });

  // With one writer there are no holes: whatever is missing was deleted, though no task knows of it.
  test.each([
    ["the first event", "DELETE FROM azoth_events WHERE position = 1"],
    ["the last event", "DELETE FROM azoth_events WHERE position = (SELECT max(position) FROM azoth_events)"],
    [
      "an event of the user's",
      "DELETE FROM azoth_events WHERE position = (SELECT min(position) FROM azoth_events WHERE task IS NULL AND position > 1)",
    ],
  ])("finds that %s was deleted", async (_what, sql) => {
    const db = await tampered(sql);
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field: "file" } });
  });

  test.each([
    ["of a task", eventOf("UPDATE azoth_events SET data = '{' WHERE", "TaskExecuted", "throw immediate")],
    [
      "of the user's",
      "UPDATE azoth_events SET data = '{' WHERE type = (SELECT id FROM azoth_names WHERE name = 'done')",
    ],
  ])("finds the data of an event %s that is no JSON", async (_what, sql) => {
    const db = await tampered(sql);
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field: "file" } });
  });

  test("finds a damaged page", async () => {
    const location = await newCopy();
    const file = `${location}/azoth.db`;
    // Into the middle of the pages, beyond the schema that opening reads.
    const descriptor = openSync(file, "r+");
    for (let at = 8_192; at < statSync(file).size; at += 4_096)
      writeSync(descriptor, "garbage!".repeat(64), at + 2_000);
    closeSync(descriptor);
    const opened = await openStore(location).catch((error: unknown) => error as { code: string });
    if ("code" in opened) {
      expect(opened.code).toBe("STORE_CORRUPT");
      return;
    }
    expect(await opened.verify()).toMatchObject({ ok: false });
  });
});

describe("verify of a file that takes long to look at", () => {
  /** Larger than what is looked at in the thread of the event loop. */
  async function largeStore() {
    const location = scratchDirectory();
    const db = await openStore(location, { durability: "normal" });
    await scheduleMany(db, 10);
    const payload = "x".repeat(100_000);
    await db.transaction(async (tx) => {
      for (let index = 0; index < 60; index++) await tx.append({ eventType: "large", payload });
    });
    await db.close();
    return { location, reopen: () => openStore(location, { durability: "normal" }) };
  }

  test("leaves the event loop to others", async () => {
    const db = await (await largeStore()).reopen();
    let turns = 0;
    const check = coreOf(db).engine.reads.checkIntegrity();
    for (let done = false; !done; turns++) {
      done = await Promise.race([check.then(() => true), new Promise<false>((turn) => setImmediate(turn, false))]);
    }
    expect(await check).toBeNull();
    // In this thread the answer would be there before the first.
    expect(turns).toBeGreaterThan(3);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 10, events: 10 });
  });

  test.each([
    ["a deleted event", "DELETE FROM azoth_events WHERE position = 40"],
    ["an event that is no JSON", "UPDATE azoth_events SET data = '{' WHERE position = 40"],
    ["a number that was not given out", "UPDATE azoth_sequences SET last = 3 WHERE name = 'task'"],
    ["a table that is not there", "DROP TABLE azoth_sequences"],
  ])("finds %s", async (_what, sql) => {
    const { location, reopen } = await largeStore();
    await tamper(location, sql);
    const db = await reopen();
    const verified = await db.verify().catch((error: unknown) => error);
    if (sql.startsWith("DROP")) expect(verified).toMatchObject({ name: "AzothError", code: "STORE_FAILED" });
    else expect(verified).toMatchObject({ ok: false, difference: { field: "file" } });
  });

  test("finds damaged pages", async () => {
    const { location, reopen } = await largeStore();
    const file = `${location}/azoth.db`;
    const descriptor = openSync(file, "r+");
    // In the middle of the log, where each page of a long text begins with the number of the next.
    const middle = Math.floor(statSync(file).size / 8_192) * 4_096;
    for (let page = 0; page < 50; page++) writeSync(descriptor, "garbage!".repeat(8), middle + page * 4_096);
    closeSync(descriptor);
    const db = await reopen();
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field: "file" } });
  });

  test("does without a thread for a driver of the user's own", async () => {
    const { location } = await largeStore();
    const { driver } = await faultyDriver();
    const db = await openStore(location, { durability: "normal", sqliteDriver: driver });
    expect(await answerApart(db.location, driver, ["SELECT 1"])).toBeNull();
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 10 });
  });

  test("ends before the store is closed", async () => {
    const { location, reopen } = await largeStore();
    const db = await reopen();
    await scheduleMany(db, 10);
    const check = coreOf(db).engine.reads.checkIntegrity();
    await db.close();
    expect(await check).toBeNull();
    // No log is left beside the file, as somebody had it open still.
    expect(statSync(`${location}/azoth.db-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
  });
});

describe("answers from another thread", () => {
  test("are rows, or the errors of SQLite", async () => {
    const db = await openStore(scratchDirectory());
    const answers = await answerApart(db.location, await loadDriver(), [
      "SELECT count(*) AS count, 'text' AS text FROM azoth_events",
      "SELECT * FROM nowhere",
    ]);
    expect(answers?.[0]).toEqual({ row: { count: 0, text: "text" } });
    expect(answers?.[1]).toMatchObject({
      error: { message: expect.stringContaining("nowhere") as string, errcode: 1 },
    });
  });

  test("are none of a file that is not there", async () => {
    expect(await answerApart(`${scratchDirectory()}/nothing.db`, await loadDriver(), ["SELECT 1"])).toBeNull();
  });
});

describe("rebuild", () => {
  const tableOf = (db: AzothDb) => db.query("SELECT * FROM azoth_tasks ORDER BY seq");

  test("of a log that is no JSON is refused, and changes nothing", async () => {
    const db = await tampered(eventOf("UPDATE azoth_events SET data = '{' WHERE", "TaskExecuted", "throw immediate"));
    const before = await tableOf(db);
    await expect(db.rebuild()).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
    expect(await tableOf(db)).toEqual(before);
  });

  test("makes all indexes anew, whichever were there", async () => {
    const indexesOf = async (db: AzothDb) => {
      const sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'azoth_tasks' ORDER BY name";
      return (await db.query(sql)).map(({ name }) => String(name).replace("_rebuilt", ""));
    };
    for (const index of ["azoth_tasks_by_id", "azoth_tasks_due", "azoth_tasks_running"]) {
      const db = await tampered(`DROP INDEX ${index}; CREATE INDEX azoth_tasks_mine ON azoth_tasks (phase)`);
      for (let round = 0; round < 3; round++) {
        await db.rebuild();
        expect(await indexesOf(db)).toEqual(["azoth_tasks_by_id", "azoth_tasks_due", "azoth_tasks_running"]);
        expect(await db.verify()).toMatchObject({ ok: true, tasks: 9 });
      }
    }
  });

  test("that fails at any statement leaves everything as it was", async () => {
    const faulty = await faultyDriver();
    const db = await openStore(scratchDirectory(), { durability: "normal", sqliteDriver: faulty.driver });
    await scheduleMany(db, 5);
    const before = await tableOf(db);
    for (let call = 0; ; call++) {
      faulty.calls = 0;
      faulty.plan = () =>
        faulty.calls - 1 === call ? { errcode: resultCode.ioError, rollsBack: call % 2 === 0 } : undefined;
      const [settled] = await Promise.allSettled([db.rebuild()]);
      faulty.plan = undefined;
      expect(await tableOf(db)).toEqual(before);
      expect(await db.verify()).toMatchObject({ ok: true });
      if (settled.status === "fulfilled") {
        expect(call).toBeGreaterThan(15);
        break;
      }
      expect(settled.reason).toMatchObject({ name: "AzothError", code: "STORE_FAILED" });
    }
  });
});
