/** One store used by several real processes at once: each sees all that the others commit, once and in order. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { RecordedEvent } from "../../src/store/log.ts";
import { startWorker, StoreWorker } from "../engines/store-worker.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";
import { eventsOf, expectPositions, openStore, until } from "./scratch-stores.ts";

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test("subscriptions follow writers of other processes, without a loss or a double", async () => {
  const location = await newLocation({ shared: true });
  const workers = await Promise.all([startWorker({ location }), startWorker({ location }), startWorker({ location })]);
  const [first, second, third] = workers;
  const db = await openStore(location);
  const total = 400;
  const seen: RecordedEvent[] = [];
  const own = (async () => {
    for await (const event of db.subscribe()) if (seen.push(event) === total) break;
  })();
  third.tell({ command: "follow", after: 100, until: total });
  first.tell({ command: "append", count: 150, eventType: "first" });
  second.tell({ command: "append", count: 150, eventType: "second" });
  for (const _ of range(1, 100)) await db.transaction((tx) => tx.append({ eventType: "own" }));
  await own;
  const [followed] = (await third.hears("followed")) as [number[]];
  await Promise.all([first.hears("appended"), second.hears("appended")]);
  // Everybody was told the positions that the log has.
  const events = await eventsOf(db);
  expect(seen).toEqual(events);
  expectPositions(events);
  const positions = events.map(({ position }) => position).filter((position) => position > 100);
  expect(followed).toEqual(positions.slice(0, followed.length));
  expect(followed.at(-1)).toBeGreaterThanOrEqual(total);
  for (const [worker, type] of [
    [first, "first"],
    [second, "second"],
  ] as const) {
    const positions = events.filter(({ eventType }) => eventType === type).map(({ position }) => position);
    expect(worker.acknowledged).toEqual(positions);
    const payloads = events.filter(({ eventType }) => eventType === type).map(({ payload }) => payload);
    expect(payloads).toEqual(range(0, 149));
  }
  await Promise.all(workers.map((worker) => worker.stop()));
  expect(await db.verify()).toMatchObject({ ok: true });
});

test("a commit of another process is noticed at once, not at the next poll", async () => {
  const location = await newLocation({ shared: true });
  const db = await openStore(location);
  const worker = await startWorker({ location });
  const events = db.subscribe()[Symbol.asyncIterator]();
  for (const round of range(1, 5)) {
    const next = events.next();
    worker.tell({ command: "append", count: 1, eventType: "a" });
    await until(() => worker.acknowledged.length === round, "it is acknowledged");
    const startedAt = performance.now();
    expect((await next).value).toMatchObject({ position: worker.acknowledged[round - 1] });
    // The safety net under the notices is five seconds.
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  }
  await events.return?.();
});

test("many processes that open a new store at one moment make one store", async () => {
  for (const round of range(1, engineUnderTest === "sqlite" ? 3 : 1)) {
    const location = await newLocation({ shared: true });
    const workers = range(1, 6).map(() => new StoreWorker({ location }));
    await Promise.all(workers.map((worker) => worker.hears("ready")));
    for (const worker of workers) worker.tell({ command: "append", count: 3, eventType: `round-${round}` });
    await Promise.all(workers.map((worker) => worker.hears("appended")));
    const db = await openStore(location);
    const events = await eventsOf(db);
    expect(events).toHaveLength(18);
    expectPositions(events);
    const positions = workers.flatMap((worker) => worker.acknowledged as number[]);
    expect(positions.toSorted((a, b) => a - b)).toEqual(events.map(({ position }) => position));
    if (engineUnderTest === "sqlite") {
      expect(readdirSync(location).filter((name) => !name.startsWith("azoth.db"))).toEqual([]);
    }
    await Promise.all(workers.map((worker) => worker.stop()));
  }
});

test("a rebuild in one process loses nothing that schedulers of others do meanwhile", async () => {
  const location = await newLocation({ shared: true });
  const [rebuilder, runner, other] = await Promise.all([
    startWorker({ location }),
    startWorker({ location, run: true }),
    startWorker({ location, run: true }),
  ]);
  runner.tell({ command: "schedule", prefix: "runner", count: 400, inFlight: 4 });
  other.tell({ command: "schedule", prefix: "other", count: 400, inFlight: 4 });
  for (const round of range(1, 4)) {
    rebuilder.tell({ command: "rebuild" });
    await until(() => rebuilder.said("rebuilt").length === round, "it is rebuilt");
  }
  await Promise.all([runner.hears("scheduled"), other.hears("scheduled")]);
  const db = await openStore(location);
  const scheduler = new Scheduler(db);
  await until(async () => (await scheduler.countTasks()).completed === 800, "all have run");
  expect(await db.verify()).toMatchObject({ ok: true, tasks: 800 });
  const worked = await eventsOf(db, { eventTypes: ["worked"] });
  expect(new Set(worked.map(({ taskId }) => taskId)).size).toBe(800);
  expect(worked).toHaveLength(800);
  for (const worker of [rebuilder, runner, other]) {
    expect(worker.said("error")).toEqual([]);
    expect(worker.said("store failed")).toEqual([]);
    await worker.stop();
  }
});

test("a process that dies while it writes leaves the store to the others at once", async () => {
  const location = await newLocation({ shared: true });
  const db = await openStore(location);
  for (const round of range(1, 4)) {
    const worker = await startWorker({ location });
    worker.tell({ command: "append", count: 1_000_000, eventType: `round-${round}` });
    await until(() => worker.acknowledged.length > 20, "it writes");
    await worker.crash();
    const last = await db.transaction((tx) => tx.append({ eventType: "own" }));
    // A server notices a moment later that a process is gone, and until then holds back what comes after it.
    await until(async () => (await db.lastPosition()) === last, "the log can be read to its end");
    const events = await eventsOf(db);
    expectPositions(events);
    const kept = new Set(
      events.filter(({ eventType }) => eventType === `round-${round}`).map(({ position }) => position),
    );
    expect(worker.acknowledged.filter((position) => !kept.has(position as number))).toEqual([]);
  }
  expect(await db.verify()).toMatchObject({ ok: true });
});
