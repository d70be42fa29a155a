/** Files that are no store, or a damaged one: an error with the right code, and nothing written. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { loadDriver } from "../../../src/engines/sqlite/driver.ts";
import { schemaVersion } from "../../../src/engines/sqlite/schema.ts";
import { AzothError } from "../../../src/errors.ts";
import { seededRandom } from "../../../src/random.ts";
import { immediate } from "../../../src/schedule/immediate.ts";
import { Scheduler } from "../../../src/scheduler/scheduler.ts";
import { AzothDb } from "../../../src/store/azoth-db.ts";
import { StoreWorker } from "../store-worker.ts";
import { makeLivelyStore } from "../../store/lively-store.ts";
import { eventsOf, openStore, scratchDirectory } from "../../store/scratch-stores.ts";
import { tamper } from "../../store/tampering.ts";

let home: string;
/** A whole store in one file. */
let sound: string;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "azoth-files-"));
  sound = join(home, "sound.db");
  await makeLivelyStore(join(home, "made"), sound);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A directory with a copy of the sound store in it. */
function copyOfStore(): { readonly directory: string; readonly file: string } {
  const directory = scratchDirectory();
  const file = join(directory, "azoth.db");
  copyFileSync(sound, file);
  return { directory, file };
}

/** The names and contents of a directory, but for the shared memory and empty logs that readers leave on Node 20. */
function contentsOf(directory: string): Record<string, string> {
  const contents: Record<string, string> = {};
  for (const name of readdirSync(directory)) {
    const place = join(directory, name);
    const text = lstatSync(place).isFile() ? readFileSync(place).toString("base64") : "no file";
    if (!name.endsWith("-shm") && !(name.endsWith("-wal") && text === "")) contents[name] = text;
  }
  return contents;
}

async function refusalOf(location: string): Promise<AzothError> {
  const error: unknown = await AzothDb.open(location, { busyTimeout: "100ms" }).then(
    async (db) => await db.close(),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AzothError);
  const refusal = error as AzothError;
  expect(refusal.message.length).toBeLessThan(700);
  // eslint-disable-next-line no-control-regex -- That is what must not be in it.
  expect(refusal.message).not.toMatch(/[\u0000-\u001f]/);
  return refusal;
}

/** Opening is refused with this code, and the directory stays as it is. */
async function expectRefusal(directory: string, code: string | readonly string[], location = directory): Promise<void> {
  const before = contentsOf(directory);
  const refusal = await refusalOf(location);
  expect([code].flat(), refusal.message).toContain(refusal.code);
  expect(contentsOf(directory)).toEqual(before);
}

describe("a place that cannot hold a store", () => {
  test("below a file", async () => {
    const directory = scratchDirectory();
    writeFileSync(join(directory, "file"), "text");
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "file", "below"));
  });

  test.each(["/proc/azoth", "/proc/self/azoth", "/sys/azoth", "/dev/null", "/dev/null/azoth"])("%s", async (place) => {
    expect((await refusalOf(place)).code).toBe("STORE_NOT_WRITABLE");
  });

  test("under a name that is too long", async () => {
    const directory = scratchDirectory();
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "x".repeat(300)));
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "x/".repeat(3_000)));
  });

  test("at links that lead nowhere or in circles", async () => {
    const directory = scratchDirectory();
    symlinkSync("nowhere/at/all", join(directory, "dangling"));
    symlinkSync("circle", join(directory, "circle"));
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "dangling"));
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "circle"));
  });

  test("where a directory or a pipe has the file's name", async () => {
    const withDirectory = scratchDirectory();
    mkdirSync(join(withDirectory, "azoth.db"));
    expect((await refusalOf(withDirectory)).code).toBe("STORE_NOT_WRITABLE");
    const withPipe = scratchDirectory();
    if (spawnSync("mkfifo", [join(withPipe, "azoth.db")]).status !== 0) return;
    expect((await refusalOf(withPipe)).code).toBe("STORE_NOT_WRITABLE");
    expect((await refusalOf(join(withPipe, "azoth.db"))).code).toBe("STORE_NOT_WRITABLE");
  });
});

