/**
 * What befalls a store's real files while they are in use, and what other programs do to them: an error that says so, or
 * recovery, and never silence. Beside this, in test/engines/sqlite: full disks and limits (full-disk), places without
 * rights, files of something else and flipped bits (store-file), a log that ends anywhere after a kill (torn-log).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { AzothError } from "../../src/errors.ts";
import { oneTime } from "../../src/schedule/one-time.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { AzothDb } from "../../src/store/azoth-db.ts";
import { eventsOf, openStore, scratchDirectory, until } from "./scratch-stores.ts";

const isWindows = process.platform === "win32";

async function append(db: AzothDb, payload: unknown = null): Promise<number> {
  return await db.transaction((tx) => tx.append({ eventType: "noted", payload }));
}

function codeFrom(error: unknown): string {
  expect(error).toBeInstanceOf(AzothError);
  return (error as AzothError).code;
}

async function codeOf(act: Promise<unknown>): Promise<string> {
  return await act.then(() => "it went well", codeFrom);
}

/** The store as another process finds it: the file and its log, in a place that nobody here has open. */
async function openAsFound(file: string): Promise<AzothDb> {
  const place = join(scratchDirectory(), "azoth.db");
  for (const end of ["", "-wal"]) if (existsSync(`${file}${end}`)) copyFileSync(`${file}${end}`, `${place}${end}`);
  return await openStore(place);
}

/** Without prepared statements: Node 20's driver would keep the file open for them. */
const program = `
  const [file, first, then] = process.argv.slice(1);
  const { DatabaseSync } = process.getBuiltinModule?.("node:sqlite") ?? (await import("@photostructure/sqlite"));
  const database = new DatabaseSync(file);
  database.exec(first);
  console.log("done");
  process.stdin.once("data", () => {
    database.exec(then);
    database.close();
    process.exit(0);
  });
`;

