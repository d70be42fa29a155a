/**
 * The floor on PostgreSQL: the same four events and three writes of the task's row, in batches of 1,000 through unnest,
 * by two connections of which each records its last batch and claims the next one in one transaction.
 * No schedules, checks, retries, timeouts, heartbeats or replay.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { BenchTask, Counts, OpenSystem, Setting } from "./system.ts";

const schema = `
  CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type smallint NOT NULL, at_ms bigint NOT NULL,
    task bigint NOT NULL, run integer, data text NOT NULL
  );
  CREATE INDEX events_by_task ON events (task);
  CREATE TABLE tasks (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL, phase smallint NOT NULL, due_at_ms bigint,
    payload text NOT NULL
  ) WITH (fillfactor = 80);
  CREATE UNIQUE INDEX tasks_by_id ON tasks (id);
  CREATE INDEX tasks_due ON tasks (due_at_ms, seq) WHERE due_at_ms IS NOT NULL;
`;

const insert = `
  WITH added AS (
    INSERT INTO tasks (id, phase, due_at_ms, payload)
    SELECT id, 0, due_at_ms, payload FROM unnest($1::text[], $2::bigint[], $3::text[]) AS t (id, due_at_ms, payload)
    RETURNING seq, id, payload
  )
  INSERT INTO events (type, at_ms, task, data)
  SELECT 1, $4, seq, '{"taskId":"' || id || '","taskType":"work","schedule":{"kind":"immediate"},"payload":' || payload || '}'
  FROM added`;

const claim = `
  WITH claimed AS (
    UPDATE tasks SET phase = 1, due_at_ms = NULL WHERE seq = ANY (ARRAY(
      SELECT seq FROM tasks WHERE due_at_ms <= $1 ORDER BY due_at_ms, seq LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING seq, payload
  ), logged AS (
    INSERT INTO events (type, at_ms, task, run, data)
    SELECT 2, $1, seq, 1, '{"scheduledForMs":' || $1::bigint || ',"attempt":1,"instance":1}' FROM claimed
  )
  SELECT seq, payload FROM claimed`;

const record = `
  WITH recorded AS (UPDATE tasks SET phase = 2 WHERE seq = ANY ($1::bigint[]))
  INSERT INTO events (type, at_ms, task, run, data)
  SELECT type, $2, seq, 1, data FROM unnest($1::bigint[]) AS t (seq)
  CROSS JOIN (VALUES (3, '{}'), (4, '{"success":true,"durationMs":0,"then":"completed"}')) AS e (type, data)`;

const batch = 1_000;
const idlePauseMs = 5;

interface Claimed {
  readonly seq: string;
  readonly payload: string;
}

export class BareStatements implements OpenSystem {
  readonly #clients: readonly [Client, Client];
  #handler: ((number: number) => Promise<void>) | undefined;
  #workers: Promise<unknown> = Promise.resolve();
  #scheduled = 0;

  private constructor(clients: readonly [Client, Client]) {
    this.#clients = clients;
  }

  static async open({ location }: Setting): Promise<BareStatements> {
    const connect = () => new Client({ connectionString: location, pipeline: true });
    const clients = [connect(), connect()] as const;
    for (const client of clients) await client.connect();
    await clients[0].query(schema);
    return new BareStatements(clients);
  }

  async schedule(tasks: readonly BenchTask[]): Promise<void> {
    const nowMs = Date.now();
    const ids = tasks.map(() => `task-${String(++this.#scheduled).padStart(31, "0")}`);
    const dues = tasks.map(({ dueAtMs = nowMs }) => dueAtMs);
    const payloads = tasks.map(({ number }) => JSON.stringify(number));
    await this.#clients[0].query({ name: "insert", text: insert, values: [ids, dues, payloads, nowMs] });
  }

  async start(onRun: (number: number) => void): Promise<void> {
    this.#handler = async (number) => onRun(number);
    this.#workers = Promise.all(this.#clients.map((client) => this.#work(client)));
  }

  async stop(): Promise<void> {
    this.#handler = undefined;
    await this.#workers;
  }

  async count(): Promise<Counts> {
    const sql = `SELECT (SELECT count(*) FROM tasks)::int AS tasks, (SELECT count(*) FROM events)::int AS events,
      (SELECT count(*) FROM tasks WHERE phase = 2)::int AS finished`;
    const { rows } = await this.#clients[0].query<Counts>(sql);
    return rows[0] ?? { tasks: 0, finished: 0, events: 0 };
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.end();
  }

  async #work(client: Client): Promise<void> {
    let finished: readonly string[] = [];
    while (this.#handler !== undefined || finished.length > 0) {
      const claimed = await this.#turn(client, finished);
      for (const { payload } of claimed) await this.#handler?.(JSON.parse(payload) as number);
      finished = claimed.map(({ seq }) => seq);
      if (claimed.length === 0) await sleep(idlePauseMs);
    }
  }

  /** One transaction; its statements go out without waiting for each other's answers. */
  async #turn(client: Client, finished: readonly string[]): Promise<readonly Claimed[]> {
    const nowMs = Date.now();
    const takes = this.#handler !== undefined;
    const [, , claimed] = await Promise.all([
      client.query("BEGIN"),
      finished.length === 0 ? null : client.query({ name: "record", text: record, values: [finished, nowMs] }),
      takes ? client.query<Claimed>({ name: "claim", text: claim, values: [nowMs, batch] }) : null,
      client.query("COMMIT"),
    ]);
    return claimed?.rows ?? [];
  }
}
