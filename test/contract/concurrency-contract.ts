/**
 * The contract of transactions that meet: what one holds, the others pass over, wait for, or collide with.
 *
 * It is true of one writer as well, where a second transaction begins when the first has ended; only what that one
 * held is held no more then.
 */
import { describe, expect, test } from "vitest";
import {
  type Checkpoint,
  type Engine,
  type EngineTransaction,
  type LockedTasks,
  type TaskChange,
  WriteCollision,
} from "../../src/store/engine.ts";
import {
  beginWaiting,
  beside,
  connectMany,
  connectTwo,
  Latch,
  openWrite,
  type Outcome,
  outcomeOf,
  turns,
} from "./open-write.ts";
import {
  type ContractSubject,
  completedTask,
  inOrder,
  logOf,
  newEvent,
  nowMs,
  range,
  runningTask,
  saveNew,
  seqsOf,
  taskState,
  tasksFrom,
} from "./subject.ts";

const ends = ["commit", "rollBack"] as const;

const change = (before: TaskChange["before"], after: TaskChange["after"]): TaskChange => ({ before, after });

const dueWork = (limit: number) => ({ taskTypes: ["work"], nowMs, limit });

/** Takes what is due for an instance, with a moment between looking and taking. */
function claim(engine: Engine, instance: number, limit: number): Promise<number[]> {
  return engine.write(async (tx) => {
    const due = await tx.lockDueTasks(dueWork(limit));
    await turns(engine);
    await tx.saveTasks(due.map((task) => change(task, runningTask(task.seq, instance))));
    return seqsOf(due);
  });
}

function checkpoint(name: string, position: number): Checkpoint {
  return { name, position, status: "active", attempts: 0, retryAtMs: null, error: null, updatedAtMs: nowMs };
}

/** Creates a task unless there is one with its id, or somebody else is at it. */
async function createTwin(tx: EngineTransaction): Promise<"created" | "found"> {
  const { tasks, held } = await tx.lockTasks(["twin"]);
  if (tasks.length + held.length > 0) return "found";
  const [seq = 0] = await tx.drawTaskSeqs(1);
  await tx.append([newEvent("created", { task: seq })]);
  await tx.saveTasks([change(null, taskState(seq, { taskId: "twin" }))]);
  return "created";
}

/** What came of a write: its value, or that it collided. @throws whatever else it rejected with */
function valueOrCollision<T>(outcome: Outcome<T>): T | "collided" {
  if ("value" in outcome) return outcome.value;
  if (outcome.error instanceof WriteCollision) return "collided";
  throw outcome.error;
}

/** Does work again that collided, as the store does. */
async function untilDone<T>(engine: Engine, work: (tx: EngineTransaction) => Promise<T>): Promise<T> {
  for (const _ of range(1, 10)) {
    const result = valueOrCollision(await outcomeOf(engine.write(work, { patient: true })));
    if (result !== "collided") return result;
  }
  throw new Error("It collides again and again.");
}

