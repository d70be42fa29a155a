/** The hash chain: whatever is done to a sealed event is found at its position, whoever seals, stops or copies meanwhile. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type AzothDb,
  type ChainHead,
  copyLog,
  immediate,
  interval,
  Scheduler,
  type Signal,
  taskHandler,
} from "azoth-scheduler";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { coreOf } from "../../src/store/azoth-db.ts";
import type { ChainLink, LoggedEvent } from "../../src/store/engine.ts";
import { append, newEvent } from "../contract/subject.ts";
import { createTestScheduler, engineUnderTest, newLocation } from "../engine-under-test.ts";
import { startWorker } from "../engines/store-worker.ts";
import { freshUrl } from "../postgres/databases.ts";
import { livelyCopies } from "./lively-copies.ts";
import { openStore, scheduleMany, scratchDirectory, until, valueOf } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

const newCopy = livelyCopies();
const isSqlite = engineUnderTest === "sqlite";
const open = (location?: string, hashChain = false) => openStore(location, { durability: "normal", hashChain });

const everything = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 1_000_000] as const;
const eventsIn = (db: AzothDb): Promise<readonly LoggedEvent[]> =>
  coreOf(db).engine.reads.snapshot((snapshot) => snapshot.readLog(...everything));
const linksIn = (db: AzothDb): Promise<readonly ChainLink[]> =>
  coreOf(db).engine.reads.snapshot((snapshot) => snapshot.readChain(...everything));

const untilSealed = (db: AzothDb, deadlineMs?: number) =>
  until(
    async () => ((await db.chainHead())?.position ?? 0) === (await db.lastPosition()),
    "the log is sealed",
    deadlineMs,
  );

/** Seals the whole log of a store, as a short life of a process does. */
async function seal(location: string): Promise<void> {
  const db = await open(location, true);
  await db.close();
}

/** A copy of the lively store, sealed to its end, and a store on it that does not seal. */
async function sealedCopy(): Promise<{ location: string; db: AzothDb; head: ChainHead }> {
  const location = await newCopy();
  await seal(location);
  const db = await open(location);
  const head = await db.chainHead();
  expect(head?.position).toBe(await db.lastPosition());
  return { location, db, head: head ?? { position: 0, hash: "" } };
}

/** The chain as anybody can compute it who has read how. */
function chainOf(events: readonly LoggedEvent[]): ChainLink[] {
  let hash = "";
  return events.map(({ position, type, atMs, task, run, version, data, meta }) => {
    const text = JSON.stringify([hash, position, type, atMs, task, run, version, data, meta]);
    hash = createHash("sha256").update(text).digest("hex");
    return { position, hash };
  });
}

async function expectSealed(db: AzothDb): Promise<void> {
  expect(await linksIn(db)).toEqual(chainOf(await eventsIn(db)));
  const chain = await db.chainHead();
  expect(chain?.position).toBe(await db.lastPosition());
  expect(await db.verify()).toMatchObject({ ok: true, difference: null, chain });
}

const json = (text: string) => (isSqlite ? `'${text}'` : `'${text}'::json`);
/** The numbers of two types, one for each that an event can have. */
const otherType = "(SELECT max(id) FROM azoth_names WHERE id <> type)";
const columns = "type, at_ms, task, run, version, data, meta";
const swapped = `UPDATE azoth_events SET position = -position WHERE position IN (4, 9);
  UPDATE azoth_events SET position = 13 + position WHERE position < 0`;
const inserted = `UPDATE azoth_events SET position = -position WHERE position >= 5;
  INSERT INTO azoth_events (position, ${columns}) SELECT 5, ${columns} FROM azoth_events WHERE position = 1;
  UPDATE azoth_events SET position = 1 - position WHERE position < 0`;

