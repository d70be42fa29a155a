/** Hot backups: whole, of one moment, and under their name only when they are complete. */
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import { type AzothDb, type AzothDbOptions, coreOf } from "../../src/store/azoth-db.ts";
import { copyLog } from "../../src/store/copy-log.ts";
import { append, completedTask, newEvent, nowMs, runningTask, saveNew, taskState } from "../contract/subject.ts";
import { createTestScheduler, engineUnderTest, newLocation } from "../engine-under-test.ts";
import { faultyDriver } from "../../simulation/faulty-driver.ts";
import { eventsOf, openStore, scratchDirectory, until } from "./scratch-stores.ts";

/** A store on the engine under test, and where others can open it. */
async function openNew(options: AzothDbOptions = {}): Promise<{ db: AzothDb; location: string }> {
  const location = await newLocation({ shared: true });
  return { db: await openStore(location, { durability: "normal", ...options }), location };
}

async function filledStore(megabytes: number = 1): Promise<{ db: AzothDb; location: string }> {
  const { db, location } = await openNew();
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
  return { db, location };
}

const newTarget = () => join(scratchDirectory(), "backup.db");

describe("a backup", () => {
  test("is a store of its own, for its owner only", async () => {
    const { db } = await filledStore();
    const file = newTarget();
    await db.backup(file);
    expect(readdirSync(join(file, ".."))).toEqual(["backup.db"]);
    expect(statSync(file).mode & 0o077).toBe(0);
    const copy = await openStore(file);
    expect(await copy.verify()).toMatchObject({ ok: true, tasks: 1 });
    expect(await eventsOf(copy)).toEqual(await eventsOf(db));
    await copy.transaction((tx) => tx.append({ eventType: "of the copy" }));
    expect(await db.lastPosition()).toBe(11);
  });

  test("ends although writers never rest, and is of one moment", async () => {
    const { db, location } = await filledStore(20);
    const other = await openStore(location, { durability: "normal" });
    const file = newTarget();
    let copying = true;
    const writing = [db, other].map(async (writer) => {
      const pairs: (readonly number[])[] = [];
      while (copying) {
        pairs.push(await append(coreOf(writer).engine, [newEvent("meanwhile"), newEvent("meanwhile")]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return pairs;
    });
    await db.backup(file);
    copying = false;
    const written = await Promise.all(writing);
    for (const pairs of written) expect(pairs.length).toBeGreaterThan(0);
    const copy = await openStore(file);
    expect(await copy.verify()).toMatchObject({ ok: true, tasks: 1 });
    const events = await eventsOf(copy);
    expect(events.filter(({ eventType }) => eventType !== "meanwhile")).toHaveLength(201);
    const copied = new Set(events.map(({ position }) => position));
    // Positions are what checkpoints and dead letters go by.
    expect(events).toEqual((await eventsOf(db)).filter(({ position }) => copied.has(position)));
    // Whole transactions only.
    for (const [first = 0, second = 0] of written.flat()) expect(copied.has(first)).toBe(copied.has(second));
    const next = await copy.transaction((tx) => tx.append({ eventType: "of the copy" }));
    expect(next).toBeGreaterThan(events.at(-1)?.position ?? 0);
    expect(await copy.verify()).toMatchObject({ ok: true });
  });

  test("has what is no history, and goes on with the store's numbers", async () => {
    const { db } = await openNew();
    const { engine } = coreOf(db);
    const checkpoint = {
      name: "c",
      position: 1,
      status: "stopped",
      attempts: 2,
      retryAtMs: null,
      error: "e",
      updatedAtMs: nowMs,
    } as const;
    const letter = { id: 3, handler: "h", position: 2, error: "e", attempts: 2, atMs: nowMs };
    await append(engine, [newEvent("a"), newEvent("b"), newEvent("c", { meta: '{"m":1}' })]);
    await new Scheduler(db, { externalTaskTypes: ["work"] }).scheduleTask({
      taskType: "work",
      schedule: interval("1h"),
    });
    await engine.write(async (tx) => {
      await tx.addInstance({ name: "gone", nowMs, claimMs: 5 });
      await tx.removeInstance(await tx.addInstance({ name: "left", nowMs, claimMs: 5 }));
      await tx.saveCheckpoint(checkpoint);
      await tx.addDeadLetter(letter);
    });
    const file = newTarget();
    await db.backup(file);
    const copy = await openStore(file);
    const { reads } = coreOf(copy).engine;
    expect(await eventsOf(copy)).toEqual(await eventsOf(db));
    const everything = { afterSeq: 0, limit: 10 };
    expect(await reads.findTasks(everything)).toEqual(await engine.reads.findTasks(everything));
    expect(await reads.listInstances()).toEqual([{ id: 1, name: "gone", heartbeatAtMs: nowMs, claimMs: 5 }]);
    expect(await reads.listCheckpoints()).toEqual([checkpoint]);
    expect(await reads.listDeadLetters({ afterId: 0, limit: 10 })).toEqual([letter]);
    expect(await reads.counters()).toEqual(await engine.reads.counters());
    expect(await copy.verify()).toMatchObject({ ok: true, tasks: 1 });
  });

  test("of a store that schedulers work on is worked on like the store after a crash", async () => {
    const hold = taskHandler({ taskType: "hold", execute: (ctx) => ctx.sleep("10h") });
    const tick = taskHandler({ taskType: "tick", execute: () => ({ eventType: "ticked" }) });
    const handlers = [hold, tick] as const;
    await using kit = await createTestScheduler({ handlers, location: await newLocation({ shared: true }) });
    await kit.scheduler.scheduleTask({ taskId: "held", taskType: "hold", schedule: immediate(), timeout: "1d" });
    await kit.scheduler.scheduleTask({ taskId: "ticking", taskType: "tick", schedule: interval("10m") });
    await kit.advance("25m");
    const file = newTarget();
    await kit.db.backup(file);
    await kit.advance("10m");
    expect((await kit.scheduler.getTask("ticking"))?.runs).toBe(3);

    const start = new Date(kit.clock.now());
    await using restored = await createTestScheduler({ handlers, location: file, start });
    expect((await restored.scheduler.getTask("ticking"))?.runs).toBe(3);
    expect((await restored.scheduler.getTask("held"))?.runs).toBe(1);
    await restored.advance("90m");
    expect((await restored.scheduler.getTask("held"))?.runs).toBe(2);
    expect(await restored.db.verify()).toMatchObject({ ok: true, tasks: 2 });
  });

  test("and another at the same moment do not disturb each other", async () => {
    const { db } = await filledStore();
    const directory = scratchDirectory();
    const files = ["a.db", "b.db", "c.db"].map((name) => join(directory, name));
    await Promise.all(files.map((file) => db.backup(file)));
    const settled = await Promise.allSettled([db.backup(join(directory, "d.db")), db.backup(join(directory, "d.db"))]);
    expect(settled.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(readdirSync(directory).toSorted()).toEqual(["a.db", "b.db", "c.db", "d.db"]);
    for (const file of files) expect(await (await openStore(file)).verify()).toMatchObject({ ok: true });
  });

  test("is waited for by close", async () => {
    const { db } = await filledStore(10);
    const file = newTarget();
    const backup = db.backup(file);
    await db.close();
    expect(existsSync(file)).toBe(true);
    await backup;
    expect(await (await openStore(file)).verify()).toMatchObject({ ok: true });
    await expect(db.backup(newTarget())).rejects.toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
  });

  test("works with a driver that has no backup of its own", async () => {
    const { driver } = await faultyDriver();
    const { db } = await openNew({ sqliteDriver: driver });
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    const file = newTarget();
    await db.backup(file);
    expect(await (await openStore(file)).lastPosition()).toBe(1);
  });

  test("of an empty store is an empty store", async () => {
    const { db } = await openNew();
    const file = newTarget();
    await db.backup(file);
    const copy = await openStore(file);
    expect(await copy.verify()).toEqual({ ok: true, tasks: 0, events: 0, difference: null });
    expect(await copy.transaction((tx) => tx.append({ eventType: "first" }))).toBe(1);
  });

  test("is copied to a new place like any store", async () => {
    const { db } = await filledStore();
    const file = newTarget();
    await db.backup(file);
    const { db: target } = await openNew();
    await copyLog(await openStore(file), target);
    expect(await eventsOf(target)).toEqual(await eventsOf(db));
    expect(await target.transaction((tx) => tx.append({ eventType: "next" }))).toBe(12);
  });
});

describe.runIf(engineUnderTest === "postgres")("a backup of a store that many write to", () => {
  test("has nothing of transactions that are open, and no place for them either", async () => {
    const { db } = await openNew();
    await append(coreOf(db).engine, [newEvent("before")]);
    let end: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    let position = 0;
    const open = db.transaction(async (tx) => {
      position = await tx.append({ eventType: "held" });
      await held;
    });
    await until(() => position > 0, "the event has its position");
    const [after] = await append(coreOf(db).engine, [newEvent("after")]);
    const file = newTarget();
    await db.backup(file);
    end();
    await open;
    const copy = await openStore(file);
    expect((await eventsOf(copy)).map(({ eventType }) => eventType)).toEqual(["before", "after"]);
    expect((await eventsOf(db)).map(({ eventType }) => eventType)).toEqual(["before", "held", "after"]);
    expect(await copy.verify()).toMatchObject({ ok: true });
    expect(await copy.lastPosition()).toBe(after);
    expect(await copy.transaction((tx) => tx.append({ eventType: "next" }))).toBe((after ?? 0) + 1);
  });

  test("is not made of an unfinished copy of another store", async () => {
    const { db } = await openNew();
    await coreOf(db).engine.write((tx) => tx.beginCopy(), { patient: true });
    const file = newTarget();
    await expect(db.backup(file)).rejects.toMatchObject({ name: "AzothError", code: "STORE_UNFINISHED" });
    expect(readdirSync(join(file, ".."))).toEqual([]);
  });

  test("is not made if the log cannot be folded", async () => {
    const { db } = await openNew();
    const { engine } = coreOf(db);
    await saveNew(engine, [taskState(1), runningTask(2, 1), completedTask(runningTask(3, 1))]);
    await append(engine, [newEvent("TaskStarted", { task: 1, data: "{}" })]);
    const file = newTarget();
    await expect(db.backup(file)).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
    expect(readdirSync(join(file, ".."))).toEqual([]);
  });
});

describe("a target that is refused", () => {
  test("because something is there", async () => {
    const { db } = await filledStore();
    const directory = scratchDirectory();
    writeFileSync(join(directory, "file"), "mine");
    writeFileSync(join(directory, "empty"), "");
    mkdirSync(join(directory, "directory"));
    symlinkSync("nowhere", join(directory, "link"));
    const before = readdirSync(directory);
    const places = [...before.map((name) => join(directory, name)), directory];
    if (engineUnderTest === "sqlite") places.push(db.location);
    for (const target of places) {
      await expect(db.backup(target)).rejects.toMatchObject({ name: "AzothError", code: "INVALID_LOCATION" });
    }
    expect(readdirSync(directory)).toEqual(before);
    expect(statSync(join(directory, "file")).size).toBe(4);
  });

  test("because nothing can be there", async () => {
    const { db } = await filledStore();
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
    const { db } = await openNew();
    const refused = db.backup(target as string);
    await expect(refused).rejects.toMatchObject({ name: "AzothError", code: "INVALID_LOCATION" });
  });
});
