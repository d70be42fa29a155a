/**
 * Several nodes on one database, the test's own hold on it, and what befalls them. Everything ends with its test.
 *
 * All connections of a node carry its name at the server, so that a test can end them, and no others of the server.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzothDb, type AzothDbOptions, Scheduler } from "azoth-scheduler";
import type { Client } from "pg";
import { backendsOf, connect, withName } from "../../engines/postgres/clients.ts";
import { atEnd } from "../../engines/postgres/scope.ts";
import { Child } from "../child.ts";
import type { Desk } from "../stage.ts";
import type { JournalEntry, NodeConfig, NodeMessage, NodeOrder, NodeProcess } from "./messages.ts";
import { allNodeTaskTypes } from "./messages.ts";

/** A URL of a server of the test's own, whose connections find the store's tables without naming their schema. */
export function inOwnSchema(url: string): string {
  const own = new URL(url);
  own.searchParams.set("options", "-c search_path=azoth");
  return own.href;
}

/** The handlers' own tables; of a node's connections, one would make them while another does. */
const ownTables = `
  CREATE TABLE notes (task text, occurrence text, execution text, process text);
  CREATE TABLE orders (task text);
  CREATE TABLE tally (position bigint, number bigint GENERATED ALWAYS AS IDENTITY);
`;

export type NodeOptions = Omit<NodeConfig, "url" | "journal" | "taskTypes"> & Partial<NodeConfig>;

export class Cluster {
  readonly url: string;
  /** A plain connection. */
  readonly client: Client;
  readonly #desk: Desk | undefined;
  readonly #nodes: NodeProcess[] = [];
  readonly #journals: string;
  #started = 0;

  /** Makes the store and the handlers' tables at a URL whose schema is its search path. */
  static async on(url: string): Promise<Cluster> {
    const desk = await openDesk(withName(url, "desk"));
    const client = await connect(url);
    await client.query(ownTables);
    return new Cluster(url, desk, client);
  }

  /** Makes nothing at the URL: that is left to the nodes. */
  static async beside(url: string): Promise<Pick<Cluster, "spawn">> {
    return new Cluster(url, undefined, await connect(url));
  }

  private constructor(url: string, desk: Desk | undefined, client: Client) {
    this.url = url;
    this.#desk = desk;
    this.client = client;
    this.#journals = mkdtempSync(join(tmpdir(), "azoth-journals-"));
    atEnd(async () => {
      await Promise.all(this.#nodes.map((node) => node.kill()));
      rmSync(this.#journals, { recursive: true, force: true });
    });
  }

  /** The test's own hold on the store: for commands and queries, of tasks that the nodes handle. */
  get desk(): Desk {
    if (this.#desk === undefined) throw new Error("The test has not opened the store.");
    return this.#desk;
  }

  /** Begins to start a node. */
  spawn(options: NodeOptions): NodeProcess {
    const journal = join(this.#journals, `${options.name}-${this.#started++}`);
    const config: NodeConfig = { taskTypes: allNodeTaskTypes, journal, ...options, url: "" };
    const url = withName(options.url ?? this.url, options.name);
    const node: NodeProcess = new Child<NodeMessage, NodeOrder>("../postgres/node", { ...config, url });
    this.#nodes.push(node);
    return node;
  }

  /** Starts a node, and resolves when its scheduler is at work. */
  async node(options: NodeOptions): Promise<NodeProcess> {
    const node = this.spawn(options);
    await node.told("ready");
    return node;
  }

  /** What all handlers have written beside the store, of each node in its order. */
  journal(): JournalEntry[] {
    return readdirSync(this.#journals).flatMap((file) => {
      const lines = readFileSync(join(this.#journals, file), "utf8").split("\n");
      return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as JournalEntry);
    });
  }

  /** The server's processes for connections of a name, those whose last statement fits a pattern if one is given. */
  async backends(name: string, lastStatement: RegExp = /^/): Promise<number[]> {
    const backends = await backendsOf(this.client, this.url, name);
    return backends.filter(({ query }) => lastStatement.test(query)).map(({ pid }) => pid);
  }

  /** Ends connections at the server, as an operator does. */
  async terminate(pids: readonly number[]): Promise<void> {
    await this.client.query("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS those (pid)", [pids]);
  }
}

/** The store as the test's process holds it; the scheduler there is never started. */
export async function openDesk(url: string, options?: AzothDbOptions): Promise<Desk> {
  const db = await AzothDb.open(url, options);
  atEnd(() => db.close());
  const scheduler = new Scheduler(db, {
    externalTaskTypes: allNodeTaskTypes,
    defaultRetry: { base: "20ms", factor: 1 },
  });
  return { db, scheduler };
}

/** Asks nodes to stop, as an operating system does, and expects that they end in order. */
export async function dismissNodes(...nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) node.signal("SIGTERM");
  for (const node of nodes) {
    const { code, signal } = await node.ended;
    if (code !== 0 || signal !== null) throw new Error(`A node ended with ${code ?? signal}. It told:\n${node.output}`);
  }
}
