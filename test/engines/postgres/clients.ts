/** Plain connections of `pg`, as the user's own code has them, and the store beside them. */
import { AzothDb, type AzothDbOptions } from "azoth-scheduler";
import { Client } from "pg";
import { atEnd } from "./scope.ts";

/** A connection that ends with the test; its breaking is no failure. */
export async function connect(url: string, name: string = "azoth test"): Promise<Client> {
  const client = new Client({ connectionString: withName(url, name) });
  client.on("error", () => {});
  await client.connect();
  // The end is not waited for: where the test has cut the line, it never comes.
  atEnd(() => void client.end().catch(() => {}));
  return client;
}

/** Under this name the server shows the connections of a URL that were given a name: in each schema it is another one. */
export function shownName(url: string, name: string): string {
  return `${name} in ${new URL(url).searchParams.get("schema") ?? "its own server"}`;
}

export function withName(url: string, name: string): string {
  const named = new URL(url);
  named.searchParams.set("application_name", shownName(url, name));
  return named.href;
}

/** A store that is closed with the test. */
export async function openDb(url: string, options?: AzothDbOptions): Promise<AzothDb> {
  const db = await AzothDb.open(url, options);
  atEnd(() => db.close());
  return db;
}

/** What the server shows of its connections. */
export interface Backend {
  readonly pid: number;
  readonly query: string;
  /** "Lock" while it waits for another transaction. */
  readonly waitsFor: string | null;
  readonly isInTransaction: boolean;
}

/** The server's side of the connections of a URL and name. */
export async function backendsOf(client: Client, url: string, name: string): Promise<Backend[]> {
  const sql = `SELECT pid, query, wait_event_type AS "waitsFor", xact_start IS NOT NULL AS "isInTransaction"
    FROM pg_stat_activity WHERE application_name = $1 ORDER BY backend_start`;
  return (await client.query<Backend>(sql, [shownName(url, name)])).rows;
}

/** Begins a transaction on a connection of its own. */
export async function begin(url: string, name?: string): Promise<Client> {
  const client = await connect(url, name);
  await client.query("BEGIN");
  return client;
}
