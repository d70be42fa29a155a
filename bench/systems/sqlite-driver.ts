/** The driver that the package uses on this Node, loaded by the same rule. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The members that both drivers have and the benchmark uses. */
export interface SqliteStatement {
  run(...parameters: (string | number | null)[]): unknown;
  get(...parameters: (string | number | null)[]): unknown;
  all(...parameters: (string | number | null)[]): unknown[];
}

export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  readonly name: string;
  readonly DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => SqliteDatabase;
}

export async function loadSqliteDriver(): Promise<SqliteDriver> {
  const builtin = loadBuiltin();
  if (builtin !== undefined) return { name: "node:sqlite", DatabaseSync: builtin.DatabaseSync };
  const { DatabaseSync } = await import("@photostructure/sqlite");
  return { name: "@photostructure/sqlite", DatabaseSync };
}

function loadBuiltin(): typeof import("node:sqlite") | undefined {
  try {
    return process.getBuiltinModule("node:sqlite");
  } catch {
    return undefined;
  }
}

/**
 * The bytes of all databases in a directory, which nobody has open. Their write-ahead logs go into them first: some drivers
 * close for real only when their statements are collected, and leave the log, whose size says nothing about the data.
 */
export async function databaseBytes(directory: string): Promise<number> {
  const { DatabaseSync } = await loadSqliteDriver();
  const files = readdirSync(directory).filter((name) => name.endsWith(".db"));
  return files.reduce((sum, name) => {
    const path = join(directory, name);
    const database = new DatabaseSync(path);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    return sum + statSync(path).size;
  }, 0);
}

export async function sqliteVersion(): Promise<string> {
  const { name, DatabaseSync } = await loadSqliteDriver();
  const database = new DatabaseSync(":memory:");
  const row = database.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  database.close();
  return `${row.version} (${name})`;
}
