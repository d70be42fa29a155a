/** The unit of work: what reaches the engine, when, in which pieces, and what an undone part leaves behind. */
import { describe, expect, test } from "vitest";
import { TaskHeld } from "../../src/store/work.ts";
import { changesIn, nowMs, scheduling, storedTask, typesIn, workBench } from "./work-bench.ts";

const note = { type: "noted", task: null, run: null, data: "null", meta: null } as const;
const cancelling = { kind: "cancel", reason: "because" } as const;

describe("tasks are loaded", () => {
  test("once, by id, and as this work has them by now", async () => {
    const { work, asked } = workBench({ stored: [await storedTask("a")] });
    await work.preload(["a", "b"]);
    await work.preload(["a", "b"]);
    const state = await work.task("a");
    expect(asked).toEqual(["a", "b"]);
    expect(state?.phase).toBe("waiting");
    expect(work.loaded("b")).toBeNull();
    expect(() => work.loaded("c")).toThrow(TypeError);
    work.dispatch(state, cancelling);
    expect(work.loaded("a")?.phase).toBe("cancelled");
    expect(work.loadedBySeq(1)?.phase).toBe("cancelled");
    // What a query of the engine found is older than what this work has changed.
    expect(work.know([await storedTask("a")]).map(({ phase }) => phase)).toEqual(["cancelled"]);
    expect(work.loaded("a")?.phase).toBe("cancelled");
  });

  test("once, by internal number", async () => {
    const { work, asked } = workBench({ stored: [await storedTask("a")] });
    await work.preloadBySeq([1, 2]);
    expect(work.loadedBySeq(1)?.taskId).toBe("a");
    expect(work.loadedBySeq(2)).toBeNull();
    await work.preloadBySeq([1]);
    expect(asked).toEqual([1, 2]);
    await work.reserveSeqs(1);
    const { work: other, asked: askedOther } = workBench();
    await other.reserveSeqs(1);
    other.dispatch(null, scheduling("new"));
    await other.preloadBySeq([1]);
    expect(askedOther).toEqual([]);
  });

  test("but not if another transaction holds them: whoever asks for one has to wait", async () => {
    const { work } = workBench({ stored: [await storedTask("a")], held: ["a", 1] });
    await expect(work.task("a")).rejects.toBeInstanceOf(TaskHeld);
    await work.preloadBySeq([1]);
    expect(() => work.loadedBySeq(1)).toThrow(TaskHeld);
    expect(await work.task("b")).toBeNull();
  });
});

describe("what was decided reaches the engine", () => {
  test("at the flush, each task once, from what it was to what it is", async () => {
    const { work, written } = workBench();
    await work.reserveSeqs(1);
    const { state, events, staged } = work.dispatch(null, scheduling("a"));
    work.dispatch(state, cancelling);
    work.append(note);
    expect(written).toEqual([]);
    await work.flush();
    expect(typesIn(written)).toEqual([["TaskScheduled", "TaskCancelled", "noted"]]);
    expect(changesIn(written)).toEqual([["a: nothing > cancelled"]]);
    expect(events.map(({ type }) => type)).toEqual(["TaskScheduled"]);
    expect(staged.map(({ event }) => event.type)).toEqual(["TaskScheduled"]);
    expect(written[0]?.events[2]).toEqual({ ...note, atMs: nowMs });
    await work.flush();
    expect(written).toHaveLength(2);
  });

  test("not at all if nothing was decided", async () => {
    const { work, written } = workBench();
    const waiting = await storedTask("a");
    expect(work.dispatch(waiting, { kind: "resume" })).toEqual({ state: waiting, events: [], staged: [] });
    await work.flush();
    expect(written).toEqual([]);
  });

  test("with positions where somebody asks for them", async () => {
    const { work, written } = workBench();
    await work.reserveSeqs(1);
    const { staged } = work.dispatch(null, scheduling("a"));
    const noted = work.append(note);
    expect(noted.position).toBe(0);
    await work.flushForPositions();
    expect([...staged, noted].map(({ position }) => position)).toEqual([1, 2]);
    expect(typesIn(written)).toEqual([["TaskScheduled", "noted"]]);
    expect(changesIn(written)).toEqual([["a: nothing > waiting"]]);
  });

  test("in slices of 512, with a pause after each if it is time for one", async () => {
    for (const { count, sizes } of [
      { count: 512, sizes: [512] },
      { count: 513, sizes: [512, 1] },
      { count: 1_100, sizes: [512, 512, 76] },
    ]) {
      const { work, written, pauses } = workBench({ spent: true });
      await work.reserveSeqs(count);
      for (let task = 0; task < count; task++) work.dispatch(null, scheduling(`task-${task}`));
      await work.flush();
      expect(typesIn(written).map((types) => types.length)).toEqual(sizes);
      expect(changesIn(written).map((changes) => changes.length)).toEqual(sizes);
      expect(new Set(changesIn(written).flat()).size).toBe(count);
      expect(pauses.count).toBe(2 * sizes.length);
    }
    const hasty = workBench();
    hasty.work.append(note);
    await hasty.work.flush();
    expect(hasty.pauses.count).toBe(0);
  });

  test("and nothing after the end", async () => {
    const { work, written } = workBench();
    work.append(note);
    await work.finish();
    expect(typesIn(written)).toEqual([["noted"]]);
    const closed = expect.objectContaining({ code: "TRANSACTION_CLOSED" }) as Error;
    expect(() => work.append(note)).toThrow(closed);
    expect(() => work.dispatch(null, scheduling("a"))).toThrow(closed);
  });
});

