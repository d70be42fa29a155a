/** AzothDb: the store as users hold it. Opening, reading, transactions, rebuild and proof; no rules of tasks. */
import { parseSignal } from "../abort-signal.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { defaultMaxPayloadBytes, defaultMaxQueuedBytes, queuedCallBytes } from "../limits.ts";
import { parseName, readFields, readSafely } from "../names.ts";
import { type PayloadCodec, prepareCodec } from "../payload-codec.ts";
import { type Random, systemRandom } from "../random.ts";
import type { ChainHead } from "./chain.ts";
import { copyAtWork } from "./copying.ts";
import type { Engine, SqlRow, SqlValue } from "./engine.ts";
import {
  type LogFilter,
  type LogQuery,
  logFilterKeys,
  parseLogFilter,
  parseLogQuery,
  type RecordedEvent,
  readLog,
} from "./log.ts";
import { makeStoreFile, openEngine } from "./open.ts";
import { type ReplayOptions, rebuild } from "./replay.ts";
import { Sealer } from "./sealer.ts";
import { readStatus, type StoreStatus } from "./status.ts";
import { StoreCore } from "./store-core.ts";
import { followLog } from "./subscription.ts";
import { runTransaction, type Transaction } from "./transaction.ts";
import { type Verification, type VerifyOptions, verify } from "./verify.ts";
import type { Work } from "./work.ts";

/** Options of {@link AzothDb.open}. */
export interface AzothDbOptions {
  /** Whether to make the store if it is not there; if not, opening it is refused with STORE_NOT_FOUND. Defaults to true. */
  readonly create?: boolean;
  /**
   * Whether to bring the tables of an older version up to date; if not, opening them is refused with STORE_OUTDATED.
   * Defaults to true.
   */
  readonly migrate?: boolean;
  /**
   * "full": a commit is on disk (fsync) before it is acknowledged. "normal": a power cut may lose the last moments,
   * a crash of the process nothing. Defaults to "full".
   */
  readonly durability?: "full" | "normal";
  /** How long to wait while another process writes. Defaults to "10s". */
  readonly busyTimeout?: Duration;
  /** How long a transaction's callback may hold the write lock. Defaults to "5s". */
  readonly transactionTimeout?: Duration;
  /**
   * How long a commit's work, or a burst of short runs, may hold the event loop before everything else in the process
   * has its turn. Less makes the process more responsive, more makes the store a little faster. Defaults to "5ms".
   */
  readonly eventLoopBudget?: Duration;
  /**
   * How often to look for commits of other processes, where they are not told; 0 neither looks nor listens.
   * Defaults to "50ms".
   */
  readonly noticeInterval?: Duration;
  /** The longest payload of a task or event, in bytes of JSON. Defaults to 1 MiB. */
  readonly maxPayloadBytes?: number;
  /**
   * About how much memory the writes may take that you have begun and that are not committed yet: payloads, a KiB for
   * each call, half a KiB for each task. One that goes beyond it is refused with STORE_OVERLOADED. Defaults to 256 MiB.
   */
  readonly maxQueuedBytes?: number;
  /**
   * Seals payloads, events, errors and reasons before they are stored: see {@link aesGcm}. Without one they are stored
   * as they are, and what was sealed before is read as {@link Sealed}.
   */
  readonly payloadCodec?: PayloadCodec;
  /**
   * Seals the log with a hash chain, in the background: `verify` then names the first event that was altered, removed or
   * inserted afterwards. Several processes may do so at once, or one of them. Defaults to false.
   */
  readonly hashChain?: boolean;
  /** Defaults to the machine's clock; a test passes a manual one. */
  readonly clock?: Clock;
  /** Numbers in [0, 1) for ids and jitter. Defaults to the machine's randomness. */
  readonly random?: Random;
  /** PostgreSQL only: the schema that holds the store's tables. Defaults to `?schema=` of the URL, else "azoth". */
  readonly schema?: string;
  /** PostgreSQL only: the most connections that this store opens, 5 or more. Defaults to 10. */
  readonly maxConnections?: number;
  /** A SQLite driver of the shape of `node:sqlite`. Defaults to `node:sqlite`, else `@photostructure/sqlite`. */
  readonly sqliteDriver?: unknown;
}