describe("a user without rights", () => {
  /** Nobody: permissions do not bind root. */
  const nobody = 65_534;
  const isRoot = process.getuid?.() === 0;

  async function refusalOfNobody(location: string): Promise<{ code: string; message: string; isAzoth: boolean }> {
    const worker = new StoreWorker({ location, ...(isRoot ? { uid: nobody } : {}) });
    const [refusal] = await worker.hears("error");
    expect(await worker.ended).toBe(3);
    return refusal as { code: string; message: string; isAzoth: boolean };
  }

  function give(place: string, mode: number): void {
    if (isRoot) chownSync(place, nobody, nobody);
    chmodSync(place, mode);
    onTestFinished(() => chmodSync(place, 0o700));
  }

  test.skipIf(process.platform === "win32")("to write the directory", async () => {
    const { directory, file } = copyOfStore();
    give(file, 0o600);
    give(directory, 0o500);
    const before = contentsOf(directory);
    expect(await refusalOfNobody(directory)).toMatchObject({ isAzoth: true, code: "STORE_NOT_WRITABLE" });
    expect(contentsOf(directory)).toEqual(before);
  });

  test.skipIf(process.platform === "win32")("to make the store in the directory, or the directory itself", async () => {
    const directory = scratchDirectory();
    give(directory, 0o500);
    expect(await refusalOfNobody(directory)).toMatchObject({ isAzoth: true, code: "STORE_NOT_WRITABLE" });
    expect(await refusalOfNobody(join(directory, "a", "b"))).toMatchObject({
      isAzoth: true,
      code: "STORE_NOT_WRITABLE",
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("to write the file, or to read it", async () => {
    for (const mode of [0o400, 0o200, 0o000]) {
      const { directory, file } = copyOfStore();
      give(directory, 0o700);
      give(file, mode);
      expect(await refusalOfNobody(directory)).toMatchObject({ isAzoth: true, code: "STORE_NOT_WRITABLE" });
    }
  });

  test.skipIf(process.platform === "win32")("to enter the directory", async () => {
    const { directory } = copyOfStore();
    give(directory, 0o000);
    expect(await refusalOfNobody(directory)).toMatchObject({ isAzoth: true, code: "STORE_NOT_WRITABLE" });
  });
});

describe("a file of something else", () => {
  test.each([
    ["a text", "Dear diary, ".repeat(1_000)],
    ["a short text", "x"],
    ["a text that begins like a database", "SQLite format 3"],
    ["another database's text", "SQLite format 2\0".repeat(100)],
    ["zero bytes of content", "\0".repeat(8_192)],
    ["an image", Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")],
  ])("is refused: %s", async (_what, content) => {
    const directory = scratchDirectory();
    writeFileSync(join(directory, "azoth.db"), content);
    await expectRefusal(directory, ["STORE_NOT_AZOTH", "STORE_CORRUPT"]);
    await expectRefusal(directory, ["STORE_NOT_AZOTH", "STORE_CORRUPT"], join(directory, "azoth.db"));
  });

  test.each(["DELETE", "WAL"])("is refused: a database of another program, in journal mode %s", async (mode) => {
    const { DatabaseSync } = await loadDriver();
    for (const sql of [
      "CREATE TABLE theirs (id INTEGER)",
      "PRAGMA application_id = 5; CREATE TABLE azoth_tasks (id INTEGER)",
      "PRAGMA user_version = 1",
    ]) {
      const directory = scratchDirectory();
      const file = join(directory, "azoth.db");
      const database = new DatabaseSync(file);
      database.exec(`PRAGMA journal_mode = ${mode}; ${sql}`);
      database.close();
      await expectRefusal(directory, "STORE_NOT_AZOTH");
    }
  });

  test("is refused: our mark without our tables", async () => {
    const { file, directory } = copyOfStore();
    await tamper(file, "DROP TABLE azoth_events");
    await expectRefusal(directory, ["STORE_CORRUPT", "STORE_NOT_AZOTH"]);
  });
});

describe("a store of a newer version", () => {
  test("is refused with both versions", async () => {
    const { directory, file } = copyOfStore();
    await tamper(file, `PRAGMA user_version = ${schemaVersion + 1}`);
    await expectRefusal(directory, "STORE_TOO_NEW");
    expect((await refusalOf(directory)).details).toEqual({ version: schemaVersion + 1, known: schemaVersion });
  });
});

describe("a truncated file", () => {
  test("is refused, whatever is left of it", async () => {
    const { size } = statSync(sound);
    const random = seededRandom(1);
    const lengths = [0, 1, 15, 16, 17, 99, 100, 101, 511, 512, 4_095, 4_096, 4_097, size - 4_096, size - 1];
    for (let more = 0; more < 25; more++) lengths.push(Math.floor(random() * size));
    for (const length of lengths) {
      const { directory, file } = copyOfStore();
      truncateSync(file, length);
      await expectRefusal(
        directory,
        length < 15 && length > 0 ? ["STORE_CORRUPT", "STORE_NOT_AZOTH"] : "STORE_CORRUPT",
      );
    }
  });
});

/** Everything that can be done to a store. Whatever fails has to fail with an AzothError. */
async function useStore(directory: string): Promise<void> {
  const steps: ((db: AzothDb, scheduler: Scheduler) => Promise<unknown>)[] = [
    (db) => db.verify(),
    (db) => eventsOf(db),
    (_db, scheduler) => scheduler.listTasks({ limit: 1_000 }),
    (_db, scheduler) => scheduler.countTasks(),
    (_db, scheduler) => scheduler.history("succeed interval"),
    (_db, scheduler) => scheduler.scheduleTask({ taskId: "new", taskType: "work", schedule: immediate() }),
    (_db, scheduler) => scheduler.cancelTask("paused", "because"),
    (db) => db.rebuild(),
    (db) => db.backup(join(directory, "backup.db")),
    (db) => db.close(),
  ];
  const failures: unknown[] = [];
  let db: AzothDb;
  try {
    db = await AzothDb.open(directory, { busyTimeout: "100ms" });
  } catch (error) {
    expect(error).toBeInstanceOf(AzothError);
    return;
  }
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  for (const step of steps) await step(db, scheduler).catch((error: unknown) => failures.push(error));
  for (const failure of failures) {
    if (!(failure instanceof AzothError)) throw failure;
    expect(failure.message.length).toBeLessThan(1_500);
  }
}

/** AZOTH_FLIPS files are tried, drawn from SEED. */
const flips = Number(process.env["AZOTH_FLIPS"] ?? 60);

describe("flipped bits", () => {
  test("in the header lead to no error but ours", async () => {
    const codes = new Set<string>();
    for (let at = 0; at < 100; at++) {
      const { directory, file } = copyOfStore();
      const bytes = readFileSync(file);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(file, bytes);
      await AzothDb.open(directory, { busyTimeout: "100ms" }).then(
        async (db) => {
          codes.add("opened");
          await db.verify();
          await db.close();
        },
        (error: unknown) => {
          expect(error, `byte ${at}`).toBeInstanceOf(AzothError);
          codes.add((error as AzothError).code);
        },
      );
    }
    expect([...codes].toSorted()).toEqual(expect.arrayContaining(["STORE_CORRUPT", "STORE_NOT_AZOTH", "opened"]));
  });

  test("in the pages lead to no error but ours, and to no harm that verify does not see", async () => {
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000_007);
    const random = seededRandom(seed);
    const { size } = statSync(sound);
    for (let round = 0; round < flips; round++) {
      const { directory, file } = copyOfStore();
      const bytes = readFileSync(file);
      const count = 1 + Math.floor(random() * 40);
      for (let each = 0; each < count; each++) {
        const at = 100 + Math.floor(random() * (size - 100));
        bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      }
      writeFileSync(file, bytes);
      try {
        await useStore(directory);
      } catch (error) {
        throw new Error(`round ${round} of seed ${seed}`, { cause: error });
      }
    }
  });
});

describe("a directory", () => {
  test("with the remains of a making that was interrupted is used nevertheless", async () => {
    const directory = scratchDirectory();
    mkdirSync(join(directory, ".azoth-new-abc"));
    writeFileSync(join(directory, ".azoth-new-abc", "azoth.db"), "half");
    const db = await openStore(directory);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("that is read-only as a whole is refused, also to root", async (context) => {
    const directory = scratchDirectory();
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", directory]);
    if (mounted.status !== 0) context.skip("no file system can be mounted here");
    onTestFinished(() => void spawnSync("umount", [directory]));
    copyFileSync(sound, join(directory, "azoth.db"));
    mkdirSync(join(directory, "empty"));
    expect(spawnSync("mount", ["-o", "remount,ro", directory]).status).toBe(0);
    await expectRefusal(directory, "STORE_NOT_WRITABLE");
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "empty"));
    await expectRefusal(directory, "STORE_NOT_WRITABLE", join(directory, "new"));
    expect(existsSync(join(directory, "new"))).toBe(false);
  });
});
