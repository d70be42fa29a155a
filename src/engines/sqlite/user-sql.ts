/**
 * The user's own statements, in our transactions.
 *
 * A statement that ends, nests or bypasses the transaction would break the promise that all of it commits
 * together; such statements are refused (see `user-statement.ts`). One that fails by its own fault leaves the
 * rest of the transaction usable.
 */
import { AzothError, messageOf, oneLine, quote } from "../../errors.ts";
import { readSafely } from "../../names.ts";
import type { SqlRow, SqlValue } from "../../store/engine.ts";
import type { Connection } from "./driver.ts";
import { sqliteCode, storeError } from "./sqlite-errors.ts";
import { checkStatement } from "./user-statement.ts";

const sqliteReadonly = 8;

/** SQLite result codes that are about the user's statement, not about the state of the file: ERROR, CONSTRAINT, MISMATCH, RANGE, TOOBIG. */
const statementCodes = new Set([1, 18, 19, 20, 25]);

export function executeUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): number {
  const { changesRows } = checkStatement(sql);
  const bound = checkedParameters(parameters);
  const changed = guarded(connection, sql, () => connection.run(sql, ...bound));
  // After any other statement SQLite repeats the number of the one before.
  return changesRows ? changed : 0;
}

export function queryUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): SqlRow[] {
  checkStatement(sql);
  const bound = checkedParameters(parameters);
  const rows = guarded(connection, sql, () => connection.all<SqlRow>(sql, ...bound));
  return rows.map((row) => ({ ...row }));
}

/**
 * A copy of the parameters. Drivers bind NaN as NULL, cut a text at its NUL, mend half characters, and take an object
 * in the first place (a Date, say) for named parameters, which moves the others.
 */
function checkedParameters(parameters: readonly SqlValue[]): readonly SqlValue[] {
  return readSafely("The parameters of a statement", "INVALID_SQL", () => {
    if (!Array.isArray(parameters)) {
      throw new AzothError(
        "INVALID_SQL",
        `The parameters of a statement must be an array, and are ${quote(parameters)}.`,
      );
    }
    const wrong = parameters.findIndex((value) => !isSqlValue(value));
    if (wrong === -1) return [...(parameters as readonly SqlValue[])];
    const shown = `Parameter ${wrong + 1} is ${quote(parameters[wrong])}`;
    throw new AzothError(
      "INVALID_SQL",
      `${shown}. Bind null, numbers, bigints, strings without NUL and halves of characters, or Uint8Arrays; a date as its ISO string.`,
    );
  });
}

function isSqlValue(value: unknown): boolean {
  if (typeof value === "number") return !Number.isNaN(value);
  if (typeof value === "string") return !/[\0\p{Cs}]/u.test(value);
  return value === null || typeof value === "bigint" || value instanceof Uint8Array;
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
