/**
 * The user's own foreign keys that SQLite looks at only when it commits.
 *
 * Many callers share a commit: a key that one of them broke would fail all of them, and a turn of the scheduler
 * again and again. So they are looked at when the part of the transaction ends that may have broken them.
 */
import { AzothError, quote } from "../../errors.ts";
import type { Connection } from "./driver.ts";

/** @throws AzothError INVALID_SQL with the first row that refers to nothing */
export function refuseBrokenKeys(connection: Connection): void {
  for (const { name } of connection.all<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%INITIALLY%DEFERRED%'",
  )) {
    const sql = "SELECT rowid AS row, parent FROM pragma_foreign_key_check(?) LIMIT 1";
    const broken = connection.get<{ row: number | null; parent: string }>(sql, name);
    if (broken === undefined) continue;
    const what = `Row ${broken.row ?? "?"} of table ${quote(name)} refers to a row of ${quote(broken.parent)} that does not exist`;
    throw new AzothError("INVALID_SQL", `${what}: its foreign key is broken at the end of the transaction.`);
  }
}
