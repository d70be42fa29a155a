/** The contract of the task projection: saving, locking what is due, filters, counts, and the verbs of a rebuild. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { type Engine, type TaskQuery, WriteCollision } from "../../src/store/engine.ts";
import { taskPageCharacters } from "../../src/limits.ts";
import { dueAtMs, isEnabled, stateNameOf, type TaskState, taskStateNames } from "../../src/tasks/task-state.ts";
import {
  append,
  type ContractSubject,
  completedTask,
  connect,
  expectGrowing,
  inOrder,
  newEvent,
  nowMs,
  range,
  rejectionOf,
  runningTask,
  saveNew,
  seqsOf,
  storeOf,
  taskState,
  withPriority,
} from "./subject.ts";

const schedules: readonly TaskState["definition"]["schedule"][] = [
  { kind: "immediate" },
  { kind: "interval", everyMs: 90_000 },
  { kind: "interval", everyMs: 1, anchorMs: -5 },
  { kind: "cron", expression: "0 0 3 * * *", timeZone: "Europe/Rome" },
  { kind: "one-time", atMs: nowMs, local: { dateTime: "2026-03-29T02:30", timeZone: "Europe/Rome" }, dst: "gap" },
];

const instant = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });
const anyState: fc.Arbitrary<Omit<TaskState, "seq" | "taskId">> = fc.record({
  taskType: fc.constantFrom("work", "ünïcode 🦊", "'quoted'"),
  phase: fc.constantFrom("waiting", "running", "completed", "disabled", "cancelled"),
  paused: fc.boolean(),
  revision: fc.integer({ min: 1, max: 1_000_000 }),
  definition: fc.record({
    schedule: fc.constantFrom(...schedules),
    priority: fc.integer({ min: -1_000_000, max: 1_000_000 }),
    maxRetries: fc.integer({ min: 0, max: 1_000_000_000 }),
    retry: fc.record({
      baseMs: fc.integer({ min: 0, max: 3_155_760_000_000 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      capMs: fc.integer({ min: 0, max: 3_155_760_000_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    timeoutMs: fc.integer({ min: 1, max: 31_536_000_000 }),
  }),
  payload: fc.json(),
  anchorMs: instant,
  scheduledForMs: fc.option(instant),
  runAtMs: fc.option(instant),
  lastScheduledForMs: fc.option(instant),
  retryCount: fc.integer({ min: 0, max: 1_000_000 }),
  lostClaims: fc.integer({ min: 0, max: 1_000_000 }),
  runs: fc.integer({ min: 0, max: 1_000_000 }),
  run: fc.option(
    fc.record({
      number: fc.integer({ min: 1, max: 1_000_000 }),
      scheduledForMs: instant,
      attempt: fc.integer({ min: 1, max: 1_000_000 }),
      startedAtMs: instant,
      instance: fc.integer({ min: 1, max: 1_000_000 }),
      revision: fc.integer({ min: 1, max: 1_000_000 }),
    }),
  ),
  createdAtMs: instant,
  updatedAtMs: instant,
});

/** A state as it can be: the number of a run is that of the latest one, and -0 is no instant. */
function sound(state: TaskState): TaskState {
  const { run } = state;
  const { retry } = state.definition;
  const definition = { ...state.definition, retry: { ...retry, jitter: retry.jitter + 0 } };
  return { ...state, definition, run: run === null ? null : { ...run, number: state.runs } };
}

function due(seq: number, runAtMs: number, priority: number = 0): TaskState {
  return withPriority(taskState(seq, { scheduledForMs: runAtMs, runAtMs }), priority);
}

async function dueNow(engine: Engine, more: { taskTypes?: string[]; limit?: number; at?: number } = {}) {
  const { taskTypes = ["work"], limit = 1_000, at = nowMs } = more;
  return await engine.write((transaction) => transaction.lockDueTasks({ taskTypes, limit, nowMs: at }));
}