/** Another program, which has carried out the first statement; `end` lets it carry out the second, close and end. */
async function otherProgram(file: string, first: string, then: string): Promise<{ readonly end: () => Promise<void> }> {
  const flags = ["--no-warnings", "--input-type=module", "--eval", program];
  const child = spawn(process.execPath, [...flags, file, first, then], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return {
    async end() {
      child.stdin.write("go on\n");
      expect(await once(child, "exit")).toEqual([0, null]);
    },
  };
}

describe("a file that another program locks", () => {
  test("with BEGIN EXCLUSIVE can be read, and is written to once the lock is gone", async () => {
    const db = await openStore(scratchDirectory(), { busyTimeout: "100ms" });
    await append(db);
    const { end } = await otherProgram(db.location, "BEGIN EXCLUSIVE", "ROLLBACK");
    expect(await codeOf(append(db))).toBe("STORE_BUSY");
    expect(await db.verify()).toMatchObject({ ok: true });
    const beside = await openStore(db.location, { busyTimeout: "100ms" });
    expect(await beside.lastPosition()).toBe(1);
    expect(await codeOf(append(beside))).toBe("STORE_BUSY");
    await end();
    expect([await append(db), await append(beside)]).toEqual([2, 3]);
  });

  test("for itself alone cannot be opened until it lets go", async () => {
    const db = await openStore(scratchDirectory());
    await append(db);
    const directory = scratchDirectory();
    // Not of this process: Node 20's driver would keep it open, and nobody would be alone.
    await db.backup(join(directory, "azoth.db"));
    const alone = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE theirs (id); COMMIT";
    const { end } = await otherProgram(join(directory, "azoth.db"), alone, "DROP TABLE theirs");
    expect(await codeOf(AzothDb.open(directory))).toBe("STORE_BUSY");
    await end();
    expect(await append(await openStore(directory))).toBe(2);
  });
});

/** The locks of this process on a file, as Linux lists them. */
function locksOn(file: string): string[] {
  const [pid, inode] = [` ${process.pid} `, `:${statSync(file).ino} `];
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .filter((line) => line.includes(pid) && line.includes(inode));
}

// Without it, another program that closes the file takes itself for the last, and takes the log away that we write to.
describe.skipIf(!existsSync("/proc/locks"))("the lock on a file that is in use stays", () => {
  test("when the same process opens it again", async () => {
    const db = await openStore(scratchDirectory());
    expect(locksOn(db.location)).not.toEqual([]);
    const again = await openStore(db.location);
    expect(locksOn(db.location)).not.toEqual([]);
    await again.close();
    await db.backup(join(scratchDirectory(), "backup.db"));
    expect(locksOn(db.location)).not.toEqual([]);
  });

  test("when the same process has closed it before", async () => {
    const directory = scratchDirectory();
    const db = await openStore(directory);
    await append(db);
    await db.close();
    await openStore(directory);
    expect(locksOn(db.location)).not.toEqual([]);
  });
});

describe.skipIf(isWindows)("a store whose files go away while it is open", () => {
  interface Loss {
    readonly what: string;
    readonly lose: (file: string, aside: string) => void;
    /** Absent if what is gone is gone. */
    readonly restore?: (file: string, aside: string) => void;
    /** Where the store is found after the close. */
    readonly found?: (file: string, aside: string) => string;
  }
  const losses: readonly Loss[] = [
    {
      what: "the directory, moved",
      lose: (file, aside) => renameSync(dirname(file), aside),
      restore: (file, aside) => renameSync(aside, dirname(file)),
      found: (_file, aside) => join(aside, "azoth.db"),
    },
    {
      what: "the directory, deleted",
      lose: (file) => rmSync(dirname(file), { recursive: true }),
    },
    {
      what: "the file, replaced by another",
      lose: (file, aside) => {
        renameSync(file, aside);
        copyFileSync(aside, file);
      },
      restore: (file, aside) => renameSync(aside, file),
      found: (_file, aside) => aside,
    },
    {
      what: "the file, deleted, and its directory still there",
      lose: (file) => rmSync(file),
    },
    {
      what: "the write-ahead log, deleted",
      lose: (file) => rmSync(`${file}-wal`),
      found: (file) => file,
    },
    {
      what: "the shared memory, moved",
      lose: (file, aside) => renameSync(`${file}-shm`, aside),
      restore: (file, aside) => renameSync(aside, `${file}-shm`),
      found: (file) => file,
    },
  ];

  test.each(losses)("($what) acknowledges nothing more, and says why", async ({ lose, restore, found }) => {
    const aside = join(scratchDirectory(), "aside");
    const db = await openStore(join(scratchDirectory(), "store"));
    await append(db, "kept");
    lose(db.location, aside);

    expect(await codeOf(append(db, "lost"))).toBe("STORE_NOT_WRITABLE");
    expect(await db.verify()).toMatchObject({ ok: false, difference: { field: "file" } });
    const target = join(scratchDirectory(), "backup.db");
    expect(await codeOf(db.backup(target))).toBe("STORE_NOT_WRITABLE");
    expect(existsSync(target)).toBe(false);
    // What is there no more is not made anew, and empty.
    expect(existsSync(db.location) ? readFileSync(db.location).length : 1).toBeGreaterThan(0);

    if (restore !== undefined) {
      restore(db.location, aside);
      await append(db, "later");
      expect(await db.verify()).toMatchObject({ ok: true });
      lose(db.location, aside);
    }
    // What was acknowledged is written into the file, wherever that is.
    await db.close();
    if (found === undefined) return;
    const events = await eventsOf(await openAsFound(found(db.location, aside)));
    const payloads = events.filter(({ eventType }) => eventType === "noted").map(({ payload }) => payload);
    expect(payloads).toEqual(restore === undefined ? ["kept"] : ["kept", "later"]);
  });

  test("and come back keeps its scheduler, which tells of it", async () => {
    const failures = new Set<string>();
    const directory = join(scratchDirectory(), "store");
    const db = await openStore(directory);
    const scheduler = new Scheduler(db, {
      claimDuration: "60ms",
      externalTaskTypes: ["work"],
      onSignal: (signal) => {
        if (signal.name === "store.failed" && "code" in signal.error) failures.add(signal.error.code);
      },
    });
    await scheduler.start();
    renameSync(directory, `${directory}-aside`);
    await until(() => failures.size > 0, "the heartbeat has met it");
    renameSync(`${directory}-aside`, directory);
    await append(db);
    await scheduler.stop();
    expect([...failures]).toEqual(["STORE_NOT_WRITABLE"]);
    expect((await eventsOf(db)).at(-1)?.eventType).toBe("SchedulerStopped");
    expect(await db.verify()).toMatchObject({ ok: true });
  });
});

const pageBytes = 4_096;

/** The header of a page of a table or index: its kind, and how many cells it has. */
const cellsOf = (bytes: Buffer, page: number) => bytes.readUInt16BE(page * pageBytes + 3);

describe("copies", () => {
  let home: string;
  /** One store at two moments, between which many of its pages have changed. */
  let earlier: Buffer;
  let later: Buffer;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "azoth-real-"));
    const tasks = (prefix: string) =>
      Array.from({ length: 300 }, (_, index) => ({
        taskId: `${prefix}-${index}`,
        taskType: "work",
        schedule: oneTime(new Date(Date.UTC(2100, 0, 1 + (index % 50)))),
        payload: "x".repeat(50),
      }));
    const moments: Buffer[] = [];
    for (const prefix of ["a", "b"]) {
      await using db = await AzothDb.open(home, { durability: "normal" });
      const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
      await scheduler.scheduleTasks(tasks(prefix));
      for (let index = 0; index < 300; index += 10)
        await scheduler.cancelTask(`a-${index}`, "called off").catch(() => {});
      const copy = join(home, `${prefix}.db`);
      await db.close();
      copyFileSync(db.location, copy);
      moments.push(readFileSync(copy));
    }
    [earlier, later] = moments as [Buffer, Buffer];
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** What opening and verifying a file of these bytes comes to. */
  async function fateOf(bytes: Buffer): Promise<string> {
    const directory = mkdtempSync(join(home, "copy-"));
    writeFileSync(join(directory, "azoth.db"), bytes);
    try {
      await using db = await AzothDb.open(directory);
      return (await db.verify()).ok ? "sound" : "STORE_CORRUPT";
    } catch (error) {
      return codeFrom(error);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test("of the file alone, without its log, are the store of an earlier moment", async () => {
    const db = await openStore(scratchDirectory());
    for (let index = 0; index < 20; index++) await append(db, index);
    const before = mkdtempSync(join(home, "file-"));
    copyFileSync(db.location, join(before, "azoth.db"));
    const copy = await openStore(before);
    expect(await copy.verify()).toMatchObject({ ok: true });
    const events = await eventsOf(copy);
    expect(events).toEqual((await eventsOf(db)).slice(0, events.length));
    // Which is why there is `backup`.
    await db.backup(join(before, "backup.db"));
    expect(await (await openStore(join(before, "backup.db"))).lastPosition()).toBe(20);
  });

  test("that were torn by a write in the middle do not pass for sound", async () => {
    expect([await fateOf(earlier), await fateOf(later)]).toEqual(["sound", "sound"]);
    for (let page = 1; page * pageBytes < earlier.length; page++) {
      const at = page * pageBytes;
      const copies = [
        [earlier.subarray(0, at), later.subarray(at)],
        [later.subarray(0, at), earlier.subarray(at)],
      ].map((parts) => Buffer.concat(parts));
      for (const copy of copies) {
        if (copy.equals(earlier) || copy.equals(later)) continue;
        expect(await fateOf(copy), `torn at page ${page}`).toBe("STORE_CORRUPT");
      }
    }
  });

  test.each<[string, (bytes: Buffer, page: number) => void]>([
    ["of zeros", (bytes, page) => bytes.fill(0, page * pageBytes, (page + 1) * pageBytes)],
    ["of letters", (bytes, page) => bytes.fill("azoth ", page * pageBytes, (page + 1) * pageBytes)],
    // A write that went to the wrong place: each page for itself is sound.
    [
      "like the one after it",
      (bytes, page) => bytes.copyWithin(page * pageBytes, (page + 1) * pageBytes, (page + 2) * pageBytes),
    ],
  ])("with one page %s do not pass for sound", async (_what, damage) => {
    for (let page = 1; (page + 1) * pageBytes < later.length; page++) {
      // Nothing stands there that could be lost.
      if (cellsOf(later, page) === 0) continue;
      const damaged = Buffer.from(later);
      damage(damaged, page);
      expect(await fateOf(damaged), `page ${page}`).toBe("STORE_CORRUPT");
    }
  });
});
