/** Opening and closing a store: options, places, and what remains afterwards. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join, relative } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import { eventsOf, openStore, scratchDirectory, valueOf } from "./scratch-stores.ts";

describe("a location", () => {
  test("that does not exist becomes a directory with one file, for its owner only", async () => {
    const directory = join(scratchDirectory(), "a", "b");
    const db = await openStore(directory);
    expect(db.location).toBe(join(directory, "azoth.db"));
    expect(statSync(db.location).mode & 0o077).toBe(0);
    expect(statSync(directory).mode & 0o077).toBe(0);
    await db.close();
    // Node 20's driver lets go of the empty write-ahead log only at the end of the process.
    expect(
      readdirSync(directory).filter((name) => statSync(join(directory, name)).size > 0 && !name.endsWith("-shm")),
    ).toEqual(["azoth.db"]);
  });

  test("may be the store's file, a relative path, a link, or a path of any letters", async () => {
    const directory = scratchDirectory();
    const odd = join(directory, "ünï 🦊 %20 ?mode=ro#'\"");
    for (const location of [odd, relative(process.cwd(), directory), join(directory, "link")]) {
      if (location.endsWith("link")) symlinkSync(odd, location);
      const db = await openStore(location);
      await db.transaction((tx) => tx.append({ eventType: "a" }));
      await db.close();
    }
    const db = await openStore(join(odd, "azoth.db"));
    expect(await db.lastPosition()).toBe(2);
    expect(await (await openStore(directory)).lastPosition()).toBe(1);
  });

  test.each(["", "  ", "a\0b", "postgres://localhost/x", "mysql://x", 5, null, undefined, {}, Symbol("x")])(
    "such as %s is refused",
    async (location) => {
      await expect(AzothDb.open(location as string)).rejects.toMatchObject({
        name: "AzothError",
        code: "INVALID_LOCATION",
      });
    },
  );

  test("is made whole by one of many who open it at once", async () => {
    const directory = scratchDirectory();
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(directory)));
    await Promise.all(stores.map((db) => db.transaction((tx) => tx.append({ eventType: "a" }))));
    for (const db of stores) expect(await db.lastPosition()).toBe(8);
    expect(readdirSync(directory).filter((name) => !name.startsWith("azoth.db"))).toEqual([]);
  });
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
  ])("%o are refused, and nothing is made", async (options, code) => {
    const directory = join(scratchDirectory(), "store");
    await expect(AzothDb.open(directory, options as AzothDbOptions)).rejects.toMatchObject({
      name: "AzothError",
      code,
    });
    expect(existsSync(directory)).toBe(false);
  });

  test.each([null, 5, "full", [], () => {}])("%o are no options", async (options) => {
    const directory = join(scratchDirectory(), "store");
    const opened = AzothDb.open(directory, options as AzothDbOptions);
    await expect(opened).rejects.toMatchObject({ name: "AzothError", code: "INVALID_OPTION" });
    expect(existsSync(directory)).toBe(false);
  });

  test("durability decides about fsync", async () => {
    for (const [durability, synchronous] of [
      ["full", 2],
      ["normal", 1],
    ] as const) {
      const db = await openStore(scratchDirectory(), { durability });
      await db.transaction((tx) => tx.append({ eventType: "a" }));
      // Each connection has a setting of its own; the one that writes is seen through a writing query.
      const seen = await db.transaction((tx) => tx.query("SELECT synchronous FROM pragma_synchronous"));
      expect(seen).toEqual([{ synchronous }]);
    }
  });

  test("busyTimeout bounds the wait for another process", async () => {
    const directory = scratchDirectory();
    const holder = await openStore(directory);
    const waiter = await openStore(directory, { busyTimeout: "50ms" });
    await holder.transaction(async (tx) => {
      await tx.append({ eventType: "a" });
      const startedAt = performance.now();
      const refused = waiter.transaction((other) => other.append({ eventType: "b" }));
      await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(40);
      // Reads never wait.
      expect(await waiter.lastPosition()).toBe(0);
    });
    expect(await waiter.transaction((tx) => tx.append({ eventType: "b" }))).toBe(2);
  });

  test("maxPayloadBytes bounds payloads of tasks and events, in bytes", async () => {
    const db = await openStore(scratchDirectory(), { maxPayloadBytes: 20 });
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

describe('":memory:"', () => {
  test("keeps stores apart, and leaves nothing behind", async () => {
    const one = await openStore(":memory:");
    const two = await openStore(":memory:");
    await one.transaction((tx) => tx.append({ eventType: "a" }));
    expect(await one.lastPosition()).toBe(1);
    expect(await two.lastPosition()).toBe(0);
    expect(await one.verify()).toMatchObject({ ok: true });
    const directory = dirname(one.location);
    expect(existsSync(directory)).toBe(true);
    await one.close();
    expect(existsSync(directory)).toBe(false);
    expect(existsSync(dirname(two.location))).toBe(true);
  });

  test("leaves nothing behind either if the process ends without closing it", () => {
    const dist = new URL("../../dist/index.js", import.meta.url).href;
    const program = `
      import { AzothDb } from ${JSON.stringify(dist)};
      for (let each = 0; each < 12; each++) console.log((await AzothDb.open(":memory:")).location);
      process.exit(0);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
    });
    const files = stdout.trim().split("\n");
    expect(stderr).toBe("");
    expect(files).toHaveLength(12);
    for (const file of files) expect(existsSync(dirname(file))).toBe(false);
  });

  test("needs a place for temporary files", async () => {
    vi.stubEnv("TMPDIR", join(scratchDirectory(), "missing"));
    try {
      await expect(AzothDb.open(":memory:")).rejects.toMatchObject({ name: "AzothError", code: "STORE_NOT_WRITABLE" });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("close", () => {
  test("first writes what waits", async () => {
    const directory = scratchDirectory();
    const db = await openStore(directory);
    const appended = Array.from({ length: 50 }, (_, index) =>
      db.transaction((tx) => tx.append({ eventType: "a", payload: index })),
    );
    const closed = db.close();
    const late = db.transaction((tx) => tx.append({ eventType: "late" }));
    await expect(late).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await Promise.all([...appended, closed, db.close()]);
    expect(await eventsOf(await openStore(directory))).toHaveLength(50);
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
    expect(db.location).toMatch(/azoth\.db$/);
  });

  test("ends a subscription that waits", async () => {
    const db = await openStore();
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    const events = db.subscribe()[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ done: false });
    const waiting = events.next();
    await db.close();
    await expect(waiting).rejects.toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
  });

  test("folds the write-ahead log back into one file", async () => {
    const directory = scratchDirectory();
    const db = await openStore(directory);
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    expect(statSync(`${db.location}-wal`).size).toBeGreaterThan(0);
    await db.close();
    // The file alone is the whole store.
    const copy = join(scratchDirectory(), "copy.db");
    copyFileSync(db.location, copy);
    expect(await (await openStore(copy)).lastPosition()).toBe(1);
  });

  test("after the store's file was taken away fails no later than the next opening", async () => {
    const directory = scratchDirectory();
    const db = await openStore(directory);
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    rmSync(directory, { recursive: true });
    await db.close();
    mkdirSync(directory);
    writeFileSync(join(directory, "unrelated"), "");
    expect(await valueOf(await openStore(directory), "SELECT count(*) FROM azoth_events")).toBe(0);
  });

  test("happens by itself at the end of `await using`", async () => {
    const directory = scratchDirectory();
    let outside: AzothDb;
    {
      await using db = await AzothDb.open(directory);
      outside = db;
      await db.transaction((tx) => tx.append({ eventType: "a" }));
    }
    const error: unknown = await outside.lastPosition().catch((thrown: unknown) => thrown);
    expect(isAzothError(error, "STORE_CLOSED")).toBe(true);
  });
});
