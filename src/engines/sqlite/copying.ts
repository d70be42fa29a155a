/**
 * What a copy of another store is made of: its events as they are, its numbers, and the mark of an unfinished copy.
 *
 * The mark is two triggers that refuse every event and checkpoint. A table without them pays nothing for it, and
 * with them nobody writes by mistake, not even another process or an older version of this library.
 */
import type { Counters, Instance, LoggedEvent } from "../../store/engine.ts";
import { AzothError } from "../../errors.ts";
import type { Connection } from "./driver.ts";
import { insertLogged, lastPosition } from "./event-rows.ts";
import type { Names } from "./names.ts";
import { unfinishedWords } from "./sqlite-errors.ts";

const markOf = (table: string): string => `azoth_unfinished_${table}`;
const makeMark = (table: string): string =>
  `CREATE TRIGGER ${markOf(table)} BEFORE INSERT ON azoth_${table} BEGIN SELECT RAISE(ABORT, '${unfinishedWords}'); END`;
const dropMark = (table: string): string => `DROP TRIGGER ${markOf(table)}`;

/** The numbers that were given out. */
export function readCounters(connection: Connection): Counters {
  const row = connection.get<{ [Name in keyof Counters]: number | null }>(
    `SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events') AS positions,
       (SELECT last FROM azoth_sequences WHERE name = 'task') AS tasks,
       (SELECT seq FROM sqlite_sequence WHERE name = 'azoth_instances') AS instances`,
  );
  return { positions: row?.positions ?? 0, tasks: row?.tasks ?? 0, instances: row?.instances ?? 0 };
}

export function readExtent(connection: Connection): { events: number; last: number } {
  const row = connection.get<{ events: number }>("SELECT count(*) AS events FROM azoth_events");
  return { events: row?.events ?? 0, last: lastPosition(connection) };
}

export function beginCopy(connection: Connection): boolean {
  if (isUnfinished(connection)) return true;
  const tables = ["events", "chain", "tasks", "instances", "checkpoints", "dead_letters"];
  const sql = `SELECT ${tables.map((table) => `EXISTS (SELECT 1 FROM azoth_${table})`).join(" OR ")} AS used`;
  if (connection.get<{ used: number }>(sql)?.used !== 0) return false;
  connection.exec(`${makeMark("events")}; ${makeMark("checkpoints")}`);
  return true;
}

export function appendCopied(
  connection: Connection,
  names: Names,
  after: number,
  events: readonly LoggedEvent[],
): void {
  refuseFinished(connection);
  if (lastPosition(connection) !== after) throw otherCopy();
  connection.exec(dropMark("events"));
  insertLogged(connection, names, events);
  connection.exec(makeMark("events"));
}

export function setCounters(connection: Connection, { positions, tasks, instances }: Counters): void {
  refuseFinished(connection);
  connection.run("UPDATE azoth_sequences SET last = ? WHERE name = 'task'", tasks);
  connection.run("DELETE FROM sqlite_sequence WHERE name IN ('azoth_events', 'azoth_instances')");
  connection.run(
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('azoth_events', ?), ('azoth_instances', ?)",
    positions,
    instances,
  );
  connection.run(
    "INSERT INTO azoth_sequences VALUES ('holes', ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last",
    positions - readExtent(connection).events,
  );
}

export function endCopy(connection: Connection, instances: readonly Instance[]): void {
  refuseFinished(connection);
  connection.exec(`${dropMark("events")}; ${dropMark("checkpoints")}`);
  const sql = "INSERT INTO azoth_instances (id, name, heartbeat_at_ms, claim_ms) VALUES (?, ?, ?, ?)";
  for (const { id, name, heartbeatAtMs, claimMs } of instances) connection.run(sql, id, name, heartbeatAtMs, claimMs);
}

/** Two copies may be at work on one store: whoever comes late finds it further than it was, or in use by then. */
function refuseFinished(connection: Connection): void {
  if (!isUnfinished(connection)) throw otherCopy();
}

function otherCopy(): AzothError {
  return new AzothError("STORE_BUSY", "Another copy into the same store has gone on meanwhile. Let it end.");
}

export function isUnfinished(connection: Connection): boolean {
  const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?";
  return connection.get(sql, markOf("events")) !== undefined;
}
