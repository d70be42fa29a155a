/**
 * The connections of one store: a few for the scheduler's own work, some for transactions and queries of users,
 * so that neither ever waits for the other; the listener has one more.
 */
import { systemClock } from "../../clock.ts";
import { Ending } from "../../ending.ts";
import { AzothError } from "../../errors.ts";
import type { PgClient, PgConfig, PgDriver, PgPool, PgPoolClient } from "./driver.ts";
import { types } from "./driver.ts";
import type { Place } from "./place.ts";
import { storeError } from "./postgres-errors.ts";
import { ClientSession, type ServerFacts } from "./session.ts";

export interface ConnectionsOptions {
  readonly driver: PgDriver;
  readonly place: Place;
  /** Of all kinds together. */
  readonly max: number;
  /** How long a statement may go unanswered before its connection is given up, unless a session says otherwise. */
  readonly statementTimeoutMs: number;
}

/** Connections of the scheduler's own: one writes what callers and handlers did, one takes what is due, one reads. */
const coreConnections = 3;
/** Fewer than this cannot work: the core's, the listener's, and one for users. */
export const fewestConnections: number = coreConnections + 2;

/**
 * The first differs between two lives of a server, or two servers: a crash takes the statistics with it, an orderly
 * restart keeps them. Anybody may read it.
 */
const factsSql = `SELECT coalesce(stats_reset::text, ''), current_setting('server_version_num')::int, pg_backend_pid()
  FROM pg_stat_bgwriter`;

const connectTimeoutMs = 10_000;
const idleTimeoutMs = 60_000;
/** How long a connection is given to end in order. One whose other end has gone never does, and would keep the process alive. */
const farewellMs = 1_000;

/** Whose work a connection is for. */
export type Purpose = "core" | "user";

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #pools: Readonly<Record<Purpose, PgPool>>;
  readonly #facts = new WeakMap<PgClient, ServerFacts>();
  /** Those that have not ended. */
  readonly #open = new Set<PgClient>();
  #closed = false;
  /** That of the store. */
  readonly #ending = new Ending();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { driver, max } = options;
    const pool = (size: number) => {
      const made = new driver.Pool({
        ...this.#config(),
        max: size,
        idleTimeoutMillis: idleTimeoutMs,
        allowExitOnIdle: false,
      });
      // A connection that breaks is dropped by the pool if it is idle, and reported by its statements if it is lent;
      // without listeners its error would end the process all the same.
      made.on("error", () => {});
      made.on("connect", (client) => this.#watch(client));
      return made;
    };
    this.#pools = { core: pool(coreConnections), user: pool(max - coreConnections - 1) };
  }

  /** Lends a connection. One that is not sound afterwards is not used again. */
  async use<T>(purpose: Purpose, work: (session: ClientSession) => Promise<T>): Promise<T> {
    this.refuseClosed();
    const client = await this.#connect(purpose);
    let session: ClientSession | undefined;
    try {
      session = this.#session(client, this.#facts.get(client) ?? (await this.#learnFacts(client)));
      return await work(session);
    } finally {
      // Errors of the user's own code say nothing of the connection.
      client.release(session?.sound !== true);
    }
  }

  /** A connection that is nobody else's, and is given up when a statement goes unanswered for so long. */
  async connectAlone(timeoutMs: number): Promise<PgClient> {
    const client = new this.#options.driver.Client({ ...this.#config(), query_timeout: timeoutMs });
    this.#watch(client);
    await client.connect();
    return client;
  }

  /** Ends a connection of `connectAlone`. */
  async end(client: PgClient): Promise<void> {
    await this.#farewell([client], client.end());
  }

  refuseClosed(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): AzothError {
    return new AzothError("STORE_CLOSED", `The store at ${this.#options.place.shown} is closed. Open it again.`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ending.end(this.#closedError());
    await Promise.all([this.#pools.core.end(), this.#pools.user.end()]);
    await this.#farewell([...this.#open], Promise.all([...this.#open].map((client) => client.end())));
  }

  #watch(client: PgClient): void {
    this.#open.add(client);
    client.on("error", () => {});
    client.on("end", () => this.#open.delete(client));
  }

  /** Resolves when these have ended, and breaks off those that do not. */
  async #farewell(clients: readonly PgClient[], ending: Promise<unknown>): Promise<void> {
    const ended = new AbortController();
    const done = ending.catch(() => {}).then(() => ended.abort());
    await Promise.race([done, systemClock.sleep(farewellMs, ended.signal)]);
    for (const client of clients) if (this.#open.has(client)) client.connection?.stream?.destroy();
  }

  #session(client: PgClient, facts?: ServerFacts): ClientSession {
    const session = new ClientSession(client, facts);
    session.timeoutMs = this.#options.statementTimeoutMs;
    return session;
  }

  async #learnFacts(client: PgClient): Promise<ServerFacts> {
    const [row] = await this.#session(client).rows(factsSql);
    const [life, version, pid] = row as [string, number, number];
    const facts = { life, version, direct: client.processID === pid };
    this.#facts.set(client, facts);
    return facts;
  }

  async #connect(purpose: Purpose): Promise<PgPoolClient> {
    // A pool that is ended leaves those that wait for a connection to their timeout.
    const lent = this.#pools[purpose].connect();
    lent.then((client) => this.#closed && client.release(true)).catch(() => {});
    try {
      const client = await this.#ending.orEnd(lent);
      this.refuseClosed();
      return client;
    } catch (error) {
      throw storeError(error, this.#options.place.shown);
    }
  }

  #config(): PgConfig {
    const { place } = this.#options;
    return {
      connectionString: place.connectionString,
      application_name: "azoth-scheduler",
      // A connection whose other end has gone is noticed by the operating system, and not never.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: connectTimeoutMs,
      pipeline: true,
      types,
    };
  }
}