describe("what happened to a sealed event is found at its position", () => {
  test.each([
    ["its data", `UPDATE azoth_events SET data = ${json('{"other":1}')} WHERE position = 3`, 3],
    [
      "a space in its data",
      `UPDATE azoth_events SET data = ${isSqlite ? "' ' || data" : "(' ' || data::text)::json"} WHERE position = 6`,
      6,
    ],
    ["its meta", `UPDATE azoth_events SET meta = ${json("{}")} WHERE position = 2`, 2],
    ["its type", `UPDATE azoth_events SET type = ${otherType} WHERE position = 7`, 7],
    ["the name of its type", "UPDATE azoth_names SET name = 'other' WHERE name = 'TaskStarted'", null],
    ["its time", "UPDATE azoth_events SET at_ms = at_ms - 1 WHERE position = 8", 8],
    ["its time to one that no clock has", "UPDATE azoth_events SET at_ms = 9000000000000000001 WHERE position = 8", 8],
    ["its task", "UPDATE azoth_events SET task = 1 WHERE position = 5", 5],
    ["its run", "UPDATE azoth_events SET run = 77 WHERE position = 4", 4],
    ["its version", "UPDATE azoth_events SET version = 2 WHERE position = 1", 1],
    ["a removal", "DELETE FROM azoth_events WHERE position = 6", 6],
    ["the removal of the first", "DELETE FROM azoth_events WHERE position = 1", 1],
    ["the removal of all from one on", "DELETE FROM azoth_events WHERE position >= 7", 7],
    ["the removal of all", "DELETE FROM azoth_events", 1],
    ["an insertion", inserted, 5],
    [
      "an insertion before all others",
      `INSERT INTO azoth_events (position, ${columns}) SELECT -3, ${columns} FROM azoth_events WHERE position = 1`,
      -3,
    ],
    ["two that were swapped", swapped, 4],
    ["a link", `UPDATE azoth_chain SET hash = (SELECT hash FROM azoth_chain WHERE position = 1) WHERE position = 9`, 9],
    ["a link that was removed", "DELETE FROM azoth_chain WHERE position = 10", 10],
    [
      "a link that was removed with its event",
      "DELETE FROM azoth_chain WHERE position = 3; DELETE FROM azoth_events WHERE position = 3",
      4,
    ],
    ["a link without an event", `INSERT INTO azoth_chain SELECT 1000, hash FROM azoth_chain WHERE position = 1`, 1000],
  ])("%s", async (_what, sql, position) => {
    const { location, db } = await sealedCopy();
    const started = (await eventsIn(db)).find(({ type }) => type === "TaskStarted")?.position;
    expect(await db.verify()).toMatchObject({ ok: true });
    await tamper(location, sql);
    // A reader that knows no names yet: they may be what was changed.
    const reader = await open(location);
    const verification = await reader.verify();
    expect(verification).toMatchObject({ ok: false, difference: { field: "chain", position: position ?? started } });
    expect(verification.difference?.replayed).not.toBe(verification.difference?.stored);
    // Sealing goes on behind it, and covers nothing up.
    await seal(location);
    expect(await reader.verify()).toMatchObject({ difference: { position: position ?? started } });
  });

  test.skipIf(isSqlite)("an insertion at a position that a rolled back transaction left free", async () => {
    const location = await newLocation({ shared: true });
    const db = await open(location, true);
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    const undone = db.transaction(async (tx) => {
      await tx.append({ eventType: "never" });
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    await db.transaction((tx) => tx.append({ eventType: "b" }));
    await untilSealed(db);
    expect((await linksIn(db)).map(({ position }) => position)).toEqual([1, 3]);
    await expectSealed(db);
    await tamper(
      location,
      `INSERT INTO azoth_events (position, ${columns}) SELECT 2, ${columns} FROM azoth_events WHERE position = 1`,
    );
    expect(await db.verify()).toMatchObject({ difference: { field: "chain", position: 2, stored: null } });
  });
});

describe("a head that was kept elsewhere", () => {
  test("proves what was before it, and stays good while the log grows", async () => {
    const { location, head } = await sealedCopy();
    const db = await open(location, true);
    expect(await db.verify({ chainHead: head })).toMatchObject({ ok: true, chain: head });
    await scheduleMany(db, 700);
    await untilSealed(db);
    const later = await db.chainHead();
    expect(later?.position).toBe(head.position + 700);
    for (const chainHead of [head, later ?? head])
      expect(await db.verify({ chainHead })).toMatchObject({ ok: true, chain: later });
    const wrong = { position: head.position, hash: "0".repeat(64) };
    expect(await db.verify({ chainHead: wrong })).toMatchObject({
      ok: false,
      difference: { field: "chainHead", position: head.position, replayed: wrong.hash, stored: head.hash },
    });
  });

  test("tells of a chain that was cut together with the log, or made anew, as nothing else does", async () => {
    const { location, head } = await sealedCopy();
    // Its last event is none of a task.
    const cut = (table: string) => `DELETE FROM ${table} WHERE position = ${head.position}`;
    const forgotten = isSqlite
      ? `; UPDATE sqlite_sequence SET seq = ${head.position - 1} WHERE name = 'azoth_events'`
      : "";
    await tamper(location, `${cut("azoth_events")}; ${cut("azoth_chain")}${forgotten}`);
    const db = await open(location);
    expect(await db.verify()).toMatchObject({ ok: true, chain: { position: head.position - 1 } });
    const missing = { field: "chainHead", position: head.position, replayed: head.hash, stored: null };
    expect(await db.verify({ chainHead: head })).toMatchObject({ ok: false, difference: missing });

    const other = await sealedCopy();
    await tamper(
      other.location,
      `UPDATE azoth_events SET meta = ${json("{}")} WHERE position = 2; DELETE FROM azoth_chain`,
    );
    const without = await open(other.location);
    expect((await without.verify()).chain).toBeUndefined();
    expect(await without.verify({ chainHead: other.head })).toMatchObject({ ok: false });
    await seal(other.location);
    expect(await without.verify()).toMatchObject({ ok: true, chain: { position: other.head.position } });
    expect(await without.verify({ chainHead: other.head })).toMatchObject({
      difference: { field: "chainHead", position: other.head.position, replayed: other.head.hash },
    });
  });
});

const storedEvent = { ...newEvent("a"), position: 1, version: 1, taskId: null };

describe("sealing", () => {
  test("is off unless it is asked for", async () => {
    const db = await open();
    await scheduleMany(db, 3);
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(await db.chainHead()).toBeNull();
    expect(await valueOf(db, "SELECT count(*) FROM azoth_chain")).toBe(0);
    expect(await db.verify()).toEqual({ ok: true, tasks: 3, events: 3, difference: null });
  });

  test("follows the log while it grows, from several stores at once", async () => {
    const location = await newLocation({ shared: true });
    const stores = await Promise.all([open(location, true), open(location, true), open(location)]);
    const [first] = stores;
    for (let round = 0; round < 12; round++) {
      await Promise.all(stores.map((db) => scheduleMany(db, 60)));
      await Promise.all(
        stores.map((db) => db.transaction((tx) => tx.append({ eventType: "own", payload: "\u0000ü\u{1f600}" }))),
      );
    }
    await untilSealed(first);
    await expectSealed(first);
    await Promise.all(stores.map((db) => db.close()));
    await expectSealed(await open(location));
  });

  test("begins at the start of a log that is there, goes on after a time without, and seals the rest at the end", async () => {
    const location = await newLocation({ shared: true });
    const before = await open(location);
    await scheduleMany(before, 1_300);
    const during = await open(location, true);
    await untilSealed(during);
    await expectSealed(before);
    await during.close();
    await scheduleMany(before, 1_100);
    expect((await before.chainHead())?.position).toBe(1_300);
    // Those in between are not sealed, and nobody takes that for a difference.
    expect(await before.verify()).toMatchObject({ ok: true, tasks: 2_400, chain: { position: 1_300 } });
    const after = await open(location, true);
    // What is on its way when the store is closed is sealed as well.
    const written = after.transaction((tx) => tx.append({ eventType: "last" }));
    await after.close();
    await written;
    await expectSealed(before);
  });

  test("is done by one at a time, and never of an unfinished copy", async () => {
    const location = await newLocation({ shared: true });
    const [one, two] = [coreOf(await open(location)).engine, coreOf(await open(location)).engine];
    const link = { position: 1, hash: "ab".repeat(32) };
    await one.write(async (tx) => {
      expect(await tx.lockChain("copy")).toBe("held");
      expect(await tx.lockChain("seal")).toBeNull();
      if (two.writers === "many") expect(await two.write((other) => other.lockChain("seal"))).toBe("held");
      await tx.extendChain([link]);
    });
    expect(await two.write((tx) => tx.lockChain("seal"))).toEqual(link);
    const copy = coreOf(await open()).engine;
    await copy.write((tx) => tx.beginCopy());
    expect(await copy.write((tx) => tx.lockChain("seal"))).toBe("held");
    expect(await copy.write((tx) => tx.lockChain("copy"))).toBeNull();
  });

  test.skipIf(isSqlite)("waits where readers wait: for what may still come before", async () => {
    const location = await newLocation({ shared: true });
    const db = await open(location, true);
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    for (const ending of ["COMMIT", "ROLLBACK"]) {
      const client = new Client({ connectionString: location });
      await client.connect();
      await client.query("BEGIN");
      const { rows } = await client.query<{ position: string }>(
        "INSERT INTO azoth_events (type, at_ms, data) VALUES (1, 5, 'null') RETURNING position",
      );
      const position = Number(rows[0]?.position);
      expect(await db.transaction((tx) => tx.append({ eventType: "b" }))).toBe(position + 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await db.chainHead())?.position).toBe(position - 1);
      await client.query(ending);
      await client.end();
      await until(async () => (await db.chainHead())?.position === position + 1, "all is sealed");
      expect((await linksIn(db)).some((link) => link.position === position)).toBe(ending === "COMMIT");
      await expectSealed(db);
    }
  });

  test.skipIf(!isSqlite)("keeps nobody from closing the store for long", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal", hashChain: true, busyTimeout: "1m" });
    const other = await open(location);
    await coreOf(other).engine.write(async (tx) => {
      await tx.append([newEvent("a")]);
      // The log has an end that cannot be sealed now.
      const { reads } = coreOf(db).engine;
      reads.readEvents = async () => ({ events: [storedEvent], scannedTo: 1, end: true, held: false });
      const startedAt = performance.now();
      await db.close();
      expect(performance.now() - startedAt).toBeLessThan(8_000);
    });
    expect(await other.verify()).toMatchObject({ ok: true });
  });

  test("goes on after failing commits, and fails nobody else's", async () => {
    await using kit = await createTestScheduler({ hashChain: true });
    const { engine } = coreOf(kit.db);
    await append(engine, [newEvent("a")]);
    await kit.advance("1m");
    expect((await kit.db.chainHead())?.position).toBe(await kit.db.lastPosition());
    const links = await linksIn(kit.db);
    const breaking = new Error("no");
    const write = engine.write.bind(engine);
    let broken = 0;
    engine.write = (work, mode) =>
      write(async (transaction) => {
        transaction.extendChain = () => {
          broken++;
          return Promise.reject(breaking);
        };
        return await work(transaction);
      }, mode);
    // The other process's sealer is as good: it has to go.
    await kit.crash();
    const told: string[] = [];
    const onSignal = (signal: Signal) => void (signal.name === "store.failed" && told.push(signal.what));
    const onlooker = new Scheduler(kit.db, { handlers: [], name: "onlooker", onSignal });
    await onlooker.start();
    const [position = 0] = await append(engine, [newEvent("b")]);
    await kit.db.transaction((tx) => tx.append({ eventType: "c" }));
    await kit.advance("10s");
    expect(broken).toBeGreaterThan(1);
    // No hot loop either.
    expect(broken).toBeLessThan(20);
    expect(new Set(told)).toEqual(new Set(["the hash chain"]));
    expect(told.length).toBe(broken);
    expect(await linksIn(kit.db)).toEqual(links);
    engine.write = write;
    await onlooker.stop();
    await kit.advance("10s");
    expect((await kit.db.chainHead())?.position).toBeGreaterThan(position);
    await expectSealed(kit.db);
  });

  test("survives that its process is killed in the middle", async () => {
    const location = await newLocation({ shared: true });
    const db = await open(location);
    await scheduleMany(db, 6_000);
    for (let round = 1; round <= 3; round++) {
      const worker = await startWorker({ location, db: { durability: "normal", hashChain: true } });
      await until(async () => ((await db.chainHead())?.position ?? 0) >= round * 500, "some is sealed");
      await worker.crash();
      const head = await db.chainHead();
      expect(await linksIn(db)).toEqual(chainOf(await eventsIn(db)).slice(0, head?.position));
      expect(await db.verify()).toMatchObject({ ok: true, chain: head });
    }
    await seal(location);
    await expectSealed(db);
  });

  test("lets a test on a manual clock settle, and its time pass", async () => {
    const tick = taskHandler({ taskType: "tick", execute: () => ({ eventType: "ticked" }) });
    await using kit = await createTestScheduler({ handlers: [tick], hashChain: true });
    await kit.scheduler.scheduleTask({ taskType: "tick", schedule: interval("1h") });
    await kit.scheduler.scheduleTask({ taskType: "tick", schedule: immediate() });
    await kit.settle();
    await kit.advance("8h");
    await kit.restart();
    await kit.advance("8h");
    await kit.crash();
    await kit.restart();
    await kit.advance("8h");
    expect(await kit.log({ eventTypes: ["ticked"] })).toHaveLength(25);
    await expectSealed(kit.db);
  });
});

