/** The contract of a transaction that stays open: it stalls no reader, no claim, and where there are many no writer. */
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import type { Checkpoint, Engine, EngineTransaction } from "../../src/store/engine.ts";
import { beside, connectTwo, openWrite, outcomeOf, turns } from "./open-write.ts";
import {
  append,
  type ContractSubject,
  connect,
  everything,
  expectGrowing,
  logOf,
  newEvent,
  nowMs,
  range,
  rejectionOf,
  runningTask,
  saveNew,
  seqsOf,
  storeOf,
  taskState,
  tasksFrom,
} from "./subject.ts";

const ends = ["commit", "rollBack"] as const;

function checkpoint(name: string): Checkpoint {
  return { name, position: 1, status: "active", attempts: 0, retryAtMs: null, error: null, updatedAtMs: nowMs };
}

/** One of everything that the store writes, under names that belong to nobody yet but are the same for all. */
async function writeOfEverything(tx: EngineTransaction, who: string): Promise<void> {
  const [seq = 0] = await tx.drawTaskSeqs(1);
  const [position = 0] = await tx.append([newEvent("new type", { meta: JSON.stringify(who) }), newEvent(who)]);
  await tx.saveTasks([{ before: null, after: taskState(seq, { taskId: who, taskType: "new work" }) }]);
  await tx.lockCheckpoint(who, "wait");
  await tx.saveCheckpoint(checkpoint(who));
  await tx.addDeadLetter({ id: position, handler: "new handler", position, error: who, attempts: 1, atMs: nowMs });
  const id = await tx.addInstance({ name: "new name", nowMs, claimMs: 1_000 });
  await tx.heartbeat(id, nowMs + 1);
  await tx.execute("INSERT INTO notes (body) VALUES (?)", [who]);
}

/** All that `writeOfEverything` has left. */
async function tracesOf({ reads }: Engine): Promise<Record<string, unknown>> {
  const { events } = await reads.readEvents(everything);
  const tasks = await reads.findTasks({ afterSeq: 0, limit: 100, taskType: "new work" });
  const letters = await reads.listDeadLetters({ handler: "new handler", afterId: 0, limit: 100 });
  const notes = await reads.query("SELECT body FROM notes ORDER BY body", []);
  return {
    metas: events.flatMap(({ type, meta }) => (type === "new type" ? [meta] : [])).toSorted(),
    tasks: tasks.map(({ taskId }) => taskId).toSorted(),
    due: await reads.nextDueAt(["new work"]),
    checkpoints: (await reads.listCheckpoints()).map(({ name }) => name).toSorted(),
    letters: letters.map(({ error }) => error).toSorted(),
    instances: (await reads.listInstances()).map(({ heartbeatAtMs }) => heartbeatAtMs),
    notes: notes.map(({ body }) => body),
  };
}

function tracesFor(names: readonly string[]): Record<string, unknown> {
  const all = names.toSorted();
  return {
    metas: all.map((name) => JSON.stringify(name)),
    tasks: all,
    due: all.length === 0 ? null : nowMs,
    checkpoints: all,
    letters: all,
    instances: all.map(() => nowMs + 1),
    notes: all,
  };
}

async function connectTwoWithNotes(subject: ContractSubject): Promise<readonly [Engine, Engine]> {
  const engines = await connectTwo(subject);
  await engines[0].write((tx) => tx.execute("CREATE TABLE notes (body TEXT)", []));
  return engines;
}

