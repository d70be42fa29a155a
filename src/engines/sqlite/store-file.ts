/**
 * The file of a store: finding it, making it whole or not at all, and refusing what is not one.
 *
 * A new store is built under another name and linked into place when it is complete, so that no
 * half-made file ever bears the store's name, and an empty one is known for a damaged one.
 */
import fs from "node:fs";
import path from "node:path";
import { AzothError, quote } from "../../errors.ts";
import { Connection, type SqliteDriver } from "./driver.ts";
import { isSeenHere } from "./open-files.ts";
import { applicationId, migrate, schemaVersion } from "./schema.ts";
import { sqliteCode, storeError } from "./sqlite-errors.ts";

/** The file in a store's directory. */
const fileName = "azoth.db";

/**
 * Resolves a location (a directory, or an existing file) to the store's file, and makes it if it is not there.
 * @throws AzothError STORE_NOT_FOUND if it is not to be made, and why it could not be
 */
export function prepareStoreFile(location: string, driver: SqliteDriver, { create } = { create: true }): string {
  try {
    const stat = fs.statSync(location, { throwIfNoEntry: false });
    const file = stat?.isFile() === true ? path.resolve(location) : path.resolve(location, fileName);
    if (!fs.existsSync(file)) {
      if (!create) throw new AzothError("STORE_NOT_FOUND", `There is no store at ${quote(location)}.`);
      if (stat === undefined) makeDirectory(path.resolve(location));
      createStoreFile(file, driver);
    }
    refuseOtherThanFile(file);
    refuseTruncated(file);
    fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK);
    fs.accessSync(path.dirname(file), fs.constants.W_OK);
    return file;
  } catch (error) {
    throw openError(error, location);
  }
}

