/** AzothDb: the store as users hold it. Opening, reading, transactions, rebuild and proof; no rules of tasks. */
import { parseSignal } from "../abort-signal.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { defaultMaxPayloadBytes } from "../limits.ts";
import { readFields, readSafely } from "../names.ts";
import { type Random, systemRandom } from "../random.ts";
import type { SqlRow, SqlValue } from "./engine.ts";
import { type LogFilter, logFilterKeys, parseLogFilter, type RecordedEvent, readLog } from "./log.ts";
import { openEngine } from "./open.ts";
import { type ReplayOptions, rebuild, type Verification, verify } from "./replay.ts";
import { StoreCore } from "./store-core.ts";
import { followLog } from "./subscription.ts";
import { runTransaction, type Transaction } from "./transaction.ts";

/** Options of {@link AzothDb.open}. */
export interface AzothDbOptions {
  /**
   * "full": a commit is on disk (fsync) before it is acknowledged. "normal": a power cut may lose the last moments,
   * a crash of the process nothing. Defaults to "full".
   */
  readonly durability?: "full" | "normal";
  /** How long to wait while another process writes. Defaults to "10s". */
  readonly busyTimeout?: Duration;
  /** How long a transaction's callback may hold the write lock. Defaults to "5s". */
  readonly transactionTimeout?: Duration;
  /** How often to look for commits of other processes; 0 never looks. Defaults to "50ms". */
  readonly noticeInterval?: Duration;
  /** The longest payload of a task or event, in bytes of JSON. Defaults to 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** Defaults to the machine's clock; a test passes a manual one. */
  readonly clock?: Clock;
  /** Numbers in [0, 1) for ids and jitter. Defaults to the machine's randomness. */
  readonly random?: Random;
  /** A SQLite driver of the shape of `node:sqlite`. Defaults to `node:sqlite`, else `@photostructure/sqlite`. */
  readonly sqliteDriver?: unknown;
}

const optionKeys = [
  "durability",
  "busyTimeout",
  "transactionTimeout",
  "noticeInterval",
  "maxPayloadBytes",
  "clock",
  "random",
  "sqliteDriver",
];

/** What the store draws time, chance and storage from. @throws AzothError INVALID_OPTION */
function checkSources({ clock, random, sqliteDriver }: AzothDbOptions): void {
  const refuse = (what: string, shape: string, value: unknown): never => {
    throw new AzothError("INVALID_OPTION", `${what} must be ${shape}, and is ${quote(value)}.`);
  };
  if (clock !== undefined && (typeof clock?.now !== "function" || typeof clock.sleep !== "function")) {
    refuse("clock", "a Clock with now() and sleep()", clock);
  }
  if (random !== undefined && typeof random !== "function") refuse("random", "a function", random);
  const driver = sqliteDriver as { DatabaseSync?: unknown } | null | undefined;
  if (driver !== undefined && typeof driver?.DatabaseSync !== "function") {
    refuse("sqliteDriver", "a driver with a DatabaseSync, like node:sqlite", driver);
  }
}

const cores = new WeakMap<AzothDb, StoreCore>();

/** The inside of a store, for the scheduler; not exported from the package. */
export function coreOf(db: AzothDb): StoreCore {
  const core = cores.get(db);
  if (core === undefined) throw new AzothError("INVALID_OPTION", `A Scheduler needs an AzothDb, and got ${quote(db)}.`);
  return core;
}

/**
 * A store: the append-only log and the state that is folded from it.
 *
 * Several processes may open one directory at the same time.
 *
 * @example
 * await using db = await AzothDb.open("./data");
 */
export class AzothDb implements AsyncDisposable {
  readonly #core: StoreCore;
  #closing: Promise<void> | undefined;

  private constructor(core: StoreCore) {
    this.#core = core;
    cores.set(this, core);
  }

