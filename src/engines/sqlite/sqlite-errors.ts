/** SQLite's result codes as this library's errors. */
import { AzothError, type ErrorCode } from "../../errors.ts";
import { boundedText } from "../../limits.ts";

/** Primary result codes: https://www.sqlite.org/rescode.html */
const sqliteBusy = 5;
const sqliteLocked = 6;
const codes: ReadonlyMap<number, readonly [code: ErrorCode, words: string]> = new Map([
  [sqliteBusy, ["STORE_BUSY", "Another process holds the write lock"]],
  [sqliteLocked, ["STORE_BUSY", "Another connection holds a lock"]],
  [3, ["STORE_NOT_WRITABLE", "Permission denied"]],
  [8, ["STORE_NOT_WRITABLE", "The file or its directory cannot be written"]],
  [14, ["STORE_NOT_WRITABLE", "The file cannot be opened"]],
  [10, ["STORE_FAILED", "The disk reported an I/O error"]],
  [11, ["STORE_CORRUPT", "The file is damaged"]],
  [26, ["STORE_NOT_AZOTH", "The file is not a database"]],
  [13, ["STORE_FULL", "The disk is full"]],
]);

/** What `@photostructure/sqlite` throws from `all` has no code: SQLite's own words for the codes that matter. */
const codesOfWords: ReadonlyMap<string, number> = new Map([
  ["database is locked", sqliteBusy],
  ["database table is locked", sqliteLocked],
  ["attempt to write a readonly database", 8],
  ["disk I/O error", 10],
  ["database disk image is malformed", 11],
  ["database or disk is full", 13],
  ["unable to open database file", 14],
  ["file is not a database", 26],
]);

/** What the database says when somebody writes to an unfinished copy of another store. */
export const unfinishedWords = "this store is an unfinished copy of another one";

export function isOfUnfinishedCopy(error: unknown): boolean {
  return error instanceof Error && error.message.includes(unfinishedWords);
}

/** SQLite's primary result code of a driver's error, or undefined. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : codesOfWords.get(error.message);
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqliteBusy || code === sqliteLocked;
}

/** True for what a driver throws: SQLite's errors, and those of its own about arguments and state. */
export function isDriverError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return sqliteCode(error) !== undefined || (typeof code === "string" && code.startsWith("ERR_"));
}

/** Turns whatever the driver threw into an AzothError; passes on one that is an AzothError already. */
export function storeError(error: unknown, location: string): unknown {
  if (error instanceof AzothError) return error;
  const code = sqliteCode(error);
  const message = error instanceof Error ? boundedText(error.message, 300) : "unknown error";
  if (isOfUnfinishedCopy(error)) {
    const mend = "Call copyLog again with the same two stores; or remove it, and go on with the other store";
    return new AzothError("STORE_UNFINISHED", `${location} is an unfinished copy of another store. ${mend}.`, {
      cause: error,
    });
  }
  // A number that no version of this library wrote.
  if (/too large to be represented as a JavaScript number/.test(message)) {
    return new AzothError("STORE_CORRUPT", `A stored number is larger than any that is stored (${location}).`, {
      cause: error,
    });
  }
  const [errorCode, words] = (code === undefined ? undefined : codes.get(code)) ?? ["STORE_FAILED", "SQLite refused"];
  return new AzothError(errorCode, `${words}: ${message} (${location}).`, {
    cause: error,
    details: { sqliteCode: code },
  });
}
