/** Storage that fails in the middle: at every single statement of a commit, nothing is half-written and nothing acknowledged is lost. */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import { AzothDb } from "../../src/store/azoth-db.ts";
import { type Fault, failAt, faultyDriver, resultCode } from "../../simulation/faulty-driver.ts";
import { eventsOf, openStore, scratchDirectory, until } from "./scratch-stores.ts";

const faults: readonly (readonly [name: string, code: string, fault: Fault])[] = [
  ["a full disk that ended the transaction", "STORE_FULL", { errcode: resultCode.full, rollsBack: true }],
  ["a full disk", "STORE_FULL", { errcode: resultCode.full }],
  ["an I/O error that ended the transaction", "STORE_FAILED", { errcode: resultCode.ioError, rollsBack: true }],
  ["an I/O error", "STORE_FAILED", { errcode: resultCode.ioError }],
];

async function faultyStore(): Promise<{ db: AzothDb; faulty: Awaited<ReturnType<typeof faultyDriver>> }> {
  const faulty = await faultyDriver();
  const db = await openStore(scratchDirectory(), { durability: "normal", sqliteDriver: faulty.driver });
  return { db, faulty };
}

const request = (taskId: string) => ({ taskId, taskType: "work" as const, schedule: immediate(), payload: null });

describe.each(faults)("%s", (_name, code, fault) => {
  test("at any statement of a shared commit fails all of it, and keeps nothing of it", async () => {
    const { db, faulty } = await faultyStore();
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    await scheduler.scheduleTask(request("first"));
    let call = 0;
    for (;;) {
      const before = await db.lastPosition();
      failAt(faulty, call, fault);
      const ids = Array.from({ length: 5 }, (_, index) => `task-${call}-${index}`);
      const settled = await Promise.allSettled([
        ...ids.map((id) => scheduler.scheduleTask(request(id))),
        scheduler.pauseTask("nobody"),
        scheduler.pauseTask("first"),
        scheduler.resumeTask("first"),
      ]);
      const failed = faulty.calls > call;
      faulty.plan = undefined;
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
      if (!failed) break;
      for (const [index, each] of settled.entries()) {
        // The unknown task may have been refused before the failure came.
        expect(each, `call ${call}, caller ${index}`).toMatchObject({
          status: "rejected",
          reason: { name: "AzothError", code },
        });
      }
      expect(await db.lastPosition(), `call ${call}`).toBe(before);
      expect(await scheduler.getTask(`task-${call}-0`)).toBeNull();
      call++;
    }
    expect(call).toBeGreaterThan(5);
    expect(await scheduler.getTask(`task-${call}-4`)).not.toBeNull();
  });

  test("at any statement of a user's transaction rejects it, even if the callback caught it", async () => {
    const { db, faulty } = await faultyStore();
    await db.transaction((tx) => tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"));
    let call = 0;
    for (;;) {
      const before = await db.lastPosition();
      failAt(faulty, call, fault);
      const swallow = () => {};
      const outcome = db.transaction(async (tx) => {
        await tx.append({ eventType: "note", payload: call }).catch(swallow);
        await tx.execute("INSERT INTO notes (body) VALUES ('a')").catch(swallow);
        await tx.scheduleTask({ taskId: `task-${call}`, taskType: "work", schedule: immediate() }).catch(swallow);
        await tx.query("SELECT * FROM notes").catch(swallow);
        await tx.append({ eventType: "note", payload: call }).catch(swallow);
        await tx.execute("INSERT INTO notes (body) VALUES ('b')").catch(swallow);
      });
      const [settled] = await Promise.allSettled([outcome]);
      const failed = faulty.calls > call;
      faulty.plan = undefined;
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
      const notes = await db.query("SELECT count(*) AS count FROM notes");
      if (!failed) {
        expect(settled.status).toBe("fulfilled");
        expect(notes).toEqual([{ count: 2 }]);
        break;
      }
      expect(settled, `call ${call}`).toMatchObject({ status: "rejected", reason: { name: "AzothError", code } });
      expect(notes, `call ${call}`).toEqual([{ count: 0 }]);
      expect(await db.lastPosition()).toBe(before);
      call++;
    }
    expect(call).toBeGreaterThan(8);
  });

  test("now and then under a running scheduler costs no task and doubles none", async () => {
    const { db, faulty } = await faultyStore();
    await db.transaction((tx) => tx.execute("CREATE TABLE notes (task TEXT)"));
    const work = taskHandler({
      taskType: "work",
      execute: (context) => {
        context.transaction.execute("INSERT INTO notes VALUES (?)", [context.taskId]);
        return { eventType: "worked", payload: context.taskId };
      },
    });
    const failures: string[] = [];
    const scheduler = new Scheduler(db, {
      handlers: [work],
      pollInterval: "20ms",
      maxConcurrentTasks: 4,
      onSignal: (signal) => {
        if (signal.name === "store.failed") failures.push(signal.what);
      },
    });
    await scheduler.start();
    faulty.calls = 0;
    // Every commit has about a dozen statements, so that some go through and some fail at any of them.
    faulty.plan = () => (faulty.calls % 37 === 36 ? fault : undefined);
    const acknowledged: string[] = [];
    for (let index = 0; index < 60; index++) {
      const id = `task-${index}`;
      const [settled] = await Promise.allSettled([scheduler.scheduleTask(request(id))]);
      if (settled.status === "fulfilled") acknowledged.push(id);
      else expect(settled.reason).toMatchObject({ name: "AzothError", code });
    }
    faulty.plan = undefined;
    await until(async () => (await scheduler.countTasks()).completed >= acknowledged.length, "all tasks completed");
    await scheduler.stop();
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    const events = await eventsOf(db);
    for (const id of acknowledged) {
      const own = events.filter(({ taskId }) => taskId === id);
      const ended = own.filter(
        ({ eventType, payload }) => eventType === "TaskExecuted" && (payload as { success: boolean }).success,
      );
      expect(ended, id).toHaveLength(1);
      expect(own.filter(({ eventType }) => eventType === "worked")).toHaveLength(1);
      // A failed commit is no failure of the handler.
      expect(own.filter(({ eventType }) => eventType === "TaskExecuted")).toHaveLength(1);
      expect(await db.query("SELECT count(*) AS count FROM notes WHERE task = ?", [id])).toEqual([{ count: 1 }]);
    }
    const scheduled = events.filter(({ eventType }) => eventType === "TaskScheduled").map(({ taskId }) => taskId);
    expect(scheduled).toEqual(acknowledged);
  });
});

test("a commit that takes effect although it seems to fail leaves no task behind", async () => {
  const { db, faulty } = await faultyStore();
  const work = taskHandler({ taskType: "work", execute: () => ({ eventType: "worked" }) });
  const scheduler = new Scheduler(db, { handlers: [work], pollInterval: "20ms" });
  await scheduler.start();
  let commits = 0;
  faulty.plan = (sql) => {
    return sql === "COMMIT" && commits++ % 3 === 1 ? { errcode: resultCode.ioError, afterwards: true } : undefined;
  };
  for (let index = 0; index < 20; index++) await scheduler.scheduleTask(request(`task-${index}`)).catch(() => {});
  faulty.plan = undefined;
  await until(async () => (await scheduler.countTasks()).completed === 20, "all tasks completed");
  await scheduler.stop();
  expect(await db.verify()).toMatchObject({ ok: true });
  const events = await eventsOf(db);
  for (let index = 0; index < 20; index++) {
    const own = events.filter(({ taskId }) => taskId === `task-${index}`);
    expect(own.filter(({ eventType }) => eventType === "worked")).toHaveLength(1);
    expect(own.filter(({ eventType }) => eventType === "TaskExecuted")).toHaveLength(1);
  }
});

test.each(faults)("%s at any statement of an opening leaves nothing half-made", async (_name, code, fault) => {
  const faulty = await faultyDriver();
  faulty.everywhere = true;
  const directory = scratchDirectory();
  for (let call = 0; ; call++) {
    failAt(faulty, call, fault);
    const [settled] = await Promise.allSettled([AzothDb.open(directory, { sqliteDriver: faulty.driver })]);
    faulty.plan = undefined;
    if (settled.status === "fulfilled") {
      expect(call).toBeGreaterThan(5);
      await settled.value.close();
      break;
    }
    expect(settled.reason, `call ${call}`).toMatchObject({ name: "AzothError", code });
    // Either nothing is there yet, or a whole store.
    const left = readdirSync(directory).filter((name) => !/-(wal|shm)$/.test(name));
    expect([[], ["azoth.db"]]).toContainEqual(left);
    const db = await openStore(left.length === 0 ? scratchDirectory() : directory);
    expect(await db.verify()).toMatchObject({ ok: true });
    await db.close();
  }
});

test.each(faults)("%s of the reading connection passes by", async (_name, code, fault) => {
  const { db, faulty } = await faultyStore();
  const failures = new Set<string>();
  const scheduler = new Scheduler(db, {
    handlers: [taskHandler({ taskType: "work", execute: () => ({ eventType: "worked" }) })],
    pollInterval: "20ms",
    onSignal: (signal) => {
      if (signal.name === "store.failed" && "code" in signal.error) failures.add(signal.error.code);
    },
  });
  await scheduler.start();
  faulty.everywhere = true;
  faulty.plan = (sql) => (sql.startsWith("SELECT") ? fault : undefined);
  await expect(db.lastPosition()).rejects.toMatchObject({ name: "AzothError", code });
  await expect(db.verify()).rejects.toMatchObject({ name: "AzothError", code });
  await expect(eventsOf(db)).rejects.toMatchObject({ name: "AzothError", code });
  await expect(scheduler.getTask("t")).rejects.toMatchObject({ name: "AzothError", code });
  await until(() => failures.has(code), "the loop has met it");
  faulty.plan = undefined;
  await scheduler.scheduleTask(request("t"));
  await until(async () => (await scheduler.getTask("t"))?.state === "completed", "the task has run");
  await scheduler.stop();
  expect(await db.verify()).toMatchObject({ ok: true });
});
