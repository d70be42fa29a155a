/** The contract of the log: appending without gaps, and reading by pages in both directions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Engine, EventPage, EventQuery, StoredEvent } from "../../src/store/engine.ts";
import {
  append,
  type ContractSubject,
  connect,
  everything,
  logOf,
  newEvent,
  nowMs,
  positionsOf,
  range,
  saveNew,
  storeOf,
  taskState,
} from "./subject.ts";

/** All pages of a query, in its direction. */
async function pagesOf(engine: Engine, query: EventQuery): Promise<EventPage[]> {
  const pages: EventPage[] = [];
  let next = query;
  for (;;) {
    const page = await engine.reads.readEvents(next);
    pages.push(page);
    if (page.end) return pages;
    next =
      query.beforePosition === undefined
        ? { ...query, afterPosition: page.scannedTo }
        : { ...query, beforePosition: page.scannedTo };
    if (pages.length > 1_000) throw new Error("The pages do not end.");
  }
}

/** What a query means, over a log in memory. */
function matches(query: EventQuery): (event: StoredEvent) => boolean {
  const { afterPosition, beforePosition = Number.POSITIVE_INFINITY, taskId, types, sinceMs, untilMs } = query;
  return (event) =>
    event.position > afterPosition &&
    event.position < beforePosition &&
    (taskId === undefined || event.taskId === taskId) &&
    (types === undefined || types.includes(event.type)) &&
    (sinceMs === undefined || event.atMs >= sinceMs) &&
    (untilMs === undefined || event.atMs < untilMs);
}

