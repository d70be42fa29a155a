/**
 * The user's own statements, in our transactions.
 *
 * A statement that ends, nests or bypasses the transaction would break the promise that all of it commits
 * together; such statements are refused, and so is a write to the scheduler's own tables.
 */
import { AzothError, quote } from "../../errors.ts";
import { boundedText } from "../../limits.ts";
import type { SqlRow, SqlValue } from "../../store/engine.ts";
import type { Connection } from "./driver.ts";
import { sqliteCode, storeError } from "./sqlite-errors.ts";

const leadingNoise = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/;
const forbiddenVerb =
  /^(?:begin|commit|end|rollback|savepoint|release|pragma|attach|detach|vacuum|reindex|explain\s+pragma)\b/i;
const ownTableWrite =
  /^(?:with\b[\s\S]*?\b)?(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|update(?:\s+or\s+\w+)?|delete\s+from|drop\s+(?:table|index)(?:\s+if\s+exists)?|alter\s+table)\s+["'`[]?azoth_/i;

const sqliteReadonly = 8;

/** SQLite result codes that are about the user's statement, not about the state of the file: ERROR, CONSTRAINT, MISMATCH, RANGE, TOOBIG. */
const statementCodes = new Set([1, 18, 19, 20, 25]);

export function executeUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): number {
  return guarded(sql, () => connection.run(sql, ...parameters));
}

export function queryUserSql(connection: Connection, sql: string, parameters: readonly SqlValue[]): SqlRow[] {
  return guarded(sql, () => connection.all<SqlRow>(sql, ...parameters).map((row) => ({ ...row })), "query");
}

function guarded<T>(sql: string, work: () => T, what: "statement" | "query" = "statement"): T {
  if (typeof sql !== "string" || sql.trim() === "") {
    throw new AzothError("INVALID_SQL", `A statement must be a text of SQL, and is ${quote(sql)}.`);
  }
  const statement = sql.replace(leadingNoise, "");
  const verb = forbiddenVerb.exec(statement)?.[0];
  if (verb !== undefined) {
    throw new AzothError(
      "INVALID_SQL",
      `${verb.toUpperCase()} cannot run inside of a transaction of the store. Leave it out.`,
    );
  }
  if (hasSecondStatement(statement)) {
    // SQLite would compile the first and drop the rest in silence.
    throw new AzothError("INVALID_SQL", `${quote(sql)} has more than one statement. Run them one by one.`);
  }
  if (ownTableWrite.test(statement)) {
    throw new AzothError(
      "INVALID_SQL",
      "Tables whose names begin with azoth_ belong to the store. Use its API, or another table name.",
    );
  }
  try {
    return work();
  } catch (error) {
    if (what === "query" && sqliteCode(error) === sqliteReadonly) {
      throw new AzothError("INVALID_SQL", `A query cannot write: ${quote(sql)}. Use a transaction.`, { cause: error });
    }
    throw userSqlError(error, sql);
  }
}

const quotedOrComment = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\//g;
const trigger = /^create\s+(?:temp\s+|temporary\s+)?trigger\b/i;

function hasSecondStatement(statement: string): boolean {
  return !trigger.test(statement) && /;\s*[^\s;]/.test(statement.replace(quotedOrComment, " "));
}

function userSqlError(error: unknown, sql: string): unknown {
  const code = sqliteCode(error);
  const aboutStatement = code === undefined || statementCodes.has(code);
  if (!aboutStatement) return storeError(error, "a statement of the user's");
  const words = error instanceof Error ? boundedText(error.message, 300) : "unknown error";
  return new AzothError("INVALID_SQL", `SQLite refused ${quote(sql)}: ${words}.`, { cause: error });
}
