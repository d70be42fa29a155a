/** The task projection in SQL: rows to states and back. */
import { taskPageCharacters } from "../../limits.ts";
import {
  type Contradiction,
  dueAtMs,
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
  shortPage,
  stateOf,
} from "../task-columns.ts";
import { numbers, texts } from "./arrays.ts";
import { batchOfRows, insertion } from "./batch.ts";
import type { HeldRuns } from "./held-runs.ts";
import type { Names } from "./names.ts";
import type { Plan, Session } from "./session.ts";

const jsonColumns: ReadonlySet<string> = new Set(["definition", "payload"]);

/** JSON as its text, whatever the connection makes of JSON. */
const selected = (column: string): string => `t.${column}${jsonColumns.has(column) ? `::text AS ${column}` : ""}`;

/** Payloads that take more bytes than this, as they are stored, do not come with a page, but apart: what many take has to be bounded. */
const longPayload = 4_096;
const selectedShort = (column: string): string =>
  column === "payload"
    ? `CASE WHEN pg_column_size(t.payload) <= ${longPayload} THEN t.payload::text END`
    : selected(column);

const progressUpdate = ["seq", ...progressColumns];

/** The tables of what is due and of what is being run: their rows follow from the tasks'. */
interface Derived {
  readonly table: string;
  readonly columns: readonly string[];
  /** The first so many columns tell one row from the other. */
  readonly keyColumns: number;
}
const dueTable: Derived = { table: "azoth_due", columns: ["seq", "due_at_ms", "type", "priority"], keyColumns: 1 };
const runsTable: Derived = { table: "azoth_runs", columns: ["seq", "run_instance"], keyColumns: 2 };
const sameIn = (columns: readonly string[], alias: string): string =>
  columns.map((column) => `${alias}.${column} = t.${column}`).join(" AND ");

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
    await this.#names.intern(
      changes.flatMap(({ before, after }) => [before?.taskType ?? after.taskType, after.taskType]),
    );
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
      this.#sendDue(changes),
      this.#sendRuns(changes),
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
    for (const [{ table, columns }, key] of [
      [dueTable, "due_at_ms"],
      [runsTable, "run_instance"],
    ] as const) {
      const derived = `${this.#schema}.${table}`;
      const same = sameIn(columns, "d");
      await this.#session.run(`DELETE FROM ${derived} d WHERE NOT EXISTS (SELECT 1 FROM ${live} t WHERE ${same})`);
      await this.#session.run(
        `INSERT INTO ${derived} (${columns.join(", ")}) SELECT ${columns.map(selected).join(", ")} FROM ${live} t
         WHERE t.${key} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${derived} d WHERE ${same})`,
      );
    }
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
    // What an instance runs is true of the task itself when it is locked.
    const runs = `JOIN ${this.#schema}.azoth_runs r ON ${sameIn(runsTable.columns, "r")}`;
    const wanted = column === "run_instance" ? `${runs} WHERE r.run_instance = ANY($1)` : `WHERE t.${column} = ANY($1)`;
    // By number, so that patient transactions lock in one order and never wait for each other in a ring.
    const ordered = patient || column === "run_instance";
    const lock = ordered ? `ORDER BY t.seq LIMIT ${limit} FOR UPDATE OF t` : "FOR UPDATE OF t";
    const sql = `${this.#select} ${wanted} ${lock}${patient ? "" : " SKIP LOCKED"}`;
    const tasks = await this.#many(sql, [array], ordered ? "fresh" : "kept");
    if (patient || tasks.length === limit) return { tasks, held: [] };
    const isComplete = column !== "run_instance" && tasks.length === keys.length;
    if (isComplete) return { tasks, held: [] };
    const key = column === "id" ? "id" : "seq";
    const there = await this.#session.rows(`SELECT t.${key} FROM ${this.#schema}.azoth_tasks t ${wanted}`, [array]);
    const locked = new Set<unknown>(tasks.map(({ taskId, seq }) => (column === "id" ? taskId : seq)));
    return { tasks, held: there.map(([found]) => found as Key).filter((found) => !locked.has(found)) };
  }

  /** Those of the tasks that are locked now and as this node has left them. Never waits. */
  async lockKept(runs: HeldRuns, seqs: readonly number[]): Promise<TaskState[]> {
    const kept = seqs.filter((seq) => runs.has(seq));
    if (kept.length === 0) return [];
    const sql = `SELECT t.seq, t.xmin FROM ${this.#schema}.azoth_tasks t
      WHERE t.seq = ANY($1) FOR UPDATE SKIP LOCKED`;
    const rows = (await this.#session.rows(sql, [numbers(kept)], "kept")) as [number, string][];
    return rows.map(([seq, xmin]) => runs.stateOf(seq, xmin)).filter((state) => state !== undefined);
  }

  /** Waiting tasks of these types that are due, locked, by due time, then priority, then age. */
  async lockDue(taskTypes: readonly string[], nowMs: number, limit: number): Promise<TaskState[]> {
    const types = await this.#names.find(taskTypes);
    if (types.length === 0) return [];
    // Type by type: each is one short walk of the index, however many tasks of other types are overdue.
    // What is read of the task itself is read when it is locked: another node may have been first.
    const ofType = (type: string) =>
      `${this.#select} JOIN ${this.#schema}.azoth_due d ON d.seq = t.seq AND d.due_at_ms = t.due_at_ms
       WHERE d.type = ${type} AND d.due_at_ms <= $1
       ORDER BY d.due_at_ms, d.priority DESC, d.seq LIMIT ${limit} FOR UPDATE OF t SKIP LOCKED`;
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
        SELECT d.due_at_ms FROM ${this.#schema}.azoth_due d WHERE d.type = wanted.type ORDER BY d.due_at_ms LIMIT 1
      ) AS earliest`;
    const [row] = await this.#session.rows(sql, [numbers(types)]);
    return row?.[0] as number | null;
  }

  async overdueOfOtherTypes(
    taskTypes: readonly string[],
    nowMs: number,
  ): Promise<{ taskType: string; count: number }[]> {
    const due = `${this.#schema}.azoth_due`;
    // Hops from type to type in the due index instead of walking it.
    const sql = `WITH RECURSIVE hop (type) AS (
        SELECT min(type) FROM ${due}
        UNION ALL
        SELECT (SELECT min(type) FROM ${due} WHERE type > hop.type)
        FROM hop WHERE hop.type IS NOT NULL
      )
      SELECT n.name, (
        SELECT count(*) FROM (SELECT 1 FROM ${due} WHERE type = hop.type AND due_at_ms <= $1 LIMIT 1000) AS counted
      ) FROM hop JOIN ${this.#schema}.azoth_names n ON n.id = hop.type ORDER BY n.id`;
    const rows = (await this.#session.rows(sql, [nowMs])) as [string, number][];
    return rows
      .map(([taskType, count]) => ({ taskType, count }))
      .filter(({ taskType, count }) => count > 0 && !taskTypes.includes(taskType));
  }

  async runsOf(instance: number): Promise<{ seq: number; run: number }[]> {
    const sql = `SELECT t.seq, t.runs FROM ${this.#schema}.azoth_runs r
      JOIN ${this.#schema}.azoth_tasks t ON ${sameIn(runsTable.columns, "r")} WHERE r.run_instance = $1`;
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
    const isDue = query.dueFromMs !== undefined || query.dueUntilMs !== undefined;
    const due = isDue ? ` JOIN ${this.#schema}.azoth_due d ON d.seq = t.seq` : "";
    if (query.dueFromMs !== undefined) add((at) => `d.due_at_ms >= ${at}`, query.dueFromMs);
    if (query.dueUntilMs !== undefined) add((at) => `d.due_at_ms < ${at}`, query.dueUntilMs);
    if (query.idPrefix !== undefined) add((prefix) => `starts_with(t.id, ${prefix})`, query.idPrefix);
    const from = `FROM ${this.#schema}.azoth_tasks t${due} WHERE ${conditions.join(" AND ")}`;
    const columns = allColumns.map(selectedShort).join(", ");
    const sql = `SELECT ${columns} ${from} ORDER BY t.seq LIMIT ${query.limit}`;
    return await this.#withPayloads(await this.#many(sql, values));
  }

  /** Of tasks that were read without their payloads, if these are long. */
  async #withPayloads(tasks: readonly TaskState[]): Promise<TaskState[]> {
    const long = tasks.filter(({ payload }) => (payload as string | null) === null).map(({ seq }) => seq);
    if (long.length === 0) return shortPage(tasks, ({ payload }) => payload);
    // As many as fit: their sizes add up on the server.
    const sql = `SELECT seq, payload::text FROM (
        SELECT seq, payload, sum(length(payload::text)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - length(payload::text) AS before
        FROM ${this.#schema}.azoth_tasks WHERE seq = ANY($1)
      ) AS sized WHERE before < $2`;
    const rows = (await this.#session.rows(sql, [numbers(long), taskPageCharacters])) as [number, string][];
    const texts = new Map(rows);
    const cut = tasks.findIndex(({ seq, payload }) => (payload as string | null) === null && !texts.has(seq));
    const fitting = cut === -1 ? tasks : tasks.slice(0, cut);
    return shortPage(fitting, ({ seq, payload }) => texts.get(seq) ?? payload);
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
    const wrong = new Map((await this.#wrongDerived(fromSeq, toSeq)).map((found) => [found.seq, found]));
    const contradictions = found.map((row, index) => {
      return contradictionIn(row, rows[index] as TaskState) ?? wrong.get(row.seq as number);
    });
    return { rows, contradictions: contradictions.filter((found) => found !== undefined) };
  }

  /** Tasks of a range that are not found where they are looked for, or are found where they should not be. */
  async #wrongDerived(fromSeq: number, toSeq: number): Promise<Contradiction[]> {
    const due = (alias: string) =>
      `CASE WHEN ${alias}.due_at_ms IS NOT NULL THEN (${alias}.due_at_ms, ${alias}.type, ${alias}.priority)::text END`;
    const sql = `SELECT t.seq, t.id, ${due("t")}, ${due("d")}, t.run_instance, r.run_instance
      FROM ${this.#schema}.azoth_tasks t LEFT JOIN ${this.#schema}.azoth_due d ON d.seq = t.seq
        LEFT JOIN ${this.#schema}.azoth_runs r ON r.seq = t.seq
      WHERE t.seq BETWEEN $1 AND $2
        AND (${due("t")} IS DISTINCT FROM ${due("d")} OR t.run_instance IS DISTINCT FROM r.run_instance)`;
    const rows = (await this.#session.rows(sql, [fromSeq, toSeq])) as [number, string, ...(number | string | null)[]][];
    return rows.map(([seq, taskId, dueOfTask, storedDue, runOfTask, storedRun]) =>
      dueOfTask === storedDue
        ? { seq, taskId, field: "azoth_runs", expected: runOfTask, stored: storedRun }
        : { seq, taskId, field: "azoth_due", expected: dueOfTask, stored: storedDue },
    );
  }

  async #insert(table: string, states: readonly TaskState[]): Promise<void> {
    if (states.length === 0) return;
    const rows = states.map((state) => this.#row(state));
    // A task with the same id may be on its way in another transaction: this waits for its end, and then fails by it.
    const orNothing = this.#inUsersTransaction ? " ON CONFLICT DO NOTHING" : "";
    const batch = batchOfRows(allColumns, rows);
    const order = `ORDER BY ${batch.expressions.get("id")}`;
    const sql = `INSERT INTO ${this.#schema}.${table} ${insertion(batch)} ${order}${orNothing}`;
    const inserted = await this.#session.run(sql, batch.values, "kept");
    if (inserted < rows.length) throw new WriteCollision("Another transaction has stored a task with the same id.");
  }

  async #update(columns: readonly string[], rows: readonly (readonly ColumnValue[])[]): Promise<void> {
    if (rows.length === 0) return;
    const { expressions, from, values, arrays } = batchOfRows(columns, rows);
    const assignments = [...expressions].slice(1).map(([column, expression]) => `${column} = ${expression}`);
    const update = `UPDATE ${this.#schema}.azoth_tasks t SET ${assignments.join(", ")}`;
    // Of two tables, either could be the one that is walked.
    if (arrays > 1) await this.#session.run(`${update} FROM ${from} WHERE t.seq = new.seq`, values);
    else await this.#session.run(`${update} WHERE t.seq = ANY($1::bigint[])`, values, "kept");
  }

  #sendDue(changes: readonly TaskChange[]): Promise<void> {
    const row = (state: TaskState): ColumnValue[] | null => {
      const due = dueAtMs(state);
      return due === null ? null : [state.seq, due, this.#names.idOf(state.taskType), state.definition.priority];
    };
    return this.#sendDerived(dueTable, changes, row);
  }

  #sendRuns(changes: readonly TaskChange[]): Promise<void> {
    const row = ({ seq, run }: TaskState): ColumnValue[] | null => (run === null ? null : [seq, run.instance]);
    return this.#sendDerived(runsTable, changes, row);
  }

  /** Takes away the rows that no longer follow from the tasks, and adds those that now do. Whoever does so holds the tasks. */
  async #sendDerived(
    derived: Derived,
    changes: readonly TaskChange[],
    rowOfState: (state: TaskState) => ColumnValue[] | null,
  ): Promise<void> {
    const gone: ColumnValue[][] = [];
    const added: ColumnValue[][] = [];
    for (const { before, after } of changes) {
      const [was, is] = [before === null ? null : rowOfState(before), rowOfState(after)];
      if (was !== null && is?.every((value, index) => value === was[index]) === true) continue;
      if (was !== null) gone.push(was);
      if (is !== null) added.push(is);
    }
    await Promise.all([this.#deleteDerived(derived, gone), this.#insertDerived(derived, added)]);
  }

  async #deleteDerived({ table, columns, keyColumns }: Derived, rows: readonly ColumnValue[][]): Promise<void> {
    if (rows.length === 0) return;
    // No row has another's number: of whatever the lists make together, only these are there.
    const key = columns.slice(0, keyColumns);
    const lists = key.map((_, index) => numbers([...new Set(rows.map((row) => row[index] as number))]));
    const condition = key.map((column, index) => `${column} = ANY($${index + 1}::bigint[])`).join(" AND ");
    await this.#session.run(`DELETE FROM ${this.#schema}.${table} WHERE ${condition}`, lists, "kept");
  }

  async #insertDerived({ table, columns }: Derived, rows: readonly ColumnValue[][]): Promise<void> {
    if (rows.length === 0) return;
    const batch = batchOfRows(columns, rows);
    await this.#session.run(`INSERT INTO ${this.#schema}.${table} ${insertion(batch)}`, batch.values, "kept");
  }

  async #many(sql: string, values: readonly unknown[], plan?: Plan): Promise<TaskState[]> {
    const rows = (await this.#session.rows(sql, values, plan)).map((row) => rowOf(row as ColumnValue[]));
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
