/** The least that a durable store can do: one INSERT of a row with a key, and its commit. It schedules, and runs nothing. */
import { join } from "node:path";
import { Client } from "pg";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import type { Counts, OpenSystem, Setting } from "./system.ts";

interface Table {
  readonly insert: (payload: string) => void | Promise<void>;
  readonly count: () => unknown;
  readonly close: () => void | Promise<void>;
}

export async function openOnSqlite({ location }: Setting): Promise<OpenSystem> {
  const { DatabaseSync } = await loadSqliteDriver();
  const database = new DatabaseSync(join(location, "one-insert.db"));
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE tasks (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT");
  const statement = database.prepare("INSERT INTO tasks (payload) VALUES (?)");
  return new OneInsert({
    insert: (payload) => {
      statement.run(payload);
    },
    count: () => (database.prepare("SELECT count(*) AS tasks FROM tasks").get() as { tasks: number }).tasks,
    close: () => database.close(),
  });
}

export async function openOnPostgres({ location }: Setting): Promise<OpenSystem> {
  const client = new Client({ connectionString: location });
  await client.connect();
  await client.query("CREATE TABLE tasks (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL)");
  return new OneInsert({
    insert: async (payload) => {
      await client.query({ name: "insert", text: "INSERT INTO tasks (payload) VALUES ($1)", values: [payload] });
    },
    count: async () => (await client.query<{ tasks: string }>("SELECT count(*) AS tasks FROM tasks")).rows[0]?.tasks,
    close: () => client.end(),
  });
}

class OneInsert implements OpenSystem {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async schedule(tasks: readonly { readonly number: number }[]): Promise<void> {
    for (const { number } of tasks) await this.#table.insert(JSON.stringify(number));
  }

  start(): Promise<void> {
    return Promise.reject(new Error("it runs nothing"));
  }

  async stop(): Promise<void> {}

  async count(): Promise<Counts> {
    return { tasks: Number(await this.#table.count()), finished: 0, events: 0 };
  }

  async close(): Promise<void> {
    await this.#table.close();
  }
}
