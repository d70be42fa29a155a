/** A turn's two units of work: what they record and take, and what they leave for later. */
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/scheduler/executor.ts";
import { HandlerRun, type Result } from "../../src/scheduler/handler-run.ts";
import { recordRuns, takeDue } from "../../src/scheduler/turn.ts";
import type { Work } from "../../src/store/work.ts";
import type { TaskState } from "../../src/tasks/task-state.ts";
import {
  type BenchOptions,
  changesIn,
  nowMs,
  storedTask,
  typesIn,
  type WorkBench,
  workBench,
} from "../store/work-bench.ts";

const instance = 7;
const success: Result = { outcome: { kind: "succeeded" }, event: { type: "done", data: "null" }, writes: null };
const starting = { kind: "start", instance } as const;
const claiming = { kind: "claim", instance } as const;

/** The run of a task that a handler of this process has, begun a second ago. */
function runOf(state: TaskState): HandlerRun {
  if (state.run === null) throw new TypeError("no run");
  const run = { ...state.run, startedAtMs: nowMs - 1_000 };
  const clock = { now: () => nowMs };
  return new HandlerRun({ core: { clock }, state, run } as unknown as ConstructorParameters<typeof HandlerRun>[0]);
}

const recordAll = (bench: WorkBench, reports: readonly Report[], starts: readonly HandlerRun[] = []) =>
  recordRuns(bench.work, { reports, starts, maxLostClaims: 10 });

async function running(options: BenchOptions = {}) {
  const state = await storedTask("a", starting);
  const handlerRun = runOf(state);
  return { handlerRun, bench: workBench({ stored: [state], ...options }) };
}

describe("what has finished is recorded", () => {
  test("with the handler's event before the end of the run", async () => {
    const { bench, handlerRun } = await running();
    const { begun, recorded, held } = await recordAll(bench, [{ handlerRun, result: success }]);
    expect(begun).toEqual([]);
    expect(held).toEqual([]);
    expect(recorded.map((events) => events.map(({ type }) => type))).toEqual([["TaskExecuted"]]);
    await bench.work.flush();
    expect(typesIn(bench.written)).toEqual([["done", "TaskExecuted"]]);
    expect(bench.written[0]?.events[0]).toEqual({
      type: "done",
      data: "null",
      task: 1,
      run: 1,
      meta: null,
      atMs: nowMs,
    });
    expect(changesIn(bench.written)).toEqual([["a: running > completed"]]);
  });

  test("with its start, if only the claim is in the log", async () => {
    const state = await storedTask("a", claiming);
    const bench = workBench({ stored: [state] });
    await recordAll(bench, [{ handlerRun: runOf(state), result: success }]);
    await bench.work.flush();
    expect(typesIn(bench.written)).toEqual([["TaskStarted", "done", "TaskExecuted"]]);
    expect(bench.written[0]?.events[0]?.atMs).toBe(nowMs - 1_000);
  });

  test("and what has only started, by itself", async () => {
    const state = await storedTask("a", claiming);
    const bench = workBench({ stored: [state] });
    const handlerRun = runOf(state);
    expect(await recordAll(bench, [], [handlerRun])).toEqual({ begun: [handlerRun], recorded: [], held: [] });
    await bench.work.flush();
    expect(changesIn(bench.written)).toEqual([["a: claimed > running"]]);
  });

  test("but without its event if the claim is gone", async () => {
    const { handlerRun } = await running();
    const bench = workBench({ stored: [await storedTask("a", starting, { kind: "cancel", reason: "because" })] });
    await recordAll(bench, [{ handlerRun, result: success }]);
    await bench.work.flush();
    expect(typesIn(bench.written)).toEqual([["TaskResultRefused"]]);
  });

  test("and as a release if it failed by being told to stop, but not if it succeeded all the same", async () => {
    const { AzothError } = await import("../../src/errors.ts");
    const failed: Result = {
      outcome: { kind: "failed", error: { code: "HANDLER_FAILED", message: "stopped" }, retry: "backoff" },
      event: null,
      writes: null,
    };
    for (const { code, result, types } of [
      { code: "SHUTTING_DOWN", result: failed, types: ["TaskReleased"] },
      { code: "SHUTTING_DOWN", result: success, types: ["done", "TaskExecuted"] },
      { code: "TASK_CANCELLED", result: failed, types: ["TaskExecuted"] },
    ] as const) {
      const { bench, handlerRun } = await running();
      handlerRun.stop(new AzothError(code, "The test says so."));
      await recordAll(bench, [{ handlerRun, result }]);
      await bench.work.flush();
      expect(typesIn(bench.written)).toEqual([types]);
      if (types[0] === "TaskReleased") {
        expect(bench.written[0]?.events[0]?.data).toContain("The handler stopped at the scheduler's shutdown.");
      }
    }
  });

  test("as a note, if its end is recorded already", async () => {
    const { bench, handlerRun } = await running();
    const settled = { how: "abandoned", afterSignalMs: 5 } as const;
    await recordAll(bench, [{ handlerRun, result: null, settled }]);
    await bench.work.flush();
    expect(typesIn(bench.written)).toEqual([["TaskHandlerSettled"]]);
  });

  test("or not, if there is nothing to tell or no such task", async () => {
    const { bench, handlerRun } = await running();
    expect((await recordAll(bench, [{ handlerRun, result: null }])).recorded).toEqual([[]]);
    const empty = workBench();
    expect((await recordAll(empty, [{ handlerRun, result: success }], [handlerRun])).recorded).toEqual([[]]);
    await bench.work.flush();
    await empty.work.flush();
    expect([...bench.written, ...empty.written]).toEqual([]);
  });

  test("as a failure for good, without its event, if its next occurrence cannot be computed here", async () => {
    const state = await storedTask("a", starting);
    const schedule = { kind: "cron", expression: "@daily", timeZone: "Mars/Olympus" } as const;
    const stored = { ...state, definition: { ...state.definition, schedule } };
    const bench = workBench({ stored: [stored] });
    const { recorded } = await recordAll(bench, [{ handlerRun: runOf(stored), result: success }]);
    expect(recorded[0]?.[0]?.data).toMatchObject({
      success: false,
      then: "disabled",
      error: { code: "INVALID_TIME_ZONE" },
    });
    await bench.work.flush();
    expect(typesIn(bench.written)).toEqual([["TaskExecuted"]]);
    expect(changesIn(bench.written)).toEqual([["a: running > disabled"]]);
  });
});

