/** What verify() finds in a file that no other engine could hold, and a rebuild whose statements fail. */
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import { faultyDriver, resultCode } from "./faulty-driver.ts";
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

describe("rebuild", () => {
  const tableOf = (db: AzothDb) => db.query("SELECT * FROM azoth_tasks ORDER BY seq");

  test("of a log that is no JSON is refused, and changes nothing", async () => {
    const db = await tampered(eventOf("UPDATE azoth_events SET data = '{' WHERE", "TaskExecuted", "throw immediate"));
    const before = await tableOf(db);
    await expect(db.rebuild()).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
    expect(await tableOf(db)).toEqual(before);
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
