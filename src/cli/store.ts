/** Which store a command works on, and its opening. */
import path from "node:path";
import { AzothDb, type AzothDbOptions, Sealed } from "../index.ts";
import type { Call } from "./action.ts";
import { CliError, withoutPassword } from "./errors.ts";

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

/** So many definitions are looked at: some may be of this command line, which never seals. */
const definitionsLookedAt = 100;

/**
 * The command line has no keys, so whatever it writes is clear text. A store says nowhere that it is encrypted, only
 * its definitions do: one with a sealed payload is enough.
 * @throws CliError if the store holds sealed payloads
 */
export async function refuseClearText(db: AzothDb, option: string): Promise<void> {
  let seen = 0;
  for await (const { payload } of db.readLog({ eventTypes: ["TaskScheduled"], latestFirst: true })) {
    if ((payload as { readonly payload?: unknown }).payload instanceof Sealed) {
      throw new CliError(
        "refused",
        `The payloads of this store are encrypted, and ${option} would be stored as clear text.`,
        "Do it from a program that opens the store with its payloadCodec.",
      );
    }
    if (++seen === definitionsLookedAt) return;
  }
}
