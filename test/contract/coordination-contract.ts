/** The contract of what is no history: instances, checkpoints and dead letters. */
import { describe, expect, test } from "vitest";
import type { Checkpoint, DeadLetterRow } from "../../src/store/engine.ts";
import { type ContractSubject, connect, inOrder, nowMs, storeOf } from "./subject.ts";

function checkpoint(name: string, more: Partial<Checkpoint> = {}): Checkpoint {
  const base = { status: "active", attempts: 0, retryAtMs: null, error: null, updatedAtMs: nowMs } as const;
  return { name, position: 0, ...base, ...more };
}

function letter(id: number, more: Partial<DeadLetterRow> = {}): DeadLetterRow {
  return { id, handler: "totals", position: id - 1, error: "Error: no", attempts: 5, atMs: nowMs, ...more };
}

export function coordinationContract(subject: ContractSubject): void {
  describe("instances", () => {
    test("get numbers that never repeat, and are listed until they are removed", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const first = await engine.write((tx) => tx.addInstance({ name: "one", nowMs, claimMs: 1_000 }));
      const second = await other.write((tx) => tx.addInstance({ name: "one", nowMs: nowMs + 5, claimMs: 2_000 }));
      expect(second).toBeGreaterThan(first);
      expect(await other.reads.listInstances()).toEqual([
        { id: first, name: "one", heartbeatAtMs: nowMs, claimMs: 1_000 },
        { id: second, name: "one", heartbeatAtMs: nowMs + 5, claimMs: 2_000 },
      ]);
      await engine.write((tx) => tx.removeInstance(second));
      expect(await other.reads.listInstances()).toHaveLength(1);
      await engine.write((tx) => tx.removeInstance(first));
      const third = await engine.write((tx) => tx.addInstance({ name: "three", nowMs, claimMs: 1_000 }));
      expect(third).toBeGreaterThan(second);
      await engine.write((tx) => tx.removeInstance(12_345));
    });

    test("are silent once their claim time has passed since the last heartbeat", async () => {
      const engine = await connect(subject);
      const [quick, slow] = await engine.write(async (tx) => [
        await tx.addInstance({ name: "quick", nowMs, claimMs: 1_000 }),
        await tx.addInstance({ name: "slow", nowMs, claimMs: 5_000 }),
      ]);
      const silentAt = async (atMs: number) =>
        inOrder((await engine.write((tx) => tx.lockSilentInstances(atMs))).map(({ id }) => id));
      expect(await silentAt(nowMs)).toEqual([]);
      expect(await silentAt(nowMs + 1_000)).toEqual([]);
      expect(await silentAt(nowMs + 1_001)).toEqual([quick]);
      expect(await silentAt(nowMs + 5_001)).toEqual([quick, slow]);
      // A clock that was set back a little makes nobody silent; a heartbeat of another time does.
      expect(await silentAt(nowMs - 1_000)).toEqual([]);
      expect(await silentAt(nowMs - 1_001)).toEqual([quick]);
      expect(await engine.write((tx) => tx.heartbeat(quick ?? 0, nowMs + 5_000))).toBe(true);
      expect(await silentAt(nowMs + 5_001)).toEqual([slow]);
      const [found] = await engine.write((tx) => tx.lockSilentInstances(nowMs + 5_001));
      expect(found).toEqual({ id: slow, name: "slow", heartbeatAtMs: nowMs, claimMs: 5_000 });
    });

    test("learn from their heartbeat that they were declared dead", async () => {
      const engine = await connect(subject);
      const id = await engine.write((tx) => tx.addInstance({ name: "one", nowMs, claimMs: 1_000 }));
      expect(await engine.write((tx) => tx.heartbeat(id, nowMs))).toBe(true);
      await engine.write((tx) => tx.removeInstance(id));
      expect(await engine.write((tx) => tx.heartbeat(id, nowMs))).toBe(false);
      expect(await engine.reads.listInstances()).toEqual([]);
    });
  });

  describe("checkpoints", () => {
    test("are stored whole, and replaced", async () => {
      const store = await storeOf(subject);
      const engine = await connect(subject, store);
      const other = await connect(subject, store);
      const saved = [
        checkpoint("b"),
        checkpoint("ä 'quoted'", { position: 9_007_199_254_740_991, status: "stopped", attempts: 7, error: "é 🦊" }),
        checkpoint("a", { attempts: 1, retryAtMs: nowMs + 1, error: "Error: no", updatedAtMs: 0 }),
      ];
      expect(await engine.write((tx) => tx.lockCheckpoint("a", "wait"))).toBeNull();
      for (const each of saved) await engine.write((tx) => tx.saveCheckpoint(each));
      for (const each of saved) expect(await other.write((tx) => tx.lockCheckpoint(each.name, "skip"))).toEqual(each);
      expect((await other.reads.listCheckpoints()).map(({ name }) => name)).toEqual(["a", "b", "ä 'quoted'"]);
      const moved = checkpoint("a", { position: 5, updatedAtMs: nowMs + 1 });
      await engine.write(async (tx) => {
        await tx.saveCheckpoint(moved);
        expect(await tx.lockCheckpoint("a", "wait")).toEqual(moved);
      });
      expect((await other.reads.listCheckpoints())[0]).toEqual(moved);
    });

    test("go back with their transaction", async () => {
      const engine = await connect(subject);
      await engine.write((tx) => tx.saveCheckpoint(checkpoint("a", { position: 1 })));
      const refused = engine.write(async (tx) => {
        await tx.saveCheckpoint(checkpoint("a", { position: 2 }));
        throw new Error("no");
      });
      await expect(refused).rejects.toThrow("no");
      expect(await engine.reads.listCheckpoints()).toEqual([checkpoint("a", { position: 1 })]);
    });
  });

  describe("dead letters", () => {
    test("are listed by id, by handler and by pages", async () => {
      const engine = await connect(subject);
      const letters = [letter(3), letter(10, { handler: "ä" }), letter(4, { error: "x".repeat(2_000) }), letter(11)];
      await engine.write(async (tx) => {
        for (const each of letters) await tx.addDeadLetter(each);
        expect(await tx.findDeadLetter(10)).toEqual(letters[1]);
        expect(await tx.findDeadLetter(5)).toBeNull();
      });
      const list = async (query: { handler?: string; afterId?: number; limit?: number }) =>
        (await engine.reads.listDeadLetters({ afterId: 0, limit: 100, ...query })).map(({ id }) => id);
      expect(await list({})).toEqual([3, 4, 10, 11]);
      expect(await list({ limit: 2 })).toEqual([3, 4]);
      expect(await list({ afterId: 4 })).toEqual([10, 11]);
      expect(await list({ handler: "totals", afterId: 3, limit: 1 })).toEqual([4]);
      expect(await list({ handler: "ä" })).toEqual([10]);
      expect(await list({ handler: "nobody" })).toEqual([]);
      expect(await engine.reads.listDeadLetters({ afterId: 0, limit: 1 })).toEqual([letter(3)]);
      await engine.write((tx) => tx.removeDeadLetter(4));
      await engine.write((tx) => tx.removeDeadLetter(4));
      expect(await list({})).toEqual([3, 10, 11]);
    });
  });
}
