/**
 * The floor: what the same work costs when it is written by hand for nothing but this benchmark.
 *
 * The same SQLite driver, journal mode and durability; the same four events (scheduled, claimed, started, executed) and
 * three writes of the task's row for each task; the same indexes, for ids, for what is due, and for a task's events; the
 * same group commit: one transaction a turn holds what callers schedule, what has started and finished, and what is
 * claimed next, 256 beyond the free slots. Rows are written many in a statement.
 * No schedules, checks, ids of executions, retries, timeouts, heartbeats, replay or second process.
 */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { loadSqliteDriver, type SqliteDatabase, type SqliteStatement } from "./sqlite-driver.ts";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

const schema = `
  CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, type INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    task INTEGER NOT NULL, run INTEGER, data TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_by_task ON events (task);
  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, phase INTEGER NOT NULL, due_at_ms INTEGER, payload TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX tasks_by_id ON tasks (id);
  CREATE INDEX tasks_due ON tasks (due_at_ms, seq) WHERE due_at_ms IS NOT NULL;
`;

const eventTypes = { scheduled: 1, claimed: 2, started: 3, executed: 4 } as const;
const phases = { waiting: 0, running: 1, completed: 2 } as const;

const claimedAhead = 256;

type Value = string | number | null;

interface Waiting {
  readonly tasks: readonly BenchTask[];
  readonly resolve: () => void;
}

interface Claimed {
  readonly seq: number;
  readonly payload: string;
}

export class BareLoop implements OpenSystem {
  readonly #database: SqliteDatabase;
  readonly #slots: number;
  readonly #insertEvents: ManyRows;
  readonly #insertTasks: ManyRows;
  readonly #setRunning: ManyRows;
  readonly #setCompleted: ManyRows;
  readonly #findDue: SqliteStatement;
  readonly #findNextDue: SqliteStatement;
  #waiting: Waiting[] = [];
  /** Claimed, and not yet started. */
  #ready: Claimed[] = [];
  #running = 0;
  #finished: Claimed[] = [];
  #nextSeq = 1;
  #handler: ((number: number) => Promise<void>) | undefined;
  #driving: Promise<void> | undefined;
  #alarm: NodeJS.Timeout | undefined;

