/** Nobody but the owner can read what a store writes: not its file, nor its logs, backups and drafts, whatever the umask. */
import { chmodSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { loadDriver, type SqliteDriver } from "../../src/engines/sqlite/driver.ts";
import { copyLog } from "../../src/store/copy-log.ts";
import { openStore, scratchDirectory } from "./scratch-stores.ts";

const modeOf = (place: string) => statSync(place).mode & 0o777;

/** The names and modes of what is in a directory. */
function modesIn(directory: string): Record<string, string> {
  return Object.fromEntries(readdirSync(directory).map((name) => [name, modeOf(join(directory, name)).toString(8)]));
}

describe.skipIf(process.platform === "win32")("with a umask that allows everything", () => {
  beforeEach(() => {
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
  });

  /** The driver, and the modes of the directories in which it made files. */
  async function watchedDriver(): Promise<{ readonly driver: SqliteDriver; readonly places: Map<string, number> }> {
    const { DatabaseSync, backup } = await loadDriver();
    const places = new Map<string, number>();
    const note = (file: string) => places.set(dirname(file), modeOf(dirname(file)));
    class Watched extends DatabaseSync {
      constructor(file: string, options: { readOnly?: boolean } = {}) {
        super(file, options);
        note(file);
      }
    }
    const watchedBackup: SqliteDriver["backup"] = async (source, target, options) => {
      note(target);
      return await backup?.(source, target, options);
    };
    const driver = { DatabaseSync: Watched, ...(backup === undefined ? {} : { backup: watchedBackup }) };
    return { driver, places };
  }

  test("a store's directory, its file and the logs beside it are its owner's", async () => {
    const directory = join(scratchDirectory(), "a", "b");
    const db = await openStore(directory);
    await db.transaction((tx) => tx.append({ eventType: "secret" }));
    expect([modeOf(dirname(directory)), modeOf(directory)]).toEqual([0o700, 0o700]);
    expect(modesIn(directory)).toEqual({ "azoth.db": "600", "azoth.db-wal": "600", "azoth.db-shm": "600" });
    await db.rebuild();
    expect(Object.values(modesIn(directory))).toEqual(["600", "600", "600"]);
  });

  test("so they are in a directory that everybody may read, and so is every backup and draft", async () => {
    const directory = join(scratchDirectory(), "open");
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    const { driver, places } = await watchedDriver();
    const db = await openStore(directory, { sqliteDriver: driver });
    await db.transaction((tx) => tx.append({ eventType: "secret" }));
    await db.backup(join(directory, "backup.db"));
    const target = await openStore(join(directory, "copy.db.d"), { sqliteDriver: driver });
    await copyLog(db, target);
    for (const [name, mode] of Object.entries(modesIn(directory))) {
      expect([name, mode]).toEqual([name, name === "copy.db.d" ? "700" : "600"]);
    }
    // Drafts are made in directories of their own, which nobody else can enter.
    places.delete(directory);
    expect(places.size).toBeGreaterThanOrEqual(3);
    expect([...places.values()].map((mode) => mode.toString(8))).toEqual([...places].map(() => "700"));
  });

  test("a store in memory has a place that nobody else can enter", async () => {
    const db = await openStore(":memory:");
    expect(modeOf(dirname(db.location))).toBe(0o700);
    expect(modeOf(db.location)).toBe(0o600);
  });
});
