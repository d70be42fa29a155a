/** Statements on one connection, with rows as the engine reads them. */
import { AzothError } from "../../errors.ts";
import type { PgClient, PgQuery, PgResult } from "./driver.ts";
import { isOfServer } from "./postgres-errors.ts";

/**
 * "kept": the server may plan the statement once for as long as the connection lives. Only for those that can be done in
 * one sensible way, however few rows there were when they were planned: inserts, and lookups by a key.
 */
export type Plan = "kept" | "fresh";

/** What a statement needs: a connection of ours, or a user's own client. */
export interface Session {
  /** Rows as arrays of values, in the order of the columns. */
  rows(text: string, values?: readonly unknown[], plan?: Plan): Promise<unknown[][]>;
  /** How many rows the statement changed. */
  run(text: string, values?: readonly unknown[], plan?: Plan): Promise<number>;
}

/** The names of the statements whose plans are kept, in all connections of the process. */
const planNames = new Map<string, string>();
/** The texts differ by the columns that are equal in all of their rows: some dozens occur. */
const mostPlans = 1_000;

function planNameOf(text: string): string | undefined {
  const known = planNames.get(text);
  if (known !== undefined || planNames.size >= mostPlans) return known;
  const name = `azoth_${planNames.size}`;
  planNames.set(text, name);
  return name;
}

export interface ServerFacts {
  readonly life: string;
  readonly version: number;
  /** False if a pooler may answer each transaction by another connection to the server. */
  readonly direct: boolean;
}

/** A connection of ours. Statements are sent at once, and answered in their order. */
export class ClientSession implements Session {
  /** The error by which the transaction that is open has failed, and undefined if it has not. */
  failure: Error | undefined;
  /** False once a statement was not answered, or has left something behind: the connection is not for others then. */
  sound = true;
  /** How long a statement may go unanswered before its connection is given up; undefined for as long as it takes. */
  timeoutMs: number | undefined;
  /** The life of the server that this connection belongs to: a crash ends it, and its connections with it. */
  readonly life: string;
  /** The server's version, as 170004 for 17.4. */
  readonly version: number;
  /** Whether plans may be kept at all. */
  keepsPlans = false;
  /** Whether they could be: a pooler's connections forget them, or know those of others. */
  readonly direct: boolean;
  readonly #client: PgClient;
  #ended = false;
  /** What keeps all others back. */
  #alone: Promise<unknown> | undefined;

  constructor(client: PgClient, facts: ServerFacts = { life: "", version: 0, direct: false }) {
    this.#client = client;
    this.life = facts.life;
    this.version = facts.version;
    this.direct = facts.direct;
  }

  async rows(text: string, values: readonly unknown[] = [], plan: Plan = "fresh"): Promise<unknown[][]> {
    return (await this.answer(text, values, plan)).rows;
  }

  async run(text: string, values: readonly unknown[] = [], plan: Plan = "fresh"): Promise<number> {
    return (await this.answer(text, values, plan)).rowCount ?? 0;
  }

  /** The whole answer. */
  async answer(text: string, values: readonly unknown[], plan: Plan = "fresh"): Promise<PgResult> {
    while (this.#alone !== undefined) await this.#alone.catch(() => {});
    const name = plan === "kept" && this.keepsPlans ? planNameOf(text) : undefined;
    const query = { text, values, rowMode: "array", queryMode: "extended" } as const;
    return await this.#send(name === undefined ? query : { ...query, name });
  }

  /** Several statements in one text, without values or answers. */
  async script(text: string): Promise<void> {
    while (this.#alone !== undefined) await this.#alone.catch(() => {});
    await this.#script(text);
  }

  /**
   * Keeps the statements of all others back until `work` has ended: after one of its own that failed, and before that
   * one was undone, they would fail as well.
   */
  async alone<T>(work: (statements: Pick<ClientSession, "answer" | "script">) => Promise<T>): Promise<T> {
    while (this.#alone !== undefined) await this.#alone.catch(() => {});
    const working = work({
      answer: (text, values) => this.#send({ text, values, rowMode: "array", queryMode: "extended" }),
      script: (text) => this.#script(text),
    });
    this.#alone = working;
    try {
      return await working;
    } finally {
      this.#alone = undefined;
    }
  }

  /** Ends the transaction. What would come after it is refused: by then the connection may be somebody else's. */
  async end(verb: "COMMIT" | "ROLLBACK"): Promise<PgResult> {
    this.#refuseEnded();
    this.#ended = true;
    // Not by way of `failure`: what is refused at the end itself is no failure before it.
    return await this.#answered({ text: verb, values: [], rowMode: "array", queryMode: "extended" });
  }

  #refuseEnded(): void {
    if (!this.#ended) return;
    throw new AzothError("TRANSACTION_CLOSED", "The transaction has ended. Await every call inside of its callback.");
  }

  async #script(text: string): Promise<void> {
    await this.#send({ text, rowMode: "array" });
    if (text.startsWith("ROLLBACK")) this.failure = undefined;
  }

  async #send(query: PgQuery): Promise<PgResult> {
    this.#refuseEnded();
    try {
      return await this.#answered(query);
    } catch (error) {
      // Those that follow fail as well, and say nothing.
      this.failure ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  async #answered(query: PgQuery): Promise<PgResult> {
    try {
      return await this.#client.query(
        this.timeoutMs === undefined ? query : { ...query, query_timeout: this.timeoutMs },
      );
    } catch (error) {
      this.sound &&= isOfServer(error);
      throw error;
    }
  }
}