describe("types that became due are told", () => {
  test("due now, not later, and not what is done", async () => {
    const { work } = workBench();
    await work.reserveSeqs(2);
    expect([...work.dueTypes]).toEqual([]);
    const scheduled = scheduling("later");
    if (scheduled.kind !== "schedule") throw new TypeError("no schedule");
    const later = { ...scheduled.definition, schedule: { kind: "one-time", atMs: nowMs + 1 } } as const;
    work.dispatch(null, { ...scheduled, definition: later });
    work.dispatch(await storedTask("a"), cancelling);
    expect([...work.dueTypes]).toEqual([]);
    work.dispatch(null, scheduling("now"));
    expect([...work.dueTypes]).toEqual(["work"]);
  });
});

describe("internal numbers", () => {
  test("are drawn as needed, and none is left out", async () => {
    const { work } = workBench();
    const numberOf = (taskId: string) => work.dispatch(null, scheduling(taskId)).state.seq;
    expect(() => numberOf("a")).toThrow(TypeError);
    await work.reserveSeqs(2);
    expect(numberOf("a")).toBe(1);
    await work.reserveSeqs(1);
    await work.reserveSeqs(2);
    expect([numberOf("b"), numberOf("c")]).toEqual([2, 3]);
    expect(() => numberOf("d")).toThrow(TypeError);
  });

  test("go back with the part of a transaction in which they were drawn", async () => {
    const { work } = workBench();
    await work.reserveSeqs(1);
    const undone = work.attemptNested(async () => {
      await work.reserveSeqs(3);
      throw new Error("no");
    });
    await expect(undone).rejects.toThrow("no");
    expect(() => work.dispatch(null, scheduling("a"))).toThrow(TypeError);
    await work.reserveSeqs(1);
    expect(work.dispatch(null, scheduling("a")).state.seq).toBe(4);
  });
});

describe("what a part staged is undone if it fails", () => {
  const failing = (act: () => void) => (): never => {
    act();
    throw new Error("no");
  };

  test("its events and its states, and nothing of what was there before", async () => {
    const { work, written } = workBench({ stored: [await storedTask("a")] });
    const stored = await work.task("a");
    work.append(note);
    const paused = work.dispatch(stored, { kind: "pause" }).state;
    expect(() =>
      work.attemptNow(
        failing(() => {
          work.dispatch(work.dispatch(paused, { kind: "resume" }).state, cancelling);
          work.append(note);
        }),
      ),
    ).toThrow("no");
    expect(work.loaded("a")).toBe(paused);
    expect(work.loadedBySeq(1)).toBe(paused);
    await work.flush();
    expect(typesIn(written)).toEqual([["noted", "TaskPaused"]]);
    expect(changesIn(written)).toEqual([["a: waiting > waiting"]]);
    expect(written[1]?.changes[0]?.after.paused).toBe(true);
  });

  test("a task that it touched first is as if nobody had touched it", async () => {
    const { work, written } = workBench({ stored: [await storedTask("a")] });
    const stored = await work.task("a");
    const undone = work.attempt(async () => failing(() => work.dispatch(stored, cancelling))());
    await expect(undone).rejects.toThrow("no");
    expect(work.loaded("a")).toBe(stored);
    await work.flush();
    expect(written).toEqual([]);
  });

  test("a task that it made is gone", async () => {
    const { work, written } = workBench();
    await work.reserveSeqs(1);
    expect(await work.task("a")).toBeNull();
    await expect(work.attempt(async () => failing(() => work.dispatch(null, scheduling("a")))())).rejects.toThrow("no");
    expect(work.loaded("a")).toBeNull();
    expect(work.loadedBySeq(1)).toBeNull();
    await work.flush();
    expect(written).toEqual([]);
  });

  test("a task that was known by its number alone is as it was", async () => {
    const { work } = workBench();
    const stored = await storedTask("a");
    expect(() => work.attemptNow(failing(() => work.dispatch(stored, cancelling)))).toThrow("no");
    expect(work.loaded("a")).toBe(stored);
    expect(work.loadedBySeq(1)).toBe(stored);
  });

  test("after it was flushed as well, if the engine undoes it too", async () => {
    const { work, written } = workBench({ stored: [await storedTask("a")] });
    const stored = await work.task("a");
    work.append(note);
    const undone = work.attemptNested(async () => {
      work.dispatch(stored, cancelling);
      await work.flush();
      work.append(note);
      throw new Error("no");
    });
    await expect(undone).rejects.toThrow("no");
    // What came before the part was written before it.
    expect(typesIn(written)).toEqual([["noted"], ["TaskCancelled"]]);
    expect(work.loaded("a")).toBe(stored);
    await work.flush();
    expect(written).toHaveLength(3);
  });

  test("and stays if it succeeds", async () => {
    const { work, written } = workBench();
    expect(work.attemptNow(() => work.append(note).event.type)).toBe("noted");
    expect(await work.attempt(async () => work.append(note).event.type)).toBe("noted");
    expect(await work.attemptNested(async () => work.append(note).event.type)).toBe("noted");
    expect(typesIn(written)).toEqual([["noted", "noted"], ["noted"]]);
  });
});
