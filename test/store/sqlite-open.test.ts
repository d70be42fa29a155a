/** Where a store's file may be, what opening makes there, and what remains after closing. */
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
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import { openStore, scratchDirectory, valueOf } from "./scratch-stores.ts";

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

  test.each(["", "  ", "a\0b", "mysql://x", 5, null, undefined, {}, Symbol("x")])(
    "such as %s is refused",
    async (location) => {
      await expect(AzothDb.open(location as string)).rejects.toMatchObject({
        name: "AzothError",
        code: "INVALID_LOCATION",
      });
    },
  );
});

describe("options", () => {
  test.each<[AzothDbOptions, string]>([
    [{ durability: "none" as "full" }, "INVALID_OPTION"],
    [{ busyTimeout: "soon" }, "INVALID_DURATION"],
    [{ sqliteDriver: {} }, "INVALID_OPTION"],
  ])("%o are refused, and nothing is made", async (options, code) => {
    const directory = join(scratchDirectory(), "store");
    await expect(AzothDb.open(directory, options)).rejects.toMatchObject({ name: "AzothError", code });
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
});
