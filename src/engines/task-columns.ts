/** The columns of a task's row, the same in each database, and the state that they hold. */
import { AzothError, quote } from "../errors.ts";
import {
  type Contradiction,
  decodeDefinition,
  dueAtMs,
  encodeDefinition,
  type TaskLogPage,
  type TaskLogQuery,
} from "../store/engine.ts";
import { taskPageCharacters } from "../limits.ts";
import type { Phase, Run, TaskDefinition, TaskState } from "../tasks/task-state.ts";

export type ColumnValue = string | number | null;
export type TaskRow = Readonly<Record<string, ColumnValue>>;

/** Stored numbers of the phases: part of the format. */
const phases: readonly Phase[] = ["waiting", "running", "completed", "disabled", "cancelled", "claimed"];

export const definitionColumns: readonly string[] = [
  "id",
  "type",
  "revision",
  "priority",
  "definition",
  "payload",
  "anchor_ms",
  "created_at_ms",
];
export const progressColumns: readonly string[] = [
  "phase",
  "paused",
  "scheduled_for_ms",
  "run_at_ms",
  "due_at_ms",
  "last_scheduled_for_ms",
  "retry_count",
  "lost_claims",
  "runs",
  "run_instance",
  "run_scheduled_for_ms",
  "run_attempt",
  "run_started_at_ms",
  "run_revision",
  "updated_at_ms",
];
export const allColumns: readonly string[] = ["seq", ...definitionColumns, ...progressColumns];

/** The values of `definitionColumns`; `type` is the number of the task's type. */
export function definitionValues(state: TaskState, type: number): ColumnValue[] {
  return [
    state.taskId,
    type,
    state.revision,
    state.definition.priority,
    encodeDefinition(state.definition),
    state.payload,
    state.anchorMs,
    state.createdAtMs,
  ];
}

/** The values of `progressColumns`. */
export function progressValues(state: TaskState): ColumnValue[] {
  const { run } = state;
  return [
    phases.indexOf(state.phase),
    state.paused ? 1 : 0,
    state.scheduledForMs,
    state.runAtMs,
    dueAtMs(state),
    state.lastScheduledForMs,
    state.retryCount,
    state.lostClaims,
    state.runs,
    run?.instance ?? null,
    run?.scheduledForMs ?? null,
    run?.attempt ?? null,
    run?.startedAtMs ?? null,
    run?.revision ?? null,
    state.updatedAtMs,
  ];
}

/**
 * The columns of a row, in the order of `allColumns`, by name. One by one, because an object that is built in a loop is
 * slow to build and slow to read, and rows are many.
 */
export function rowOf(values: readonly (ColumnValue | undefined)[]): TaskRow {
  return {
    seq: values[0] ?? null,
    id: values[1] ?? null,
    type: values[2] ?? null,
    revision: values[3] ?? null,
    priority: values[4] ?? null,
    definition: values[5] ?? null,
    payload: values[6] ?? null,
    anchor_ms: values[7] ?? null,
    created_at_ms: values[8] ?? null,
    phase: values[9] ?? null,
    paused: values[10] ?? null,
    scheduled_for_ms: values[11] ?? null,
    run_at_ms: values[12] ?? null,
    due_at_ms: values[13] ?? null,
    last_scheduled_for_ms: values[14] ?? null,
    retry_count: values[15] ?? null,
    lost_claims: values[16] ?? null,
    runs: values[17] ?? null,
    run_instance: values[18] ?? null,
    run_scheduled_for_ms: values[19] ?? null,
    run_attempt: values[20] ?? null,
    run_started_at_ms: values[21] ?? null,
    run_revision: values[22] ?? null,
    updated_at_ms: values[23] ?? null,
  };
}

/** @throws AzothError STORE_CORRUPT if the definition cannot be read */
export function stateOf(row: TaskRow, taskType: string): TaskState {
  return {
    seq: row.seq as number,
    taskId: row.id as string,
    taskType,
    phase: phaseOf(row.phase as number),
    paused: row.paused === 1,
    revision: row.revision as number,
    definition: definitionOf(row),
    payload: row.payload as string,
    anchorMs: row.anchor_ms as number,
    scheduledForMs: row.scheduled_for_ms as number | null,
    runAtMs: row.run_at_ms as number | null,
    lastScheduledForMs: row.last_scheduled_for_ms as number | null,
    retryCount: row.retry_count as number,
    lostClaims: row.lost_claims as number,
    runs: row.runs as number,
    run: runOf(row),
    createdAtMs: row.created_at_ms as number,
    updatedAtMs: row.updated_at_ms as number,
  };
}

export function phaseOf(stored: number): Phase {
  return phases[stored] ?? "disabled";
}

/** The stored number of a phase. */
export function phaseNumber(phase: Phase): number {
  return phases.indexOf(phase);
}

/** Columns whose values follow from the state. */
const followingColumns: readonly string[] = ["priority", ...progressColumns];

/** The first column of a row that is not what its state makes it. */
export function contradictionIn(row: TaskRow, state: TaskState): Contradiction | undefined {
  const expected = [state.definition.priority, ...progressValues(state)];
  const index = expected.findIndex((value, at) => value !== row[followingColumns[at] as string]);
  const column = followingColumns[index];
  if (column === undefined) return undefined;
  const { seq, taskId } = state;
  return { seq, taskId, field: fieldOf(column), expected: expected[index], stored: row[column] };
}

/** In the order in which due tasks are taken: by due time, then priority, then age. */
export function byUrgency(left: TaskState, right: TaskState): number {
  return (
    (left.runAtMs ?? 0) - (right.runAtMs ?? 0) ||
    right.definition.priority - left.definition.priority ||
    left.seq - right.seq
  );
}

function definitionOf(row: TaskRow): TaskDefinition {
  try {
    return decodeDefinition(row.definition as string);
  } catch (cause) {
    const message = `The definition of task ${quote(row.id)} is damaged. Restore a backup, or rebuild the tasks from the log.`;
    throw new AzothError("STORE_CORRUPT", message, { cause, details: { taskId: row.id, field: "definition" } });
  }
}

function runOf(row: TaskRow): Run | null {
  if (row.run_instance === null) return null;
  return {
    number: row.runs as number,
    scheduledForMs: row.run_scheduled_for_ms as number,
    attempt: row.run_attempt as number,
    startedAtMs: row.run_started_at_ms as number,
    instance: row.run_instance as number,
    revision: row.run_revision as number,
  };
}

/** What a column says, by the name of the state's field. */
function fieldOf(column: string): string {
  if (column.startsWith("run_") && column !== "run_at_ms") return "run";
  return column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The rows that go with a page of the log by tasks: from which number to which, and how many at the most. Each event
 * explains one row at the most, and what was read before explains one: among two more there is one that nothing explains.
 */
export function completeTasks({ after, toSeq, limit }: TaskLogQuery, { next }: TaskLogPage): [number, number, number] {
  return [after.seq, next === null ? toSeq : next.seq - 1, limit + 2];
}

/** The tasks up to where their payloads become long: the first of them, whatever it has. */
export function shortPage(tasks: readonly TaskState[], payloadOf: (task: TaskState) => string): TaskState[] {
  const page: TaskState[] = [];
  let characters = 0;
  for (const task of tasks) {
    if (characters >= taskPageCharacters) break;
    const payload = payloadOf(task);
    characters += payload.length;
    page.push(payload === task.payload ? task : { ...task, payload });
  }
  return page;
}
