/** The task projection in SQL: rows to states and back. */
import { maxNameLength } from "../../limits.ts";
import {
  type Contradiction,
  type StateCount,
  stateNameOf,
  type TaskChange,
  type TaskQuery,
} from "../../store/engine.ts";
import type { TaskState, TaskStateName } from "../../tasks/task-state.ts";
import {
  allColumns,
  byUrgency,
  type ColumnValue,
  contradictionIn,
  definitionColumns,
  definitionValues,
  phaseNumber,
  phaseOf,
  progressColumns,
  progressValues,
  rowOf,
  shortPage,
  stateOf,
  type TaskRow,
} from "../task-columns.ts";
import { ChunkedInsert } from "./chunked-insert.ts";
import type { Connection, SqliteValue } from "./driver.ts";
import type { Names } from "./names.ts";
import { ProgressUpdates } from "./progress-updates.ts";

const assignments = (columns: readonly string[]) => columns.map((column) => `${column} = ?`).join(", ");
const insertTasks = new ChunkedInsert("azoth_tasks", allColumns);
const insertRebuilt = new ChunkedInsert("azoth_tasks_rebuilt", allColumns);
const updateAll = `UPDATE azoth_tasks SET ${assignments([...definitionColumns, ...progressColumns])} WHERE seq = ?`;
/** What sorts after every id: longer than any, of the last character there is. */
const pastAnyId = "\u{10FFFF}".repeat(maxNameLength);
/** A row as one JSON array: a driver takes several times as long to hand over two dozen columns one by one. */
const selectTasks = `SELECT json_array(${allColumns.join(", ")}) AS columns FROM azoth_tasks`;
/** Payloads longer than this do not come with a page, but by themselves: what many of them take has to be bounded. */
const longPayload = 4_096;
const shortPayload = `iif(length(payload) <= ${longPayload}, payload, NULL)`;
const selectSized = selectTasks.replace("payload", shortPayload);
/** Many rows as one. */
const selectPage = `SELECT json_group_array(json_array(${allColumns.join(", ")})) AS page
  FROM (SELECT * FROM azoth_tasks WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?)`;

/** What a due task's columns hold, where all of them hold the same: so much less for SQLite to write and for us to read. */
const ofDue: Readonly<Record<string, string>> = {
  payload: shortPayload,
  phase: String(phaseNumber("waiting")),
  paused: "0",
  due_at_ms: "run_at_ms",
  run_instance: "NULL",
  run_scheduled_for_ms: "NULL",
  run_attempt: "NULL",
  run_started_at_ms: "NULL",
  run_revision: "NULL",
};
const selectDue = `SELECT json_group_array(json_array(${allColumns.map((column) => ofDue[column] ?? column).join(", ")})) AS page
  FROM (SELECT * FROM azoth_tasks WHERE type = ? AND due_at_ms <= ? ORDER BY due_at_ms, priority DESC, seq LIMIT ?)`;

function decoded({ columns }: { readonly columns: string }): TaskRow {
  return rowOf(JSON.parse(columns) as (string | number | null)[]);
}

/** Running tasks as the writer last saved them, by internal number: valid until another connection writes. */
export type RunningTasks = Map<number, TaskState>;

export class TaskRows {
  readonly #connection: Connection;
  readonly #names: Names;
  readonly #running: RunningTasks;

  constructor(connection: Connection, names: Names, running: RunningTasks = new Map()) {
    this.#connection = connection;
    this.#names = names;
    this.#running = running;
  }

