/** Instances, checkpoints and dead letters in SQL. */
import type { Checkpoint, DeadLetterRow, Instance } from "../../store/engine.ts";
import type { Connection } from "./driver.ts";

const instanceColumns = "id, name, heartbeat_at_ms AS heartbeatAtMs, claim_ms AS claimMs";
const checkpointColumns =
  "name, position, status, attempts, retry_at_ms AS retryAtMs, error, updated_at_ms AS updatedAtMs";
const letterColumns = "id, handler, position, error, attempts, at_ms AS atMs";

export function addInstance(
  connection: Connection,
  instance: { name: string; nowMs: number; claimMs: number },
): number {
  const sql = "INSERT INTO azoth_instances (name, heartbeat_at_ms, claim_ms) VALUES (?, ?, ?) RETURNING id";
  return Number(connection.get<{ id: number }>(sql, instance.name, instance.nowMs, instance.claimMs)?.id);
}

export function isInstance(connection: Connection, instance: number): boolean {
  return connection.get("SELECT 1 FROM azoth_instances WHERE id = ?", instance) !== undefined;
}

export function heartbeat(connection: Connection, instance: number, nowMs: number): boolean {
  return connection.run("UPDATE azoth_instances SET heartbeat_at_ms = ? WHERE id = ?", nowMs, instance) > 0;
}

/** A heartbeat that lies far in the future is one from before the clock was set back: who lives has beaten since. */
export function silentInstances(connection: Connection, nowMs: number): Instance[] {
  const sql = `SELECT ${instanceColumns} FROM azoth_instances
    WHERE heartbeat_at_ms + claim_ms < ? OR heartbeat_at_ms - claim_ms > ? ORDER BY id`;
  return connection.all<Instance>(sql, nowMs, nowMs);
}

export function removeInstance(connection: Connection, instance: number): void {
  connection.run("DELETE FROM azoth_instances WHERE id = ?", instance);
}

export function listInstances(connection: Connection): Instance[] {
  return connection.all<Instance>(`SELECT ${instanceColumns} FROM azoth_instances ORDER BY id`);
}

export function findCheckpoint(connection: Connection, name: string): Checkpoint | null {
  return connection.get<Checkpoint>(`SELECT ${checkpointColumns} FROM azoth_checkpoints WHERE name = ?`, name) ?? null;
}

export function listCheckpoints(connection: Connection): Checkpoint[] {
  return connection.all<Checkpoint>(`SELECT ${checkpointColumns} FROM azoth_checkpoints ORDER BY name`);
}

export function saveCheckpoint(connection: Connection, checkpoint: Checkpoint): void {
  const { name, position, status, attempts, retryAtMs, error, updatedAtMs } = checkpoint;
  connection.run(
    `INSERT INTO azoth_checkpoints (name, position, status, attempts, retry_at_ms, error, updated_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET position = excluded.position, status = excluded.status,
       attempts = excluded.attempts, retry_at_ms = excluded.retry_at_ms, error = excluded.error,
       updated_at_ms = excluded.updated_at_ms`,
    name,
    position,
    status,
    attempts,
    retryAtMs,
    error,
    updatedAtMs,
  );
}

export function findDeadLetter(connection: Connection, id: number): DeadLetterRow | null {
  return connection.get<DeadLetterRow>(`SELECT ${letterColumns} FROM azoth_dead_letters WHERE id = ?`, id) ?? null;
}

export function listDeadLetters(
  connection: Connection,
  { handler, afterId, limit }: { handler?: string; afterId: number; limit: number },
): DeadLetterRow[] {
  const sql = `SELECT ${letterColumns} FROM azoth_dead_letters WHERE id > ? AND (? IS NULL OR handler = ?) ORDER BY id LIMIT ?`;
  return connection.all<DeadLetterRow>(sql, afterId, handler ?? null, handler ?? null, limit);
}

export function addDeadLetter(connection: Connection, letter: DeadLetterRow): void {
  const { id, handler, position, error, attempts, atMs } = letter;
  const sql =
    "INSERT INTO azoth_dead_letters (id, handler, position, error, attempts, at_ms) VALUES (?, ?, ?, ?, ?, ?)";
  connection.run(sql, id, handler, position, error, attempts, atMs);
}

export function removeDeadLetter(connection: Connection, id: number): void {
  connection.run("DELETE FROM azoth_dead_letters WHERE id = ?", id);
}