export function concurrencyContract(subject: ContractSubject): void {
  describe("tasks that another transaction holds", () => {
    test("are named to one that is not patient, and left out", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [runningTask(1, 7), runningTask(2, 7), taskState(3), taskState(4), runningTask(5, 7)]);
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        await tx.lockTasks(["task-1"]);
        expect(seqsOf(await tx.lockDueTasks(dueWork(1)))).toEqual([3]);
        await tx.saveTasks([change(runningTask(5, 7), { ...runningTask(5, 7), lostClaims: 1 })]);
        // Whoever holds them is not kept from them.
        const own = await tx.lockTasks(["task-1", "task-3", "task-5"]);
        expect([inOrder(seqsOf(own.tasks)), own.held]).toEqual([[1, 3, 5], []]);
      });
      const look = () =>
        other.write(async (tx) => {
          const found = async <Key>(locked: Promise<LockedTasks<Key>>) => {
            const { tasks, held } = await locked;
            return { tasks: inOrder(seqsOf(tasks)), held: held.toSorted() };
          };
          return {
            byId: await found(tx.lockTasks(["task-5", "task-1", "task-2", "task-3", "nobody"])),
            bySeq: await found(tx.lockTasksBySeq([1, 99, 2, 3])),
            byRun: await found(tx.lockTasksRunBy(7, 10)),
            byInstanceOfNone: await found(tx.lockTasksRunBy(8, 10)),
          };
        });
      const nothing = { tasks: [], held: [] };
      const free = {
        byId: { tasks: [1, 2, 3, 5], held: [] },
        bySeq: { tasks: [1, 2, 3], held: [] },
        byRun: { tasks: [1, 2, 5], held: [] },
        byInstanceOfNone: nothing,
      };
      const held = {
        byId: { tasks: [2], held: ["task-1", "task-3", "task-5"] },
        bySeq: { tasks: [2], held: [1, 3] },
        byRun: { tasks: [2], held: [1, 5] },
        byInstanceOfNone: nothing,
      };
      expect(await beside(other, look, () => holder.commit())).toEqual(engine.writers === "many" ? held : free);
      expect(await look()).toEqual(free);
    });

    test.each(ends)("are waited for by one that is patient, which sees what came of them (%s)", async (end) => {
      const [engine, other] = await connectTwo(subject);
      const before = range(1, 3).map((seq) => runningTask(seq, 7));
      const after = before.map((task) => completedTask(task));
      await saveNew(engine, before);
      const seen = end === "commit" ? after : before;
      const verbs: readonly (readonly [
        verb: (tx: EngineTransaction) => Promise<LockedTasks<unknown>>,
        expected: readonly unknown[],
      ])[] = [
        [(tx) => tx.lockTasks(["task-1"]), [seen[0]]],
        [(tx) => tx.lockTasksBySeq([2]), [seen[1]]],
        // What has ended is not run by anybody.
        [(tx) => tx.lockTasksRunBy(7, 10), end === "commit" ? [] : [seen[2]]],
      ];
      for (const [index, [verb, expected]] of verbs.entries()) {
        const holder = openWrite(engine);
        await holder.do(async (tx) => {
          const seq = index + 1;
          const { tasks } = await tx.lockTasksBySeq([seq]);
          await tx.saveTasks(tasks.map((task) => change(task, completedTask(task))));
        });
        const { result } = await beginWaiting(other, async (tx) => {
          const locked = await verb(tx);
          if (end === "rollBack") await tx.saveTasks([change(before[index] ?? null, taskState(index + 1))]);
          return locked;
        });
        await holder[end]();
        const { tasks, held } = await result;
        expect(held).toEqual([]);
        expect(tasks).toEqual(expected);
      }
    });
  });

  describe("claims", () => {
    test("pass over what another transaction holds", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(
        engine,
        range(1, 4).map((seq) => taskState(seq)),
      );
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        const due = await tx.lockDueTasks(dueWork(2));
        expect(seqsOf(due)).toEqual([1, 2]);
        await tx.saveTasks([change(taskState(1), runningTask(1, 7)), change(taskState(2), runningTask(2, 7))]);
      });
      expect(
        await beside(
          other,
          () => claim(other, 8, 10),
          () => holder.commit(),
        ),
      ).toEqual([3, 4]);
      expect(inOrder((await engine.reads.runsOf(7)).map(({ seq }) => seq))).toEqual([1, 2]);
      expect(inOrder((await engine.reads.runsOf(8)).map(({ seq }) => seq))).toEqual([3, 4]);
    });

    test("find again what was only held", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const holder = openWrite(engine);
      await holder.do((tx) => tx.lockDueTasks(dueWork(1)));
      const found = await beside(
        other,
        () => claim(other, 8, 1),
        () => holder.rollBack(),
      );
      expect(found).toEqual([engine.writers === "many" ? 2 : 1]);
      expect(await claim(other, 8, 1)).toEqual([engine.writers === "many" ? 1 : 2]);
    });

    test("of several that race take each task once", async () => {
      const engines = await connectMany(subject, 4);
      const [engine] = engines;
      if (engine === undefined) throw new Error("no engine");
      await saveNew(
        engine,
        range(1, 60).map((seq) => taskState(seq)),
      );
      const claimed = await Promise.all(
        engines.map(async (engine, index) => {
          const own: number[] = [];
          while ((await engine.reads.nextDueAt(["work"])) !== null) own.push(...(await claim(engine, index + 1, 3)));
          return own;
        }),
      );
      expect(inOrder(claimed.flat())).toEqual(range(1, 60));
      for (const [index, own] of claimed.entries()) {
        const runs = await engine.reads.runsOf(index + 1);
        expect(inOrder(runs.map(({ seq }) => seq))).toEqual(inOrder(own));
      }
    });
  });

  describe("a checkpoint that another transaction holds", () => {
    test.each(ends)("is skipped, or waited for (%s)", async (end) => {
      const [engine, other] = await connectTwo(subject);
      const old = checkpoint("old", 1);
      await engine.write((tx) => tx.saveCheckpoint(old));
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        expect(await tx.lockCheckpoint("old", "wait")).toEqual(old);
        expect(await tx.lockCheckpoint("new", "skip")).toBeNull();
        await tx.saveCheckpoint({ ...old, position: 2 });
        // Its own locks are in nobody's way but others'.
        expect(await tx.lockCheckpoint("old", "skip")).toEqual({ ...old, position: 2 });
        expect(await tx.lockCheckpoint("new", "wait")).toBeNull();
        await tx.saveCheckpoint(checkpoint("new", 3));
      });
      const skip = () =>
        other.write(async (tx) => [
          await tx.lockCheckpoint("old", "skip"),
          await tx.lockCheckpoint("new", "skip"),
          await tx.lockCheckpoint("another", "skip"),
        ]);
      const committed = [{ ...old, position: 2 }, checkpoint("new", 3), null];
      const after = end === "commit" ? committed : [old, null, null];
      if (engine.writers === "many") expect(await skip()).toEqual(["held", "held", null]);
      const wait = async (tx: EngineTransaction) => [
        await tx.lockCheckpoint("old", "wait"),
        await tx.lockCheckpoint("new", "wait"),
        await tx.lockCheckpoint("another", "wait"),
      ];
      const { result } = await beginWaiting(other, wait);
      await holder[end]();
      expect(await result).toEqual(after);
      expect(await skip()).toEqual(after);
    });

    test("is set up by one at a time", async () => {
      const engines = await connectMany(subject, 4);
      let inside = 0;
      const setUp = (engine: Engine, index: number) => async (tx: EngineTransaction) => {
        const known = await tx.lockCheckpoint("c", "wait");
        expect(++inside).toBe(1);
        await turns(engine);
        if (known === null) await tx.saveCheckpoint(checkpoint("c", index));
        // It leaves before it commits, and so before the next one can come in.
        inside--;
        return known?.position ?? index;
      };
      const positions = await Promise.all(
        engines.map((engine, index) => engine.write(setUp(engine, index), { patient: true })),
      );
      expect(new Set(positions).size).toBe(1);
    });
  });

  describe("two transactions that collide", () => {
    test.each(
      ends.flatMap((end) => [
        { end, patient: false },
        { end, patient: true },
      ]),
    )("make one task of one new id ($end, patient: $patient)", async ({ end, patient }) => {
      const [engine, other] = await connectTwo(subject);
      const first = openWrite(engine);
      expect(await first.do(createTwin)).toBe("created");
      const second = await beginWaiting(other, createTwin, { patient });
      await first[end]();
      const result = valueOrCollision(await outcomeOf(second.result));
      expect(["collided", end === "commit" ? "found" : "created"]).toContain(result);
      const again = await other.write(createTwin);
      expect(again).toBe(end === "rollBack" && result === "collided" ? "created" : "found");
      for (const { reads } of [engine, other]) {
        const tasks = await reads.findTasks({ afterSeq: 0, limit: 10 });
        expect(tasks.map(({ taskId }) => taskId)).toEqual(["twin"]);
        const { events, rows } = await reads.readTasksWithEvents(tasksFrom(0, Number.MAX_SAFE_INTEGER));
        expect(events.map(({ task }) => task)).toEqual(rows.map(({ seq }) => seq));
        expect(rows.map(({ taskId }) => taskId)).toEqual(["twin"]);
      }
      expect(await logOf(engine)).toHaveLength(1);
    });

    test("keep one of them at least, and nothing of one that gives way", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const ids = ["task-1", "task-2"];
      const arrived = [new Latch(), new Latch()];
      const cross = (engine: Engine, index: number) =>
        outcomeOf(
          engine.write(
            async (tx) => {
              await tx.append([newEvent(`writer-${index}`)]);
              await tx.lockTasks(ids.slice(index, index + 1));
              arrived[index]?.open();
              // Each has what the other wants; where there is one writer, the other has not begun.
              if (engine.writers === "many") await arrived[1 - index]?.opened;
              await tx.lockTasks(ids);
            },
            { patient: true },
          ),
        );
      const outcomes = await Promise.all([cross(engine, 0), cross(other, 1)]);
      const kept = outcomes.flatMap((outcome, index) => {
        return valueOrCollision(outcome) === "collided" ? [] : [`writer-${index}`];
      });
      expect(kept.length).toBeGreaterThan(0);
      if (engine.writers === "one") expect(kept).toHaveLength(2);
      expect((await logOf(engine)).map(({ type }) => type).toSorted()).toEqual(kept);
    });
  });

  describe("an instance that another transaction removes", () => {
    test.each(ends)("learns of it from its heartbeat, and is removed by one (%s)", async (end) => {
      const [engine, other] = await connectTwo(subject);
      const id = await engine.write((tx) => tx.addInstance({ name: "silent", nowMs, claimMs: 1_000 }));
      const laterMs = nowMs + 10_000;
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        expect(await tx.lockSilentInstances(laterMs)).toHaveLength(1);
        await tx.removeInstance(id);
      });
      const { result } = await beginWaiting(other, (tx) => tx.heartbeat(id, laterMs));
      await holder[end]();
      expect(await result).toBe(end === "rollBack");
      expect(await other.reads.listInstances()).toHaveLength(end === "rollBack" ? 1 : 0);
    });

    test("is not found silent by a second one", async () => {
      const [engine, other] = await connectTwo(subject);
      const id = await engine.write((tx) => tx.addInstance({ name: "silent", nowMs, claimMs: 1_000 }));
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        expect(await tx.lockSilentInstances(nowMs + 10_000)).toHaveLength(1);
        await tx.removeInstance(id);
      });
      const { result } = await beginWaiting(other, (tx) => tx.lockSilentInstances(nowMs + 10_000));
      await holder.commit();
      expect(await result).toEqual([]);
    });
  });

  describe("lockAllTasks", () => {
    test("keeps others from changing tasks, and not from reading them", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const rebuild = await engine.write((tx) => tx.beginRebuild());
      const holder = openWrite(engine);
      await holder.do((tx) => tx.lockAllTasks());
      let finished = false;
      const take = async (tx: EngineTransaction) => {
        const { tasks } = await tx.lockTasks(["task-1"]);
        await tx.saveTasks(tasks.map((task) => change(task, runningTask(task.seq, 7))));
        return tasks.length;
      };
      const { result } = await beginWaiting(other, take);
      const taking = outcomeOf(result).finally(() => {
        finished = true;
      });
      for (const { reads } of [engine, other]) {
        expect(await reads.findTask("task-1")).toEqual(taskState(1));
        expect(await reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([taskState(1), taskState(2)]);
      }
      expect(finished).toBe(false);
      // Whoever waits for the tasks is not in the way of a new projection, and finds that one then.
      const rebuilt = [
        { ...taskState(1), retryCount: 1 },
        { ...taskState(2), retryCount: 1 },
      ];
      await holder.do(async (tx) => {
        await tx.saveRebuilt(rebuild, rebuilt);
        await tx.swapRebuilt(rebuild);
      });
      await holder.commit();
      if (valueOrCollision(await taking) !== 1) expect(await untilDone(other, take)).toBe(1);
      for (const { reads } of [engine, other]) {
        expect(await reads.findTasks({ afterSeq: 0, limit: 10 })).toEqual([runningTask(1, 7), rebuilt[1]]);
      }
    });

    test("waits for those who change tasks, or says that they do not let it", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        await tx.lockTasks(["task-1", "task-2"]);
        await tx.saveTasks([change(taskState(1), runningTask(1, 7))]);
      });
      const lockAll = async (tx: EngineTransaction) => {
        await tx.lockAllTasks();
        return (await tx.lockTasksBySeq([1, 2])).tasks;
      };
      const { result } = await beginWaiting(other, lockAll);
      // What has begun may go on.
      await holder.do((tx) => tx.saveTasks([change(taskState(2), runningTask(2, 7))]));
      await holder.commit();
      const outcome = await outcomeOf(result);
      if ("error" in outcome) expect(outcome.error).toMatchObject({ name: "AzothError", code: "STORE_BUSY" });
      else expect(outcome.value.toSorted((a, b) => a.seq - b.seq)).toEqual([runningTask(1, 7), runningTask(2, 7)]);
      await other.write((tx) => tx.lockAllTasks());
    });
  });
}
