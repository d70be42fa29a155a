/** Exact times by kind of call, where the profiler cannot tell one from another: SQL statements and JSON. */
import type { SqliteDatabase, SqliteDriver, SqliteStatement } from "../systems/sqlite-driver.ts";

export interface Timed {
  readonly kind: string;
  readonly calls: number;
  readonly microseconds: number;
}

/** Is shown each call of a kind, and makes it. */
export interface Watch {
  time<Result>(kind: string, call: () => Result): Result;
}

export class Stopwatch implements Watch {
  readonly #times = new Map<string, { calls: number; milliseconds: number }>();
  #running = false;

  start(): void {
    this.#running = true;
  }

  stop(): void {
    this.#running = false;
  }

  /** Makes the call; times it between `start` and `stop`. */
  time<Result>(kind: string, call: () => Result): Result {
    if (!this.#running) return call();
    const startedMs = performance.now();
    try {
      return call();
    } finally {
      const milliseconds = performance.now() - startedMs;
      const known = this.#times.get(kind);
      if (known === undefined) {
        this.#times.set(kind, { calls: 1, milliseconds });
      } else {
        known.calls++;
        known.milliseconds += milliseconds;
      }
    }
  }

  /** What took the longest in all comes first. */
  get times(): Timed[] {
    const all = [...this.#times].map(([kind, { calls, milliseconds }]) => {
      return { kind, calls, microseconds: milliseconds * 1_000 };
    });
    return all.toSorted((left, right) => right.microseconds - left.microseconds);
  }
}

/** The same driver, with a watch on every statement. */
export function watchedDriver({ name, DatabaseSync }: SqliteDriver, watch: Watch): SqliteDriver {
  class WatchedDatabase implements SqliteDatabase {
    readonly #database: SqliteDatabase;

    constructor(path: string, options?: { readOnly?: boolean }) {
      this.#database = options === undefined ? new DatabaseSync(path) : new DatabaseSync(path, options);
    }

    exec(sql: string): void {
      watch.time(shortSql(sql), () => this.#database.exec(sql));
    }

    prepare(sql: string): SqliteStatement {
      const statement = this.#database.prepare(sql);
      const kind = shortSql(sql);
      return {
        run: (...parameters) => watch.time(kind, () => statement.run(...parameters)),
        get: (...parameters) => watch.time(kind, () => statement.get(...parameters)),
        all: (...parameters) => watch.time(kind, () => statement.all(...parameters)),
      };
    }

    close(): void {
      this.#database.close();
    }
  }
  return { name, DatabaseSync: WatchedDatabase };
}

/** Puts the stopwatch on JSON for as long as `work` lasts. */
export async function withTimedJson(stopwatch: Stopwatch, work: () => Promise<void>): Promise<void> {
  const { parse, stringify } = JSON;
  JSON.parse = (...parameters) => stopwatch.time("JSON.parse", () => parse(...parameters) as unknown);
  JSON.stringify = ((...parameters: Parameters<typeof stringify>) => {
    return stopwatch.time("JSON.stringify", () => stringify(...parameters));
  }) as typeof stringify;
  try {
    await work();
  } finally {
    Object.assign(JSON, { parse, stringify });
  }
}

const longestSql = 80;

/** A statement in one short line, without its lists: statements of one kind get the same line. */
export function shortSql(sql: string): string {
  const line = sql
    .replace(/\s+/g, " ")
    .trim()
    .replace(/(?<=VALUES )\(.*\)/, (values) => `… × ${values.split("),(").length}`)
    .replace(/(?<=SET ).*(?= WHERE)/, "…")
    .replace(/\((?:\w+, )+\w+\)/g, "(…)");
  return line.length > longestSql ? `${line.slice(0, longestSql - 1)}…` : line;
}