  save(changes: readonly TaskChange[]): void {
    const added: SqliteValue[][] = [];
    const updates = new ProgressUpdates();
    for (const { before, after } of changes) {
      if (after.run === null) this.#running.delete(after.seq);
      else this.#running.set(after.seq, after);
      if (before === null) {
        added.push(this.#row(after));
      } else if (before.revision === after.revision) {
        updates.add(before, after);
      } else {
        this.#connection.run(updateAll, ...this.#definition(after), ...progressValues(after), after.seq);
      }
    }
    updates.run(this.#connection);
    insertTasks.run(this.#connection, added);
  }

  /** Puts states into the copy of a rebuild, in the place of earlier ones of the same tasks. */
  saveRebuilt(states: readonly TaskState[]): void {
    const seqs = JSON.stringify(states.map(({ seq }) => seq));
    this.#connection.run("DELETE FROM azoth_tasks_rebuilt WHERE seq IN (SELECT value FROM json_each(?))", seqs);
    insertRebuilt.run(
      this.#connection,
      states.map((state) => this.#row(state)),
    );
  }

  byId(taskId: string): TaskState | null {
    return this.#one(`${selectTasks} WHERE id = ?`, taskId);
  }

  bySeq(seq: number): TaskState | null {
    return this.#running.get(seq) ?? this.#one(`${selectTasks} WHERE seq = ?`, seq);
  }

  /** The tasks of a range, and what their rows hold beside the states and hold wrongly. */
  between(fromSeq: number, toSeq: number, limit: number): { rows: TaskState[]; contradictions: Contradiction[] } {
    const rows: TaskState[] = [];
    const contradictions: Contradiction[] = [];
    const found = this.#connection.get<{ page: string }>(selectPage, fromSeq, toSeq, limit)?.page ?? "[]";
    for (const row of (JSON.parse(found) as ColumnValue[][]).map(rowOf)) {
      const state = this.#state(row);
      rows.push(state);
      const found = contradictionIn(row, state);
      if (found !== undefined) contradictions.push(found);
    }
    return { rows, contradictions };
  }

  /** Waiting tasks of these types that are due, by due time, then priority, then age. */
  due(taskTypes: readonly string[], nowMs: number, limit: number): TaskState[] {
    // Type by type: each is one short walk of the index, however many tasks of other types are overdue.
    const found = this.#typeIds(taskTypes).flatMap((type) => {
      const page = this.#connection.get<{ page: string }>(selectDue, type, nowMs, limit)?.page ?? "[]";
      return (JSON.parse(page) as ColumnValue[][]).map((values) => this.#state(rowOf(values)));
    });
    if (taskTypes.length > 1) found.sort(byUrgency);
    return this.#withPayloads(found.slice(0, limit));
  }

  nextDueAt(taskTypes: readonly string[]): number | null {
    const sql = "SELECT min(due_at_ms) AS at FROM azoth_tasks WHERE type = ? AND due_at_ms IS NOT NULL";
    let earliest: number | null = null;
    for (const type of this.#typeIds(taskTypes)) {
      const at = this.#connection.get<{ at: number | null }>(sql, type)?.at ?? null;
      if (at !== null && (earliest === null || at < earliest)) earliest = at;
    }
    return earliest;
  }

  overdueOfOtherTypes(taskTypes: readonly string[], nowMs: number): { taskType: string; count: number }[] {
    // Hops from type to type in the due index instead of walking it.
    const types = `WITH RECURSIVE hop (type) AS (
        SELECT min(type) FROM azoth_tasks WHERE due_at_ms IS NOT NULL
        UNION ALL
        SELECT (SELECT min(type) FROM azoth_tasks WHERE due_at_ms IS NOT NULL AND type > hop.type)
        FROM hop WHERE hop.type IS NOT NULL
      ) SELECT type FROM hop WHERE type IS NOT NULL`;
    const counted = `SELECT count(*) AS count FROM (
        SELECT 1 FROM azoth_tasks WHERE type = ? AND due_at_ms <= ? LIMIT 1000)`;
    return this.#connection
      .all<{ type: number }>(types)
      .map(({ type }) => ({
        taskType: this.#names.nameOf(this.#connection, type),
        count: this.#connection.get<{ count: number }>(counted, type, nowMs)?.count ?? 0,
      }))
      .filter(({ taskType, count }) => count > 0 && !taskTypes.includes(taskType));
  }

  runBy(instance: number, limit: number): TaskState[] {
    return this.#many(`${selectTasks} WHERE run_instance = ? ORDER BY seq LIMIT ?`, instance, limit);
  }

  runsOf(instance: number): { seq: number; run: number }[] {
    return this.#connection.all("SELECT seq, runs AS run FROM azoth_tasks WHERE run_instance = ?", instance);
  }

  find(query: TaskQuery): TaskState[] {
    const conditions = ["seq > ?"];
    const parameters: SqliteValue[] = [query.afterSeq];
    const add = (condition: string, ...values: SqliteValue[]) => {
      conditions.push(condition);
      parameters.push(...values);
    };
    if (query.states !== undefined) add(`(${query.states.map(stateCondition).join(" OR ") || "0"})`);
    if (query.enabled !== undefined) add(`${query.enabled ? "" : "NOT "}(phase IN (0, 1, 5) AND paused = 0)`);
    if (query.taskType !== undefined) add("type = ?", this.#names.find(this.#connection, query.taskType) ?? -1);
    if (query.dueFromMs !== undefined) add("due_at_ms >= ?", query.dueFromMs);
    if (query.dueUntilMs !== undefined) add("due_at_ms < ?", query.dueUntilMs);
    // A range instead of LIKE: it needs no escapes, and uses the index.
    if (query.idPrefix !== undefined) add("id >= ? AND id < ?", query.idPrefix, `${query.idPrefix}${pastAnyId}`);
    const sql = `${selectSized} WHERE ${conditions.join(" AND ")} ORDER BY seq LIMIT ?`;
    return this.#withPayloads(this.#many(sql, ...parameters, query.limit));
  }

  count(): StateCount[] {
    const sql = "SELECT phase, paused, count(*) AS count FROM azoth_tasks GROUP BY phase, paused";
    return this.#connection.all<{ phase: number; paused: number; count: number }>(sql).map((row) => ({
      state: stateNameOf({ phase: phaseOf(row.phase), paused: row.paused === 1 }),
      count: row.count,
    }));
  }

  /** Of tasks that were read without their payloads, if these are long. */
  #withPayloads(tasks: readonly TaskState[]): TaskState[] {
    const sql = "SELECT payload FROM azoth_tasks WHERE seq = ?";
    const stored = (seq: number) => this.#connection.get<{ payload: string }>(sql, seq)?.payload ?? "null";
    return shortPage(tasks, ({ seq, payload }) => payload ?? stored(seq));
  }

  #typeIds(taskTypes: readonly string[]): number[] {
    return taskTypes.map((type) => this.#names.find(this.#connection, type)).filter((id) => id !== undefined);
  }

  #one(sql: string, ...parameters: SqliteValue[]): TaskState | null {
    const row = this.#connection.get<{ columns: string }>(sql, ...parameters);
    return row === undefined ? null : this.#state(decoded(row));
  }

  #many(sql: string, ...parameters: SqliteValue[]): TaskState[] {
    return this.#connection.all<{ columns: string }>(sql, ...parameters).map((row) => this.#state(decoded(row)));
  }

  #row(state: TaskState): SqliteValue[] {
    return [state.seq, ...this.#definition(state), ...progressValues(state)];
  }

  #definition(state: TaskState): SqliteValue[] {
    return definitionValues(state, this.#names.intern(this.#connection, state.taskType));
  }

  #state(row: TaskRow): TaskState {
    return stateOf(row, this.#names.nameOf(this.#connection, row.type as number));
  }
}

function stateCondition(name: TaskStateName): string {
  if (name === "waiting") return "(phase = 0 AND paused = 0)";
  if (name === "paused") return "(phase = 0 AND paused = 1)";
  return `phase = ${phaseNumber(name)}`;
}