describe("a copy", () => {
  const kinds = isSqlite ? ["sqlite"] : ["sqlite", "postgres"];

  test.each(kinds)("on %s has the same chain, and goes on with it", async (kind) => {
    const { location, head } = await sealedCopy();
    const from = await open(location, true);
    await scheduleMany(from, 1_200);
    await untilSealed(from);
    const place = kind === "sqlite" ? scratchDirectory() : await freshUrl();
    const to = await open(place, true);
    const kept = await from.chainHead();
    const { verification } = await copyWhenAtRest(from, to);
    expect(verification).toMatchObject({ ok: true, chain: kept });
    expect(await linksIn(to)).toEqual(await linksIn(from));
    expect(await to.verify({ chainHead: head })).toMatchObject({ ok: true });
    await scheduleMany(to, 3);
    await untilSealed(to);
    await expectSealed(to);
  });

  test("of a log that was altered is refused, also into a store that seals", async () => {
    const { location } = await sealedCopy();
    await tamper(location, `UPDATE azoth_events SET meta = ${json("{}")} WHERE position = 2`);
    const to = await open(undefined, true);
    await expect(copyWhenAtRest(await open(location), to)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    await expect(to.transaction((tx) => tx.append({ eventType: "a" }))).rejects.toMatchObject({
      code: "STORE_UNFINISHED",
    });
  });

  test("by a backup has the chain of its moment, also when it is restored", async () => {
    const { location, head } = await sealedCopy();
    const db = await open(location, true);
    const file = join(scratchDirectory(), "backup.db");
    await db.backup(file);
    const backup = await open(file);
    expect(await backup.chainHead()).toEqual(head);
    await expectSealed(backup);
    const restored = await open(undefined, true);
    await copyWhenAtRest(backup, restored);
    await expectSealed(restored);
    expect(await restored.verify({ chainHead: head })).toMatchObject({ ok: true });
  });

  test("that is made of a rebuilt store is no different", async () => {
    const { db } = await sealedCopy();
    await db.rebuild();
    await expectSealed(db);
  });
});

/** The lively store's scheduler was killed a moment ago: its claim is good for a while. */
async function copyWhenAtRest(from: AzothDb, to: AzothDb) {
  const { reads } = coreOf(from).engine;
  await coreOf(from).engine.write(async (tx) => {
    for (const { id } of await reads.listInstances()) await tx.heartbeat(id, 0);
  });
  return await copyLog(from, to);
}