export function openTransactionContract(subject: ContractSubject): void {
  describe("a new store", () => {
    test("may be opened by several at once", async () => {
      const store = await storeOf(subject);
      const engines = await Promise.all(range(1, 6).map(() => connect(subject, store)));
      for (const engine of engines) await append(engine, [newEvent("a")]);
      for (const engine of engines) expect(await logOf(engine)).toHaveLength(6);
    });
  });

  describe("a transaction that stays open", () => {
    test.each(ends)("keeps nobody from writing beside it, or after it (%s)", async (end) => {
      const [engine, other] = await connectTwoWithNotes(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const holder = openWrite(engine);
      const order: string[] = [];
      await holder.do(async (tx) => {
        await tx.lockTasks(["task-1"]);
        await tx.saveTasks([{ before: taskState(1), after: runningTask(1, 7) }]);
        await writeOfEverything(tx, "holder");
      });
      const work = async () => {
        await other.write((tx) => writeOfEverything(tx, "whole"));
        await append(other, [newEvent("new type", { meta: '"beside"' })]);
        const claimed = await other.write((tx) => tx.lockDueTasks({ taskTypes: ["work"], nowMs, limit: 1 }));
        order.push("beside");
        return seqsOf(claimed);
      };
      const finish = async () => {
        order.push(end);
        await holder[end]();
      };
      const claimed = await beside(other, work, finish);
      const many = engine.writers === "many";
      expect(order).toEqual(many ? ["beside", end] : [end, "beside"]);
      expect(claimed).toEqual(many || end === "commit" ? [2] : [1]);
      const kept = end === "commit" ? ["holder", "whole"] : ["whole"];
      const expected = tracesFor(kept);
      const metas = ['"beside"', ...(expected.metas as string[])];
      for (const reader of [engine, other]) expect(await tracesOf(reader)).toEqual({ ...expected, metas });
    });

    test("may wait as long as it likes for something that another engine writes meanwhile", async () => {
      const [engine, other] = await connectTwo(subject);
      const holder = openWrite(engine);
      await holder.do((tx) => tx.append([newEvent("first")]));
      const write = async () => {
        for (const index of range(1, 20)) await append(other, [newEvent(`other-${index}`)]);
      };
      await beside(other, write, async () => {
        await holder.do((tx) => tx.append([newEvent("last")]));
        await holder.commit();
      });
      const types = (await logOf(other)).map(({ type }) => type);
      const others = range(1, 20).map((index) => `other-${index}`);
      expect(types).toEqual(engine.writers === "many" ? ["first", ...others, "last"] : ["first", "last", ...others]);
    });

    test("takes back what is nested in it, and nothing of anybody else's", async () => {
      const [engine, other] = await connectTwoWithNotes(subject);
      await saveNew(engine, [taskState(1)]);
      const holder = openWrite(engine);
      await holder.do((tx) => tx.append([newEvent("kept")]));
      const undo = () =>
        holder.do(async (tx) => {
          const thrown = new Error("inner");
          const nested = tx.nested(async () => {
            await writeOfEverything(tx, "lost");
            await tx.lockTasks(["task-1"]);
            await tx.saveTasks([{ before: taskState(1), after: runningTask(1, 7) }]);
            throw thrown;
          });
          expect(await rejectionOf(nested)).toBe(thrown);
          const refused = tx.nested(() => tx.execute("INSERT INTO nowhere VALUES (1)", []));
          expect(isAzothError(await rejectionOf(refused), "INVALID_SQL")).toBe(true);
          expect(await tx.lockTasks(["task-1"])).toEqual({ tasks: [taskState(1)], held: [] });
          await tx.nested(() => writeOfEverything(tx, "nested"));
        });
      const writeBeside = async () => {
        await other.write((tx) => writeOfEverything(tx, "one"));
        if (engine.writers === "many") await undo();
        await other.write((tx) => writeOfEverything(tx, "two"));
      };
      await beside(other, writeBeside, async () => {
        if (engine.writers === "one") await undo();
        await holder.commit();
      });
      for (const reader of [engine, other]) {
        expect(await tracesOf(reader)).toEqual(tracesFor(["one", "two", "nested"]));
        expect(await reader.reads.findTask("task-1")).toEqual(taskState(1));
      }
      expectGrowing((await logOf(other)).map(({ position }) => position));
    });

    test.each(ends)("shows no reader what it has written, and lets none wait (%s)", async (end) => {
      const [engine, other] = await connectTwoWithNotes(subject);
      const holder = openWrite(engine);
      await holder.do((tx) => writeOfEverything(tx, "holder"));
      for (const reader of [engine, other]) {
        expect(await tracesOf(reader)).toEqual(tracesFor([]));
        expect(await reader.reads.lastPosition()).toBe(0);
        expect(await reader.reads.findTask("holder")).toBeNull();
        expect(await reader.reads.countTasks()).toEqual([]);
        expect((await reader.reads.readTasksWithEvents(tasksFrom(0, 100))).rows).toEqual([]);
        expect(await reader.reads.checkIntegrity()).toBeNull();
      }
      await holder[end]();
      const kept = tracesFor(end === "commit" ? ["holder"] : []);
      for (const reader of [engine, other]) expect(await tracesOf(reader)).toEqual(kept);
    });

    test.each(ends)("lets readers go on while it puts a rebuilt projection in place (%s)", async (end) => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1), taskState(2)]);
      const holder = openWrite(engine);
      const rebuilt = { ...taskState(1), retryCount: 1 };
      await holder.do(async (tx) => {
        const rebuild = await tx.beginRebuild();
        await tx.lockAllTasks();
        await tx.saveRebuilt(rebuild, [rebuilt]);
        await tx.swapRebuilt(rebuild);
      });
      const all = { afterSeq: 0, limit: 10 };
      for (const { reads } of [engine, other]) {
        expect(await reads.findTasks(all)).toEqual([taskState(1), taskState(2)]);
        expect(await reads.findTask("task-1")).toEqual(taskState(1));
        expect(await reads.nextDueAt(["work"])).toBe(nowMs);
      }
      await holder[end]();
      const expected = end === "commit" ? [rebuilt] : [taskState(1), taskState(2)];
      for (const { reads } of [engine, other]) expect(await reads.findTasks(all)).toEqual(expected);
    });

    test("whose engine is closed is kept whole or not at all, and ends", async () => {
      const [engine, other] = await connectTwoWithNotes(subject);
      const holder = openWrite(engine);
      await holder.do((tx) => writeOfEverything(tx, "holder"));
      const closing = engine.close();
      await turns(other);
      const outcome = await outcomeOf(holder.commit());
      await closing;
      if ("error" in outcome) expect(outcome.error).toMatchObject({ name: "AzothError", code: "STORE_CLOSED" });
      expect(await tracesOf(other)).toEqual(tracesFor("error" in outcome ? [] : ["holder"]));
      // Nothing of it is in anybody's way.
      await other.write((tx) => writeOfEverything(tx, "other"));
      expect(await tracesOf(other)).toEqual(tracesFor("error" in outcome ? ["other"] : ["holder", "other"]));
      expect(await rejectionOf(engine.write(async () => "never"))).toMatchObject({ code: "STORE_CLOSED" });
    });
  });
}
