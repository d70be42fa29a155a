/**
 * The user's own statements, in our transactions.
 *
 * What would end or bypass the transaction is refused (see `../user-statement.ts`). Each statement has a savepoint
 * of its own, so that one that fails by its own fault leaves the rest of the transaction usable.
 */
import { AzothError, messageOf, oneLine, quote } from "../../errors.ts";
import { type SqlRow, type SqlValue, WriteCollision } from "../../store/engine.ts";
import { checkedParameters } from "../user-parameters.ts";
import { checkStatement, numberPlaceholders } from "../user-statement.ts";
import type { PgResult } from "./driver.ts";
import { codeOf, isOfServer, storeError } from "./postgres-errors.ts";
import type { ClientSession } from "./session.ts";

const dialect = "postgres";
const place = "a statement of the user's";
/** They are counted in two bytes. */
const mostParameters = 65_535;

/** Runs a statement in the transaction that is open, and returns how many rows it changed. */
export async function executeUserSql(
  session: ClientSession,
  sql: string,
  parameters: readonly SqlValue[],
): Promise<number> {
  const { changesRows } = checkStatement(sql, dialect);
  noteTraces(session, sql);
  const { rowCount } = await inSavepoint(session, sql, bindable(parameters));
  return changesRows ? (rowCount ?? 0) : 0;
}

export async function queryUserSql(
  session: ClientSession,
  sql: string,
  parameters: readonly SqlValue[],
): Promise<SqlRow[]> {
  checkStatement(sql, dialect);
  noteTraces(session, sql);
  return rowsOf(await inSavepoint(session, sql, bindable(parameters)));
}

/** Runs a query on committed state. */
export async function readUserSql(
  session: ClientSession,
  sql: string,
  parameters: readonly SqlValue[],
): Promise<SqlRow[]> {
  checkStatement(sql, dialect);
  noteTraces(session, sql);
  const values = bindable(parameters);
  await session.script("BEGIN READ ONLY");
  // It may take its time; whether anybody is there at all is known by now.
  session.timeoutMs = undefined;
  try {
    return rowsOf(await session.answer(numberPlaceholders(sql, values.length), values));
  } catch (error) {
    if (codeOf(error) === "25006") {
      throw new AzothError("INVALID_SQL", `A query cannot write: ${quote(sql)}. Use a transaction.`, { cause: error });
    }
    throw userSqlError(error, sql);
  } finally {
    // There is nothing to commit; and on a connection that is gone, nothing to end.
    await session.script("ROLLBACK").catch(() => {});
  }
}

/** What outlives its transaction: settings, temporary tables, locks of the session. */
const tracesShape = /set_config|\btemp(?:orary)?\b|pg_(?:try_)?advisory_lock/i;

/** A connection with traces of one user's is not lent to the next. */
function noteTraces(session: ClientSession, sql: string): void {
  if (tracesShape.test(sql)) session.sound = false;
}

function inSavepoint(session: ClientSession, sql: string, values: readonly unknown[]): Promise<PgResult> {
  return session.alone(async ({ script, answer }) => {
    // Sent together: three statements for one wait.
    const [, answered] = await Promise.allSettled([
      script("SAVEPOINT azoth_statement"),
      answer(numberPlaceholders(sql, values.length), values),
      script("RELEASE SAVEPOINT azoth_statement"),
    ]);
    if (answered.status === "fulfilled") return answered.value;
    if (isOfServer(answered.reason)) {
      await script("ROLLBACK TO SAVEPOINT azoth_statement; RELEASE SAVEPOINT azoth_statement");
    }
    throw userSqlError(answered.reason, sql);
  });
}

function bindable(given: readonly SqlValue[]): unknown[] {
  const parameters = checkedParameters(given);
  if (parameters.length > mostParameters) {
    const message = `A statement has at most ${mostParameters} parameters, and is given ${parameters.length}.`;
    throw new AzothError("INVALID_SQL", message);
  }
  return parameters.map((value) => {
    if (typeof value === "bigint") return value.toString();
    return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
  });
}

function rowsOf({ rows, fields }: PgResult): SqlRow[] {
  return rows.map((row) => Object.fromEntries(fields.map(({ name }, index) => [name, row[index] as SqlValue])));
}

function userSqlError(error: unknown, sql: string): unknown {
  if (isTheirs(error)) return refusal(`PostgreSQL refused ${quote(sql)}`, error);
  const known = storeError(error, place);
  if (!(known instanceof WriteCollision)) return known;
  return new AzothError("STORE_BUSY", `${quote(sql)} collided with another transaction. Do it again.`, {
    cause: error,
  });
}

/** The error for rules of the user's that PostgreSQL looks at only at the end; passes on what is none. */
export function brokenRuleError(error: unknown): unknown {
  return isTheirs(error) ? refusal("PostgreSQL refused to commit", error) : error;
}

/** A broken rule of the user's own tables is no collision of ours. */
function isTheirs(error: unknown): boolean {
  return isOfServer(error) && !/^(25P03|25P04|40|53|55P03|57|58|XX)/.test(codeOf(error));
}

function refusal(what: string, cause: unknown): AzothError {
  return new AzothError("INVALID_SQL", `${what}: ${oneLine(messageOf(cause), 300)}.`, { cause });
}
