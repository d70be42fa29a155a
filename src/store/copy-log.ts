/** copyLog: a whole installation in a new home. */
import { parseSignal } from "../abort-signal.ts";
import { AzothError, quote } from "../errors.ts";
import { parseFunction, readFields } from "../names.ts";
import { type AzothDb, coreOf, isAzothDb } from "./azoth-db.ts";
import { type CopiedLog, type CopyOptions, copyAtRest } from "./copying.ts";
import type { StoreCore } from "./store-core.ts";

/**
 * Copies all that a store has to an empty one, from SQLite to PostgreSQL, back, or to another place of the same kind:
 * every event at its position, and with them the tasks, their numbers and runs, what instances hold, checkpoints and
 * dead letters. Tasks go on there where they were. The source stays as it is. Your own tables are not copied.
 *
 * Stop all schedulers of the source first. What was interrupted goes on when it is called again with the same two stores;
 * until it has ended, the target refuses everything that writes with STORE_UNFINISHED.
 *
 * @throws AzothError COPY_REFUSED if schedulers are at work on the source, or the target is neither empty nor an
 * unfinished copy of it: nothing is changed then; STORE_CORRUPT, STORE_BUSY, …
 *
 * @example
 * await using from = await AzothDb.open("./data");
 * await using to = await AzothDb.open("postgres://localhost/app");
 * await copyLog(from, to);
 */
export async function copyLog(from: AzothDb, to: AzothDb, options: CopyOptions = {}): Promise<CopiedLog> {
  const [source, target] = [storeOf(from, "from"), storeOf(to, "to")];
  const given = readFields<CopyOptions>(options, ["onProgress", "signal"], "A copy", "INVALID_OPTION");
  parseFunction(given.onProgress, "onProgress");
  parseSignal(given.signal)?.throwIfAborted();
  if (source.engine.location === target.engine.location) {
    const message = `A store cannot be copied to itself: both are ${source.engine.location}. Open a store in a new place.`;
    throw new AzothError("COPY_REFUSED", message);
  }
  return await copyAtRest(source, target, given);
}

/** @throws AzothError INVALID_OPTION */
function storeOf(db: AzothDb, what: string): StoreCore {
  if (isAzothDb(db)) return coreOf(db);
  throw new AzothError("INVALID_OPTION", `copyLog(from, to) copies between two AzothDb, and ${what} is ${quote(db)}.`);
}
