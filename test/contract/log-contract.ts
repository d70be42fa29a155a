/** The contract of the log: appending, and reading by pages in both directions. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type {
  Engine,
  EventPage,
  EventQuery,
  StoredEvent,
  TaskLogPage,
  TaskLogQuery,
  TasksWithEvents,
} from "../../src/store/engine.ts";
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
  tasksFrom,
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

/** All pages of a query by tasks. */
async function taskPagesOf<Page extends TaskLogPage = TaskLogPage>(
  read: (query: TaskLogQuery) => Promise<Page>,
  query: TaskLogQuery,
): Promise<Page[]> {
  const pages = [await read(query)];
  for (let after = pages[0]?.next ?? null; after !== null; ) {
    const page = await read({ ...query, after });
    pages.push(page);
    after = page.next;
  }
  return pages;
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

    test("ends a page where its data becomes long", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1)]);
      const texts = range(0, 19).map(() => JSON.stringify(randomBytes(75_000).toString("base64")));
      await append(
        engine,
        texts.map((data, index) => newEvent("a", { task: 1 + (index % 2), data })),
      );
      const down = { beforePosition: Number.MAX_SAFE_INTEGER };
      for (const [query, expected] of [
        [{}, texts],
        [down, texts.toReversed()],
        [{ taskId: "task-1" }, texts.filter((_, index) => index % 2 === 0)],
        [{ ...down, taskId: "task-1" }, texts.filter((_, index) => index % 2 === 0).toReversed()],
      ] as const) {
        const pages = await pagesOf(engine, { ...everything, ...query });
        expect(pages.flatMap(({ events }) => events.map(({ data }) => data))).toEqual(expected);
        for (const { events } of pages) {
          expect(events.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThan(400_000);
        }
      }
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
      const { rows, events, next } = await engine.reads.readTasksWithEvents(tasksFrom(2, 4));
      const expected = (await logOf(engine)).filter(({ task }) => task !== null && task >= 2 && task <= 4);
      const byTask = expected.toSorted((a, b) => (a.task ?? 0) - (b.task ?? 0) || a.position - b.position);
      expect(events).toEqual(
        byTask.map(({ position, type, atMs, task, run, data }) => ({ position, type, atMs, task, run, data })),
      );
      expect(rows).toEqual([2, 3, 4].map((seq) => taskState(seq)));
      expect(next).toBeNull();
      await other.write(async (transaction) => {
        const [later = 0] = await transaction.append([newEvent("later", { task: 2 })]);
        const within = await transaction.readTaskEvents(tasksFrom(2, 2));
        expect(within.events).toHaveLength(events.filter(({ task }) => task === 2).length + 1);
        expect((await engine.reads.readTasksWithEvents(tasksFrom(2, 4))).events).toHaveLength(events.length);
        expect((await engine.reads.readTaskEvents(tasksFrom(2, 4))).events).toEqual(events);
        const touched = (after = 0, to = Number.MAX_SAFE_INTEGER) => transaction.tasksTouched(after, to);
        expect(await touched(positions[19])).toEqual([2]);
        expect(await touched(positions[16])).toEqual([2, 3, 4, 5]);
        expect(await touched(positions[16], positions[18])).toEqual([3, 4]);
        expect(await touched(later)).toEqual([]);
      });
    });

    test("come in pages of any size, each with the rows of the tasks that it completes", async () => {
      const engine = await connect(subject);
      const states = range(1, 9).map((seq) => taskState(seq));
      // Some tasks have no events, some events no task, and one task has more than any page.
      await saveNew(engine, states);
      const tasks = [3, 3, 1, null, 7, 3, 7, 9, 3, 1, null, 3, 3, 12, 3, 8];
      const positions = await append(
        engine,
        tasks.map((task, index) => newEvent(`e${index % 2}`, { task, data: `${index}` })),
      );
      const all = await engine.reads.readTasksWithEvents(tasksFrom(1, Number.MAX_SAFE_INTEGER));
      expect(all.events.map(({ task }) => task)).toEqual([1, 1, 3, 3, 3, 3, 3, 3, 3, 7, 7, 8, 9, 12]);
      expect(all.events[0]).toMatchObject({ position: positions[2], data: "2" });
      for (const limit of range(1, 15)) {
        const query = { ...tasksFrom(1, Number.MAX_SAFE_INTEGER), limit };
        const found = await taskPagesOf<TasksWithEvents>((each) => engine.reads.readTasksWithEvents(each), query);
        expect(await taskPagesOf((each) => engine.reads.readTaskEvents(each), query)).toEqual(
          found.map(({ events, next }) => ({ events, next })),
        );
        for (const [index, { events, rows, next }] of found.entries()) {
          expect(events.length).toBeLessThanOrEqual(limit);
          for (const { seq } of rows) {
            expect(seq).toBeGreaterThanOrEqual(found[index - 1]?.next?.seq ?? 1);
            expect(seq).toBeLessThan(next?.seq ?? Number.MAX_SAFE_INTEGER);
          }
        }
        expect(found.flatMap(({ events }) => events)).toEqual(all.events);
        // Rows that no event explains may be cut short, and are so many then that they tell.
        for (const { rows } of found) expect(rows.length).toBeLessThanOrEqual(limit + 2);
        if (limit > 7) expect(found.flatMap(({ rows }) => rows)).toEqual(states);
      }
      const upTo = positions[4] ?? 0;
      const early = await engine.reads.readTaskEvents({ ...tasksFrom(1, 7), upTo, wants: (type) => type === "e1" });
      expect(early.events.map(({ task, data }) => [task, data])).toEqual([
        [1, null],
        [3, null],
        [3, "1"],
        [7, null],
      ]);
    });

    test("come in short pages if their data is large, but for data that nobody wants", async () => {
      const engine = await connect(subject);
      // Of chance, because databases pack what repeats itself.
      const texts = range(0, 19).map(() => JSON.stringify(randomBytes(75_000).toString("base64")));
      await append(
        engine,
        texts.map((data, index) => newEvent(`e${index % 2}`, { task: 1 + (index % 3), data })),
      );
      const pages = await taskPagesOf((each) => engine.reads.readTaskEvents(each), tasksFrom(1, 3));
      for (const { events } of pages) {
        expect(events.length).toBeGreaterThan(0);
        expect(events.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)).toBeLessThan(400_000);
      }
      const found = pages.flatMap(({ events }) => events);
      expect(found.map(({ data }) => data)).toEqual(
        [1, 2, 3].flatMap((task) => texts.filter((_, index) => 1 + (index % 3) === task)),
      );
      const unwanted = await engine.reads.readTaskEvents({ ...tasksFrom(1, 3), wants: () => false });
      expect(unwanted).toEqual({ events: found.map((event) => ({ ...event, data: null })), next: null });
    });
  });
}
