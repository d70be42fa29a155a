/** PostgreSQL's error codes as this library's errors. */
import { AzothError, type ErrorCode, messageOf, oneLine } from "../../errors.ts";
import { WriteCollision } from "../../store/engine.ts";

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const collisions: ReadonlySet<string> = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
  "23505", // unique_violation
]);

/** Our own: of a trigger that refuses writes to an unfinished copy of another store. */
export const unfinishedCode = "ZA001";

const codes: ReadonlyMap<string, readonly [code: ErrorCode, words: string]> = new Map([
  ["53100", ["STORE_FULL", "The server's disk is full"]],
  ["53200", ["STORE_FAILED", "The server is out of memory"]],
  ["53300", ["STORE_UNREACHABLE", "The server has no connection left"]],
  ["25006", ["STORE_NOT_WRITABLE", "The server is read-only"]],
  ["42501", ["STORE_NOT_WRITABLE", "The role lacks a right"]],
  ["3D000", ["INVALID_LOCATION", "The database does not exist"]],
  ["28P01", ["STORE_UNREACHABLE", "The server refused the password"]],
  ["28000", ["STORE_UNREACHABLE", "The server refused the login"]],
  ["XX001", ["STORE_CORRUPT", "The server's data is damaged"]],
  ["XX002", ["STORE_CORRUPT", "An index of the server is damaged"]],
  ["42P01", ["STORE_CORRUPT", "A table of the store is missing"]],
  ["57014", ["STORE_BUSY", "The statement was cancelled"]],
  ["25P03", ["STORE_BUSY", "The transaction was idle for too long"]],
  ["25P04", ["STORE_BUSY", "The transaction took too long"]],
  [unfinishedCode, ["STORE_UNFINISHED", "The store is an unfinished copy of another one"]],
]);

/** Words of `pg` itself for a connection that is gone; its errors have no code then. */
const goneWords =
  /connection (terminated|error|timeout)|^SASL|not queryable|read timeout|timeout exceeded|client was closed|not support SSL/i;
/** Also of a certificate that is refused: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const networkCode =
  /^(E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_AGAIN|NOENT|ACCES)|ERR_(TLS|SSL|OSSL)_|CERT_|HOSTNAME_|UNABLE_TO_|(DEPTH_ZERO_)?SELF_SIGNED_)/;

/** PostgreSQL's five characters, or what Node calls a network error; "" for neither. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : "";
}

/** True if the connection is gone or was refused: what was under way may or may not have happened. */
export function isUnreachable(error: unknown): boolean {
  const code = codeOf(error);
  if (/^(08[^P]..|57P0[1235])$/.test(code) || networkCode.test(code)) return true;
  return code === "" && error instanceof Error && goneWords.test(error.message);
}

/** True for an error that speaks of a statement, not of the connection. */
export function isOfServer(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(codeOf(error)) && !isUnreachable(error);
}

export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === "55P03";
}

/** Turns whatever `pg` threw into an AzothError or a WriteCollision; passes those on. */
export function storeError(error: unknown, shown: string): unknown {
  if (error instanceof AzothError || error instanceof WriteCollision) return error;
  if (error instanceof URIError) {
    return new AzothError("INVALID_LOCATION", `The URL has a sign that cannot be decoded (${shown}).`);
  }
  const code = codeOf(error);
  // Where a name has several addresses, each has failed in words of its own.
  const said = error instanceof AggregateError && error.message === "" ? (error.errors[0] as unknown) : error;
  const message = `${oneLine(messageOf(said), 300)} (${shown})`;
  if (collisions.has(code)) return new WriteCollision(message, { cause: error });
  const [errorCode, words] = codes.get(code) ?? [
    isUnreachable(error) ? "STORE_UNREACHABLE" : "STORE_FAILED",
    isUnreachable(error) ? "The server cannot be reached" : "PostgreSQL refused",
  ];
  return new AzothError(errorCode, `${words}: ${message}.`, { cause: error, details: { postgresCode: code } });
}

/** True for what `pg` throws, and false for errors of user code and of our own. */
export function isDriverError(error: unknown): boolean {
  return error instanceof Error && !(error instanceof AzothError) && (codeOf(error) !== "" || isUnreachable(error));
}
