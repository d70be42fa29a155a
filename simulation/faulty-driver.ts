/** A SQLite driver that fails when it is told to. */

interface SqliteStatement {
  run(...parameters: never[]): { changes: number | bigint };
  get(...parameters: never[]): unknown;
  all(...parameters: never[]): unknown[];
}

interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

/** What `AzothDb.open` takes as `sqliteDriver`. */
interface SqliteDriver {
  readonly DatabaseSync: new (path: string) => SqliteDatabase;
}

/** https://www.sqlite.org/rescode.html */
export const resultCode = { error: 1, busy: 5, ioError: 10, corrupt: 11, full: 13, constraint: 19 } as const;

export interface Fault {
  readonly errcode: number;
  /** SQLite ends the transaction by itself on some failures, and on others leaves it to the caller. */
  readonly rollsBack?: boolean;
  /** Lets the statement take effect and fails nevertheless, as a lost answer. */
  readonly afterwards?: boolean;
}

export interface FaultyDriver {
  readonly driver: SqliteDriver;
  /** Asked before each statement of a connection that has written: how it is to fail, if it is. */
  plan: ((sql: string) => Fault | undefined) | undefined;
  /** Statements that were asked about since the plan was set. */
  calls: number;
  /** Asks before every statement of every connection, also of those that only read. */
  everywhere: boolean;
}

/** Fails the call with this number, counted from 0, and no other. */
export function failAt(faulty: FaultyDriver, call: number, fault: Fault): void {
  faulty.calls = 0;
  faulty.plan = () => (faulty.calls - 1 === call ? fault : undefined);
}

async function realDriver(): Promise<SqliteDriver> {
  // Only some of the supported versions of Node have it.
  const { getBuiltinModule } = process as { getBuiltinModule?: (this: void, name: string) => unknown };
  const builtin = getBuiltinModule?.("node:sqlite");
  return (builtin ?? (await import("@photostructure/sqlite"))) as SqliteDriver;
}

export async function faultyDriver(): Promise<FaultyDriver> {
  const { DatabaseSync } = await realDriver();
  const faulty: FaultyDriver = {
    driver: { DatabaseSync: databaseClass() },
    plan: undefined,
    calls: 0,
    everywhere: false,
  };
  return faulty;

  function databaseClass(): SqliteDriver["DatabaseSync"] {
    return class implements SqliteDatabase {
      readonly #database: SqliteDatabase;
      #hasWritten = false;

      constructor(path: string) {
        this.#database = new DatabaseSync(path);
      }

      exec(sql: string): void {
        this.#guard(sql, () => this.#database.exec(sql));
      }

      prepare(sql: string): SqliteStatement {
        const statement = this.#database.prepare(sql);
        return {
          run: (...parameters) => this.#guard(sql, () => statement.run(...parameters)),
          get: (...parameters) => this.#guard(sql, () => statement.get(...parameters)),
          all: (...parameters) => this.#guard(sql, () => statement.all(...parameters)),
        };
      }

      close(): void {
        this.#database.close();
      }

      #guard<T>(sql: string, work: () => T): T {
        this.#hasWritten ||= sql.startsWith("BEGIN IMMEDIATE");
        const isAsked = this.#hasWritten || faulty.everywhere;
        if (!isAsked || faulty.plan === undefined || sql === "ROLLBACK") return work();
        faulty.calls++;
        const fault = faulty.plan(sql);
        if (fault === undefined) return work();
        const { errcode, rollsBack = false, afterwards = false } = fault;
        if (afterwards) work();
        if (rollsBack) this.#rollBack();
        throw Object.assign(new Error(`planned failure of ${sql.slice(0, 60)}`), { code: "ERR_SQLITE_ERROR", errcode });
      }

      #rollBack(): void {
        try {
          this.#database.exec("ROLLBACK");
        } catch {
          // There was no transaction.
        }
      }
    };
  }
}
