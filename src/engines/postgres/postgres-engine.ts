/**
 * The PostgreSQL engine: many nodes on one database, each with a handful of connections.
 *
 * Statements are read committed; whoever changes a task holds its row, and the log is read as `settled.ts` says.
 * A connection that is lost in the middle of a commit leaves open whether it happened: the server is asked.
 */
import { type Clock, systemClock } from "../../clock.ts";
import { AzothError, isAzothError, quote } from "../../errors.ts";
import {
  type Engine,
  type EngineTransaction,
  type JoinedTransaction,
  WriteCollision,
  type WriteMode,
} from "../../store/engine.ts";
import { ClockOffset, databaseNow } from "./clock-offset.ts";
import { Connections, fewestConnections } from "./connections.ts";
import { loadDriver, type PgDriver } from "./driver.ts";
import { attempt, checkClient } from "./joined-session.ts";
import { HeldRuns } from "./held-runs.ts";
import { Listener } from "./listener.ts";
import { Names } from "./names.ts";
import { parsePlace, type Place } from "./place.ts";
import { codeOf, isDriverError, isLockTimeout, isUnreachable, storeError } from "./postgres-errors.ts";
import { PostgresReads } from "./postgres-reads.ts";
import { PostgresTransaction } from "./postgres-transaction.ts";
import { migrate, migrations } from "./schema.ts";
import type { ClientSession, Session } from "./session.ts";
import { SettledLog } from "./settled.ts";
import { brokenRuleError } from "./user-sql.ts";

export interface PostgresOptions {
  /** Whether to make the store if it is not there. Defaults to true. */
  readonly create?: boolean;
  /** Whether to bring an older one up to date. Defaults to true. */
  readonly migrate?: boolean;
  /** "full": each commit is on disk before it is acknowledged. "normal": a crash of the server may lose the last moments. */
  readonly durability: "full" | "normal";
  /** How long to wait for what another transaction holds. */
  readonly busyTimeoutMs: number;
  /** A transaction that is idle for longer than this and a little is ended by the server: its node is gone. */
  readonly transactionTimeoutMs: number;
  readonly maxConnections: number;
  readonly schema?: string;
  readonly clock?: Clock;
  readonly driver?: PgDriver;
}

/** How long work in the group commit waits for a lock, before its units are done one by one. */
const groupLockTimeoutMs = 100;
/** How long to ask what became of a commit. */
const outcomeTimeoutMs = 30_000;
const idleMarginMs = 5_000;
/**
 * For a group's statements, which never are a user's: each looks at some hundred rows by an index. The server thinks
 * that of a table that is small, or whose rows it has not counted, all rows may as well be read and sorted; which they
 * then are at each turn, while the table grows.
 */
const byIndex = ["seqscan", "bitmapscan", "hashjoin", "mergejoin"].map((plan) => [`enable_${plan}`, "off"] as const);
const statementMarginMs = 5_000;
const cancelMarginMs = 250;
/** The version of the server that can bound a whole transaction. */
const boundsTransactions = 170_000;
/** How far the time of a group's work may turn out to be wrong. */
const clockToleranceMs = 50;
/** With every margin, the server and Node's timers can still count it. */
const longestTimeoutMs = 2_000_000_000;

/** @throws AzothError INVALID_LOCATION, INVALID_OPTION, DRIVER_MISSING, STORE_UNREACHABLE, STORE_TOO_NEW, STORE_NOT_WRITABLE */
export async function openPostgres(location: string, options: PostgresOptions): Promise<Engine> {
  const place = parsePlace(location, options.schema);
  const { maxConnections } = options;
  if (!Number.isSafeInteger(maxConnections) || maxConnections < fewestConnections || maxConnections > 1_000) {
    const message = `maxConnections must be a whole number from ${fewestConnections} to 1000, and is ${quote(maxConnections)}.`;
    throw new AzothError("INVALID_OPTION", message);
  }
  const driver = options.driver ?? (await loadDriver());
  const busyTimeoutMs = Math.min(options.busyTimeoutMs, longestTimeoutMs);
  const transactionTimeoutMs = Math.min(options.transactionTimeoutMs, longestTimeoutMs);
  const statementTimeoutMs = busyTimeoutMs + statementMarginMs;
  const connections = new Connections({ driver, place, max: maxConnections, statementTimeoutMs });
  const engine = new PostgresEngine(place, connections, { ...options, busyTimeoutMs, transactionTimeoutMs });
  try {
    await engine.prepare();
    return engine;
  } catch (error) {
    await engine.close();
    throw storeError(error, place.shown);
  }
}

