/** A write inside of a transaction's callback would wait for itself: it is refused at once, and says what to use. */
import { AzothDb, eventHandler, immediate, Scheduler, taskHandler } from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";
import { expect, test } from "vitest";

const work = taskHandler({ taskType: "work", execute: () => ({ eventType: "worked" }) });

test("in a transaction of the store, which can go on", async () => {
  await using db = await AzothDb.open(":memory:");
  const scheduler = new Scheduler(db, { handlers: [work] });
  const position = await db.transaction(async (tx) => {
    const nested = scheduler.scheduleTask({ taskType: "work", schedule: immediate() });
    await expect(nested).rejects.toMatchObject({ code: "TRANSACTION_NESTED" });
    await expect(db.transaction(() => {})).rejects.toMatchObject({ code: "TRANSACTION_NESTED" });
    await tx.scheduleTask({ taskId: "inside", taskType: "work", schedule: immediate() });
    return await tx.append({ eventType: "noted" });
  });
  expect(position).toBe(await db.lastPosition());
  expect((await scheduler.listTasks()).tasks.map(({ taskId }) => taskId)).toEqual(["inside"]);
});

test("in an event handler, which fails by it", async () => {
  const nests = eventHandler({
    name: "nests",
    eventType: "worked",
    onError: "dead-letter",
    handle: (): Promise<unknown> => nestedWrite(),
  });
  let nestedWrite = (): Promise<unknown> => Promise.resolve();
  await using kit = await createTestScheduler({ handlers: [work], eventHandlers: [nests] });
  nestedWrite = () => kit.scheduler.scheduleTask({ taskType: "work", schedule: immediate() });
  await kit.scheduler.scheduleTask({ taskType: "work", schedule: immediate() });
  await kit.settle();
  const [letter] = await kit.scheduler.eventHandlers.deadLetters();
  expect(letter?.error).toContain("Use the methods of that transaction");
  expect(await kit.scheduler.countTasks()).toMatchObject({ completed: 1, waiting: 0 });
});

test("also from within a transaction of another store, which itself may be in there", async () => {
  await using outer = await AzothDb.open(":memory:");
  await using inner = await AzothDb.open(":memory:");
  await outer.transaction(async (tx) => {
    await inner.transaction(async (other) => {
      await expect(outer.transaction(() => {})).rejects.toMatchObject({ code: "TRANSACTION_NESTED" });
      await other.append({ eventType: "noted" });
    });
    await expect(outer.transaction(() => {})).rejects.toMatchObject({ code: "TRANSACTION_NESTED" });
    await inner.transaction((other) => other.append({ eventType: "noted" }));
    await tx.append({ eventType: "noted" });
  });
  expect(await outer.lastPosition()).toBe(1);
  expect(await inner.lastPosition()).toBe(2);
});

test("but not in what a callback leaves running, nor beside it", async () => {
  await using db = await AzothDb.open(":memory:");
  let later: Promise<unknown> | undefined;
  const beside = Promise.all([
    db.transaction((tx) => {
      later = new Promise((resolve) => setImmediate(resolve)).then(
        () => new Promise((resolve) => setTimeout(resolve, 5)),
      );
      later = later.then(() => db.transaction((other) => other.append({ eventType: "later" })));
      return tx.append({ eventType: "first" });
    }),
    db.transaction((tx) => tx.append({ eventType: "second" })),
  ]);
  expect(await beside).toEqual([1, 2]);
  expect(await later).toBe(3);
});
