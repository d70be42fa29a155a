/** Reading the log: filters, order and pages; and following it live, beside writers. */
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { AzothDb } from "../../src/store/azoth-db.ts";
import type { LogFilter, RecordedEvent } from "../../src/store/log.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";
import { eventsOf, expectPositions, openStore, until } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

const startMs = Date.UTC(2026, 0, 1);

/** 300 events of some types and tasks, one a second. */
async function storeWithHistory(): Promise<AzothDb> {
  const clock = new ManualClock(startMs);
  const db = await openStore(undefined, { clock, noticeInterval: 0 });
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  for (let index = 0; index < 100; index++) {
    clock.jump("1s");
    const taskId = `task-${index % 7}`;
    if (index % 3 === 0) {
      await scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload: index });
    } else if (index % 3 === 1) {
      await db.transaction(async (tx) => {
        for (let more = 0; more < 4; more++) await tx.append({ eventType: `own-${more}`, payload: { index, more } });
      });
    } else {
      await scheduler.cancelTask(`task-${(index + 5) % 7}`, "because").catch(() => {});
    }
  }
  return db;
}

/** In one transaction, and without waiting for one answer before the next event. */
async function appendMany(db: AzothDb, count: number, typeOf: (index: number) => string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.append({ eventType: typeOf(0) });
    await Promise.all(Array.from({ length: count - 1 }, (_, index) => tx.append({ eventType: typeOf(index + 1) })));
  });
}

