/** Which store a command works on, and its opening. */
import path from "node:path";
import { AzothDb, type AzothDbOptions } from "../index.ts";
import type { Call } from "./action.ts";
import { withoutPassword } from "./errors.ts";

/** Where nobody says: in the present directory. */
export const defaultStore = "./azoth-data";

/** The environment variable that names the store. */
export const storeVariable = "AZOTH_STORE";

/** The store that the command is about: `--store`, else the environment's, else {@link defaultStore}. */
export function storeLocation({ options, context }: Call): string {
  const fromEnvironment = context.env[storeVariable];
  const given =
    options.store ?? (fromEnvironment === undefined || fromEnvironment === "" ? defaultStore : fromEnvironment);
  return locationOf(given, context.cwd);
}

/** A path from the present directory; a URL as it is. */
export function locationOf(given: string, cwd: string): string {
  const isUrl = /^[a-z][a-z0-9+.:-]*:\/\//i.test(given) || /^postgres(ql)?:/i.test(given);
  return isUrl || given.trim() === "" || given === ":memory:" ? given : path.resolve(cwd, given);
}

/** The location for people: without a password. */
export function shownLocation(location: string): string {
  return withoutPassword(location);
}

/**
 * Opens a store that is there: a command never makes one by accident, nor changes the schema of one.
 * @throws AzothError STORE_NOT_FOUND, STORE_OUTDATED, …
 */
export async function openStore(call: Call, location: string, options: AzothDbOptions = {}): Promise<AzothDb> {
  return await AzothDb.open(location, { create: false, migrate: false, clock: call.context.clock, ...options });
}

/** Runs `work` on the command's store, and closes it. */
export async function withStore<Result>(call: Call, work: (db: AzothDb) => Promise<Result>): Promise<Result> {
  await using db = await openStore(call, storeLocation(call));
  return await work(db);
}
