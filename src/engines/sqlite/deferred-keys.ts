/**
 * The user's own foreign keys that SQLite looks at only when it commits.
 *
 * Many callers share a commit: a key that one of them broke would fail all of them, and a turn of the scheduler
 * again and again. So they are looked at when the part of the transaction ends that may have broken them.
 */
import { AzothError, quote } from "../../errors.ts";
import type { Connection } from "./driver.ts";

/** The tables that have such keys; usually none. */
export function tablesWithDeferredKeys(connection: Connection): readonly string[] {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%INITIALLY%DEFERRED%'";
  return connection.all<{ name: string }>(sql).map(({ name }) => name);
}

/** @throws AzothError INVALID_SQL with the first row that refers to nothing */
export function refuseBrokenKeys(connection: Connection, tables: readonly string[]): void {
  for (const table of tables) {
    const sql = "SELECT rowid AS row, parent FROM pragma_foreign_key_check(?) LIMIT 1";
    const broken = connection.get<{ row: number | null; parent: string }>(sql, table);
    if (broken === undefined) continue;
    const what = `Row ${broken.row ?? "?"} of table ${quote(table)} refers to a row of ${quote(broken.parent)} that does not exist`;
    throw new AzothError("INVALID_SQL", `${what}: its foreign key is broken at the end of the transaction.`);
  }
}
