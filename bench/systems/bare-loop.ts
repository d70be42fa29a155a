/**
 * The floor: what the same work costs when it is written by hand for nothing but this benchmark.
 *
 * The same SQLite driver, journal mode and durability; the same four events and three writes of the task's row for
 * each task; the same indexes, for ids, for what is due, and for a task's events; the same group commit: one
 * transaction a turn holds what callers schedule, what has finished, and what is taken next.
 * No schedules, checks, ids of executions, retries, timeouts, heartbeats, replay or second process.
 */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { loadSqliteDriver, type SqliteDatabase, type SqliteStatement } from "./sqlite-driver.ts";
import type { BenchTask, OpenSystem, System } from "./system.ts";

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

const eventTypes = { scheduled: 1, started: 2, workDone: 3, executed: 4 } as const;
const phases = { waiting: 0, running: 1, completed: 2 } as const;

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
  readonly #insertEvent: SqliteStatement;
  readonly #insertTask: SqliteStatement;
  readonly #setPhase: SqliteStatement;
  readonly #findDue: SqliteStatement;
  readonly #findNextDue: SqliteStatement;
  #waiting: Waiting[] = [];
  #finished: Claimed[] = [];
  #nextSeq = 1;
  #onRun: ((number: number) => void) | undefined;
  #driving: Promise<void> | undefined;
  #alarm: NodeJS.Timeout | undefined;

  private constructor(database: SqliteDatabase, slots: number) {
    this.#database = database;
    this.#slots = slots;
    this.#insertEvent = database.prepare("INSERT INTO events (type, at_ms, task, run, data) VALUES (?, ?, ?, ?, ?)");
    this.#insertTask = database.prepare(
      "INSERT INTO tasks (seq, id, phase, due_at_ms, payload) VALUES (?, ?, ?, ?, ?)",
    );
    this.#setPhase = database.prepare("UPDATE tasks SET phase = ?, due_at_ms = NULL WHERE seq = ?");
    this.#findDue = database.prepare(
      "SELECT seq, payload FROM tasks WHERE due_at_ms <= ? ORDER BY due_at_ms, seq LIMIT ?",
    );
    this.#findNextDue = database.prepare("SELECT min(due_at_ms) AS at FROM tasks WHERE due_at_ms IS NOT NULL");
  }

  static async open(directory: string, { durability, slots }: System): Promise<BareLoop> {
    const { DatabaseSync } = await loadSqliteDriver();
    const database = new DatabaseSync(join(directory, "bare.db"));
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
    this.#onRun = onRun;
    this.#drive();
  }

  async stop(): Promise<void> {
    this.#onRun = undefined;
    clearTimeout(this.#alarm);
    this.#drive();
    await this.#driving;
  }

  async count(): Promise<{ finished: number; events: number }> {
    const sql = `SELECT (SELECT count(*) FROM tasks WHERE phase = ${phases.completed}) AS finished, (SELECT count(*) FROM events) AS events`;
    return this.#database.prepare(sql).get() as { finished: number; events: number };
  }

  async close(): Promise<void> {
    await this.#driving;
    // Some drivers close for real only when their statements are collected: the log would be left beside the file.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
  }

  #drive(): void {
    this.#driving ??= this.#turns().finally(() => {
      this.#driving = undefined;
      // Scheduled between the last turn and this line.
      if (this.#waiting.length > 0) this.#drive();
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
    for (const { tasks } of waiting) for (const task of tasks) this.#insert(task, nowMs);
    for (const task of finished) this.#recordEnd(task, nowMs);
    const claimed = this.#onRun === undefined ? [] : this.#claim(nowMs);
    this.#database.exec("COMMIT");
    for (const { resolve } of waiting) resolve();
    for (const task of claimed) this.#run(task);
    return waiting.length + finished.length + claimed.length > 0;
  }

  #insert({ number, dueAtMs = 0 }: BenchTask, nowMs: number): void {
    const seq = this.#nextSeq++;
    const id = `task-${String(seq).padStart(31, "0")}`;
    const payload = JSON.stringify({ number });
    const data = `{"taskId":"${id}","taskType":"work","revision":1,"because":"new","next":{"scheduledForMs":${nowMs}},"schedule":{"kind":"immediate"},"payload":${payload}}`;
    this.#insertEvent.run(eventTypes.scheduled, nowMs, seq, null, data);
    this.#insertTask.run(seq, id, phases.waiting, dueAtMs === 0 ? nowMs : dueAtMs, payload);
  }

  #claim(nowMs: number): Claimed[] {
    const claimed = this.#findDue.all(nowMs, this.#slots) as Claimed[];
    const data = `{"scheduledForMs":${nowMs},"attempt":1,"instance":1}`;
    for (const { seq } of claimed) {
      this.#insertEvent.run(eventTypes.started, nowMs, seq, 1, data);
      this.#setPhase.run(phases.running, seq);
    }
    return claimed;
  }

  #run(task: Claimed): void {
    const { number } = JSON.parse(task.payload) as { number: number };
    this.#onRun?.(number);
    this.#finished.push(task);
  }

  #recordEnd({ seq, payload }: Claimed, nowMs: number): void {
    this.#insertEvent.run(eventTypes.workDone, nowMs, seq, 1, payload);
    this.#insertEvent.run(eventTypes.executed, nowMs, seq, 1, '{"success":true,"durationMs":0,"then":"completed"}');
    this.#setPhase.run(phases.completed, seq);
  }

  #setAlarm(): void {
    if (this.#onRun === undefined) return;
    const { at } = this.#findNextDue.get() as { at: number | null };
    clearTimeout(this.#alarm);
    if (at !== null) this.#alarm = setTimeout(() => this.#drive(), Math.max(0, at - Date.now()));
  }
}
