/** The ways in which users hold a transaction: clients of pg in all their settings, and query builders. */
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgTable, text } from "drizzle-orm/pg-core";
import { knex } from "knex";
import { CamelCasePlugin, type Generated, Kysely, ParseJSONResultsPlugin, PostgresDialect } from "kysely";
import { Client, type ClientConfig, type CustomTypesConfig, Pool, type QueryArrayConfig, types } from "pg";
import { drizzleClient, knexClient, kyselyClient } from "./adapters.ts";

/** What `joinTransaction` takes. */
export interface JoinedClient {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly object[] }>;
}

/** A transaction that is open, with the user's own way to write in it. */
export interface OpenOrder {
  readonly client: JoinedClient;
  /** Writes a row into the user's table `orders`. */
  insert(note: string): Promise<unknown>;
  /** Runs a statement without values, such as a savepoint. */
  execute(statement: string): Promise<unknown>;
}

export interface Library {
  readonly name: string;
  /** Runs `work` in one transaction: commits, or rolls back and rejects if `work` rejects. */
  transaction<T>(url: string, work: (order: OpenOrder) => Promise<T>): Promise<T>;
}

const insertion = "INSERT INTO orders (note) VALUES ($1)";

interface PlainClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: object[] }>;
}

async function inTransaction<T>(
  client: PlainClient,
  work: (order: OpenOrder) => Promise<T>,
  joined: JoinedClient = client,
): Promise<T> {
  await client.query("BEGIN");
  try {
    const result = await work({
      client: joined,
      insert: (note) => client.query(insertion, [note]),
      execute: (statement) => client.query(statement),
    });
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

async function withClient<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function withPool<T>(url: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = new Pool({ connectionString: url, max: 2 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** Parsers as users set them, for all that is not plain text. */
const ownParsers: CustomTypesConfig = {
  getTypeParser: (type: number) => {
    if (type === Number(types.builtins.TEXT)) return (value: string) => value;
    if (type === Number(types.builtins.INT8)) return BigInt;
    return (value: string) => ({ parsed: value });
  },
};

const orders = pgTable("orders", { note: text("note").notNull() });

interface Tables {
  readonly orders: { readonly id: Generated<number>; readonly note: string };
}

export const libraries: readonly Library[] = [
  {
    name: "a Client of pg",
    transaction: (url, work) => withClient({ connectionString: url }, (client) => inTransaction(client, work)),
  },
  {
    name: "a PoolClient of pg",
    transaction: (url, work) =>
      withPool(url, async (pool) => {
        const client = await pool.connect();
        try {
          return await inTransaction(client, work);
        } finally {
          client.release();
        }
      }),
  },
  {
    name: "a Client of pg that pipelines",
    transaction: (url, work) =>
      withClient({ connectionString: url, pipeline: true }, (client) => inTransaction(client, work)),
  },
  {
    name: "a Client of pg with parsers of the user's own",
    transaction: (url, work) =>
      withClient({ connectionString: url, types: ownParsers }, (client) => inTransaction(client, work)),
  },
  {
    name: "a Client of pg whose rows are arrays",
    transaction: (url, work) =>
      withClient({ connectionString: url }, (client) => {
        const query = (text: string, values: unknown[]) => {
          const config: QueryArrayConfig = { text, values, rowMode: "array" };
          return client.query<unknown[]>(config);
        };
        return inTransaction(client, work, { query });
      }),
  },
  {
    name: "Drizzle",
    transaction: (url, work) =>
      withPool(url, (pool) =>
        drizzle(pool).transaction((tx) =>
          work({
            client: drizzleClient(tx),
            insert: (note) => tx.insert(orders).values({ note }),
            execute: (statement) => tx.execute(sql.raw(statement)),
          }),
        ),
      ),
  },
  {
    name: "Kysely",
    transaction: async (url, work) => {
      // It ends its pool itself.
      const pool = new Pool({ connectionString: url, max: 2 });
      await using db = new Kysely<Tables>({
        dialect: new PostgresDialect({ pool }),
        plugins: [new CamelCasePlugin(), new ParseJSONResultsPlugin()],
      });
      return await db.transaction().execute(async (trx) => {
        const client = kyselyClient(trx);
        return await work({
          client,
          insert: (note) => trx.insertInto("orders").values({ note }).execute(),
          execute: (statement) => client.query(statement, []),
        });
      });
    },
  },
  {
    name: "Knex",
    transaction: async (url, work) => {
      const db = knex({ client: "pg", connection: { connectionString: url }, pool: { min: 0, max: 2 } });
      try {
        return await db.transaction((trx) =>
          work({
            client: knexClient(trx),
            insert: (note) => trx("orders").insert({ note }),
            execute: (statement) => trx.raw(statement),
          }),
        );
      } finally {
        await db.destroy();
      }
    },
  },
];