class PostgresEngine implements Engine {
  readonly kind = "postgres";
  readonly writers = "many";
  readonly location: string;
  readonly reads: PostgresReads;
  readonly #place: Place;
  readonly #connections: Connections;
  readonly #options: PostgresOptions;
  readonly #names: Names;
  readonly #settled: SettledLog;
  readonly #clockOffset: ClockOffset;
  readonly #listener: Listener;
  readonly #heldRuns = new HeldRuns();
  #closing: Promise<void> | undefined;

  constructor(place: Place, connections: Connections, options: PostgresOptions) {
    this.location = place.shown;
    this.#place = place;
    this.#connections = connections;
    this.#options = options;
    this.#names = new Names(connections, place.quotedSchema);
    this.#settled = new SettledLog(connections, place);
    this.#clockOffset = new ClockOffset(options.clock ?? systemClock);
    this.#listener = new Listener(connections, place);
    this.reads = new PostgresReads({
      connections,
      place,
      names: this.#names,
      settled: this.#settled,
      clockOffset: this.#clockOffset,
    });
  }

  async prepare(): Promise<void> {
    const { create = true, migrate: mayMigrate = true } = this.#options;
    await migrate(this.#connections, this.#place, migrations, { create, migrate: mayMigrate });
    await this.#connections.use("core", (session) => this.#clockOffset.refresh(session));
  }

  clockOffsetMs(): number {
    return this.#clockOffset.ms;
  }

  async write<T>(work: (transaction: EngineTransaction) => Promise<T>, mode?: WriteMode): Promise<T> {
    const patient = mode?.patient === true;
    const inGroup = mode === undefined;
    const { busyTimeoutMs, transactionTimeoutMs } = this.#options;
    try {
      return await this.#connections.use(inGroup ? "core" : "user", async (session) => {
        // A statement of the user's, that the server ends by itself, may take longer than one of ours.
        if (!inGroup) session.timeoutMs = Math.max(busyTimeoutMs, transactionTimeoutMs) + statementMarginMs;
        session.keepsPlans = inGroup && session.direct;
        const begun = this.#begin(session, inGroup);
        begun.catch(() => {});
        const offsetMs = this.#clockOffset.ms;
        const transaction = this.#transaction(session, session, patient, inGroup);
        let result: T;
        try {
          // A group does not wait to be told the time. Work that may not be done again does.
          if (!inGroup) await begun;
          result = await work(transaction);
          await transaction.settle();
          // Whoever ran the statement may have taken its error for the fault of one unit, and gone on.
          if (session.failure !== undefined) throw session.failure;
          if (inGroup) await this.#refuseWrongTime(begun, offsetMs);
          await this.#commit(session, transaction, begun);
          transaction.noteCommit(await begun);
        } catch (error) {
          const { failure } = session;
          await session.end("ROLLBACK").catch(() => {});
          // What follows a statement that failed is refused as well, and does not say why.
          throw isDriverError(error) ? (failure ?? error) : error;
        }
        if (transaction.hasNews) this.#listener.announce();
        return result;
      });
    } catch (error) {
      if (!isDriverError(error)) throw error;
      if (inGroup || !isLockTimeout(error)) throw storeError(error, this.location);
      const message = `Another transaction held what this one needs for longer than ${this.#options.busyTimeoutMs} ms (${this.location}).`;
      throw new AzothError("STORE_BUSY", message, { cause: error });
    }
  }

  /** If this machine's clock was set since the database's was last asked, all was decided too early, or too late. */
  async #refuseWrongTime(begun: Promise<unknown>, offsetMs: number): Promise<void> {
    await begun;
    if (this.#options.clock?.virtual === true) return;
    const setByMs = Math.abs(this.#clockOffset.ms - offsetMs);
    if (setByMs > clockToleranceMs) throw new WriteCollision(`The clock was set by ${setByMs} ms meanwhile.`);
  }

  /** The transaction that the user has open on `client`, and will commit. */
  join(client: unknown): JoinedTransaction {
    this.#connections.refuseClosed();
    const checked = checkClient(client);
    return {
      attempt: (work) =>
        attempt(checked, async (session) => {
          await this.#askTheTime();
          const transaction = this.#transaction(session, null, true, false);
          const result = await work(transaction);
          if (transaction.hasNews) await session.rows(...this.#listener.noticeWithin);
          return result;
        }),
    };
  }

  /** Where no scheduler runs, nobody else may have asked for long. */
  async #askTheTime(): Promise<void> {
    if (this.#clockOffset.isFresh) return;
    // Without an answer, the last one has to do.
    await this.#connections.use("core", (session) => this.#clockOffset.refresh(session)).catch(() => {});
  }

  watch(onCommit: () => void, pause: (signal: AbortSignal) => Promise<void>): () => void {
    const stopListening = this.#listener.listen(onCommit);
    const stopping = new AbortController();
    void this.#lookForCommits(onCommit, pause, stopping.signal);
    return () => {
      stopListening();
      stopping.abort();
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#listener.close();
    const closed = this.#connections.close();
    // Whoever waits for the next commit learns that there will be none.
    this.#listener.tell();
    await closed;
  }

  #transaction(session: Session, own: ClientSession | null, patient: boolean, inGroup: boolean): PostgresTransaction {
    const { busyTimeoutMs, transactionTimeoutMs } = this.#options;
    const { quotedSchema: schema } = this.#place;
    // A little later than the transaction itself, whose error says more.
    const statementTimeoutMs = transactionTimeoutMs + cancelMarginMs;
    const [names, settled] = [this.#names, this.#settled];
    return new PostgresTransaction({
      session,
      own,
      schema,
      names,
      settled,
      patient,
      heldRuns: inGroup ? this.#heldRuns : null,
      busyTimeoutMs,
      statementTimeoutMs,
    });
  }

  /**
   * Resolves with the transaction's number, by which the server can be asked what became of it. The first statements
   * need not wait for that: should any of these fail, they fail as well.
   */
  async #begin(session: ClientSession, inGroup: boolean): Promise<string> {
    const { durability, busyTimeoutMs, transactionTimeoutMs } = this.#options;
    const idleTimeoutMs = transactionTimeoutMs + idleMarginMs;
    const bound = inGroup && session.version >= boundsTransactions;
    const settings: readonly (readonly [name: string, value: string | number])[] = [
      ["lock_timeout", inGroup ? groupLockTimeoutMs : busyTimeoutMs],
      // The locks of a node that was cut off end with its transaction.
      ["idle_in_transaction_session_timeout", idleTimeoutMs],
      // A session that has got half of what a node sent is not idle: it waits for the rest, and holds what it holds.
      ...(bound ? [["transaction_timeout", idleTimeoutMs + statementMarginMs] as const] : []),
      ["synchronous_commit", durability === "full" ? "on" : "off"],
      ...(inGroup ? byIndex : []),
      ...(session.keepsPlans ? [["plan_cache_mode", "force_generic_plan"] as const] : []),
    ];
    const began = session.script("BEGIN ISOLATION LEVEL READ COMMITTED");
    began.catch(() => {});
    // All in one statement: each SET LOCAL would cost more than all of them do here.
    const set = settings.map(([name, value]) => `set_config('${name}', '${value}', true)`);
    const [facts] = await this.#clockOffset.measure(
      () => session.rows(`SELECT pg_current_xact_id()::text, ${databaseNow}, ${set.join(", ")}`, [], "kept"),
      ([row]) => row?.[1] as number,
    );
    await began;
    return facts?.[0] as string;
  }

  /** @throws AzothError INVALID_SQL if the user's own deferred rules are broken, which PostgreSQL looks at only now */
  async #commit(session: ClientSession, transaction: PostgresTransaction, begun: Promise<string>): Promise<void> {
    // Mostly known by now; without it nobody could ask what became of the commit.
    const xid = await begun;
    const committing = session.end("COMMIT");
    committing.catch(() => {});
    try {
      // What was sent before it and failed has made a rollback of it.
      await transaction.answered();
      const { command } = await committing;
      if (command === "COMMIT") return;
      throw new AzothError("STORE_FAILED", `PostgreSQL rolled back instead of committing (${this.location}).`);
    } catch (cause) {
      if (isUnreachable(cause)) return await this.#settleInDoubt(xid, session.life, cause);
      throw cause === session.failure ? cause : brokenRuleError(cause);
    }
  }

  /** The connection was lost at the commit. Resolves if it happened, rejects if it did not or nobody can tell. */
  async #settleInDoubt(xid: string, life: string, cause: unknown): Promise<void> {
    const startedAtMs = systemClock.now();
    for (let waitMs = 50; systemClock.now() - startedAtMs < outcomeTimeoutMs; waitMs = Math.min(waitMs * 2, 1_000)) {
      await systemClock.sleep(waitMs);
      if (this.#closing !== undefined) break;
      const status = await this.#statusOf(xid, life);
      if (status === "committed") return;
      if (status === "aborted") throw cause;
      if (status === "given out again") break;
    }
    const message = `The connection was lost at the commit, and the server did not tell whether it happened (${this.location}).`;
    throw new AzothError("STORE_UNREACHABLE", message, { cause, details: { outcome: "unknown" } });
  }

  /**
   * "committed", "aborted", or what says nothing: it is in progress, forgotten, or the server does not answer. A server
   * that has crashed since may have forgotten that it gave out the number: "given out again" speaks of somebody else.
   */
  async #statusOf(xid: string, life: string): Promise<unknown> {
    try {
      return await this.#connections.use("user", async (session) => {
        const status = (await session.rows("SELECT pg_xact_status($1::text::xid8)", [xid]))[0]?.[0];
        if (session.life === life || status === null) return status;
        // Had this one been committed, nobody else could have its number.
        return status === "committed" ? "given out again" : "aborted";
      });
    } catch (error) {
      if (isUnreachable(error) || isAzothError(error, "STORE_UNREACHABLE")) return null;
      // A number that was not given out yet.
      if (codeOf(error) === "22023") return "aborted";
      throw error;
    }
  }

  /** While notices do not arrive, looks for commits instead. */
  async #lookForCommits(
    onCommit: () => void,
    pause: (signal: AbortSignal) => Promise<void>,
    stopped: AbortSignal,
  ): Promise<void> {
    let seen: unknown;
    for (;;) {
      await pause(stopped);
      if (stopped.aborted || this.#closing !== undefined) return;
      if (this.#listener.hears) continue;
      const now = await this.#visible().catch(() => seen);
      if (now !== seen) onCommit();
      seen = now;
    }
  }

  /**
   * What a reader sees now, as a text that stays the same while nobody commits. Not the last position: it is drawn before
   * its commit, and whoever looks in between would not look again.
   */
  async #visible(): Promise<unknown> {
    const sql = "SELECT pg_current_snapshot()::text";
    return (await this.#connections.use("core", (session) => session.rows(sql)))[0]?.[0];
  }
}
