/** A task's row: back and forth without loss, and each column that says something else than its state is found. */
import { describe, expect, test } from "vitest";
import {
  allColumns,
  byUrgency,
  type ColumnValue,
  contradictionIn,
  definitionColumns,
  definitionValues,
  progressColumns,
  progressValues,
  rowOf,
  stateOf,
} from "../../src/engines/task-columns.ts";
import type { TaskState } from "../../src/tasks/task-state.ts";
import { storedTask } from "../store/work-bench.ts";

const valuesOf = (state: TaskState): ColumnValue[] => [
  state.seq,
  ...definitionValues(state, 5),
  ...progressValues(state),
];
const phases = ["waiting", "claimed", "running", "completed", "disabled", "cancelled"] as const;

test("a state comes back from its row, in every phase", async () => {
  const running = await storedTask("a", { kind: "start", instance: 7 });
  for (const phase of phases) {
    for (const run of [running.run, null]) {
      const state = {
        ...running,
        phase,
        run,
        runAtMs: 9,
        scheduledForMs: 8,
        retryCount: 2,
        lostClaims: 3,
        paused: run === null,
      };
      const row = rowOf(valuesOf(state));
      expect(Object.keys(row)).toEqual(allColumns);
      expect(stateOf(row, "work")).toEqual(state);
      expect(contradictionIn(row, state)).toBeUndefined();
    }
  }
});

test("the columns are those of the definition and those of the progress", () => {
  expect(allColumns).toEqual(["seq", ...definitionColumns, ...progressColumns]);
});

test("what a row lacks is null", () => {
  expect(Object.values(rowOf([])).every((value) => value === null)).toBe(true);
});

describe("a column that contradicts the state is found, and named as the state names it", () => {
  test.each([
    ["priority", "priority"],
    ["phase", "phase"],
    ["paused", "paused"],
    ["scheduled_for_ms", "scheduledForMs"],
    ["run_at_ms", "runAtMs"],
    ["due_at_ms", "dueAtMs"],
    ["last_scheduled_for_ms", "lastScheduledForMs"],
    ["retry_count", "retryCount"],
    ["lost_claims", "lostClaims"],
    ["runs", "runs"],
    ["run_instance", "run"],
    ["run_scheduled_for_ms", "run"],
    ["run_attempt", "run"],
    ["run_started_at_ms", "run"],
    ["run_revision", "run"],
    ["updated_at_ms", "updatedAtMs"],
  ])("%s", async (column, field) => {
    const state = await storedTask("a", { kind: "start", instance: 7 });
    const row = rowOf(valuesOf(state));
    expect(contradictionIn({ ...row, [column]: -1 }, state)).toEqual({
      seq: state.seq,
      taskId: "a",
      field,
      expected: row[column],
      stored: -1,
    });
  });
});

test("a definition that cannot be read is told with its task", async () => {
  const row = { ...rowOf(valuesOf(await storedTask("a"))), definition: "{" };
  expect(() => stateOf(row, "work")).toThrow(
    expect.objectContaining({
      code: "STORE_CORRUPT",
      details: { taskId: "a", field: "definition" },
      cause: expect.any(SyntaxError) as Error,
    }),
  );
});

test("the order of urgency: due time, then priority, then age", async () => {
  const state = await storedTask("a");
  const task = (taskId: string, runAtMs: number | null, priority: number, seq: number): TaskState => ({
    ...state,
    taskId,
    seq,
    runAtMs,
    definition: { ...state.definition, priority },
  });
  const sorted = [
    task("d", 2, 9, 1),
    task("c", 1, 1, 4),
    task("b", 1, 1, 3),
    task("a", 1, 5, 9),
    task("z", null, 0, 8),
  ];
  expect(sorted.toSorted(byUrgency).map(({ taskId }) => taskId)).toEqual(["z", "a", "b", "c", "d"]);
});
