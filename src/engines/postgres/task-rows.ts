/** The task projection in SQL: rows to states and back. */
import {
  type Contradiction,
  type LockedTasks,
  type StateCount,
  stateNameOf,
  type TaskChange,
  type TaskQuery,
  WriteCollision,
} from "../../store/engine.ts";
import type { TaskState, TaskStateName } from "../../tasks/task-state.ts";
import {
  allColumns,
  byUrgency,
  type ColumnValue,
  contradictionIn,
  definitionValues,
  phaseNumber,
  phaseOf,
  progressColumns,
  progressValues,
  rowOf,
  stateOf,
} from "../task-columns.ts";
import { numbers, texts } from "./arrays.ts";
import type { Names } from "./names.ts";
import type { Session } from "./session.ts";

/** Columns that are no whole numbers. */
const textColumns: ReadonlySet<string> = new Set(["id", "definition", "payload"]);
const jsonColumns: ReadonlySet<string> = new Set(["definition", "payload"]);

/** `unnest` of one array for each column, as a table with the columns' names. */
function unnested(columns: readonly string[]): string {
  const arrays = columns.map((column, index) => `$${index + 1}::${textColumns.has(column) ? "text" : "bigint"}[]`);
  return `unnest(${arrays.join(", ")}) AS new (${columns.join(", ")})`;
}

/** One array for each column. */
function arraysOf(columns: readonly string[], rows: readonly (readonly ColumnValue[])[]): string[] {
  return columns.map((column, index) => {
    const values = rows.map((row) => row[index] ?? null);
    return textColumns.has(column) ? texts(values as (string | null)[]) : numbers(values as (number | null)[]);
  });
}

/** JSON as its text, whatever the connection makes of JSON. */
const selected = (column: string): string => `t.${column}${jsonColumns.has(column) ? `::text AS ${column}` : ""}`;
const casted = (column: string): string => (jsonColumns.has(column) ? `new.${column}::json` : `new.${column}`);
const assignments = (columns: readonly string[]): string =>
  columns.map((column) => `${column} = ${casted(column)}`).join(", ");

const progressUpdate = ["seq", ...progressColumns];

export class TaskRows {
  readonly #session: Session;
  readonly #schema: string;
  readonly #names: Names;
  readonly #select: string;
  readonly #inUsersTransaction: boolean;

  /** @param inUsersTransaction whether a failing statement would void work that is not ours */
  constructor(session: Session, schema: string, names: Names, inUsersTransaction: boolean = false) {
    this.#inUsersTransaction = inUsersTransaction;
    this.#session = session;
    this.#schema = schema;
    this.#names = names;
    this.#select = `SELECT ${allColumns.map(selected).join(", ")} FROM ${schema}.azoth_tasks t`;
  }

