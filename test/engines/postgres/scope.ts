/**
 * What a test has begun ends with it, also where tests of a file run beside each other: they wait most of their time,
 * for timeouts and for other processes. vitest's own hooks do not know then whose they are.
 *
 *     test.concurrent("waits", inScope(async () => { … }))
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { onTestFinished, type TestContext } from "vitest";
import { lastingUrl } from "../../postgres/databases.ts";
import { type PostgresServer, type ServerOptions, startServer } from "../../postgres/server.ts";

type End = () => unknown;

const scopes = new AsyncLocalStorage<(end: End) => void>();

/** A test whose ends are its own. */
export function inScope(run: () => Promise<void>): (context: TestContext) => Promise<void> {
  return (context) => scopes.run((end) => context.onTestFinished(async () => void (await end())), run);
}

/** The same for a test of several cases. */
export function eachInScope<Case>(
  run: (given: Case) => Promise<void>,
): (given: Case, context: TestContext) => Promise<void> {
  return (given, context) => inScope(() => run(given))(context);
}

/** Calls `end` when the test is over, before what was begun earlier ends. */
export function atEnd(end: End): void {
  const scope = scopes.getStore();
  if (scope === undefined) onTestFinished(async () => void (await end()));
  else scope(end);
}

/** An empty schema of the shared server, as `freshUrl` gives it. */
export function ownUrl(): string {
  const { url, drop } = lastingUrl();
  atEnd(drop);
  return url;
}

/** A server of the test's own. */
export async function ownServer(options?: ServerOptions): Promise<PostgresServer> {
  const server = await startServer(options);
  atEnd(() => server.dispose());
  return server;
}
