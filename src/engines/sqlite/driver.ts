/**
 * The SQLite driver, as the dozen members of it that are used.
 *
 * `node:sqlite` where Node has it (22.13 and later), else `@photostructure/sqlite`, which has the same API.
 * Anything else of this shape can be passed to `AzothDb.open`.
 */
import { AzothError } from "../../errors.ts";
import type { SqlRow, SqlValue } from "../../store/engine.ts";

export interface SqliteStatement {
  run(...parameters: SqlValue[]): { changes: number | bigint };
  get(...parameters: SqlValue[]): unknown;
  all(...parameters: SqlValue[]): unknown[];
}

export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  readonly DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => SqliteDatabase;
  /** SQLite's online backup. */
  readonly backup?: (source: never, target: string) => Promise<unknown>;
}

/** @throws AzothError DRIVER_MISSING */
export async function loadDriver(): Promise<SqliteDriver> {
  const builtin = loadBuiltin();
  if (builtin !== undefined) return builtin;
  try {
    return await import("@photostructure/sqlite");
  } catch (cause) {
    throw new AzothError(
      "DRIVER_MISSING",
      `Node ${process.versions.node} has no built-in SQLite, and @photostructure/sqlite is not installed. Use Node 22.13 or later, or install it.`,
      { cause },
    );
  }
}

/** Some Node versions print an ExperimentalWarning when node:sqlite is first loaded; a library prints nothing. */
function loadBuiltin(): SqliteDriver | undefined {
  const own = Object.getOwnPropertyDescriptor(process, "emitWarning");
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:sqlite");
  } catch {
    return undefined;
  } finally {
    if (own === undefined) Reflect.deleteProperty(process, "emitWarning");
    else Object.defineProperty(process, "emitWarning", own);
  }
}

/** A connection with its prepared statements. Not for concurrent use: SQLite calls are synchronous. */
export class Connection {
  readonly database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();
  /** Users' statements may be of any number; the least recently made are dropped. */
  readonly #statementLimit = 300;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.database.prepare(sql);
    if (this.#statements.size >= this.#statementLimit) {
      const oldest = this.#statements.keys().next();
      if (oldest.done !== true) this.#statements.delete(oldest.value);
    }
    this.#statements.set(sql, statement);
    return statement;
  }

  /** Returns the number of rows changed. */
  run(sql: string, ...parameters: SqlValue[]): number {
    return Number(this.prepare(sql).run(...parameters).changes);
  }

  get<Row = SqlRow>(sql: string, ...parameters: SqlValue[]): Row | undefined {
    return this.prepare(sql).get(...parameters) as Row | undefined;
  }

  all<Row = SqlRow>(sql: string, ...parameters: SqlValue[]): Row[] {
    return this.prepare(sql).all(...parameters) as Row[];
  }

  exec(sql: string): void {
    this.database.exec(sql);
  }

  close(): void {
    this.#statements.clear();
    this.database.close();
  }
}
