/** Changes a store behind the library's back, as a person with an SQL shell, or a bad disk, would. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { loadDriver } from "../../src/engines/sqlite/driver.ts";

/** @param location a store's file, the directory that it is in, or a URL of `freshUrl` */
export async function tamper(location: string, sql: string): Promise<void> {
  if (location.startsWith("postgres:")) await tamperWithServer(location, sql);
  else await tamperWithFile(statSync(location).isDirectory() ? join(location, "azoth.db") : location, sql);
}

async function tamperWithFile(file: string, sql: string): Promise<void> {
  const { DatabaseSync } = await loadDriver();
  const database = new DatabaseSync(file);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

async function tamperWithServer(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A statement that changes a column of a task. */
export function changed(column: string, value: string, taskId: string): string {
  return `UPDATE azoth_tasks SET ${column} = ${value} WHERE id = '${taskId}'`;
}

/** A statement about the first event of a type of a task. */
export function eventOf(statement: string, type: string, taskId: string): string {
  return `${statement} position = (SELECT min(position) FROM azoth_events
    WHERE type = (SELECT id FROM azoth_names WHERE name = '${type}')
    AND task = (SELECT seq FROM azoth_tasks WHERE id = '${taskId}'))`;
}
