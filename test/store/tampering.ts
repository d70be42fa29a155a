/** Changes a store's file behind the library's back, as a person with an SQL shell, or a bad disk, would. */
import { loadDriver } from "../../src/engines/sqlite/driver.ts";
import type { SqlValue } from "../../src/store/engine.ts";

export async function tamper(file: string, sql: string, ...parameters: SqlValue[]): Promise<void> {
  const { DatabaseSync } = await loadDriver();
  const database = new DatabaseSync(file);
  try {
    if (parameters.length === 0) database.exec(sql);
    else database.prepare(sql).run(...parameters);
  } finally {
    database.close();
  }
}
