/** Hot backups: whole, of one moment, and under their name only when they are complete. */
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import { faultyDriver } from "./faulty-driver.ts";
import { eventsOf, openStore, scratchDirectory } from "./scratch-stores.ts";

async function filledStore(megabytes: number = 1): Promise<AzothDb> {
  const db = await openStore(scratchDirectory(), { durability: "normal" });
  const payload = "x".repeat(100_000);
  for (let round = 0; round < megabytes; round++) {
    await db.transaction(async (tx) => {
      for (let each = 0; each < 10; each++) await tx.append({ eventType: "big", payload });
    });
  }
  await new Scheduler(db, { externalTaskTypes: ["work"] }).scheduleTask({
    taskId: "t",
    taskType: "work",
    schedule: immediate(),
  });
  return db;
}

describe("a backup", () => {
  test("is a store of its own, for its owner only", async () => {
    const db = await filledStore();
    const directory = scratchDirectory();
    const file = join(directory, "backup.db");
    await db.backup(file);
    expect(readdirSync(directory)).toEqual(["backup.db"]);
    expect(statSync(file).mode & 0o077).toBe(0);
    const copy = await openStore(file);
    expect(await copy.verify()).toMatchObject({ ok: true, tasks: 1 });
    expect(await eventsOf(copy)).toEqual(await eventsOf(db));
    await copy.transaction((tx) => tx.append({ eventType: "of the copy" }));
    expect(await db.lastPosition()).toBe(11);
  });

  test("ends although writers never rest, and holds nobody up", { timeout: 60_000 }, async () => {
    const db = await filledStore(40);
    const other = await openStore(db.location, { durability: "normal" });
    const file = join(scratchDirectory(), "backup.db");
    let copying = true;
    const writing = [db, other].map(async (writer) => {
      let written = 0;
      for (; copying; written++) {
        await writer.transaction((tx) => tx.append({ eventType: "meanwhile" }));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return written;
    });
    await db.backup(file);
    copying = false;
    for (const written of await Promise.all(writing)) expect(written).toBeGreaterThan(0);
    const copy = await openStore(file);
    expect(await copy.verify()).toMatchObject({ ok: true });
    expect(await copy.lastPosition()).toBeGreaterThanOrEqual(401);
  });

  test("and another at the same moment do not disturb each other", async () => {
    const db = await filledStore();
    const directory = scratchDirectory();
    const files = ["a.db", "b.db", "c.db"].map((name) => join(directory, name));
    await Promise.all(files.map((file) => db.backup(file)));
    const settled = await Promise.allSettled([db.backup(join(directory, "d.db")), db.backup(join(directory, "d.db"))]);
    expect(settled.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(readdirSync(directory).toSorted()).toEqual(["a.db", "b.db", "c.db", "d.db"]);
    for (const file of files) expect(await (await openStore(file)).verify()).toMatchObject({ ok: true });
  });

  test("is waited for by close", async () => {
    const db = await filledStore(10);
    const file = join(scratchDirectory(), "backup.db");
    const backup = db.backup(file);
    await db.close();
    expect(existsSync(file)).toBe(true);
    await backup;
    expect(await (await openStore(file)).verify()).toMatchObject({ ok: true });
  });

  test("works with a driver that has no backup of its own", async () => {
    const faulty = await faultyDriver();
    const db = await openStore(scratchDirectory(), { sqliteDriver: faulty.driver });
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    const file = join(scratchDirectory(), "backup.db");
    await db.backup(file);
    expect(await (await openStore(file)).lastPosition()).toBe(1);
  });
});

describe("a target that is refused", () => {
  test("because something is there", async () => {
    const db = await filledStore();
    const directory = scratchDirectory();
    writeFileSync(join(directory, "file"), "mine");
    writeFileSync(join(directory, "empty"), "");
    mkdirSync(join(directory, "directory"));
    symlinkSync("nowhere", join(directory, "link"));
    const before = readdirSync(directory);
    for (const target of [...before.map((name) => join(directory, name)), directory, db.location]) {
      await expect(db.backup(target)).rejects.toMatchObject({ name: "AzothError", code: "INVALID_LOCATION" });
    }
    expect(readdirSync(directory)).toEqual(before);
    expect(statSync(join(directory, "file")).size).toBe(4);
  });

  test("because nothing can be there", async () => {
    const db = await filledStore();
    const directory = scratchDirectory();
    writeFileSync(join(directory, "file"), "mine");
    for (const target of [
      join(directory, "missing", "backup.db"),
      join(directory, "file", "backup.db"),
      "/proc/backup.db",
      join(directory, "x".repeat(300)),
    ]) {
      await expect(db.backup(target), target).rejects.toMatchObject({ name: "AzothError", code: "STORE_NOT_WRITABLE" });
    }
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  test.each(["", "  ", "a\0b", 5, null, undefined, {}])("because it is no path: %o", async (target) => {
    const db = await openStore();
    const refused = db.backup(target as string);
    await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "INVALID_LOCATION" });
  });
});
