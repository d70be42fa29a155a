/**
 * The server that all tests of a run share: a global setup of the vitest project "postgres", so that a run without
 * tests of that project starts none.
 */
import { Client } from "pg";
import type { TestProject } from "vitest/node";
import { findBinaries } from "./binaries.ts";
import { removeStaleDirectories } from "./server-directory.ts";
import { startServer } from "./server.ts";

/** What the tests of a run learn of their server. */
export type SharedServer =
  /** `binaries` says whether a test can start further ones. */
  | { readonly state: "ready"; readonly url: string; readonly binaries: boolean }
  /** The tests that need it fail with this reason. */
  | { readonly state: "failed"; readonly reason: string }
  /** The tests that need it are skipped. */
  | { readonly state: "absent"; readonly reason: string };

declare module "vitest" {
  interface ProvidedContext {
    readonly sharedServer: SharedServer;
  }
}

type Teardown = () => Promise<void>;

export default async function setUp(project: TestProject): Promise<Teardown | undefined> {
  try {
    return await provideServer(project);
  } catch (error) {
    project.provide("sharedServer", { state: "failed", reason: `No PostgreSQL for the tests: ${messageOf(error)}` });
    return undefined;
  }
}

async function provideServer(project: TestProject): Promise<Teardown | undefined> {
  const { DATABASE_URL } = process.env;
  const binaries = findBinaries() !== null;
  if (isSet(DATABASE_URL)) {
    await tryConnection(DATABASE_URL);
    if (!binaries && !isRequired()) sayThatSkipped("tests that start or kill servers of PostgreSQL", noBinaries());
    project.provide("sharedServer", { state: "ready", url: DATABASE_URL, binaries: binaries || isRequired() });
    return undefined;
  }
  if (!binaries) {
    const reason = `${noBinaries()} Or set DATABASE_URL.`;
    if (!isRequired()) sayThatSkipped("all tests on PostgreSQL", reason);
    project.provide("sharedServer", { state: isRequired() ? "failed" : "absent", reason });
    return undefined;
  }
  removeStaleDirectories();
  const server = await startServer();
  project.provide("sharedServer", { state: "ready", url: server.url, binaries });
  return () => server.dispose();
}

function noBinaries(): string {
  const platform = `${process.platform}-${process.arch}`;
  return `No PostgreSQL for ${platform} runs here. Run npm ci with optional dependencies, or install PostgreSQL.`;
}

function sayThatSkipped(what: string, reason: string): void {
  console.error(`\nSKIPPED: ${what}. ${reason}\n`);
}

async function tryConnection(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (error) {
    // Not the URL: it may hold a password.
    throw new Error(`DATABASE_URL leads to no server (${messageOf(error)})`, { cause: error });
  } finally {
    await client.end();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isRequired(): boolean {
  return isSet(process.env.CI) || isSet(process.env.AZOTH_REQUIRE_POSTGRES);
}

function isSet(variable: string | undefined): variable is string {
  return variable !== undefined && !["", "0", "false"].includes(variable);
}
