/** Plain connections of `pg`, as the user's own code has them, and the store beside them. */
import { AzothDb, type AzothDbOptions } from "azoth-scheduler";
import { Client } from "pg";
import { onTestFinished } from "vitest";

/** A connection that ends with the test; its breaking is no failure. */
export async function connect(url: string, applicationName: string = "azoth test"): Promise<Client> {
  const client = new Client({ connectionString: withName(url, applicationName) });
  client.on("error", () => {});
  await client.connect();
  // The end is not waited for: where the test has cut the line, it never comes.
  onTestFinished(() => void client.end().catch(() => {}));
  return client;
}

/** Under this name the server shows the connections of a URL. */
export function withName(url: string, applicationName: string): string {
  const named = new URL(url);
  named.searchParams.set("application_name", applicationName);
  return named.href;
}

/** A store that is closed with the test. */
export async function openDb(url: string, options?: AzothDbOptions): Promise<AzothDb> {
  const db = await AzothDb.open(url, options);
  onTestFinished(() => db.close());
  return db;
}

/** What the server shows of its connections. */
export interface Backend {
  readonly pid: number;
  readonly query: string;
  /** "Lock" while it waits for another transaction. */
  readonly waitsFor: string | null;
}

/** The server's side of the connections of a name. */
export async function backendsOf(client: Client, applicationName: string): Promise<Backend[]> {
  const sql = `SELECT pid, query, wait_event_type AS "waitsFor" FROM pg_stat_activity WHERE application_name = $1`;
  return (await client.query<Backend>(sql, [applicationName])).rows;
}

/** Begins a transaction on a connection of its own. */
export async function begin(url: string, applicationName?: string): Promise<Client> {
  const client = await connect(url, applicationName);
  await client.query("BEGIN");
  return client;
}
