/**
 * A user's own client, in a transaction that they began and will end.
 *
 * All that is asked of it is `query(text, values)` with the rows in the answer, so that query builders can stand in.
 * What such a client makes of numbers and JSON is its own affair: each row comes as one text of JSON, and is read here.
 * What belongs together stands in a savepoint: if it fails it is undone as a whole, whatever the user does then. And
 * PostgreSQL refuses a savepoint where no transaction is open, in which each statement would commit by itself.
 */
import { AzothError, messageOf, oneLine, quote } from "../../errors.ts";
import type { PostgresClient } from "../../store/engine.ts";
import { codeOf, storeError } from "./postgres-errors.ts";
import type { Session } from "./session.ts";

const shape = "a client with query(text, values), such as a client of pg";

/** @throws AzothError INVALID_OPTION */
export function checkClient(client: unknown): PostgresClient {
  if (typeof (client as PostgresClient | null)?.query === "function") return client as PostgresClient;
  throw new AzothError("INVALID_OPTION", `A transaction is joined through ${shape}, and not through ${quote(client)}.`);
}

/** The last attempt on each client: two at a time would undo each other's statements. */
const attempts = new WeakMap<PostgresClient, Promise<unknown>>();
let savepoints = 0;

/**
 * Runs `work` so that all it wrote is undone if it rejects, and the user's transaction can go on. Attempts on one
 * client are made one after the other, in the order of their asking.
 */
export async function attempt<T>(client: PostgresClient, work: (session: Session) => Promise<T>): Promise<T> {
  const make = async (): Promise<T> => {
    const session = new JoinedSession(client);
    try {
      const result = await work(session);
      await session.keep();
      return result;
    } catch (error) {
      await session.undo();
      throw error;
    }
  };
  const made = (attempts.get(client) ?? Promise.resolve()).then(make);
  attempts.set(
    client,
    made.catch(() => {}),
  );
  return await made;
}

class JoinedSession implements Session {
  readonly #client: PostgresClient;
  // A name that nothing else in the transaction has: a mistaken one would undo the work of others in silence.
  readonly #savepoint = `azoth_joined_${++savepoints}`;
  #begun: Promise<unknown> | undefined;

  constructor(client: PostgresClient) {
    this.#client = client;
  }

  async rows(text: string, values: readonly unknown[] = []): Promise<unknown[][]> {
    const sql = `WITH answer AS (${text}) SELECT row_to_json(answer)::text AS line FROM answer`;
    return (await this.#lines(sql, values)).map((line) => Object.values(JSON.parse(line) as Record<string, unknown>));
  }

  async run(text: string, values: readonly unknown[] = []): Promise<number> {
    const sql = `WITH answer AS (${text} RETURNING 1) SELECT count(*)::text AS line FROM answer`;
    return Number((await this.#lines(sql, values))[0]);
  }

  async keep(): Promise<void> {
    if (this.#begun !== undefined) await this.#send(`RELEASE SAVEPOINT ${this.#savepoint}`);
  }

  async undo(): Promise<void> {
    try {
      await this.#begun;
      if (this.#begun === undefined) return;
      await this.#send(`ROLLBACK TO SAVEPOINT ${this.#savepoint}`);
      await this.#send(`RELEASE SAVEPOINT ${this.#savepoint}`);
    } catch {
      // There is no savepoint, and no way for the transaction to be committed.
    }
  }

  async #lines(sql: string, values: readonly unknown[]): Promise<string[]> {
    // Only now: a call that is refused sends nothing.
    this.#begun ??= this.#send(`SAVEPOINT ${this.#savepoint}`);
    await this.#begun;
    const { rows } = await this.#send(sql, values);
    if (!Array.isArray(rows)) throw notAsAsked(rows);
    // By place and not by name: rows may come as arrays, and builders rename columns.
    return rows.map((row) => {
      const line: unknown = Object.values(row as object)[0];
      if (typeof line !== "string") throw notAsAsked(row);
      return line;
    });
  }

  async #send(sql: string, values: readonly unknown[] = []): Promise<{ readonly rows?: unknown }> {
    try {
      // What comes back is whatever the user's code makes of it.
      const answer: { readonly rows?: unknown } | undefined = await this.#client.query(sql, [...values]);
      return answer ?? {};
    } catch (error) {
      throw joinedError(causeOf(error));
    }
  }
}

function notAsAsked(answer: unknown): AzothError {
  const message = `A transaction is joined through ${shape}, which resolves with { rows } as they are, and not with ${quote(answer)}.`;
  return new AzothError("INVALID_OPTION", message);
}

/** What PostgreSQL or `pg` said, within the errors that query builders put around it. */
function causeOf(error: unknown): unknown {
  let found = error;
  for (let depth = 0; depth < 10 && found instanceof Error && codeOf(found) === ""; depth++) {
    if (!(found.cause instanceof Error)) return found;
    found = found.cause;
  }
  return found;
}

function joinedError(error: unknown): unknown {
  const code = codeOf(error);
  const refused = (words: string) => {
    const message = `${words} (${oneLine(messageOf(error), 300)})`;
    return new AzothError("INVALID_OPTION", message, { cause: error, details: { postgresCode: code } });
  };
  if (code === "25P01") {
    return refused(
      "The client has no transaction open. Begin one on it, and join that; a pool has none, take a client of it.",
    );
  }
  if (code === "42P01") return refused("The client is not connected to the database of the store.");
  return storeError(error, "the transaction of your client");
}
