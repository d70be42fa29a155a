/**
 * The SQLite engine: one file in WAL mode, one writer connection, one for reads.
 *
 * Other processes may have the same file open; each write takes the write lock at its begin, so a
 * transaction never fails half-way for want of it.
 */
import { systemClock } from "../../clock.ts";
import { AzothError, quote } from "../../errors.ts";
import { boundedText } from "../../limits.ts";
import type { Engine, EngineTransaction } from "../../store/engine.ts";
import { backUp, copyTo, makeFile } from "./backup.ts";
import { Connection, loadDriver, type SqliteDriver } from "./driver.ts";
import { makeMemoryPlace } from "./memory-place.ts";
import { Names } from "./names.ts";
import { OpenFiles } from "./open-files.ts";
import { isBusy, isDriverError, isOfUnfinishedCopy, sqliteCode, storeError } from "./sqlite-errors.ts";
import { SqliteReads } from "./sqlite-reads.ts";
import { SqliteTransaction } from "./sqlite-transaction.ts";
import type { RunningTasks } from "./task-rows.ts";
import { checkAndMigrate, openError, prepareStoreFile } from "./store-file.ts";

export interface SqliteOptions {
  /** Whether to make the store if it is not there. Defaults to true. */
  readonly create?: boolean;
  /** Whether to bring an older one up to date. Defaults to true. */
  readonly migrate?: boolean;
  /** "full": each commit is on disk (fsync) before it is acknowledged. "normal": a power cut may lose the last commits. */
  readonly durability: "full" | "normal";
  /** How long to wait for another process's transaction. */
  readonly busyTimeoutMs: number;
  readonly driver?: SqliteDriver;
}

/** Pages of write-ahead log before it is folded back into the file: fewer, larger checkpoints. */
const checkpointPages = 4_000;

/** https://www.sqlite.org/rescode.html#constraint */
const sqliteConstraint = 19;

/** The location that stands for a store in no lasting place. */
const inMemory = ":memory:";

export async function openSqlite(location: string, options: SqliteOptions): Promise<Engine> {
  const driver = options.driver ?? (await loadDriver());
  if (location === inMemory) {
    const { directory, discard } = makeMemoryPlace();
    return new SqliteEngine(prepareStoreFile(directory, driver), { ...options, driver, synchronous: "OFF", discard });
  }
  const synchronous = options.durability === "full" ? "FULL" : "NORMAL";
  const file = prepareStoreFile(location, driver, { create: options.create ?? true });
  return new SqliteEngine(file, { ...options, driver, synchronous });
}

/**
 * Makes a store's file that `fill` fills; it bears its name only when it is whole.
 * @throws AzothError INVALID_LOCATION if there is something at `target`, and what `fill` rejects with
 */
export async function makeSqliteFile(
  target: string,
  options: SqliteOptions,
  fill: (engine: Engine) => Promise<void>,
): Promise<void> {
  const driver = options.driver ?? (await loadDriver());
  await makeFile(target, async (workshop) => {
    const file = prepareStoreFile(workshop, driver);
    const engine = new SqliteEngine(file, { ...options, driver, synchronous: "OFF" });
    try {
      await fill(engine);
      // Not the file itself: a driver may have it open until the end of the process.
      return await copyTo(workshop, driver, file);
    } finally {
      await engine.close();
    }
  });
}

interface EngineOptions extends SqliteOptions {
  readonly driver: SqliteDriver;
  readonly synchronous: "FULL" | "NORMAL" | "OFF";
  readonly discard?: () => void;
}

class SqliteEngine implements Engine {
  readonly kind = "sqlite";
  readonly writers = "one";
  readonly location: string;
  readonly reads: SqliteReads;
  readonly #options: EngineOptions;
  readonly #names = new Names();
  readonly #writer: Connection;
  readonly #reader: Connection;
  /** What this process runs, so that recording a result needs no look at its row. */
  readonly #running: RunningTasks = new Map();
  #seenChanges = -1;
  readonly #backups = new Set<Promise<void>>();
  /** Undefined for a store that ends with the process: nobody else looks for it. */
  readonly #files: OpenFiles | undefined;
  #closed = false;