function matches({ states, enabled, taskType, dueFromMs, dueUntilMs, idPrefix, afterSeq }: TaskQuery) {
  return (state: TaskState): boolean => {
    const dueAt = dueAtMs(state);
    return (
      state.seq > afterSeq &&
      (states === undefined || states.includes(stateNameOf(state))) &&
      (enabled === undefined || isEnabled(state) === enabled) &&
      (taskType === undefined || state.taskType === taskType) &&
      (dueFromMs === undefined || (dueAt !== null && dueAt >= dueFromMs)) &&
      (dueUntilMs === undefined || (dueAt !== null && dueAt < dueUntilMs)) &&
      (idPrefix === undefined || state.taskId.startsWith(idPrefix))
    );
  };
}

/** One task of every kind, several times over. */
function assorted(count: number): TaskState[] {
  return range(1, count).map((seq) => {
    const taskType = seq % 3 === 0 ? "other" : "work";
    const taskId = `${["a", "ab", "b%", "b_", "ünï"][seq % 5]}-${seq}`;
    const base = taskState(seq, { taskId, taskType, runAtMs: nowMs + (seq % 10) * 1_000 });
    switch (seq % 7) {
      case 0:
        return { ...base, paused: true };
      case 1:
        return { ...runningTask(seq, 5), taskId, taskType };
      case 2:
        return completedTask(base);
      case 3:
        return { ...completedTask(base), phase: "disabled" };
      case 4:
        return { ...completedTask(base), phase: "cancelled", paused: seq % 2 === 0 };
      default:
        return base;
    }
  });
}