  private constructor(database: SqliteDatabase, slots: number) {
    this.#database = database;
    this.#slots = slots;
    this.#insertEvents = new ManyRows(
      database,
      "INSERT INTO events (type, at_ms, task, run, data) VALUES ",
      "(?,?,?,?,?)",
    );
    this.#insertTasks = new ManyRows(
      database,
      "INSERT INTO tasks (seq, id, phase, due_at_ms, payload) VALUES ",
      "(?,?,?,?,?)",
    );
    const update = (phase: number) =>
      new ManyRows(database, `UPDATE tasks SET phase = ${phase}, due_at_ms = NULL WHERE seq IN (`, "?", ")");
    this.#setRunning = update(phases.running);
    this.#setCompleted = update(phases.completed);
    this.#findDue = database.prepare(
      "SELECT seq, payload FROM tasks WHERE due_at_ms <= ? ORDER BY due_at_ms, seq LIMIT ?",
    );
    this.#findNextDue = database.prepare("SELECT min(due_at_ms) AS at FROM tasks WHERE due_at_ms IS NOT NULL");
  }

  static async open({ location, slots }: Setting, durability: "full" | "normal" = "full"): Promise<BareLoop> {
    const { DatabaseSync } = await loadSqliteDriver();
    const database = new DatabaseSync(join(location, "bare.db"));
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; PRAGMA wal_autocheckpoint = 4000`);
    database.exec(schema);
    return new BareLoop(database, slots);
  }

  schedule(tasks: readonly BenchTask[]): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ tasks, resolve });
      this.#drive();
    });
  }

  async start(onRun: (number: number) => void): Promise<void> {
    this.#handler = async (number) => onRun(number);
    this.#drive();
  }

  async stop(): Promise<void> {
    this.#handler = undefined;
    clearTimeout(this.#alarm);
    this.#drive();
    await this.#driving;
  }

  async count(): Promise<Counts> {
    const sql = `SELECT (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM events) AS events,
      (SELECT count(*) FROM tasks WHERE phase = ${phases.completed}) AS finished`;
    return this.#database.prepare(sql).get() as Counts;
  }

  async close(): Promise<void> {
    await this.#driving;
    this.#database.close();
  }

  #drive(): void {
    this.#driving ??= this.#turns().finally(() => {
      this.#driving = undefined;
      // Came between the last turn and this line.
      if (this.#waiting.length + this.#finished.length > 0) this.#drive();
    });
  }

  async #turns(): Promise<void> {
    // One microtask later everything that this tick schedules is there.
    await Promise.resolve();
    while (this.#turn()) await setImmediate();
    this.#setAlarm();
  }

  /** One transaction; false if there was nothing to do. */
  #turn(): boolean {
    const waiting = this.#waiting;
    const finished = this.#finished;
    this.#waiting = [];
    this.#finished = [];
    const nowMs = Date.now();
    this.#database.exec("BEGIN IMMEDIATE");
    if (waiting.length > 0)
      this.#insert(
        waiting.flatMap(({ tasks }) => tasks),
        nowMs,
      );
    if (finished.length > 0) this.#recordEnds(finished, nowMs);
    const claimed = this.#handler === undefined ? [] : this.#claim(nowMs);
    this.#database.exec("COMMIT");
    for (const { resolve } of waiting) resolve();
    this.#ready.push(...claimed);
    this.#startReady();
    return waiting.length + finished.length + claimed.length > 0;
  }

  #insert(tasks: readonly BenchTask[], nowMs: number): void {
    const events: Value[] = [];
    const rows: Value[] = [];
    for (const { number, dueAtMs = nowMs } of tasks) {
      const seq = this.#nextSeq++;
      const id = `task-${String(seq).padStart(31, "0")}`;
      const payload = JSON.stringify(number);
      const data = `{"taskId":"${id}","taskType":"work","next":{"scheduledForMs":${dueAtMs}},"schedule":{"kind":"immediate"},"payload":${payload}}`;
      events.push(eventTypes.scheduled, nowMs, seq, null, data);
      rows.push(seq, id, phases.waiting, dueAtMs, payload);
    }
    this.#insertEvents.run(events);
    this.#insertTasks.run(rows);
  }

  #claim(nowMs: number): Claimed[] {
    const wanted = this.#slots - this.#running + claimedAhead - this.#ready.length;
    const claimed = wanted <= 0 ? [] : (this.#findDue.all(nowMs, wanted) as Claimed[]);
    if (claimed.length === 0) return claimed;
    const data = `{"scheduledForMs":${nowMs},"attempt":1,"instance":1}`;
    this.#insertEvents.run(claimed.flatMap(({ seq }) => [eventTypes.claimed, nowMs, seq, 1, data]));
    this.#setRunning.run(claimed.map(({ seq }) => seq));
    return claimed;
  }

  #startReady(): void {
    while (this.#running < this.#slots) {
      const task = this.#ready.shift();
      if (task === undefined) return;
      this.#running++;
      void this.#run(task);
    }
  }

  async #run(task: Claimed): Promise<void> {
    await this.#handler?.(JSON.parse(task.payload) as number);
    this.#running--;
    this.#finished.push(task);
    this.#startReady();
    this.#drive();
  }

  #recordEnds(finished: readonly Claimed[], nowMs: number): void {
    const executed = '{"success":true,"durationMs":0,"then":"completed"}';
    this.#insertEvents.run(
      finished.flatMap(({ seq }) => [
        ...[eventTypes.started, nowMs, seq, 1, "{}"],
        ...[eventTypes.executed, nowMs, seq, 1, executed],
      ]),
    );
    this.#setCompleted.run(finished.map(({ seq }) => seq));
  }

  #setAlarm(): void {
    if (this.#handler === undefined) return;
    const { at } = this.#findNextDue.get() as { at: number | null };
    clearTimeout(this.#alarm);
    if (at !== null) this.#alarm = setTimeout(() => this.#drive(), Math.max(0, at - Date.now()));
  }
}

/** A statement for many rows: as many as possible in each call, by statements for few sizes. */
class ManyRows {
  readonly #width: number;
  readonly #bySize: readonly (readonly [rows: number, statement: SqliteStatement])[];

  constructor(database: SqliteDatabase, head: string, row: string, tail = "") {
    this.#width = row.split("?").length - 1;
    this.#bySize = [64, 8, 1].map((rows) => {
      return [rows, database.prepare(`${head}${Array(rows).fill(row).join(",")}${tail}`)] as const;
    });
  }

  run(values: readonly Value[]): void {
    let from = 0;
    for (const [rows, statement] of this.#bySize) {
      const size = rows * this.#width;
      for (; from + size <= values.length; from += size) statement.run(...values.slice(from, from + size));
    }
  }
}
