/** Foreign keys of the user's that are checked only at the commit: whoever breaks one fails alone. */
import { expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../src/scheduler/task-handler.ts";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import { eventHandler } from "../../src/subscriptions/event-handler.ts";
import { openStore, until } from "./scratch-stores.ts";

async function storeWithKeys(): Promise<AzothDb> {
  const db = await openStore();
  await db.transaction(async (tx) => {
    await tx.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)");
    await tx.execute(
      "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    );
  });
  return db;
}

test("a transaction may break one in passing, and not at its end", async () => {
  const db = await storeWithKeys();
  await db.transaction(async (tx) => {
    await tx.execute("INSERT INTO children VALUES (1, 7)");
    await tx.execute("INSERT INTO parents VALUES (7)");
  });
  const broken = db.transaction(async (tx) => {
    await tx.append({ eventType: "lost" });
    await tx.execute("INSERT INTO children VALUES (2, 8)");
  });
  await expect(broken).rejects.toMatchObject({ name: "AzothError", code: "INVALID_SQL" });
  expect(await db.lastPosition()).toBe(0);
  expect(await db.query("SELECT * FROM children")).toEqual([{ id: 1, parent: 7 }]);
});

test("a task's handler that breaks one fails its attempt, and nobody else's", async () => {
  const db = await storeWithKeys();
  const failures: string[] = [];
  const scheduler = new Scheduler(db, {
    handlers: [
      taskHandler({
        taskType: "bad",
        maxRetries: 1,
        execute: (context) => context.transaction.execute("INSERT INTO children VALUES (1, 8)"),
      }),
      taskHandler({ taskType: "good", execute: () => ({ eventType: "worked" }) }),
    ],
    eventHandlers: [
      eventHandler({
        name: "bad",
        eventType: "worked",
        onError: "dead-letter",
        handle: (_event, tx) => tx.execute("INSERT INTO children VALUES (2, 9)"),
      }),
    ],
    onSignal: (signal) => {
      if (signal.name === "store.failed") failures.push(signal.what);
    },
  });
  await scheduler.start();
  await Promise.all(
    ["bad", "good", "bad", "good"].map((taskType, index) =>
      scheduler.scheduleTask({ taskId: `${taskType} ${index}`, taskType: taskType as "bad", schedule: immediate() }),
    ),
  );
  await until(async () => {
    const { completed, disabled } = await scheduler.countTasks();
    return completed === 2 && disabled === 2;
  }, "each task got what it deserves");
  await until(async () => (await scheduler.eventHandlers.deadLetters()).length === 2, "the events were put aside");
  const { executions } = await scheduler.history("bad 0");
  expect(executions[0]).toMatchObject({ outcome: "failed", error: { code: "INVALID_SQL" } });
  await scheduler.stop();
  expect(failures).toEqual([]);
  expect(await db.query("SELECT * FROM children")).toEqual([]);
  expect(await db.verify()).toMatchObject({ ok: true });
});
