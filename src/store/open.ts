/** Chooses the engine by the location, and loads no other. */
import { AzothError, quote } from "../errors.ts";
import type { Clock } from "../clock.ts";
import type { Engine } from "./engine.ts";

export interface OpenEngineOptions {
  /** Whether to make the store if it is not there. Defaults to true. */
  readonly create?: boolean;
  /** Whether to bring an older one up to date. Defaults to true. */
  readonly migrate?: boolean;
  readonly durability: "full" | "normal";
  readonly busyTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly sqliteDriver?: unknown;
  /** Of PostgreSQL only. */
  readonly schema?: string;
  /** Of PostgreSQL only. Defaults to 10. */
  readonly maxConnections?: number;
  /** This machine's clock, which is compared with the database's. */
  readonly clock?: Clock;
}

const defaultMaxConnections = 10;

/**
 * Makes a SQLite store's file that `fill` fills; it bears its name only when it is whole.
 * @throws AzothError INVALID_LOCATION if there is something at `target`
 */
export async function makeStoreFile(
  target: string,
  { sqliteDriver, busyTimeoutMs }: { readonly sqliteDriver?: unknown; readonly busyTimeoutMs: number },
  fill: (engine: Engine) => Promise<void>,
): Promise<void> {
  const { makeSqliteFile } = await import("../engines/sqlite/sqlite-engine.ts");
  const driver = sqliteDriver === undefined ? {} : { driver: sqliteDriver as never };
  await makeSqliteFile(target, { durability: "normal", busyTimeoutMs, ...driver }, fill);
}

/** @throws AzothError INVALID_LOCATION, or why the engine could not open it */
export async function openEngine(location: string, options: OpenEngineOptions): Promise<Engine> {
  if (typeof location !== "string" || location.trim() === "" || location.includes("\0")) {
    throw new AzothError(
      "INVALID_LOCATION",
      `A store's location must be a directory path, a postgres:// URL or ":memory:", and is ${quote(location)}.`,
    );
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1]?.toLowerCase();
  if (scheme === "postgres" || scheme === "postgresql") {
    const { openPostgres } = await import("../engines/postgres/postgres-engine.ts");
    const { maxConnections = defaultMaxConnections, sqliteDriver: _, ...rest } = options;
    return await openPostgres(location, { ...rest, maxConnections });
  }
  if (/^\s*(?:jdbc:)?postgres(?:ql)?:/i.test(location)) {
    // Not the location itself: it may hold a password.
    throw new AzothError("INVALID_LOCATION", "A PostgreSQL URL begins with postgres://, with nothing before it.");
  }
  if (scheme !== undefined) {
    throw new AzothError(
      "INVALID_LOCATION",
      `There is no engine for ${quote(`${scheme}://…`)}. Pass a directory path, a postgres:// URL or ":memory:".`,
    );
  }
  const { openSqlite } = await import("../engines/sqlite/sqlite-engine.ts");
  const { create = true, migrate = true, durability, busyTimeoutMs, sqliteDriver } = options;
  return await openSqlite(location, {
    create,
    migrate,
    durability,
    busyTimeoutMs,
    ...(sqliteDriver === undefined ? {} : { driver: sqliteDriver as never }),
  });
}