/** As `mkdir -p`; Node's own never returns where a file system answers ENOENT for ever, as /proc does. */
function makeDirectory(directory: string): void {
  const parent = path.dirname(directory);
  if (!fs.existsSync(parent)) makeDirectory(parent);
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    // Another process may have made it meanwhile.
    if (fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}

function createStoreFile(file: string, driver: SqliteDriver): void {
  const workshop = fs.mkdtempSync(path.join(path.dirname(file), ".azoth-new-"));
  const draft = path.join(workshop, path.basename(file));
  try {
    fs.closeSync(fs.openSync(draft, "wx", 0o600));
    const connection = new Connection(new driver.DatabaseSync(draft));
    try {
      connection.exec(`PRAGMA synchronous = FULL; PRAGMA application_id = ${applicationId}; BEGIN IMMEDIATE`);
      migrate(connection, 0);
      connection.exec("COMMIT");
    } finally {
      connection.close();
    }
    placeFile(draft, file);
    syncDirectory(path.dirname(file));
  } finally {
    fs.rmSync(workshop, { recursive: true, force: true });
  }
}

function placeFile(draft: string, file: string): void {
  try {
    fs.linkSync(draft, file);
  } catch (error) {
    // Another process made the store at the same moment: theirs is as good.
    if (isFileError(error) && error.code === "EEXIST") return;
    // Some file systems have no hard links.
    if (!fs.existsSync(file)) fs.renameSync(draft, file);
  }
}

/** Makes the new name durable. Not every platform lets a directory be opened. */
export function syncDirectory(directory: string): void {
  if (process.platform === "win32") return;
  const descriptor = fs.openSync(directory, "r");
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Opening a pipe would wait for ever. */
function refuseOtherThanFile(file: string): void {
  if (fs.statSync(file).isFile()) return;
  throw new AzothError(
    "STORE_NOT_WRITABLE",
    `${quote(file)} is no regular file. Point to another directory, or move it away.`,
  );
}

/** Offsets of the page size and page count in SQLite's header: https://www.sqlite.org/fileformat.html#the_database_header */
const pageSizeAt = 16;
const pageCountAt = 28;
const headerBytes = 100;

/** SQLite notices a truncated file only when it comes to a missing page; that is too late to refuse it. */
function refuseTruncated(file: string): void {
  // With a write-ahead log the missing pages may stand there: the file is whole after its recovery.
  if (hasLog(file) || isSeenHere(file)) return;
  const header = readHeader(file);
  if (!header.toString("latin1").startsWith("SQLite format 3".slice(0, header.length))) {
    throw new AzothError(
      "STORE_NOT_AZOTH",
      `${quote(file)} is not a database. Point to another directory, or move the file away.`,
    );
  }
  const isWhole = header.length === headerBytes;
  const pageSize = isWhole ? header.readUInt16BE(pageSizeAt) : 0;
  const expected = isWhole ? header.readUInt32BE(pageCountAt) * (pageSize === 1 ? 65_536 : pageSize) : headerBytes;
  // Looked at last: another process may have begun to write since.
  const { size } = fs.statSync(file);
  if (size >= expected || hasLog(file)) return;
  throw new AzothError(
    "STORE_CORRUPT",
    `${quote(file)} is truncated: it has ${size} bytes${isWhole ? ` of ${expected}` : ""}. Restore a backup, and keep the damaged file.`,
  );
}

function hasLog(file: string): boolean {
  return (fs.statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** The first bytes of a file; fewer if it has fewer. */
function readHeader(file: string): Buffer {
  const header = Buffer.alloc(headerBytes);
  const descriptor = fs.openSync(file, "r");
  try {
    return header.subarray(0, fs.readSync(descriptor, header, 0, header.length, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Refuses a file of another program or a newer version, and migrates an older one.
 * @throws AzothError STORE_NOT_AZOTH, STORE_TOO_NEW, STORE_OUTDATED if it is not to be migrated
 */
export function checkAndMigrate(
  connection: Connection,
  file: string,
  { migrate: mayMigrate }: { readonly migrate: boolean },
): void {
  const id = Number(connection.get<{ application_id: number }>("PRAGMA application_id")?.application_id);
  if (id !== applicationId) {
    throw new AzothError(
      "STORE_NOT_AZOTH",
      `${quote(file)} is a database of another program. Point to another directory, or move the file away.`,
    );
  }
  const readVersion = () => Number(connection.get<{ user_version: number }>("PRAGMA user_version")?.user_version);
  const version = readVersion();
  if (version > schemaVersion) {
    throw new AzothError(
      "STORE_TOO_NEW",
      `${quote(file)} has schema version ${version}, and this version of azoth-scheduler knows ${schemaVersion}. Upgrade azoth-scheduler.`,
      { details: { version, known: schemaVersion } },
    );
  }
  if (version === schemaVersion) return;
  if (!mayMigrate) {
    throw new AzothError(
      "STORE_OUTDATED",
      `${quote(file)} has schema version ${version}, and this version of azoth-scheduler needs ${schemaVersion}.`,
      { details: { version, known: schemaVersion } },
    );
  }
  connection.exec("BEGIN IMMEDIATE");
  try {
    migrate(connection, readVersion());
    connection.exec("COMMIT");
  } catch (error) {
    connection.exec("ROLLBACK");
    throw error;
  }
}

/** A statement that cannot be: here, because a table or column is missing. */
const sqliteError = 1;

const fileCodes = new Set([
  "EACCES",
  "EPERM",
  "EROFS",
  "ENOTDIR",
  "EEXIST",
  "EISDIR",
  "ENAMETOOLONG",
  "ELOOP",
  "ENOENT",
]);

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** What went wrong on opening, as an AzothError. */
export function openError(error: unknown, location: string): unknown {
  if (isFileError(error) && error.code === "ENOSPC") {
    return new AzothError("STORE_FULL", `The disk of ${quote(location)} is full. Free space.`, { cause: error });
  }
  if (isFileError(error) && fileCodes.has(error.code ?? "")) {
    const message = `The store at ${quote(location)} cannot be opened for writing (${error.code}). Check that it is a directory that this user may write.`;
    return new AzothError("STORE_NOT_WRITABLE", message, { cause: error });
  }
  if (sqliteCode(error) === sqliteError) {
    const message = `${quote(location)} has not the tables of a store. Restore a backup, and keep the damaged file.`;
    return new AzothError("STORE_CORRUPT", message, { cause: error });
  }
  return storeError(error, location);
}
