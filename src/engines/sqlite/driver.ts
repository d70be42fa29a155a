/**
 * The SQLite driver, as the dozen members of it that are used.
 *
 * `node:sqlite` where Node has it (22.13 and later), else `@photostructure/sqlite`, which has the same API.
 * Anything else of this shape can be passed to `AzothDb.open`.
 */
import { AzothError } from "../../errors.ts";
import type { SqlRow, SqlValue } from "../../store/engine.ts";

/** What SQLite stores: it has no booleans. */
export type SqliteValue = Exclude<SqlValue, boolean>;

export interface SqliteStatement {
  run(...parameters: SqliteValue[]): { changes: number | bigint };
  get(...parameters: SqliteValue[]): unknown;
  all(...parameters: SqliteValue[]): unknown[];
}

export interface SqliteDatabase {
  /** Whether a transaction is open; drivers of Node before 22.16 do not tell. */
  readonly isTransaction?: boolean;
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  readonly DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => SqliteDatabase;
  /** SQLite's online backup. */
  readonly backup?: (source: never, target: string, options: { readonly rate: number }) => Promise<unknown>;
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
export function loadBuiltin(): SqliteDriver | undefined {
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

/**
 * A connection with its prepared statements. Not for concurrent use: SQLite calls are synchronous.
 *
 *   idle -> begin() -> in a transaction -> commit() or rollBack() -> idle
 *
 * A statement that fails voids its transaction: SQLite may have ended it by itself, and what came next would be
 * committed statement by statement. Until `rollBack` nothing more is let through. Statements of the user's are
 * the exception: see `forgive`.
 */
export class Connection {
  readonly database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();
  /** Users' statements may be of any number; the least recently made are dropped. */
  readonly #statementLimit = 300;
  #inTransaction = false;
  /** What voided the present transaction. */
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

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

  /** Takes the write lock at once. */
  begin(): void {
    this.run("BEGIN IMMEDIATE");
    this.#inTransaction = true;
  }

  /** Throws what voided the transaction, if something did. */
  commit(): void {
    this.run("COMMIT");
    this.#inTransaction = false;
  }

  rollBack(): void {
    this.#inTransaction = false;
    this.#failure = undefined;
    try {
      this.database.exec("ROLLBACK");
    } catch {
      // SQLite rolls back by itself on some failures; a second rollback has nothing to do.
    }
  }

  /** Returns the number of rows changed. */
  run(sql: string, ...parameters: SqliteValue[]): number {
    return this.runWith(sql, parameters);
  }

  /** As `run`, for many parameters. */
  runWith(sql: string, parameters: readonly SqliteValue[]): number {
    this.#refuseUnusable();
    try {
      return Number(this.prepare(sql).run(...parameters).changes);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  get<Row = SqlRow>(sql: string, ...parameters: SqliteValue[]): Row | undefined {
    this.#refuseUnusable();
    try {
      return this.prepare(sql).get(...parameters) as Row | undefined;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  all<Row = SqlRow>(sql: string, ...parameters: SqliteValue[]): Row[] {
    this.#refuseUnusable();
    try {
      return this.prepare(sql).all(...parameters) as Row[];
    } catch (error) {
      throw this.#failed(error);
    }
  }

  exec(sql: string): void {
    this.#refuseUnusable();
    try {
      this.database.exec(sql);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** True if nothing more can be done in the present transaction but to roll it back. */
  get isVoid(): boolean {
    return this.#failure !== undefined;
  }

  /** Lets a transaction go on after a statement that failed by its own fault, if SQLite has not ended it. */
  forgive(): void {
    if (this.#inTransaction && this.#isOpen()) this.#failure = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#statements.clear();
    this.database.close();
  }

  #isOpen(): boolean {
    const { isTransaction } = this.database;
    if (isTransaction !== undefined) return isTransaction;
    try {
      this.database.exec("BEGIN");
    } catch {
      // There can be no second one.
      return true;
    }
    this.database.exec("ROLLBACK");
    return false;
  }

  #refuseUnusable(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#closed) throw new AzothError("STORE_CLOSED", "The store is closed. Open it again.");
  }

  #failed(error: unknown): unknown {
    if (this.#inTransaction) this.#failure ??= { error };
    return error;
  }
}