  /** Resolves as soon as the rows are sent. `saved` rejects if another transaction has stored a task with the same id. */
  async send(changes: readonly TaskChange[]): Promise<{ readonly saved: Promise<unknown> }> {
    await this.#names.intern(changes.map(({ after }) => after.taskType));
    const added = changes.filter(({ before }) => before === null).map(({ after }) => after);
    const redefined = changes.filter(({ before, after }) => before !== null && before.revision !== after.revision);
    const moved = changes.filter(({ before, after }) => before !== null && before.revision === after.revision);
    const saved = Promise.all([
      this.#insert("azoth_tasks", added),
      this.#update(
        allColumns,
        redefined.map(({ after }) => this.#row(after)),
      ),
      this.#update(
        progressUpdate,
        moved.map(({ after }) => [after.seq, ...progressValues(after)]),
      ),
    ]);
    return { saved };
  }

  /** Puts states into the copy of a rebuild, in the place of earlier ones of the same tasks. */
  async saveRebuilt(states: readonly TaskState[]): Promise<void> {
    await this.#names.intern(states.map(({ taskType }) => taskType));
    const seqs = numbers(states.map(({ seq }) => seq));
    await this.#session.run(`DELETE FROM ${this.#schema}.azoth_tasks_rebuilt WHERE seq = ANY($1)`, [seqs]);
    await this.#insert("azoth_tasks_rebuilt", states);
  }

  /** Puts the copy of a rebuild in the place of what is there, row by row and only what differs. */
  async replaceByRebuilt(): Promise<void> {
    const live = `${this.#schema}.azoth_tasks`;
    const rebuilt = `${this.#schema}.azoth_tasks_rebuilt`;
    const ofRow = (table: string) =>
      `(${allColumns.map((column) => `${table}.${column}${jsonColumns.has(column) ? "::text" : ""}`).join(", ")})`;
    const wrong = `${ofRow("t")} IS DISTINCT FROM ${ofRow("r")}`;
    // Deleted and inserted, not updated: ids may have moved from one row to another.
    await this.#session.run(
      `DELETE FROM ${live} t WHERE NOT EXISTS (SELECT 1 FROM ${rebuilt} r WHERE r.seq = t.seq AND NOT (${wrong}))`,
    );
    await this.#session.run(
      `INSERT INTO ${live} SELECT r.* FROM ${rebuilt} r WHERE NOT EXISTS (SELECT 1 FROM ${live} t WHERE t.seq = r.seq)`,
    );
  }

  async byId(taskId: string): Promise<TaskState | null> {
    return (await this.#many(`${this.#select} WHERE t.id = $1`, [taskId]))[0] ?? null;
  }

  /** The tasks with these keys, locked; without patience, those of other transactions are passed over and named. */
  async lock<Key extends string | number>(
    column: "id" | "seq" | "run_instance",
    keys: readonly Key[],
    { patient, limit = Number.MAX_SAFE_INTEGER }: { readonly patient: boolean; readonly limit?: number },
  ): Promise<LockedTasks<Key>> {
    if (keys.length === 0) return { tasks: [], held: [] };
    const array = column === "id" ? texts(keys as readonly string[]) : numbers(keys as readonly number[]);
    const wanted = `t.${column} = ANY($1)`;
    // By number, so that patient transactions lock in one order and never wait for each other in a ring.
    const lock = `FOR UPDATE${patient ? "" : " SKIP LOCKED"}`;
    const tasks = await this.#many(`${this.#select} WHERE ${wanted} ORDER BY t.seq LIMIT ${limit} ${lock}`, [array]);
    if (patient || tasks.length === limit) return { tasks, held: [] };
    const isComplete = column !== "run_instance" && tasks.length === keys.length;
    if (isComplete) return { tasks, held: [] };
    const key = column === "id" ? "id" : "seq";
    const there = await this.#session.rows(`SELECT ${key} FROM ${this.#schema}.azoth_tasks t WHERE ${wanted}`, [array]);
    const locked = new Set<unknown>(tasks.map(({ taskId, seq }) => (column === "id" ? taskId : seq)));
    return { tasks, held: there.map(([found]) => found as Key).filter((found) => !locked.has(found)) };
  }

  /** Waiting tasks of these types that are due, locked, by due time, then priority, then age. */
  async lockDue(taskTypes: readonly string[], nowMs: number, limit: number): Promise<TaskState[]> {
    const types = await this.#names.find(taskTypes);
    if (types.length === 0) return [];
    // Type by type: each is one short walk of the index, however many tasks of other types are overdue.
    const ofType = (type: string) =>
      `${this.#select} WHERE t.type = ${type} AND t.due_at_ms <= $1
       ORDER BY t.due_at_ms, t.priority DESC, t.seq LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
    if (types.length === 1) return await this.#many(ofType("$2"), [nowMs, types[0]]);
    const sql = `SELECT found.* FROM unnest($2::int[]) AS wanted (type)
      CROSS JOIN LATERAL (${ofType("wanted.type")}) AS found`;
    const found = await this.#many(sql, [nowMs, numbers(types)]);
    return found.toSorted(byUrgency).slice(0, limit);
  }

  async nextDueAt(taskTypes: readonly string[]): Promise<number | null> {
    const types = await this.#names.find(taskTypes);
    if (types.length === 0) return null;
    const sql = `SELECT min(earliest.due_at_ms) FROM unnest($1::int[]) AS wanted (type)
      CROSS JOIN LATERAL (
        SELECT t.due_at_ms FROM ${this.#schema}.azoth_tasks t
        WHERE t.type = wanted.type AND t.due_at_ms IS NOT NULL ORDER BY t.due_at_ms LIMIT 1
      ) AS earliest`;
    const [row] = await this.#session.rows(sql, [numbers(types)]);
    return row?.[0] as number | null;
  }

  async overdueOfOtherTypes(
    taskTypes: readonly string[],
    nowMs: number,
  ): Promise<{ taskType: string; count: number }[]> {
    const tasks = `${this.#schema}.azoth_tasks`;
    // Hops from type to type in the due index instead of walking it.
    const sql = `WITH RECURSIVE hop (type) AS (
        SELECT min(type) FROM ${tasks} WHERE due_at_ms IS NOT NULL
        UNION ALL
        SELECT (SELECT min(type) FROM ${tasks} WHERE due_at_ms IS NOT NULL AND type > hop.type)
        FROM hop WHERE hop.type IS NOT NULL
      )
      SELECT n.name, (
        SELECT count(*) FROM (SELECT 1 FROM ${tasks} WHERE type = hop.type AND due_at_ms <= $1 LIMIT 1000) AS counted
      ) FROM hop JOIN ${this.#schema}.azoth_names n ON n.id = hop.type ORDER BY n.id`;
    const rows = (await this.#session.rows(sql, [nowMs])) as [string, number][];
    return rows
      .map(([taskType, count]) => ({ taskType, count }))
      .filter(({ taskType, count }) => count > 0 && !taskTypes.includes(taskType));
  }

  async runsOf(instance: number): Promise<{ seq: number; run: number }[]> {
    const sql = `SELECT seq, runs FROM ${this.#schema}.azoth_tasks WHERE run_instance = $1`;
    return (await this.#session.rows(sql, [instance])).map(([seq, run]) => ({
      seq: seq as number,
      run: run as number,
    }));
  }

  async find(query: TaskQuery): Promise<TaskState[]> {
    const values: unknown[] = [query.afterSeq];
    const conditions = ["t.seq > $1"];
    const add = (condition: (placeholder: string) => string, value: unknown) => {
      values.push(value);
      conditions.push(condition(`$${values.length}`));
    };
    if (query.states !== undefined) conditions.push(`(${query.states.map(stateCondition).join(" OR ") || "false"})`);
    if (query.enabled !== undefined) {
      conditions.push(`${query.enabled ? "" : "NOT "}(t.phase IN (0, 1, 5) AND t.paused = 0)`);
    }
    if (query.taskType !== undefined) {
      add((type) => `t.type = ANY(${type})`, numbers(await this.#names.find([query.taskType])));
    }
    if (query.dueFromMs !== undefined) add((at) => `t.due_at_ms >= ${at}`, query.dueFromMs);
    if (query.dueUntilMs !== undefined) add((at) => `t.due_at_ms < ${at}`, query.dueUntilMs);
    if (query.idPrefix !== undefined) add((prefix) => `starts_with(t.id, ${prefix})`, query.idPrefix);
    const sql = `${this.#select} WHERE ${conditions.join(" AND ")} ORDER BY t.seq LIMIT ${query.limit}`;
    return await this.#many(sql, values);
  }

  async count(): Promise<StateCount[]> {
    const sql = `SELECT phase, paused, count(*) FROM ${this.#schema}.azoth_tasks GROUP BY phase, paused`;
    return ((await this.#session.rows(sql)) as [number, number, number][]).map(([phase, paused, count]) => ({
      state: stateNameOf({ phase: phaseOf(phase), paused: paused === 1 }),
      count,
    }));
  }

  /** The tasks of a range, and what their rows hold beside the states and hold wrongly. */
  async between(
    fromSeq: number,
    toSeq: number,
    limit: number,
  ): Promise<{ rows: TaskState[]; contradictions: Contradiction[] }> {
    const sql = `${this.#select} WHERE t.seq BETWEEN $1 AND $2 ORDER BY t.seq LIMIT $3`;
    const values = await this.#session.rows(sql, [fromSeq, toSeq, limit]);
    const found = values.map((each) => rowOf(each as ColumnValue[]));
    await this.#names.learn(found.map(({ type }) => type as number));
    const rows = found.map((row) => stateOf(row, this.#names.nameOf(row.type as number)));
    const contradictions = found.map((row, index) => contradictionIn(row, rows[index] as TaskState));
    return { rows, contradictions: contradictions.filter((found) => found !== undefined) };
  }

  async #insert(table: string, states: readonly TaskState[]): Promise<void> {
    if (states.length === 0) return;
    const rows = states.map((state) => this.#row(state));
    // A task with the same id may be on its way in another transaction: this waits for its end, and then fails by it.
    const orNothing = this.#inUsersTransaction ? " ON CONFLICT DO NOTHING" : "";
    const sql = `INSERT INTO ${this.#schema}.${table} (${allColumns.join(", ")})
      SELECT ${allColumns.map(casted).join(", ")} FROM ${unnested(allColumns)} ORDER BY new.id${orNothing}`;
    const inserted = await this.#session.run(sql, arraysOf(allColumns, rows));
    if (inserted < rows.length) throw new WriteCollision("Another transaction has stored a task with the same id.");
  }

  async #update(columns: readonly string[], rows: readonly (readonly ColumnValue[])[]): Promise<void> {
    if (rows.length === 0) return;
    const sql = `UPDATE ${this.#schema}.azoth_tasks t SET ${assignments(columns.slice(1))}
      FROM ${unnested(columns)} WHERE t.seq = new.seq`;
    await this.#session.run(sql, arraysOf(columns, rows));
  }

  async #many(sql: string, values: readonly unknown[]): Promise<TaskState[]> {
    const rows = (await this.#session.rows(sql, values)).map((row) => rowOf(row as ColumnValue[]));
    await this.#names.learn(rows.map(({ type }) => type as number));
    return rows.map((row) => stateOf(row, this.#names.nameOf(row.type as number)));
  }

  #row(state: TaskState): ColumnValue[] {
    return [state.seq, ...definitionValues(state, this.#names.idOf(state.taskType)), ...progressValues(state)];
  }
}

function stateCondition(name: TaskStateName): string {
  if (name === "waiting") return "(t.phase = 0 AND t.paused = 0)";
  if (name === "paused") return "(t.phase = 0 AND t.paused = 1)";
  return `t.phase = ${phaseNumber(name)}`;
}