  constructor(file: string, options: EngineOptions) {
    this.location = file;
    this.#options = options;
    const opened: Connection[] = [];
    const connect = () => {
      const connection = new Connection(new options.driver.DatabaseSync(file));
      opened.push(connection);
      // Waiting inside of SQLite would hold the event loop; `write` waits outside. Opening may wait a little.
      connection.exec("PRAGMA busy_timeout = 2000");
      return connection;
    };
    try {
      this.#writer = connect();
      checkAndMigrate(this.#writer, file, { migrate: options.migrate ?? true });
      this.#writer.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous}; PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA busy_timeout = 0`,
      );
      this.#reader = connect();
      this.#reader.exec("PRAGMA query_only = ON; PRAGMA busy_timeout = 100");
      // Touches the tables, so that a damaged file is refused now and not at the first task.
      this.#reader.get(
        `SELECT (SELECT max(position) FROM azoth_events), (SELECT max(seq) FROM azoth_tasks),
           (SELECT max(position) FROM azoth_chain)`,
      );
      this.#files = options.discard === undefined ? new OpenFiles(file) : undefined;
    } catch (error) {
      for (const connection of opened) connection.close();
      options.discard?.();
      throw openError(error, file);
    }
    const { driver } = options;
    this.reads = new SqliteReads(this.#reader, this.#names, { location: file, driver, files: this.#files });
  }

  async write<T>(work: (transaction: EngineTransaction) => Promise<T>): Promise<T> {
    await this.#begin();
    try {
      const changes = this.#dataVersion();
      if (changes !== this.#seenChanges) this.#running.clear();
      this.#seenChanges = changes;
      const result = await work(new SqliteTransaction(this.#writer, this.#names, this.#running));
      this.#commit();
      return result;
    } catch (error) {
      this.#rollBack();
      throw isDriverError(error) ? storeError(error, this.location) : error;
    }
  }

  clockOffsetMs(): number {
    return 0;
  }

  watch(onCommit: () => void, pause: (signal: AbortSignal) => Promise<void>): () => void {
    const stopping = new AbortController();
    const { signal } = stopping;
    const watch = async () => {
      let seen = this.#lookForCommits();
      while (!signal.aborted) {
        await pause(signal);
        if (signal.aborted) return;
        const now = this.#lookForCommits();
        if (now !== seen) onCommit();
        seen = now;
      }
    };
    void watch();
    return () => stopping.abort();
  }

  #lookForCommits(): number | undefined {
    try {
      return this.#dataVersion();
    } catch {
      // The store was closed, or is failing: the loops that are woken by it meet the same failure and report it.
      return undefined;
    }
  }

  /** Changes whenever another connection has committed: https://www.sqlite.org/pragma.html#pragma_data_version */
  #dataVersion(): number {
    return Number(this.#writer.get<{ data_version: number }>("PRAGMA data_version")?.data_version);
  }

  async backup(target: string): Promise<void> {
    if (this.#closed) throw this.#closedError();
    // The copying opens the file by its name.
    this.#files?.refuseChanged();
    const backup = backUp(this.#options.driver, this.location, target);
    this.#backups.add(backup);
    try {
      await backup;
    } finally {
      this.#backups.delete(backup);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled([...this.#backups, this.reads.settle()]);
    // A transaction that somebody left open would keep others from writing until the garbage collector finds the handle.
    if (this.#writer.inTransaction) this.#writer.rollBack();
    this.#reader.close();
    this.#foldLog();
    this.#writer.close();
    this.#options.discard?.();
  }

  /**
   * Folds the write-ahead log back into the file. SQLite does so at the last close, but for drivers that leave
   * their statements to the garbage collection that close comes late, or with the process's end never.
   */
  #foldLog(): void {
    try {
      this.#writer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Another process uses the store, or the disk is full: the log stays beside the file, and is read from there.
    }
  }

  /** Takes the write lock, waiting outside of SQLite, so that timers, signals and handlers go on meanwhile. */
  async #begin(): Promise<void> {
    if (this.#closed) throw this.#closedError();
    const startedAtMs = systemClock.now();
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 20)) {
      try {
        this.#writer.begin();
        return;
      } catch (error) {
        const waitedMs = systemClock.now() - startedAtMs;
        if (!isBusy(error) || waitedMs >= this.#options.busyTimeoutMs) throw storeError(error, this.location);
      }
      await systemClock.sleep(waitMs);
    }
  }

  /**
   * @throws AzothError STORE_NOT_WRITABLE if the file is no longer where it was, INVALID_SQL if the user's own deferred
   * foreign keys are broken, which SQLite looks at only now
   */
  #commit(): void {
    this.#files?.refuseChanged();
    try {
      this.#writer.commit();
    } catch (cause) {
      if (sqliteCode(cause) !== sqliteConstraint || isOfUnfinishedCopy(cause)) throw cause;
      const words = cause instanceof Error ? boundedText(cause.message, 300) : "";
      throw new AzothError("INVALID_SQL", `SQLite refused to commit: ${words}.`, { cause });
    }
  }

  #closedError(): AzothError {
    return new AzothError("STORE_CLOSED", `The store at ${quote(this.location)} is closed. Open it again.`);
  }

  #rollBack(): void {
    this.#names.forget();
    this.#running.clear();
    this.#writer.rollBack();
  }
}
