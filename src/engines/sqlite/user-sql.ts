/**
 * The user's own statements, in our transactions.
 *
 * A statement that ends, nests or bypasses the transaction would break the promise that all of it commits
 * together; such statements are refused (see `../user-statement.ts`). One that fails by its own fault leaves the
 * rest of the transaction usable.
 */
import { AzothError, messageOf, oneLine, quote } from "../../errors.ts";
import type { SqlRow, SqlValue } from "../../store/engine.ts";
import { checkedParameters } from "../user-parameters.ts";
import { checkStatement } from "../user-statement.ts";
import type { Connection, SqliteValue } from "./driver.ts";
import { sqliteCode, storeError } from "./sqlite-errors.ts";

const sqliteReadonly = 8;

/** SQLite result codes that are about the user's statement, not about the state of the file: ERROR, CONSTRAINT, MISMATCH, RANGE, TOOBIG. */
const statementCodes = new Set([1, 18, 19, 20, 25]);

export function executeUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): number {
  const { changesRows } = checkStatement(sql, "sqlite");
  const bound = bindable(parameters);
  const changed = guarded(connection, sql, () => connection.run(sql, ...bound));
  // After any other statement SQLite repeats the number of the one before.
  return changesRows ? changed : 0;
}

export function queryUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): SqlRow[] {
  checkStatement(sql, "sqlite");
  const bound = bindable(parameters);
  const rows = guarded(connection, sql, () => connection.all<SqlRow>(sql, ...bound));
  return rows.map((row) => ({ ...row }));
}

/** SQLite has no booleans. */
function bindable(parameters: readonly SqlValue[]): SqliteValue[] {
  return checkedParameters(parameters).map((value) => (typeof value === "boolean" ? Number(value) : value));
}

function guarded<T>(connection: Connection, sql: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof AzothError) throw error;
    if (isAboutStatement(error)) connection.forgive();
    if (sqliteCode(error) === sqliteReadonly && !connection.inTransaction) {
      throw new AzothError("INVALID_SQL", `A query cannot write: ${quote(sql)}. Use a transaction.`, { cause: error });
    }
    throw userSqlError(error, sql);
  }
}

function isAboutStatement(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === undefined || statementCodes.has(code);
}

function userSqlError(error: unknown, sql: string): unknown {
  if (!isAboutStatement(error)) return storeError(error, "a statement of the user's");
  const words = oneLine(messageOf(error), 300);
  return new AzothError("INVALID_SQL", `SQLite refused ${quote(sql)}: ${words}.`, { cause: error });
}