export function logContract(subject: ContractSubject): void {
  describe("append", () => {
    test("gives positions 1, 2, 3, … and tells the first", async () => {
      const engine = await connect(subject);
      expect(await engine.reads.lastPosition()).toBe(0);
      let last = 0;
      for (const size of [1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 64, 65, 85, 129, 200]) {
        const events = range(1, size).map((index) => newEvent(`type-${index % 7}`));
        expect(await append(engine, events)).toBe(last + 1);
        last += size;
        expect(await engine.reads.lastPosition()).toBe(last);
      }
      const events = await logOf(engine);
      expect(positionsOf(events)).toEqual(range(1, last));
      expect(events.slice(3, 6).map(({ type }) => type)).toEqual(["type-1", "type-2", "type-3"]);
    });

    test("stores nothing for no events", async () => {
      const engine = await connect(subject);
      await append(engine, []);
      expect(await engine.reads.lastPosition()).toBe(0);
      expect(await append(engine, [newEvent("a")])).toBe(1);
    });

    test("keeps every field as it was", async () => {
      const engine = await connect(subject);
      const taskId = "ünïcode 🦊 'quoted' \"id\"";
      await saveNew(engine, [taskState(1, { taskId })]);
      const events = [
        newEvent("ünïcode 🦊"),
        newEvent("with 'quotes'; --", { data: '{"a":"\\u0000 \\ud800 é 🦊"}', meta: '{"m":1}' }),
        newEvent("of a task", { task: 1, run: 3, atMs: 0 }),
        newEvent("early", { atMs: -1 }),
        newEvent("late", { atMs: 8_640_000_000_000_000, data: JSON.stringify("x".repeat(200_000)) }),
      ];
      await append(engine, events);
      expect(await logOf(engine)).toEqual(
        events.map((event, index) => ({
          ...event,
          position: index + 1,
          version: 1,
          taskId: event.task === null ? null : taskId,
        })),
      );
    });

    test("leaves no gap after a rollback", async () => {
      const engine = await connect(subject);
      await append(engine, [newEvent("a"), newEvent("b")]);
      const refused = engine.write(async (transaction) => {
        expect(await transaction.append([newEvent("lost"), newEvent("lost")])).toBe(3);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.reads.lastPosition()).toBe(2);
      expect(await append(engine, [newEvent("c")])).toBe(3);
      await engine.write(async (transaction) => {
        await transaction.append([newEvent("d")]);
        const nested = transaction.nested(async () => {
          expect(await transaction.append([newEvent("lost")])).toBe(5);
          throw new Error("nested");
        });
        await expect(nested).rejects.toThrow("nested");
        expect(await transaction.append([newEvent("e")])).toBe(5);
      });
      expect((await logOf(engine)).map(({ position, type }) => `${position}${type}`)).toEqual([
        "1a",
        "2b",
        "3c",
        "4d",
        "5e",
      ]);
      expect(await engine.reads.checkIntegrity()).toBeNull();
    });

    test("leaves no gap between connections that race", async () => {
      const store = await storeOf(subject);
      const engines = [await connect(subject, store), await connect(subject, store), await connect(subject, store)];
      const race = engines.map(async (engine, writer) => {
        for (const round of range(0, 19)) {
          const events = [newEvent(`writer-${writer}`, { run: round }), newEvent(`writer-${writer}`, { run: round })];
          if (round % 5 !== 4) await append(engine, events);
          const rolledBack = engine.write(async (transaction) => {
            await transaction.append(events);
            throw new Error("rolled back");
          });
          await expect(rolledBack).rejects.toThrow("rolled back");
        }
      });
      await Promise.all(race);
      for (const engine of engines) {
        const events = await logOf(engine);
        expect(positionsOf(events)).toEqual(range(1, 96));
        // What one transaction appended stands together, and each writer's own in its order.
        for (const [index, { type, run }] of events.entries()) {
          if (index % 2 === 0) expect(events[index + 1]).toMatchObject({ type, run });
        }
        for (const writer of range(0, 2)) {
          const runs = events.filter(({ type }) => type === `writer-${writer}`).map(({ run }) => run ?? -1);
          expect(runs).toEqual(runs.toSorted((a, b) => a - b));
        }
      }
    });

    test("is seen by others only once it is committed", async () => {
      const store = await storeOf(subject);
      const writer = await connect(subject, store);
      const other = await connect(subject, store);
      await writer.write(async (transaction) => {
        await transaction.append([newEvent("a")]);
        expect((await transaction.readEvents(everything)).events).toHaveLength(1);
        expect(await logOf(other)).toEqual([]);
        expect(await logOf(writer)).toEqual([]);
        expect(await writer.reads.lastPosition()).toBe(0);
      });
      expect(await logOf(other)).toHaveLength(1);
      expect(await logOf(writer)).toHaveLength(1);
    });
  });

  describe("the names of event types", () => {
    test("stay right after a rollback gave a number back", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const refused = engine.write(async (transaction) => {
        await transaction.append([newEvent("lost")]);
        expect((await transaction.readEvents({ ...everything, types: ["lost"] })).events).toHaveLength(1);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      await append(other, [newEvent("taken meanwhile")]);
      await append(engine, [newEvent("third"), newEvent("lost")]);
      for (const reader of [engine, other, await connect(subject, store)]) {
        expect((await logOf(reader)).map(({ type }) => type)).toEqual(["taken meanwhile", "third", "lost"]);
      }
    });

    test("stay right after a nested rollback", async () => {
      const engine = await connect(subject);
      await engine.write(async (transaction) => {
        const nested = transaction.nested(async () => {
          await transaction.append([newEvent("inner")]);
          await transaction.saveTasks([{ before: null, after: taskState(1, { taskType: "inner type" }) }]);
          throw new Error("nested");
        });
        await expect(nested).rejects.toThrow("nested");
        await transaction.append([newEvent("outer")]);
        await transaction.drawTaskSeqs(1);
        await transaction.saveTasks([{ before: null, after: taskState(1, { taskType: "outer type" }) }]);
      });
      await append(engine, [newEvent("inner"), newEvent("outer")]);
      expect((await logOf(engine)).map(({ type }) => type)).toEqual(["outer", "inner", "outer"]);
      expect((await engine.reads.findTask("task-1"))?.taskType).toBe("outer type");
    });
  });

  describe("readEvents", () => {
    test("ends at once on an empty log, in both directions", async () => {
      const engine = await connect(subject);
      const up = await engine.reads.readEvents({ afterPosition: 0, limit: 10, scanLimit: 10 });
      expect(up).toEqual({ events: [], scannedTo: 0, end: true });
      const down = { afterPosition: 0, beforePosition: Number.MAX_SAFE_INTEGER, limit: 10, scanLimit: 10 };
      expect(await engine.reads.readEvents(down)).toMatchObject({ events: [], end: true });
    });

    test("waits where it stands beyond the end of the log", async () => {
      const engine = await connect(subject);
      await append(engine, [newEvent("a")]);
      for (const afterPosition of [1, 2, 1_000, Number.MAX_SAFE_INTEGER]) {
        const page = await engine.reads.readEvents({ afterPosition, limit: 10, scanLimit: 10 });
        expect(page).toEqual({ events: [], scannedTo: afterPosition, end: true });
      }
    });

    test("looks at no more than scanLimit positions at a time", async () => {
      const engine = await connect(subject);
      const types = range(1, 100).map((index) => (index === 50 ? "rare" : "common"));
      await append(
        engine,
        types.map((type) => newEvent(type)),
      );
      const up = await pagesOf(engine, { afterPosition: 0, limit: 10, scanLimit: 20, types: ["rare"] });
      expect(up.map(({ scannedTo }) => scannedTo)).toEqual([20, 40, 60, 80, 100]);
      expect(up.flatMap(({ events }) => positionsOf(events))).toEqual([50]);
      const fromEnd = { afterPosition: 0, beforePosition: Number.MAX_SAFE_INTEGER, limit: 10, scanLimit: 20 };
      const down = await pagesOf(engine, { ...fromEnd, types: ["rare"] });
      expect(down.length).toBeGreaterThanOrEqual(5);
      expect(down.flatMap(({ events }) => positionsOf(events))).toEqual([50]);
    });

    test("knows nothing of types, tasks and times that are not there", async () => {
      const engine = await connect(subject);
      await append(engine, [newEvent("a")]);
      for (const filter of [
        { types: ["b"] },
        { types: [] },
        { taskId: "nobody" },
        { sinceMs: nowMs + 1 },
        { untilMs: nowMs },
      ]) {
        expect(await engine.reads.readEvents({ ...everything, ...filter })).toEqual({
          events: [],
          scannedTo: 1,
          end: true,
        });
      }
    });

    test("finds what its filters say, page by page, in both directions", async () => {
      const engine = await connect(subject);
      await saveNew(
        engine,
        range(1, 4).map((seq) => taskState(seq)),
      );
      const kinds = ["a", "b", "c", "d", "e"];
      await append(
        engine,
        range(1, 400).map((index) => {
          const task = index % 5 === 0 ? null : (index * 7) % 4 === 0 ? 4 : (index * 7) % 4;
          return newEvent(kinds[(index * 11) % 5] ?? "", { task, atMs: nowMs + ((index * 37) % 100) });
        }),
      );
      const all = await logOf(engine);
      const instant = fc.integer({ min: nowMs - 10, max: nowMs + 110 });
      const anyQuery = fc.record(
        {
          afterPosition: fc.integer({ min: 0, max: 420 }),
          limit: fc.integer({ min: 1, max: 60 }),
          scanLimit: fc.integer({ min: 1, max: 500 }),
          beforePosition: fc.oneof(fc.integer({ min: 1, max: 450 }), fc.constant(Number.MAX_SAFE_INTEGER)),
          taskId: fc.constantFrom("task-1", "task-2", "task-4", "nobody"),
          types: fc.subarray([...kinds, "unheard of"]),
          sinceMs: instant,
          untilMs: instant,
        },
        { requiredKeys: ["afterPosition", "limit", "scanLimit"] },
      );
      await fc.assert(
        fc.asyncProperty(anyQuery, async (query) => {
          const expected = all.filter(matches(query));
          const pages = await pagesOf(engine, query);
          const found = pages.flatMap(({ events }) => events);
          expect(found).toEqual(query.beforePosition === undefined ? expected : expected.toReversed());
          for (const { events } of pages) expect(events.length).toBeLessThanOrEqual(query.limit);
        }),
        { numRuns: 150 },
      );
    });
  });

  describe("the events of tasks", () => {
    test("come with their rows, by task and position, of one moment", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      await saveNew(
        engine,
        range(1, 5).map((seq) => taskState(seq)),
      );
      await append(
        engine,
        range(0, 19).map((index) => newEvent(`e${index}`, { task: index % 7 === 0 ? null : (index % 5) + 1 })),
      );
      const { rows, events } = await engine.reads.readTasksWithEvents(2, 4);
      const expected = (await logOf(engine)).filter(({ task }) => task !== null && task >= 2 && task <= 4);
      const byTask = expected.toSorted((a, b) => (a.task ?? 0) - (b.task ?? 0) || a.position - b.position);
      expect(events).toEqual(byTask);
      expect(rows).toEqual([2, 3, 4].map((seq) => taskState(seq)));
      await other.write(async (transaction) => {
        await transaction.append([newEvent("later", { task: 2 })]);
        expect(await transaction.readTaskEvents(2, 2)).toHaveLength(events.filter(({ task }) => task === 2).length + 1);
        expect((await engine.reads.readTasksWithEvents(2, 4)).events).toHaveLength(events.length);
        expect(await transaction.tasksTouchedSince(20)).toEqual([2]);
        expect(await transaction.tasksTouchedSince(17)).toEqual([2, 3, 4, 5]);
        expect(await transaction.tasksTouchedSince(21)).toEqual([]);
      });
    });
  });
}
