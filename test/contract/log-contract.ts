/** The contract of the log: appending, and reading by pages in both directions. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Engine, EventPage, EventQuery, StoredEvent } from "../../src/store/engine.ts";
import {
  append,
  type ContractSubject,
  connect,
  everything,
  expectGrowing,
  inOrder,
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
    test("gives growing positions, and tells them", async () => {
      const engine = await connect(subject);
      expect(await engine.reads.lastPosition()).toBe(0);
      const told: number[] = [];
      for (const size of [1, 2, 3, 5, 15, 16, 17, 31, 33, 63, 64, 65, 85, 129, 200]) {
        const events = range(1, size).map((index) => newEvent(`type-${index % 7}`));
        const positions = await append(engine, events);
        expect(positions).toHaveLength(size);
        told.push(...positions);
        expect(await engine.reads.lastPosition()).toBe(told.at(-1));
      }
      expectGrowing(told);
      expect(told[0]).toBeGreaterThan(0);
      if (engine.writers === "one") expect(told).toEqual(range(1, told.length));
      const events = await logOf(engine);
      expect(positionsOf(events)).toEqual(told);
      expect(events.slice(3, 6).map(({ type }) => type)).toEqual(["type-1", "type-2", "type-3"]);
    });

    test("stores nothing for no events", async () => {
      const engine = await connect(subject);
      expect(await append(engine, [])).toEqual([]);
      expect(await engine.reads.lastPosition()).toBe(0);
      expect(await append(engine, [newEvent("a")])).toEqual([await engine.reads.lastPosition()]);
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
      const positions = await append(engine, events);
      expect(await logOf(engine)).toEqual(
        events.map((event, index) => ({
          ...event,
          position: positions[index],
          version: 1,
          taskId: event.task === null ? null : taskId,
        })),
      );
    });

    test("shows nothing of what was rolled back, and goes on after it", async () => {
      const engine = await connect(subject);
      const told = [...(await append(engine, [newEvent("a"), newEvent("b")]))];
      const refused = engine.write(async (transaction) => {
        const lost = await transaction.append([newEvent("lost"), newEvent("lost")]);
        expectGrowing([...told, ...lost]);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.reads.lastPosition()).toBe(told.at(-1));
      told.push(...(await append(engine, [newEvent("c")])));
      await engine.write(async (transaction) => {
        told.push(...(await transaction.append([newEvent("d")])));
        const nested = transaction.nested(async () => {
          expectGrowing([...told, ...(await transaction.append([newEvent("lost")]))]);
          throw new Error("nested");
        });
        await expect(nested).rejects.toThrow("nested");
        told.push(...(await transaction.append([newEvent("e")])));
      });
      expectGrowing(told);
      if (engine.writers === "one") expect(told).toEqual(range(1, 5));
      const events = await logOf(engine);
      expect(positionsOf(events)).toEqual(told);
      expect(events.map(({ type }) => type)).toEqual(["a", "b", "c", "d", "e"]);
      expect(await engine.reads.lastPosition()).toBe(told.at(-1));
      expect(await engine.reads.checkIntegrity()).toBeNull();
    });

    test("keeps everything of connections that race, each one's own in its order", async () => {
      const store = await storeOf(subject);
      const engines = [await connect(subject, store), await connect(subject, store), await connect(subject, store)];
      const race = engines.map(async (engine, writer) => {
        const told: number[] = [];
        for (const round of range(0, 19)) {
          const events = [newEvent(`writer-${writer}`, { run: round }), newEvent(`writer-${writer}`, { run: round })];
          if (round % 5 !== 4) told.push(...(await append(engine, events)));
          const rolledBack = engine.write(async (transaction) => {
            await transaction.append(events);
            throw new Error("rolled back");
          });
          await expect(rolledBack).rejects.toThrow("rolled back");
        }
        return told;
      });
      const told = await Promise.all(race);
      for (const engine of engines) {
        const events = await logOf(engine);
        expect(positionsOf(events)).toEqual(inOrder(told.flat()));
        for (const [writer, positions] of told.entries()) {
          expect(positions).toHaveLength(32);
          expectGrowing(positions);
          const own = events.filter(({ type }) => type === `writer-${writer}`);
          expect(positionsOf(own)).toEqual(positions);
          expect(own.map(({ run }) => run)).toEqual(
            range(0, 19).flatMap((round) => (round % 5 === 4 ? [] : [round, round])),
          );
        }
        if (engine.writers === "many") continue;
        expect(positionsOf(events)).toEqual(range(1, 96));
        // What one transaction appended stands together.
        for (const [index, { type, run }] of events.entries()) {
          if (index % 2 === 0) expect(events[index + 1]).toMatchObject({ type, run });
        }
      }
    });

    test("is seen by others only once it is committed", async () => {
      const store = await storeOf(subject);
      const writer = await connect(subject, store);
      const other = await connect(subject, store);
      const [first] = await append(other, [newEvent("before")]);
      const before = await logOf(other);
      await writer.write(async (transaction) => {
        await transaction.append([newEvent("own")]);
        const { events } = await transaction.readEvents(everything);
        expect(events.filter(({ type }) => type !== "own")).toEqual(before);
        expect(await logOf(other)).toEqual(before);
        expect(await logOf(writer)).toEqual(before);
        expect(await writer.reads.lastPosition()).toBe(first);
      });
      for (const engine of [writer, other]) {
        expect((await logOf(engine)).map(({ type }) => type)).toEqual(["before", "own"]);
      }
    });
  });

  describe("the names of event types", () => {
    test("stay right after a rollback took a new one back", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const refused = engine.write(async (transaction) => {
        await transaction.append([newEvent("lost")]);
        await transaction.readEvents({ ...everything, types: ["lost"] });
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
      expect(up).toEqual({ events: [], scannedTo: 0, end: true, held: false });
      const down = { afterPosition: 0, beforePosition: Number.MAX_SAFE_INTEGER, limit: 10, scanLimit: 10 };
      expect(await engine.reads.readEvents(down)).toMatchObject({ events: [], end: true, held: false });
    });

    test("waits where it stands beyond the end of the log", async () => {
      const engine = await connect(subject);
      const [last = 0] = await append(engine, [newEvent("a")]);
      for (const afterPosition of [last, last + 1, last + 1_000, Number.MAX_SAFE_INTEGER]) {
        const page = await engine.reads.readEvents({ afterPosition, limit: 10, scanLimit: 10 });
        expect(page).toEqual({ events: [], scannedTo: afterPosition, end: true, held: false });
      }
    });

    test("looks at no more than scanLimit positions at a time", async () => {
      const engine = await connect(subject);
      const types = range(1, 100).map((index) => (index === 50 ? "rare" : "common"));
      const positions = await append(
        engine,
        types.map((type) => newEvent(type)),
      );
      const up = await pagesOf(engine, { afterPosition: 0, limit: 10, scanLimit: 20, types: ["rare"] });
      const ends = up.map(({ scannedTo }) => scannedTo);
      for (const [index, end] of ends.entries()) expect(end - (ends[index - 1] ?? 0)).toBeLessThanOrEqual(20);
      expect(ends).toEqual(inOrder(ends));
      expect(ends.at(-1)).toBe(positions.at(-1));
      if (engine.writers === "one") expect(ends).toEqual([20, 40, 60, 80, 100]);
      expect(up.flatMap(({ events }) => positionsOf(events))).toEqual([positions[49]]);
      const fromEnd = { afterPosition: 0, beforePosition: Number.MAX_SAFE_INTEGER, limit: 10, scanLimit: 20 };
      const down = await pagesOf(engine, { ...fromEnd, types: ["rare"] });
      expect(down.length).toBeGreaterThanOrEqual(5);
      expect(down.flatMap(({ events }) => positionsOf(events))).toEqual([positions[49]]);
    });

    test("goes on where an earlier look at the log came to its end", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const seven = range(1, 7).map(() => newEvent("a"));
      const first = await append(other, seven);
      const page = { afterPosition: 0, limit: 100, scanLimit: 7 };
      const end = first.at(-1);
      expect(await engine.reads.readEvents(page)).toMatchObject({ scannedTo: end, end: true, held: false });
      const second = await append(other, seven);
      // By what the engine remembers this is the end; by now it is one page of several.
      expect(await engine.reads.readEvents(page)).toMatchObject({ scannedTo: end, end: false, held: false });
      const pages = await pagesOf(engine, page);
      expect(pages.flatMap(({ events }) => positionsOf(events))).toEqual([...first, ...second]);
    });

    test("knows nothing of types, tasks and times that are not there", async () => {
      const engine = await connect(subject);
      const [last] = await append(engine, [newEvent("a")]);
      for (const filter of [
        { types: ["b"] },
        { types: [] },
        { taskId: "nobody" },
        { sinceMs: nowMs + 1 },
        { untilMs: nowMs },
      ]) {
        expect(await engine.reads.readEvents({ ...everything, ...filter })).toEqual({
          events: [],
          scannedTo: last,
          end: true,
          held: false,
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
      const events = range(1, 400).map((index) => {
        const task = index % 5 === 0 ? null : (index * 7) % 4 === 0 ? 4 : (index * 7) % 4;
        return newEvent(kinds[(index * 11) % 5] ?? "", { task, atMs: nowMs + ((index * 37) % 100) });
      });
      await append(engine, events.slice(0, 200));
      // Where that leaves a hole in the numbers, the pages have to lead over it.
      const rolledBack = engine.write(async (transaction) => {
        await transaction.append(events.slice(0, 70));
        throw new Error("rolled back");
      });
      await expect(rolledBack).rejects.toThrow("rolled back");
      await append(engine, events.slice(200));
      const all = await logOf(engine);
      expect(all).toHaveLength(400);
      const instant = fc.integer({ min: nowMs - 10, max: nowMs + 110 });
      const anyQuery = fc.record(
        {
          afterPosition: fc.integer({ min: 0, max: 490 }),
          limit: fc.integer({ min: 1, max: 60 }),
          scanLimit: fc.integer({ min: 1, max: 500 }),
          beforePosition: fc.oneof(fc.integer({ min: 1, max: 520 }), fc.constant(Number.MAX_SAFE_INTEGER)),
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
      const positions = await append(
        engine,
        range(0, 19).map((index) => newEvent(`e${index}`, { task: index % 7 === 0 ? null : (index % 5) + 1 })),
      );
      const { rows, events } = await engine.reads.readTasksWithEvents(2, 4);
      const expected = (await logOf(engine)).filter(({ task }) => task !== null && task >= 2 && task <= 4);
      const byTask = expected.toSorted((a, b) => (a.task ?? 0) - (b.task ?? 0) || a.position - b.position);
      expect(events).toEqual(byTask);
      expect(rows).toEqual([2, 3, 4].map((seq) => taskState(seq)));
      await other.write(async (transaction) => {
        const [later = 0] = await transaction.append([newEvent("later", { task: 2 })]);
        expect(await transaction.readTaskEvents(2, 2)).toHaveLength(events.filter(({ task }) => task === 2).length + 1);
        expect((await engine.reads.readTasksWithEvents(2, 4)).events).toHaveLength(events.length);
        const touchedSince = async (position = 0) => inOrder(await transaction.tasksTouchedSince(position));
        expect(await touchedSince(positions[19])).toEqual([2]);
        expect(await touchedSince(positions[16])).toEqual([2, 3, 4, 5]);
        expect(await touchedSince(later)).toEqual([]);
      });
    });
  });
}
