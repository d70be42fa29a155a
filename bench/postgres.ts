/**
 * The PostgreSQL of the benchmark: the server of DATABASE_URL, whose role must be allowed to create databases, else one that
 * is started from the binaries of the tests, with fsync on. Each measurement has a database of its own on it.
 */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { Client } from "pg";
import { findBinaries } from "../test/postgres/binaries.ts";
import { startServer } from "../test/postgres/server.ts";

export interface BenchServer {
  readonly url: string;
  /** What a reader of the numbers has to know. */
  readonly facts: Readonly<Record<string, string>>;
  dispose(): Promise<void>;
}

/** Null if there is none. @param directory where stores of SQLite are: the data go to the same disk if a server can work there */
export async function provideServer(directory: string): Promise<BenchServer | null> {
  const { DATABASE_URL } = process.env;
  if (DATABASE_URL !== undefined && DATABASE_URL !== "") {
    const facts = { ...(await settingsOf(DATABASE_URL)), place: "the server of DATABASE_URL" };
    return { url: DATABASE_URL, facts, dispose: async () => {} };
  }
  if (findBinaries() === null) return null;
  // The harness makes its directory there, unless a server could not.
  process.env["TMPDIR"] = directory;
  const server = await startServer({ settings: { fsync: "on", full_page_writes: "on" } });
  const sameDisk = statSync(server.directory).dev === statSync(directory).dev;
  const place = sameDisk ? "started for this run, on the same disk" : "started for this run, ON ANOTHER DISK";
  const facts = { ...(await settingsOf(server.url)), place };
  return { url: server.url, facts, dispose: () => server.dispose() };
}

async function settingsOf(url: string): Promise<Readonly<Record<string, string>>> {
  const names = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"];
  return await withClient(url, async (client) => {
    const facts: Record<string, string> = {};
    for (const name of names) {
      const { rows } = await client.query<Record<string, string>>(`SHOW ${name}`);
      facts[name] = rows[0]?.[name] ?? "";
    }
    return facts;
  });
}

export interface Database {
  readonly url: string;
  readonly drop: () => Promise<void>;
}

/** An empty database; what earlier ones wrote is on disk before it is used. */
export async function freshDatabase(serverUrl: string): Promise<Database> {
  const name = `azoth_bench_${randomBytes(6).toString("hex")}`;
  await withClient(serverUrl, async (client) => {
    await client.query(`CREATE DATABASE ${name}`);
    // Needs a right that the role may not have.
    await client.query("CHECKPOINT").catch(() => {});
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = () => {
    return withClient(serverUrl, async (client) => {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
    });
  };
  return { url: url.href, drop };
}

/** The bytes of all tables and indexes in a database, as they lie: with the room of dead rows. */
export function bytesInDatabase(url: string): Promise<number> {
  const sql = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;
  return withClient(url, async (client) => Number((await client.query<{ bytes: string }>(sql)).rows[0]?.bytes));
}

async function withClient<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