describe("readLog", () => {
  test("finds what its filters say, in the order of the log", async () => {
    const db = await storeWithHistory();
    const all = await eventsOf(db);
    expectPositions(all);
    expect(all.length).toBeGreaterThan(150);
    const instant = fc.integer({ min: -5, max: 110 }).map((second) => startMs + second * 1_000);
    const anyFilter: fc.Arbitrary<LogFilter> = fc.record(
      {
        after: fc.integer({ min: 0, max: 320 }),
        taskId: fc.constantFrom("task-0", "task-6", "task-99"),
        eventTypes: fc.subarray(["TaskScheduled", "TaskCancelled", "own-1", "own-3", "unheard of"]),
        since: fc.oneof(
          instant,
          instant.map((ms) => new Date(ms)),
          instant.map((ms) => new Date(ms).toISOString()),
        ),
        until: instant,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(anyFilter, async (filter) => {
        const { after = 0, taskId, eventTypes, since, until } = filter;
        const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : new Date(since).getTime();
        const untilMs = until === undefined ? Number.POSITIVE_INFINITY : new Date(until).getTime();
        if (since !== undefined && until !== undefined && sinceMs > untilMs) {
          expect(() => db.readLog(filter)).toThrow(expect.objectContaining({ code: "INVALID_FILTER" }));
          return;
        }
        const matches = (event: RecordedEvent) =>
          event.position > after &&
          (taskId === undefined || event.taskId === taskId) &&
          (eventTypes === undefined || eventTypes.includes(event.eventType)) &&
          event.recordedAt.getTime() >= sinceMs &&
          event.recordedAt.getTime() < untilMs;
        const found = all.filter(matches);
        expect(await eventsOf(db, filter)).toEqual(found);
        expect(await eventsOf(db, { ...filter, latestFirst: true })).toEqual(found.toReversed());
      }),
      { numRuns: engineUnderTest === "sqlite" ? 150 : 75 },
    );
  });

  test("gives each event its facts", async () => {
    const db = await storeWithHistory();
    const [scheduled] = await eventsOf(db, { taskId: "task-0" });
    expect(scheduled).toMatchObject({
      position: 1,
      eventType: "TaskScheduled",
      recordedAt: new Date(startMs + 1_000),
      taskId: "task-0",
      version: 1,
      payload: { taskId: "task-0", taskType: "work", payload: 0, because: "new" },
    });
    const [own] = await eventsOf(db, { eventTypes: ["own-2"] });
    expect(own).toEqual({
      position: expect.any(Number) as number,
      eventType: "own-2",
      recordedAt: new Date(startMs + 2_000),
      version: 1,
      payload: { index: 1, more: 2 },
    });
  });

  test("can be read in parts, several times, and left early", async () => {
    const db = await storeWithHistory();
    const all = await eventsOf(db);
    const log = db.readLog();
    const first: RecordedEvent[] = [];
    for await (const event of log) {
      first.push(event);
      if (first.length === 3) break;
    }
    expect(first).toEqual(all.slice(0, 3));
    expect(await eventsOf(db, { after: 3 })).toEqual(all.slice(3));
    expect(await eventsOf(db, { after: all.length })).toEqual([]);
    expect(await eventsOf(db, { after: Number.MAX_SAFE_INTEGER })).toEqual([]);
  });

  test("of many pages has every event once, and ends although writers go on", async () => {
    const db = await openStore(undefined, { durability: "normal" });
    const append = (count: number) => appendMany(db, count, (index) => (index % 1_000 === 0 ? "rare" : "a"));
    for (let round = 0; round < 3; round++) await append(2_000);
    let reading = true;
    const writing = (async () => {
      while (reading) await append(3);
    })();
    const events = await eventsOf(db);
    const rare = await eventsOf(db, { eventTypes: ["rare"] });
    reading = false;
    await writing;
    expect(events.length).toBeGreaterThanOrEqual(6_000);
    expectPositions(events);
    expect(rare.slice(0, 6)).toEqual(events.filter(({ eventType }) => eventType === "rare").slice(0, 6));
    expect(rare.length).toBeGreaterThanOrEqual(6);
  });

  const refused: readonly unknown[] = [
    { after: -1 },
    { after: 0.5 },
    { after: "1" },
    { after: Number.NaN },
    { taskId: 5 },
    { eventTypes: "a" },
    { eventTypes: [5] },
    { since: "yesterday" },
    { until: "2026-01-01T00:00:00" },
    { since: new Date(Number.NaN) },
    { since: 2, until: 1 },
    { position: 1 },
    { latestFirst: 1 },
    null,
    5,
    [[]],
    "all",
  ];

  test("reads a long log from its end, and no further than it is asked for", async () => {
    const db = await openStore();
    await appendMany(db, 6_000, (index) => (index === 3 ? "rare" : "often"));
    const rare = await eventsOf(db, { eventTypes: ["rare"], latestFirst: true });
    expect(rare).toMatchObject([{ eventType: "rare" }]);
    const last = await db.lastPosition();
    for await (const { position } of db.readLog({ latestFirst: true })) {
      expect(position).toBe(last);
      break;
    }
  });

  test("a subscription follows the log in one direction only", async () => {
    const db = await openStore();
    const backwards = { latestFirst: true } as LogFilter;
    expect(() => db.subscribe(backwards)).toThrow(expect.objectContaining({ code: "INVALID_FILTER" }));
  });

  test("refuses filters that are none", async () => {
    const db = await openStore();
    for (const filter of refused) {
      for (const read of [db.readLog.bind(db), db.subscribe.bind(db)]) {
        expect(() => read(filter as LogFilter), inspect(filter)).toThrow(
          expect.objectContaining({
            name: "AzothError",
            code: expect.stringMatching(/^INVALID_(FILTER|INSTANT)$/) as string,
          }),
        );
      }
    }
  });
});

describe("subscribe", () => {
  test("first catches up, then follows, until it is left", async () => {
    const db = await openStore();
    await db.transaction((tx) => tx.append({ eventType: "a", payload: 1 }));
    await db.transaction((tx) => tx.append({ eventType: "b", payload: 2 }));
    const seen: unknown[] = [];
    for await (const { eventType, payload } of db.subscribe({ eventTypes: ["a"] })) {
      seen.push(payload);
      if (payload === 1) void db.transaction((tx) => tx.append({ eventType: "b", payload: 3 }));
      if (payload === 1) void db.transaction((tx) => tx.append({ eventType: "a", payload: 4 }));
      expect(eventType).toBe("a");
      if (seen.length === 2) break;
    }
    expect(seen).toEqual([1, 4]);
  });

  test("ends by its signal: before it begins, between events, and while it waits", async () => {
    const db = await openStore();
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    await db.transaction((tx) => tx.append({ eventType: "a" }));
    for (const abortAfter of [0, 1, 2]) {
      const controller = new AbortController();
      if (abortAfter === 0) controller.abort();
      let seen = 0;
      for await (const _ of db.subscribe({ signal: controller.signal })) {
        seen++;
        if (seen === abortAfter && abortAfter === 1) controller.abort();
        if (seen === abortAfter && abortAfter === 2) setImmediate(() => controller.abort());
      }
      expect(seen).toBe(abortAfter);
    }
  });

  test("loses and doubles nothing beside writers of several connections", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { durability: "normal" });
    const writers = [
      db,
      await openStore(location, { durability: "normal" }),
      await openStore(location, { durability: "normal" }),
    ];
    const total = 600;
    const starts = [0, 0, 150];
    const followers = starts.map(async (after, index) => {
      const events: RecordedEvent[] = [];
      for await (const event of (writers[index] ?? db).subscribe({ after })) {
        if (event.eventType === "end") break;
        events.push(event);
      }
      return events;
    });
    const writing = writers.map(async (writer, index) => {
      for (let round = 0; round < total / 6; round++) {
        await writer.transaction(async (tx) => {
          await tx.append({ eventType: `writer-${index}` });
          await tx.append({ eventType: `writer-${index}` });
        });
        if (round % 10 === index) {
          const rolledBack = writer.transaction(async (tx) => {
            await tx.append({ eventType: "lost" });
            throw new Error("rolled back");
          });
          await expect(rolledBack).rejects.toThrow("rolled back");
        }
      }
    });
    await Promise.all(writing);
    await db.transaction((tx) => tx.append({ eventType: "end" }));
    const all = (await eventsOf(db)).slice(0, -1);
    expect(all).toHaveLength(total);
    expectPositions(all);
    for (const [index, events] of (await Promise.all(followers)).entries()) {
      expect(events).toEqual(all.filter(({ position }) => position > (starts[index] ?? 0)));
    }
  });

  test("wakes at once for its own process, although nobody looks for the others", async () => {
    const clock = new ManualClock(startMs);
    const db = await openStore(undefined, { clock, noticeInterval: 0 });
    const seen: number[] = [];
    const controller = new AbortController();
    const following = (async () => {
      for await (const { position } of db.subscribe({ signal: controller.signal })) seen.push(position);
    })();
    for (let index = 1; index <= 20; index++) {
      await db.transaction((tx) => tx.append({ eventType: "a" }));
      await until(() => seen.length === index, "the event was seen");
    }
    controller.abort();
    await following;
    expect(clock.sleeperCount).toBe(0);
  });

  test("finds others' commits without notices as well, within its safety net", async () => {
    const clock = new ManualClock(startMs);
    const location = await newLocation({ shared: true });
    const db = await openStore(location, { clock, noticeInterval: 0 });
    const other = await openStore(location);
    const events = db.subscribe()[Symbol.asyncIterator]();
    const first = events.next();
    await until(() => clock.sleeperCount === 1, "it sleeps");
    await other.transaction((tx) => tx.append({ eventType: "a" }));
    await clock.advance("5s");
    expect((await first).value).toMatchObject({ position: 1 });
    await events.return?.();
  });

  test("does not keep the process's other work waiting", async () => {
    const db = await openStore(undefined, { durability: "normal" });
    for (let round = 0; round < 3; round++) await appendMany(db, 2_000, () => "a");
    let turns = 0;
    let reading = true;
    const count = () => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    let seen = 0;
    for await (const _ of db.subscribe()) if (++seen === 6_000) break;
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(5);
  });
});

describe("positions", () => {
  test("and internal numbers are never given out again, whatever is deleted", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location);
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    for (const taskId of ["a", "b", "c"])
      await scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate() });
    expect(await db.lastPosition()).toBe(3);
    await tamper(location, "DELETE FROM azoth_events WHERE position > 1; DELETE FROM azoth_tasks WHERE seq > 1");
    expect(await db.lastPosition()).toBe(1);
    await scheduler.scheduleTask({ taskId: "d", taskType: "work", schedule: immediate() });
    expect(await db.lastPosition()).toBe(4);
    expect(await db.query("SELECT position, task FROM azoth_events ORDER BY position")).toEqual([
      { position: 1, task: 1 },
      { position: 4, task: 4 },
    ]);
    const started = await scheduler.start();
    await scheduler.stop();
    await started.stopped;
    await tamper(location, "DELETE FROM azoth_instances");
    await scheduler.start();
    await scheduler.stop();
    const instances = (await eventsOf(db, { eventTypes: ["SchedulerStarted"] })).map(
      ({ payload }) => (payload as { instance: number }).instance,
    );
    expect(instances).toEqual([1, 2]);
  });
});