describe("what another transaction holds waits for a later turn", () => {
  test("ends and starts alike, and nothing of them is recorded", async () => {
    const claimed = await storedTask("a", claiming);
    const bench = workBench({ stored: [claimed], held: [1] });
    const report = { handlerRun: runOf(claimed), result: success };
    expect(await recordAll(bench, [report], [report.handlerRun])).toEqual({
      begun: [],
      recorded: [[]],
      held: [report],
    });
    await bench.work.flush();
    expect(bench.written).toEqual([]);
  });

  test("but no other failure is taken for that", async () => {
    const { bench, handlerRun } = await running();
    await bench.work.finish();
    const closed = { code: "TRANSACTION_CLOSED" };
    await expect(recordAll(bench, [{ handlerRun, result: success }])).rejects.toMatchObject(closed);
    const claimed = await storedTask("a", claiming);
    const ended = workBench({ stored: [claimed] });
    await ended.work.finish();
    await expect(recordAll(ended, [], [runOf(claimed)])).rejects.toMatchObject(closed);
  });
});

describe("what is due is taken", () => {
  const take = (work: Work, slots: { freeSlots: number; ahead: number }) =>
    takeDue(work, { instance, taskTypes: ["work"], ...slots });

  /** Three tasks with numbers of their own. */
  const due = async () =>
    (await Promise.all(["a", "b", "c"].map((id) => storedTask(id)))).map((state, index) => ({
      ...state,
      seq: index + 1,
    }));

  test("as many as there are slots, and the rest claimed ahead", async () => {
    const bench = workBench({ stored: await due() });
    const { started, claimed, lives } = await take(bench.work, { freeSlots: 1, ahead: 1 });
    expect(started.map(({ taskId, phase, run }) => [taskId, phase, run?.instance])).toEqual([
      ["a", "running", instance],
    ]);
    expect(claimed.map(({ taskId, phase }) => [taskId, phase])).toEqual([["b", "claimed"]]);
    expect(lives).toBe(true);
  });

  test("after what was just decided is written: the engine looks at rows", async () => {
    const bench = workBench({ stored: [] });
    bench.work.append({ type: "noted", task: null, run: null, data: "null", meta: null });
    await take(bench.work, { freeSlots: 1, ahead: 0 });
    expect(typesIn(bench.written)).toEqual([["noted"]]);
  });

  test("and nothing without a slot, nor what turns out not to be due", async () => {
    const bench = workBench({ stored: await due() });
    bench.work.append({ type: "noted", task: null, run: null, data: "null", meta: null });
    expect(await take(bench.work, { freeSlots: 0, ahead: 0 })).toEqual({ started: [], claimed: [], lives: true });
    expect(bench.written).toEqual([]);
    const later = { ...(await storedTask("a")), runAtMs: nowMs + 1 };
    expect(await take(workBench({ stored: [later] }).work, { freeSlots: 5, ahead: 5 })).toMatchObject({
      started: [],
      claimed: [],
    });
  });
});

test("each task is a point at which others get their turn, if it is time for that, and only then", async () => {
  for (const { spent, pauses } of [
    { spent: true, pauses: 6 },
    { spent: false, pauses: 0 },
  ]) {
    const claimed = { ...(await storedTask("b", claiming)), seq: 2 };
    const { bench, handlerRun } = await running({ stored: [await storedTask("a", starting), claimed], spent });
    // One for a start, two for an end, and three for the tasks that are taken.
    await recordAll(bench, [{ handlerRun, result: success }], [runOf(claimed)]);
    const waiting = ["c", "d", "e"].map(async (id, index) => ({ ...(await storedTask(id)), seq: index + 3 }));
    const taking = workBench({ stored: await Promise.all(waiting), spent });
    await takeDue(taking.work, { instance, taskTypes: ["work"], freeSlots: 3, ahead: 0 });
    expect(bench.pauses.count + taking.pauses.count).toBe(pauses);
  }
});
