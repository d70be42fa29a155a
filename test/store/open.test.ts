/** Opening and closing a store, wherever it is: its options, and what is refused once it is closed. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";
import { eventsOf, openStore, scratchDirectory } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

test("a store is made whole by one of many who open it at once", async () => {
  const location = await newLocation({ shared: true });
  const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(location)));
  await Promise.all(stores.map((db) => db.transaction((tx) => tx.append({ eventType: "a" }))));
  for (const db of stores) expect(await db.lastPosition()).toBe(8);
});

describe("options", () => {
  test.each<[Record<string, unknown>, string]>([
    [{ durability: "none" }, "INVALID_OPTION"],
    [{ durabilty: "full" }, "INVALID_OPTION"],
    [{ maxPayloadBytes: 0 }, "INVALID_OPTION"],
    [{ maxPayloadBytes: 1.5 }, "INVALID_OPTION"],
    [{ maxPayloadBytes: 500_000_001 }, "INVALID_OPTION"],
    [{ busyTimeout: -1 }, "INVALID_DURATION"],
    [{ busyTimeout: "soon" }, "INVALID_DURATION"],
    [{ transactionTimeout: 0 }, "INVALID_DURATION"],
    [{ noticeInterval: {} }, "INVALID_DURATION"],
    [{ clock: 5 }, "INVALID_OPTION"],
    [{ clock: { now: () => 0 } }, "INVALID_OPTION"],
    [{ random: 0.5 }, "INVALID_OPTION"],
    [{ sqliteDriver: {} }, "INVALID_OPTION"],
    [{ create: "no" }, "INVALID_OPTION"],
    [{ migrate: 0 }, "INVALID_OPTION"],
  ])("%o are refused", async (options, code) => {
    const opened = AzothDb.open(await newLocation(), options);
    await expect(opened).rejects.toMatchObject({ name: "AzothError", code });
  });

  test.each([null, 5, "full", [], () => {}])("%o are no options", async (options) => {
    const opened = AzothDb.open(await newLocation(), options as AzothDbOptions);
    await expect(opened).rejects.toMatchObject({ name: "AzothError", code: "INVALID_OPTION" });
  });

  test("maxPayloadBytes bounds payloads of tasks and events, in bytes", async () => {
    const db = await openStore(undefined, { maxPayloadBytes: 20 });
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const schedule = (payload: unknown) => scheduler.scheduleTask({ taskType: "work", schedule: immediate(), payload });
    await schedule("x".repeat(18));
    await schedule("é".repeat(9));
    for (const payload of ["x".repeat(19), "é".repeat(10)]) {
      await expect(schedule(payload)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
      const append = db.transaction((tx) => tx.append({ eventType: "a", payload }));
      await expect(append).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    }
    expect(await db.lastPosition()).toBe(2);
  });
});

describe("a store that is opened only if it is there", () => {
  test("is not made", async () => {
    const location = await newLocation({ shared: true });
    const place = engineUnderTest === "sqlite" ? join(location, "deeper", "data") : location;
    for (const _ of [1, 2]) {
      await expect(AzothDb.open(place, { create: false })).rejects.toMatchObject({ code: "STORE_NOT_FOUND" });
    }
    if (engineUnderTest === "sqlite") expect(readdirSync(location)).toEqual([]);
    await openStore(place);
    const db = await openStore(place, { create: false, migrate: false });
    expect(await db.lastPosition()).toBe(0);
  });

  test("is not brought up to date unless it may be", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location);
    const { schemaVersion } = await db.status();
    await db.close();
    const older = schemaVersion - 1;
    const set = { sqlite: `PRAGMA user_version = ${older}`, postgres: `UPDATE azoth_schema SET version = ${older}` };
    await tamper(location, set[engineUnderTest]);
    const refused = AzothDb.open(location, { migrate: false });
    await expect(refused).rejects.toMatchObject({
      code: "STORE_OUTDATED",
      details: { version: older, known: schemaVersion },
    });
  });
});

describe("close", () => {
  test("first writes what waits", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location);
    const appended = Array.from({ length: 50 }, (_, index) =>
      db.transaction((tx) => tx.append({ eventType: "a", payload: index })),
    );
    const closed = db.close();
    const late = db.transaction((tx) => tx.append({ eventType: "late" }));
    await expect(late).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await Promise.all([...appended, closed, db.close()]);
    expect(await eventsOf(await openStore(location))).toHaveLength(50);
  });

  test("ends everything else with STORE_CLOSED, and repeats without harm", async () => {
    const db = await openStore();
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    await scheduler.scheduleTask({ taskId: "t", taskType: "work", schedule: immediate() });
    await db.close();
    await db.close();
    await db[Symbol.asyncDispose]();
    for (const refused of [
      () => db.transaction(() => {}),
      () => db.query("SELECT 1"),
      () => db.lastPosition(),
      () => eventsOf(db),
      () => db.subscribe()[Symbol.asyncIterator]().next(),
      () => db.verify(),
      () => db.rebuild(),
      () => db.backup(join(scratchDirectory(), "backup.db")),
      () => scheduler.scheduleTask({ taskType: "work", schedule: immediate() }),
      () => scheduler.cancelTask("t", "because"),
      () => scheduler.getTask("t"),
      () => scheduler.listTasks(),
      () => scheduler.countTasks(),
      () => scheduler.history("t"),
      () => scheduler.start(),
      () => scheduler.eventHandlers.list(),
    ]) {
      await expect(refused(), String(refused)).rejects.toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
    }
    await scheduler.stop();
    expect(db.location).not.toBe("");
  });

  test("ends a subscription that waits", async () => {
    const db = await openStore();
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    const events = db.subscribe()[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ done: false });
    const ended = expect(events.next()).rejects.toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
    const startedAt = performance.now();
    await db.close();
    await ended;
    // Not only when it would have looked by itself.
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  test("happens by itself at the end of `await using`", async () => {
    const location = await newLocation({ shared: true });
    let outside: AzothDb;
    {
      await using db = await AzothDb.open(location);
      outside = db;
      await db.transaction((tx) => tx.append({ eventType: "a" }));
    }
    const error: unknown = await outside.lastPosition().catch((thrown: unknown) => thrown);
    expect(isAzothError(error, "STORE_CLOSED")).toBe(true);
  });
});