  /**
   * Opens a store, and makes it if it is not there.
   * @param location a directory (the file is `azoth.db` in it), an existing store file, or ":memory:" for a store that ends with the process
   * @throws AzothError INVALID_LOCATION, INVALID_OPTION, STORE_NOT_WRITABLE, STORE_NOT_AZOTH, STORE_TOO_NEW, STORE_CORRUPT, STORE_BUSY, DRIVER_MISSING
   */
  static async open(location: string, options: AzothDbOptions = {}): Promise<AzothDb> {
    const given = readFields<AzothDbOptions>(options, optionKeys, "The options of AzothDb.open", "INVALID_OPTION");
    const { durability = "full", maxPayloadBytes = defaultMaxPayloadBytes } = given;
    if (durability !== "full" && durability !== "normal") {
      throw new AzothError("INVALID_OPTION", `durability must be "full" or "normal", and is ${quote(durability)}.`);
    }
    if (!Number.isSafeInteger(maxPayloadBytes) || maxPayloadBytes < 1 || maxPayloadBytes > 500_000_000) {
      throw new AzothError(
        "INVALID_OPTION",
        `maxPayloadBytes must be a whole number from 1 to 500,000,000, and is ${quote(maxPayloadBytes)}.`,
      );
    }
    readSafely("An option of AzothDb.open", "INVALID_OPTION", () => checkSources(given));
    const { transactionTimeout = "5s", noticeInterval = "50ms", busyTimeout = "10s" } = given;
    const transactionTimeoutMs = parseDuration(transactionTimeout, { what: "transactionTimeout", minMs: 1 });
    const noticeIntervalMs = parseDuration(noticeInterval, { what: "noticeInterval" });
    const busyTimeoutMs = parseDuration(busyTimeout, { what: "busyTimeout" });
    const { clock = systemClock, random = systemRandom, sqliteDriver } = given;
    const engine = await openEngine(location, { durability, busyTimeoutMs, sqliteDriver });
    const settings = { maxPayloadBytes, transactionTimeoutMs, noticeIntervalMs };
    return new AzothDb(new StoreCore(engine, clock, random, settings));
  }

  /** The store's file. */
  get location(): string {
    return this.#core.engine.location;
  }

  get clock(): Clock {
    return this.#core.clock;
  }

  /**
   * Runs `callback` in one transaction: own events, own tables and tasks commit together, or not at all if it rejects.
   * Rejects with what the callback rejected with, or AzothError TRANSACTION_TIMEOUT, STORE_FULL, STORE_BUSY, …
   */
  transaction<T>(callback: (transaction: Transaction) => T | Promise<T>): Promise<T> {
    return this.#core.queue.submit({ exclusive: true, run: (work) => runTransaction(this.#core, work, callback) });
  }

  /** Runs one SQL query on committed state: the user's own tables, or the log's and tasks' (`azoth_events`, `azoth_tasks`). */
  query(sql: string, parameters: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return this.#core.engine.reads.query(sql, parameters);
  }

  /** Reads the log to its present end, in order. @throws AzothError INVALID_FILTER */
  readLog(filter: LogFilter = {}): AsyncIterable<RecordedEvent> {
    return readLog(this.#core.engine.reads, parseLogFilter(filter));
  }

  /**
   * Reads the log from `after` on and then follows it, also what other processes append, until `signal` aborts
   * or the loop is left. @throws AzothError INVALID_FILTER
   */
  subscribe(filter: LogFilter & { readonly signal?: AbortSignal } = {}): AsyncIterable<RecordedEvent> {
    const keys = [...logFilterKeys, "signal"];
    const { signal, ...rest } = readFields<typeof filter>(filter, keys, "A subscription", "INVALID_FILTER");
    return followLog(this.#core, parseLogFilter(rest), parseSignal(signal));
  }

  /** The position of the last event; 0 for an empty log. */
  lastPosition(): Promise<number> {
    return this.#core.engine.reads.lastPosition();
  }

  /** Replays the whole log into fresh tables and swaps them in, in one transaction. Schedulers may run meanwhile. */
  rebuild(options: ReplayOptions = {}): Promise<{ tasks: number; events: number }> {
    return rebuild(this.#core, options);
  }

  /** Replays the log, compares every task with its stored row, and tells the first difference. Changes nothing. */
  verify(options: ReplayOptions = {}): Promise<Verification> {
    return verify(this.#core, options);
  }

  /** Copies the store to a new file while it is in use. @throws AzothError INVALID_LOCATION if the file exists */
  async backup(file: string): Promise<void> {
    if (typeof file !== "string" || file.trim() === "" || file.includes("\0")) {
      throw new AzothError("INVALID_LOCATION", `A backup goes to a file by its path, and not to ${quote(file)}.`);
    }
    await this.#core.engine.backup(file);
  }

  /** Finishes what waits to be written, and closes. Stop schedulers first. */
  close(): Promise<void> {
    this.#closing ??= this.#core.queue.close().then(() => this.#core.engine.close());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
