/** A copy of a store that is in use, as it was at one moment; under its name only once it is whole. */
import fs from "node:fs";
import path from "node:path";
import { AzothError, quote } from "../../errors.ts";
import { Connection, type SqliteDriver } from "./driver.ts";
import { openError, syncDirectory } from "./store-file.ts";

/**
 * Pages in one step: all of them. SQLite begins a backup anew whenever somebody writes between two steps, which
 * under load is for ever; within one step it reads a snapshot, and writers go on beside it.
 */
const pagesPerStep = 2_147_483_647;

/** @throws AzothError INVALID_LOCATION if there is something at `target`, STORE_NOT_WRITABLE, STORE_FULL, … */
export async function backUp(driver: SqliteDriver, file: string, target: string): Promise<void> {
  await makeFile(target, (workshop) => copyTo(workshop, driver, file));
}

/** @throws AzothError as above; @param make makes the file's contents in a directory of its own, and tells where */
export async function makeFile(target: string, make: (workshop: string) => Promise<string>): Promise<void> {
  if (typeof target !== "string" || target.trim() === "" || target.includes("\0")) {
    throw new AzothError("INVALID_LOCATION", `A backup's target must be the path of a file, and is ${quote(target)}.`);
  }
  const place = path.resolve(target);
  let workshop: string | undefined;
  try {
    if (fs.lstatSync(place, { throwIfNoEntry: false }) !== undefined) throw taken(target);
    workshop = fs.mkdtempSync(path.join(path.dirname(place), ".azoth-backup-"));
    const draft = await make(workshop);
    fs.chmodSync(draft, 0o600);
    putInPlace(draft, place, target);
    syncDirectory(path.dirname(place));
  } catch (error) {
    throw openError(error, target);
  } finally {
    if (workshop !== undefined) fs.rmSync(workshop, { recursive: true, force: true });
  }
}

/**
 * Copies a store's file into a directory, and tells where it is there.
 * On a connection of its own: the copying holds its connection, and not the event loop.
 */
export async function copyTo(directory: string, { DatabaseSync, backup }: SqliteDriver, file: string): Promise<string> {
  const draft = path.join(directory, "backup.db");
  const source = new Connection(new DatabaseSync(file));
  try {
    source.exec("PRAGMA busy_timeout = 2000");
    if (backup === undefined) source.run("VACUUM INTO ?", draft);
    else await backup(source.database as never, draft, { rate: pagesPerStep });
    return draft;
  } finally {
    source.close();
  }
}

function putInPlace(draft: string, place: string, target: string): void {
  try {
    fs.linkSync(draft, place);
  } catch (error) {
    if (fs.existsSync(place)) throw taken(target);
    // Some file systems have no hard links.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw error;
    fs.renameSync(draft, place);
  }
}

function taken(target: string): AzothError {
  return new AzothError(
    "INVALID_LOCATION",
    `The backup would overwrite ${quote(target)}. Name a file that does not exist.`,
  );
}