const optionKeys = [
  "create",
  "migrate",
  "durability",
  "busyTimeout",
  "transactionTimeout",
  "eventLoopBudget",
  "noticeInterval",
  "maxPayloadBytes",
  "maxQueuedBytes",
  "payloadCodec",
  "hashChain",
  "clock",
  "random",
  "schema",
  "maxConnections",
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

/** @throws AzothError INVALID_OPTION */
function parseBytes(value: number, what: string, most: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  throw new AzothError("INVALID_OPTION", `${what} must be a whole number from 1 to ${most}, and is ${quote(value)}.`);
}

type MakeFile = (file: string, fill: (engine: Engine) => Promise<void>) => Promise<void>;

const cores = new WeakMap<AzothDb, StoreCore>();

/** Whether a value is an open or closed store of this copy of the package. Unlike `instanceof`, it asks nothing of a proxy. */
export function isAzothDb(value: unknown): value is AzothDb {
  return cores.has(value as AzothDb);
}

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
  /** Makes a store's file that the function fills. */
  readonly #makeFile: MakeFile;
  readonly #backups = new Set<Promise<void>>();
  readonly #sealer: Sealer | null;
  #closing: Promise<void> | undefined;

  private constructor(core: StoreCore, makeFile: MakeFile, hashChain: boolean) {
    this.#core = core;
    this.#sealer = hashChain ? new Sealer(core) : null;
    this.#makeFile = makeFile;
    cores.set(this, core);
  }

  /**
   * Opens a store, and makes it if it is not there, unless the options say otherwise.
   * @param location a directory (the file is `azoth.db` in it), an existing store file, ":memory:" for a store that ends
   * with the process, or a URL such as "postgres://user:password@host:5432/database"
   * @throws AzothError INVALID_LOCATION, INVALID_OPTION, STORE_NOT_FOUND, STORE_OUTDATED, STORE_NOT_WRITABLE, STORE_NOT_AZOTH, STORE_TOO_NEW, STORE_CORRUPT, STORE_BUSY, STORE_UNREACHABLE, DRIVER_MISSING, CODEC_FAILED
   */
  static async open(location: string, options: AzothDbOptions = {}): Promise<AzothDb> {
    const given = readFields<AzothDbOptions>(options, optionKeys, "The options of AzothDb.open", "INVALID_OPTION");
    const { durability = "full", hashChain = false } = given;
    const { maxPayloadBytes = defaultMaxPayloadBytes, maxQueuedBytes = defaultMaxQueuedBytes } = given;
    if (durability !== "full" && durability !== "normal") {
      throw new AzothError("INVALID_OPTION", `durability must be "full" or "normal", and is ${quote(durability)}.`);
    }
    parseBytes(maxPayloadBytes, "maxPayloadBytes", 500_000_000);
    parseBytes(maxQueuedBytes, "maxQueuedBytes", Number.MAX_SAFE_INTEGER);
    const { create = true, migrate = true } = given;
    for (const [what, value] of Object.entries({ hashChain, create, migrate })) {
      if (typeof value === "boolean") continue;
      throw new AzothError("INVALID_OPTION", `${what} must be true or false, and is ${quote(value)}.`);
    }
    readSafely("An option of AzothDb.open", "INVALID_OPTION", () => checkSources(given));
    const { transactionTimeout = "5s", noticeInterval = "50ms", busyTimeout = "10s" } = given;
    const transactionTimeoutMs = parseDuration(transactionTimeout, { what: "transactionTimeout", minMs: 1 });
    const noticeIntervalMs = parseDuration(noticeInterval, { what: "noticeInterval" });
    const busyTimeoutMs = parseDuration(busyTimeout, { what: "busyTimeout" });
    const eventLoopBudgetMs = parseDuration(given.eventLoopBudget ?? "5ms", { what: "eventLoopBudget", minMs: 1 });
    const { clock = systemClock, random = systemRandom, sqliteDriver } = given;
    const { schema, maxConnections } = given;
    const payloadCodec = await prepareCodec(given.payloadCodec);
    const engine = await openEngine(location, {
      create,
      migrate,
      durability,
      busyTimeoutMs,
      transactionTimeoutMs,
      clock,
      sqliteDriver,
      ...(schema === undefined ? {} : { schema: parseName(schema, "schema", "INVALID_OPTION") }),
      ...(maxConnections === undefined ? {} : { maxConnections }),
    });
    const times = { transactionTimeoutMs, eventLoopBudgetMs, noticeIntervalMs, busyTimeoutMs };
    const settings = {
      maxPayloadBytes,
      maxQueuedBytes,
      ...times,
      ...(payloadCodec === undefined ? {} : { payloadCodec }),
    };
    const makeFile: MakeFile = (file, fill) => makeStoreFile(file, { busyTimeoutMs, sqliteDriver }, fill);
    return new AzothDb(new StoreCore(engine, clock, random, settings), makeFile, hashChain);
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
    const run = (work: Work) => runTransaction(this.#core, work, callback);
    return this.#core.queue.submit({ exclusive: true, bytes: queuedCallBytes, run });
  }

  /** Runs one SQL query on committed state: the user's own tables, or the log's and tasks' (`azoth_events`, `azoth_tasks`). */
  query(sql: string, parameters: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return this.#core.engine.reads.query(sql, parameters);
  }

  /** Reads the log to its present end, in order, or from there backwards. @throws AzothError INVALID_FILTER */
  readLog(filter: LogQuery = {}): AsyncIterable<RecordedEvent> {
    return readLog(this.#core, parseLogQuery(filter));
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

  /**
   * Holds the log against its hash chain if it has one, replays it, compares every task with its stored row, and tells
   * the first difference. Changes nothing.
   * @throws AzothError INVALID_OPTION
   */
  verify(options: VerifyOptions = {}): Promise<Verification> {
    return verify(this.#core, options);
  }

  /** Where the store stands: its size, its schema, and the schedulers that are at work on it. */
  status(): Promise<StoreStatus> {
    return readStatus(this.#core);
  }

  /**
   * What somebody changed of the store's own tables, a sentence for each difference; empty if nothing. Null on
   * PostgreSQL if this user may make no schema to compare with.
   */
  async schemaDrift(): Promise<readonly string[] | null> {
    return await this.#core.engine.reads.schemaDrift();
  }

  /**
   * The head of the log's hash chain, or null if there is none. Kept where whoever can write to the store cannot, it
   * proves to a later `verify({ chainHead })` that the log up to there is still as it was.
   */
  chainHead(): Promise<ChainHead | null> {
    return this.#core.engine.reads.chainHead();
  }

  /**
   * Copies the store to a new file while it is in use, as it is at one moment. The file is a SQLite store, also if this
   * one is on PostgreSQL; your own tables are in it only if this one is on SQLite.
   * @throws AzothError INVALID_LOCATION if the file exists
   */
  async backup(file: string): Promise<void> {
    if (typeof file !== "string" || file.trim() === "" || file.includes("\0")) {
      throw new AzothError("INVALID_LOCATION", `A backup goes to a file by its path, and not to ${quote(file)}.`);
    }
    const backup = this.#backUp(file);
    this.#backups.add(backup);
    try {
      await backup;
    } finally {
      this.#backups.delete(backup);
    }
  }

  async #backUp(file: string): Promise<void> {
    const { engine, clock, random, options } = this.#core;
    if (engine.backup !== undefined) return await engine.backup(file);
    await this.#makeFile(file, (draft) => copyAtWork(this.#core, new StoreCore(draft, clock, random, options)));
  }

  /** Finishes what waits to be written, and closes. Stop schedulers first. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#core.queue.close();
    await this.#sealer?.close();
    await Promise.allSettled(this.#backups);
    await this.#core.engine.close();
    // Whoever follows the log meets the end now, and not when it would have looked by itself.
    this.#core.notices.announce();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