export function tasksContract(subject: ContractSubject): void {
  describe("saveTasks", () => {
    test("keeps every field of any state, new or changed", async () => {
      const engine = await connect(subject);
      let seq = 0;
      await fc.assert(
        fc.asyncProperty(anyState, anyState, async (first, second) => {
          seq++;
          const taskId = `task ${seq}`;
          const before = sound({ ...first, seq, taskId });
          // As the rules do it: another definition comes with another revision.
          const after = sound({ ...second, seq, taskId, revision: before.revision + 1 });
          const progressed = sound({ ...before, ...progressOf(second) });
          await saveNew(engine, [before]);
          expect(await engine.reads.findTask(taskId)).toEqual(before);
          await engine.write((transaction) => transaction.saveTasks([{ before, after: progressed }]));
          expect(await engine.reads.findTask(taskId)).toEqual(progressed);
          await engine.write((transaction) => transaction.saveTasks([{ before: progressed, after }]));
          expect(await engine.reads.findTask(taskId)).toEqual(after);
          await engine.write(async (transaction) => {
            expect(await transaction.lockTasks([taskId])).toEqual({ tasks: [after], held: [] });
            expect(await transaction.lockTasksBySeq([seq])).toEqual({ tasks: [after], held: [] });
          });
        }),
        { numRuns: 60 },
      );
    });

    test("refuses a second task under one id", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1)]);
      const twice = engine.write((transaction) =>
        transaction.saveTasks([{ before: null, after: taskState(2, { taskId: "task-1" }) }]),
      );
      // A database cannot tell whether the other one was there when this transaction looked for it.
      const error = await rejectionOf(twice);
      expect(error instanceof WriteCollision || isAzothError(error)).toBe(true);
      expect(await engine.reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([taskState(1)]);
    });

    test("tells ids apart by every letter", async () => {
      const engine = await connect(subject);
      const ids = ["a", "A", "\u00e1", "a\u0301", "a\u00a0b", "a b", "1", "01", "1.0", "null"];
      await saveNew(
        engine,
        ids.map((taskId, index) => taskState(index + 1, { taskId })),
      );
      for (const [index, taskId] of ids.entries()) {
        expect(await engine.reads.findTask(taskId)).toEqual(taskState(index + 1, { taskId }));
      }
      expect(await engine.reads.findTask("nobody")).toBeNull();
    });
  });

  describe("locking", () => {
    test("leaves out what is not there, and sees what the transaction changed", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      await engine.write(async (transaction) => {
        const found = await transaction.lockTasks(["nobody", "task-2", "task-1"]);
        expect(inOrder(seqsOf(found.tasks))).toEqual([1, 2]);
        expect(found.held).toEqual([]);
        expect(await transaction.lockTasksBySeq([7, 2])).toEqual({ tasks: [taskState(2)], held: [] });
        expect(await transaction.lockTasks([])).toEqual({ tasks: [], held: [] });
        expect(await transaction.lockTasksBySeq([])).toEqual({ tasks: [], held: [] });
        await transaction.saveTasks([{ before: taskState(1), after: runningTask(1, 4) }]);
        const changed = { tasks: [runningTask(1, 4)], held: [] };
        expect(await transaction.lockTasks(["task-1"])).toEqual(changed);
        expect(await transaction.lockTasksBySeq([1])).toEqual(changed);
        expect(await engine.reads.findTask("task-1")).toEqual(taskState(1));
      });
      expect(await engine.reads.findTask("task-1")).toEqual(runningTask(1, 4));
    });

    test("sees what another connection changed meanwhile", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      await saveNew(engine, [taskState(1)]);
      await engine.write((transaction) => transaction.saveTasks([{ before: taskState(1), after: runningTask(1, 4) }]));
      const bySeq = () => engine.write(async (transaction) => (await transaction.lockTasksBySeq([1])).tasks);
      expect(await bySeq()).toEqual([runningTask(1, 4)]);
      for (const [before, after] of [
        [runningTask(1, 4), completedTask(runningTask(1, 4))],
        [completedTask(runningTask(1, 4)), runningTask(1, 5, 2)],
      ] as const) {
        await other.write((transaction) => transaction.saveTasks([{ before, after }]));
        expect(await bySeq()).toEqual([after]);
      }
    });

    test("forgets what was rolled back, whole or nested", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1)]);
      const start = { before: taskState(1), after: runningTask(1, 4) };
      const asItWas = { tasks: [taskState(1)], held: [] };
      const refused = engine.write(async (transaction) => {
        await transaction.saveTasks([start]);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.write((transaction) => transaction.lockTasksBySeq([1]))).toEqual(asItWas);
      await engine.write(async (transaction) => {
        const nested = transaction.nested(async () => {
          await transaction.saveTasks([start]);
          throw new Error("nested");
        });
        await expect(nested).rejects.toThrow("nested");
        expect(await transaction.lockTasksBySeq([1])).toEqual(asItWas);
      });
      expect(await engine.write((transaction) => transaction.lockTasksBySeq([1]))).toEqual(asItWas);
    });
  });

  describe("lockDueTasks", () => {
    test("takes what is due by due time, then priority, then age", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [
        due(1, nowMs - 1),
        due(2, nowMs - 5, -3),
        due(3, nowMs - 5, 10),
        due(4, nowMs - 5, 10),
        due(5, nowMs, 1_000_000),
        due(6, nowMs + 1, 1_000_000),
        { ...due(7, nowMs - 5, 3), taskType: "other" },
        { ...due(8, nowMs - 9), taskType: "unhandled" },
      ]);
      expect(seqsOf(await dueNow(engine, { taskTypes: ["work", "other"] }))).toEqual([3, 4, 7, 2, 1, 5]);
      expect(seqsOf(await dueNow(engine, { taskTypes: ["other", "work"], limit: 3 }))).toEqual([3, 4, 7]);
      expect(seqsOf(await dueNow(engine))).toEqual([3, 4, 2, 1, 5]);
      expect(seqsOf(await dueNow(engine, { at: nowMs - 5 }))).toEqual([3, 4, 2]);
      expect(await dueNow(engine, { at: nowMs - 6 })).toEqual([]);
      expect(await dueNow(engine, { taskTypes: [] })).toEqual([]);
      expect(await dueNow(engine, { taskTypes: ["unheard of"] })).toEqual([]);
      expect((await dueNow(engine))[0]).toEqual(due(3, nowMs - 5, 10));
    });

    test("passes over what is paused, running or ended, and what this transaction has taken", async () => {
      const engine = await connect(subject);
      const states = assorted(40);
      await saveNew(engine, states);
      const expected = states.filter((state) => state.taskType === "work" && (dueAtMs(state) ?? nowMs + 1) <= nowMs);
      expect(expected.length).toBeGreaterThan(0);
      expect(seqsOf(await dueNow(engine))).toEqual(seqsOf(expected));
      await engine.write(async (transaction) => {
        const [first] = await transaction.lockDueTasks({ taskTypes: ["work"], nowMs, limit: 1 });
        if (first === undefined) throw new Error("nothing is due");
        await transaction.saveTasks([{ before: first, after: { ...runningTask(first.seq, 1), taskId: first.taskId } }]);
        const rest = await transaction.lockDueTasks({ taskTypes: ["work"], nowMs, limit: 1_000 });
        expect(seqsOf(rest)).toEqual(seqsOf(expected.slice(1)));
      });
    });

    test("agrees with nextDueAt and overdueOfOtherTypes", async () => {
      const engine = await connect(subject);
      const { reads } = engine;
      expect(await reads.nextDueAt(["work"])).toBeNull();
      expect(await reads.overdueOfOtherTypes(["work"], nowMs)).toEqual([]);
      await saveNew(engine, [
        due(1, nowMs + 9),
        { ...due(2, nowMs + 7), taskType: "other" },
        { ...due(3, nowMs - 7), taskType: "third" },
        { ...due(4, nowMs - 8), taskType: "third" },
        { ...due(5, nowMs - 9), taskType: "third", paused: true },
        { ...completedTask(due(6, nowMs - 9)), taskType: "fourth" },
      ]);
      expect(await reads.nextDueAt(["work"])).toBe(nowMs + 9);
      expect(await reads.nextDueAt(["work", "other"])).toBe(nowMs + 7);
      expect(await reads.nextDueAt(["unheard of", "third"])).toBe(nowMs - 8);
      expect(await reads.nextDueAt(["fourth"])).toBeNull();
      expect(await reads.nextDueAt([])).toBeNull();
      expect(await reads.overdueOfOtherTypes(["work"], nowMs)).toEqual([{ taskType: "third", count: 2 }]);
      expect(await reads.overdueOfOtherTypes(["third"], nowMs + 8)).toEqual([{ taskType: "other", count: 1 }]);
      expect(await reads.overdueOfOtherTypes(["third", "other", "work"], nowMs + 100)).toEqual([]);
      expect(await reads.overdueOfOtherTypes(["third", "other"], nowMs + 8)).toEqual([]);
    });
  });

  describe("runs", () => {
    test("are found by the instance that holds them", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [runningTask(1, 7), runningTask(2, 8, 3), runningTask(3, 7, 4), taskState(4)]);
      expect((await engine.reads.runsOf(7)).toSorted((a, b) => a.seq - b.seq)).toEqual([
        { seq: 1, run: 1 },
        { seq: 3, run: 4 },
      ]);
      expect(await engine.reads.runsOf(9)).toEqual([]);
      await engine.write(async (transaction) => {
        const all = await transaction.lockTasksRunBy(7, 10);
        expect(inOrder(seqsOf(all.tasks))).toEqual([1, 3]);
        expect(all.held).toEqual([]);
        expect((await transaction.lockTasksRunBy(7, 1)).tasks).toHaveLength(1);
        expect(await transaction.lockTasksRunBy(9, Number.MAX_SAFE_INTEGER)).toEqual({ tasks: [], held: [] });
        const ended = completedTask(runningTask(1, 7));
        await transaction.saveTasks([{ before: runningTask(1, 7), after: ended }]);
        const rest = await transaction.lockTasksRunBy(7, Number.MAX_SAFE_INTEGER);
        expect(rest).toEqual({ tasks: [runningTask(3, 7, 4)], held: [] });
      });
      expect(await engine.reads.runsOf(7)).toEqual([{ seq: 3, run: 4 }]);
    });
  });

  describe("findTasks and countTasks", () => {
    test("agree with the filters' meaning", async () => {
      const engine = await connect(subject);
      const states = assorted(140);
      await saveNew(engine, states);
      const counted = new Map<string, number>();
      for (const { state, count } of await engine.reads.countTasks()) {
        counted.set(state, (counted.get(state) ?? 0) + count);
      }
      for (const name of taskStateNames) {
        expect(counted.get(name) ?? 0).toBe(states.filter((state) => stateNameOf(state) === name).length);
      }
      const anyQuery = fc.record(
        {
          afterSeq: fc.integer({ min: 0, max: 150 }),
          limit: fc.integer({ min: 1, max: 150 }),
          states: fc.subarray([...taskStateNames]),
          enabled: fc.boolean(),
          taskType: fc.constantFrom("work", "other", "unheard of"),
          dueFromMs: fc.integer({ min: nowMs - 1_000, max: nowMs + 11_000 }),
          dueUntilMs: fc.integer({ min: nowMs - 1_000, max: nowMs + 11_000 }),
          idPrefix: fc.constantFrom("a", "ab", "b%", "b_", "b", "ü", "ünï-1", "A", "%", "z"),
        },
        { requiredKeys: ["afterSeq", "limit"] },
      );
      await fc.assert(
        fc.asyncProperty(anyQuery, async (query) => {
          expect(await engine.reads.findTasks(query)).toEqual(states.filter(matches(query)).slice(0, query.limit));
        }),
        { numRuns: 200 },
      );
    });
  });

  describe("tasks with long payloads", () => {
    test("come in short pages, in their order and none left out", async () => {
      const engine = await connect(subject);
      const long = () => JSON.stringify(randomBytes(750_000).toString("base64"));
      const states = range(1, 20).map((seq) => taskState(seq, { payload: seq % 5 === 0 ? "5" : long() }));
      await saveNew(engine, states);
      const charactersOf = (page: readonly TaskState[]) => page.reduce((sum, { payload }) => sum + payload.length, 0);
      const most = taskPageCharacters + 1_100_000;
      const found: TaskState[] = [];
      for (let page = await engine.reads.findTasks({ afterSeq: 0, limit: 100 }); page.length > 0; ) {
        expect(charactersOf(page)).toBeLessThan(most);
        found.push(...page);
        page = await engine.reads.findTasks({ afterSeq: found.at(-1)?.seq ?? 0, limit: 100 });
      }
      expect(found).toEqual(states);
      const due = await engine.write((transaction) => {
        return transaction.lockDueTasks({ taskTypes: ["work"], nowMs: Number.MAX_SAFE_INTEGER, limit: 100 });
      });
      expect(due).toEqual(states.slice(0, due.length));
      expect(due.length).toBeGreaterThan(5);
      // What one statement answers with is a single text there, and has an end.
      if (engine.kind === "sqlite") expect(charactersOf(due)).toBeLessThan(most);
    });
  });

  describe("drawTaskSeqs", () => {
    test("gives each number once, whoever asks", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const engines = [engine, await connect(subject, store)];
      expect(await engine.reads.lastTaskSeq()).toBe(0);
      const drawn = await Promise.all(
        engines.map(async (engine) => {
          const numbers: number[] = [];
          for (const count of [1, 5, 2, 1, 10, 3]) {
            const some = await engine.write((transaction) => transaction.drawTaskSeqs(count));
            expect(some).toHaveLength(count);
            numbers.push(...some);
          }
          expectGrowing(numbers);
          return numbers;
        }),
      );
      const all = inOrder(drawn.flat());
      expect(new Set(all).size).toBe(44);
      if (engine.writers === "one") expect(all).toEqual(range(1, 44));
      for (const engine of engines) expect(await engine.reads.lastTaskSeq()).toBe(all.at(-1));
    });

    test("gives no number twice to what is kept, whatever is rolled back", async () => {
      const store = await storeOf(subject);
      const engines = [await connect(subject, store), await connect(subject, store)];
      const kept = await Promise.all(
        engines.map(async (engine) => {
          const numbers: number[] = [];
          for (const round of range(1, 8)) {
            const draw = engine.write(async (transaction) => {
              const some = await transaction.drawTaskSeqs(3);
              if (round % 2 === 0) throw new Error("rolled back");
              numbers.push(...some);
            });
            if (round % 2 === 0) await expect(draw).rejects.toThrow("rolled back");
            else await draw;
          }
          expectGrowing(numbers);
          return numbers;
        }),
      );
      const all = inOrder(kept.flat());
      expect(new Set(all).size).toBe(24);
      for (const { reads, writers } of engines) {
        expect(await reads.lastTaskSeq()).toBeGreaterThanOrEqual(all.at(-1) ?? 0);
        if (writers === "one") expect(all).toEqual(range(1, 24));
      }
    });
  });

  describe("the verbs of a rebuild", () => {
    test("put the filled copy in the place of the live projection", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      await saveNew(engine, [taskState(1), taskState(2), runningTask(3, 4)]);
      const rebuild = await engine.write((transaction) => transaction.beginRebuild());
      const right = [taskState(1), { ...taskState(2), retryCount: 2 }, runningTask(3, 5)];
      await engine.write((transaction) => transaction.saveRebuilt(rebuild, [taskState(1), taskState(2)]));
      expect(await engine.reads.findTask("task-2")).toEqual(taskState(2));
      await engine.write(async (transaction) => {
        await transaction.lockAllTasks();
        // What changed meanwhile is saved again.
        await transaction.saveRebuilt(rebuild, right.slice(1));
        await transaction.swapRebuilt(rebuild);
        expect(await transaction.lockTasksBySeq([3])).toEqual({ tasks: [runningTask(3, 5)], held: [] });
      });
      for (const reader of [engine, other, await connect(subject, store)]) {
        expect(await reader.reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual(right);
        expect(seqsOf(await dueNow(reader))).toEqual([1, 2]);
        expect(await reader.reads.runsOf(5)).toEqual([{ seq: 3, run: 1 }]);
        expect(await reader.reads.checkIntegrity()).toBeNull();
      }
      await saveNew(other, [taskState(4)]);
      await append(other, [newEvent("a", { task: 4 })]);
    });

    test("change nothing until the swap, and a rolled-back swap changes nothing", async () => {
      const engine = await connect(subject);
      await saveNew(engine, [taskState(1)]);
      const rebuild = await engine.write((transaction) => transaction.beginRebuild());
      await engine.write((transaction) => transaction.saveRebuilt(rebuild, [{ ...taskState(1), retryCount: 1 }]));
      const refused = engine.write(async (transaction) => {
        await transaction.lockAllTasks();
        await transaction.swapRebuilt(rebuild);
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.reads.findTask("task-1")).toEqual(taskState(1));
      // Interrupted here; the next one begins with an empty copy.
      await engine.write(async (transaction) => {
        await transaction.lockAllTasks();
        await transaction.swapRebuilt(await transaction.beginRebuild());
      });
      expect(await engine.reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([]);
    });

    test("refuse a rebuild that another one has overtaken", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const first = await engine.write((transaction) => transaction.beginRebuild());
      await engine.write((transaction) => transaction.saveRebuilt(first, [taskState(1)]));
      const second = await other.write((transaction) => transaction.beginRebuild());
      expect(second).not.toBe(first);
      for (const overtaken of [
        () => engine.write((transaction) => transaction.saveRebuilt(first, [taskState(2)])),
        () => engine.write((transaction) => transaction.swapRebuilt(first)),
      ]) {
        await expect(overtaken()).rejects.toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
      }
      expect(await engine.reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([taskState(1), taskState(2)]);
      await other.write(async (transaction) => {
        await transaction.lockAllTasks();
        await transaction.saveRebuilt(second, [taskState(2)]);
        await transaction.swapRebuilt(second);
      });
      expect(await engine.reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([taskState(2)]);
    });
  });
}

type Progress = Omit<
  TaskState,
  "seq" | "taskId" | "taskType" | "revision" | "definition" | "payload" | "anchorMs" | "createdAtMs"
>;

/** What changes without a new definition. */
function progressOf(state: Omit<TaskState, "seq" | "taskId">): Progress {
  const { phase, paused, scheduledForMs, runAtMs, lastScheduledForMs, retryCount, lostClaims, runs, run, updatedAtMs } =
    state;
  return { phase, paused, scheduledForMs, runAtMs, lastScheduledForMs, retryCount, lostClaims, runs, run, updatedAtMs };
}
