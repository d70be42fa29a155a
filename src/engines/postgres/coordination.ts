/** Instances, checkpoints and dead letters in SQL. */
import type { Checkpoint, DeadLetterRow, Instance } from "../../store/engine.ts";
import type { Session } from "./session.ts";

const instanceColumns = "id, name, heartbeat_at_ms, claim_ms";
const checkpointColumns = "name, position, status, attempts, retry_at_ms, error, updated_at_ms";
const letterColumns = "id, handler, position, error, attempts, at_ms";

/** Texts that may hold a NUL, which PostgreSQL cannot store but as JSON. */
const encoded = (text: string | null): string | null => (text === null ? null : JSON.stringify(text));
const decoded = (json: unknown): string | null => (json === null ? null : (JSON.parse(json as string) as string));

function instanceOf([id, name, heartbeatAtMs, claimMs]: unknown[]): Instance {
  return { id, name, heartbeatAtMs, claimMs } as Instance;
}

function checkpointOf([name, position, status, attempts, retryAtMs, error, updatedAtMs]: unknown[]): Checkpoint {
  return { name, position, status, attempts, retryAtMs, error: decoded(error), updatedAtMs } as Checkpoint;
}

function letterOf([id, handler, position, error, attempts, atMs]: unknown[]): DeadLetterRow {
  return { id, handler, position, error: decoded(error), attempts, atMs } as DeadLetterRow;
}

export class Coordination {
  readonly #session: Session;
  readonly #schema: string;

  /** @param schema quoted */
  constructor(session: Session, schema: string) {
    this.#session = session;
    this.#schema = schema;
  }

  async addInstance({ name, nowMs, claimMs }: { name: string; nowMs: number; claimMs: number }): Promise<number> {
    const sql = `INSERT INTO ${this.#schema}.azoth_instances (name, heartbeat_at_ms, claim_ms) VALUES ($1, $2, $3) RETURNING id`;
    const [row] = await this.#session.rows(sql, [name, nowMs, claimMs]);
    return row?.[0] as number;
  }

  async holdInstance(instance: number): Promise<boolean> {
    const sql = `SELECT 1 FROM ${this.#schema}.azoth_instances WHERE id = $1 FOR SHARE`;
    return (await this.#session.rows(sql, [instance], "kept")).length > 0;
  }

  async heartbeat(instance: number, nowMs: number): Promise<boolean> {
    const sql = `UPDATE ${this.#schema}.azoth_instances SET heartbeat_at_ms = $1 WHERE id = $2`;
    return (await this.#session.run(sql, [nowMs, instance])) > 0;
  }

  /** A heartbeat that lies far in the future is one from before the clock was set back: who lives has beaten since. */
  async lockSilentInstances(nowMs: number): Promise<Instance[]> {
    const sql = `SELECT ${instanceColumns} FROM ${this.#schema}.azoth_instances
      WHERE heartbeat_at_ms + claim_ms < $1 OR heartbeat_at_ms - claim_ms > $1 ORDER BY id FOR UPDATE SKIP LOCKED`;
    return (await this.#session.rows(sql, [nowMs])).map(instanceOf);
  }

  async removeInstance(instance: number): Promise<void> {
    await this.#session.run(`DELETE FROM ${this.#schema}.azoth_instances WHERE id = $1`, [instance]);
  }

  async listInstances(): Promise<Instance[]> {
    const sql = `SELECT ${instanceColumns} FROM ${this.#schema}.azoth_instances ORDER BY id`;
    return (await this.#session.rows(sql)).map(instanceOf);
  }

  /** The lock is on the name, because there may be no row yet. */
  async lockCheckpoint(name: string, ifHeld: "wait" | "skip"): Promise<Checkpoint | null | "held"> {
    const key = `${this.#schema} checkpoint ${name}`;
    if (ifHeld === "wait") {
      await this.#session.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [key]);
    } else {
      const [row] = await this.#session.rows("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", [key]);
      if (row?.[0] !== true) return "held";
    }
    const sql = `SELECT ${checkpointColumns} FROM ${this.#schema}.azoth_checkpoints WHERE name = $1`;
    const [row] = await this.#session.rows(sql, [name]);
    return row === undefined ? null : checkpointOf(row);
  }

  async listCheckpoints(): Promise<Checkpoint[]> {
    const sql = `SELECT ${checkpointColumns} FROM ${this.#schema}.azoth_checkpoints ORDER BY name`;
    return (await this.#session.rows(sql)).map(checkpointOf);
  }

  async saveCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const { name, position, status, attempts, retryAtMs, error, updatedAtMs } = checkpoint;
    const sql = `INSERT INTO ${this.#schema}.azoth_checkpoints (${checkpointColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7)
      ON CONFLICT (name) DO UPDATE SET position = excluded.position, status = excluded.status,
        attempts = excluded.attempts, retry_at_ms = excluded.retry_at_ms, error = excluded.error,
        updated_at_ms = excluded.updated_at_ms`;
    await this.#session.run(sql, [name, position, status, attempts, retryAtMs, encoded(error), updatedAtMs]);
  }

  async findDeadLetter(id: number): Promise<DeadLetterRow | null> {
    const sql = `SELECT ${letterColumns} FROM ${this.#schema}.azoth_dead_letters WHERE id = $1 FOR UPDATE`;
    const [row] = await this.#session.rows(sql, [id]);
    return row === undefined ? null : letterOf(row);
  }

  async listDeadLetters({
    handler,
    afterId,
    limit,
  }: {
    handler?: string;
    afterId: number;
    limit: number;
  }): Promise<DeadLetterRow[]> {
    const sql = `SELECT ${letterColumns} FROM ${this.#schema}.azoth_dead_letters
      WHERE id > $1 AND ($2::text IS NULL OR handler = $2) ORDER BY id LIMIT $3`;
    return (await this.#session.rows(sql, [afterId, handler ?? null, limit])).map(letterOf);
  }

  async addDeadLetter({ id, handler, position, error, attempts, atMs }: DeadLetterRow): Promise<void> {
    const sql = `INSERT INTO ${this.#schema}.azoth_dead_letters (${letterColumns}) VALUES ($1, $2, $3, $4, $5, $6)`;
    await this.#session.run(sql, [id, handler, position, encoded(error), attempts, atMs]);
  }

  async removeDeadLetter(id: number): Promise<void> {
    await this.#session.run(`DELETE FROM ${this.#schema}.azoth_dead_letters WHERE id = $1`, [id]);
  }
}
