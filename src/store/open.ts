/** Chooses the engine by the location, and loads no other. */
import { AzothError, quote } from "../errors.ts";
import type { Engine } from "./engine.ts";

export interface OpenEngineOptions {
  readonly durability: "full" | "normal";
  readonly busyTimeoutMs: number;
  readonly sqliteDriver: unknown;
}

/** @throws AzothError INVALID_LOCATION, or why the engine could not open it */
export async function openEngine(location: string, options: OpenEngineOptions): Promise<Engine> {
  if (typeof location !== "string" || location.trim() === "" || location.includes("\0")) {
    throw new AzothError(
      "INVALID_LOCATION",
      `A store's location must be a directory path or ":memory:", and is ${quote(location)}.`,
    );
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1];
  if (scheme !== undefined) {
    throw new AzothError(
      "INVALID_LOCATION",
      `There is no engine for ${quote(`${scheme}://…`)}. Pass a directory path or ":memory:".`,
    );
  }
  const { openSqlite } = await import("../engines/sqlite/sqlite-engine.ts");
  const { durability, busyTimeoutMs, sqliteDriver } = options;
  return await openSqlite(location, {
    durability,
    busyTimeoutMs,
    ...(sqliteDriver === undefined ? {} : { driver: sqliteDriver as never }),
  });
}
