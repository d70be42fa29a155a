/** Empty databases for tests: a schema on the server that all tests of a run share, or a server of the test's own. */
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject, onTestFinished } from "vitest";
import { type PostgresServer, type ServerOptions, startServer } from "./server.ts";

/** To be called in tests of the vitest project "postgres". */
export function sharedServerUrl(): string {
  const server = inject("sharedServer");
  if (server.state !== "ready") throw new Error(server.reason);
  return server.url;
}

/** The shared server, and in its parameter `schema` a name that nobody else uses, where the user's tables go as well. The schema goes with the test. */
export async function freshUrl(): Promise<string> {
  const { url, drop } = lastingUrl();
  onTestFinished(drop);
  return url;
}

/** As `freshUrl`, for several tests of a file: `drop` is to be called after the last. */
export function lastingUrl(): { readonly url: string; readonly drop: () => Promise<void> } {
  const schema = `azoth_test_${randomBytes(8).toString("hex")}`;
  const url = new URL(sharedServerUrl());
  url.searchParams.set("schema", schema);
  // The test's own tables go with the schema, too.
  url.searchParams.set("options", `-c search_path=${schema}`);
  return { url: url.href, drop: () => dropSchema(schema) };
}

/** The schema that a URL of `freshUrl` names. */
export function schemaOf(url: string): string {
  return new URL(url).searchParams.get("schema") ?? "";
}

/** A server that goes with the test, for tests that stop or kill it. Such tests are `test.skipIf(!canStartServers())`. */
export async function freshServer(options?: ServerOptions): Promise<PostgresServer> {
  const server = await startServer(options);
  onTestFinished(() => server.dispose());
  return server;
}

/** False if there is nothing but DATABASE_URL. Without any server the tests do not come so far as to need one. */
export function canStartServers(): boolean {
  const server = inject("sharedServer");
  return server.state !== "ready" || server.binaries;
}

/** One connection, for a few milliseconds: a run has many tests at a time, and the server few connections. */
async function dropSchema(schema: string): Promise<void> {
  // A transaction that a test left open holds locks: better an error that says so than a hook that times out.
  const client = new Client({ connectionString: sharedServerUrl(), lock_timeout: 10_000, application_name: "drop" });
  await client.connect();
  try {
    await client.query(`SET client_min_messages = warning; DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  } finally {
    await client.end();
  }
}
