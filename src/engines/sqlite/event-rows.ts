/** The log in SQL: appending, and reading it by pages. */
import type { EventPage, EventQuery, NewEvent, SqlValue, StoredEvent } from "../../store/engine.ts";
import { ChunkedInsert } from "./chunked-insert.ts";
import type { Connection } from "./driver.ts";
import type { Names } from "./names.ts";

const insertEvents = new ChunkedInsert("azoth_events", ["position", "type", "at_ms", "task", "run", "data", "meta"]);

/** The position of the last event ever appended, as this connection sees it. */
export function lastPosition(connection: Connection): number {
  const row = connection.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events'");
  return row?.seq ?? 0;
}

/** Appends events, and returns the position of the first. */
export function appendEvents(connection: Connection, names: Names, events: readonly NewEvent[]): number {
  const first = lastPosition(connection) + 1;
  const rows = events.map(({ type, atMs, task, run, data, meta }, index): SqlValue[] => {
    return [first + index, names.intern(connection, type), atMs, task, run, data, meta];
  });
  insertEvents.run(connection, rows);
  return first;
}

interface EventRow {
  readonly position: number;
  readonly type: number;
  readonly at_ms: number;
  readonly task: number | null;
  readonly run: number | null;
  readonly data: string;
  readonly version: number;
  readonly meta: string | null;
  readonly task_id: string | null;
}

const selectEvents = `
  SELECT e.position, e.type, e.at_ms, e.task, e.run, e.data, e.version, e.meta, t.id AS task_id
  FROM azoth_events e LEFT JOIN azoth_tasks t ON t.seq = e.task`;

function storedEvent(connection: Connection, names: Names, row: EventRow): StoredEvent {
  return {
    position: row.position,
    type: names.nameOf(connection, row.type),
    atMs: row.at_ms,
    task: row.task,
    run: row.run,
    data: row.data,
    version: row.version,
    meta: row.meta,
    taskId: row.task_id,
  };
}

/** One page of the log. Looks at no more than `scanLimit` positions. */
export function readEvents(connection: Connection, names: Names, query: EventQuery): EventPage {
  const last = lastPosition(connection);
  const down = query.beforePosition !== undefined;
  const from = down ? Math.min(query.beforePosition, last + 1) : query.afterPosition;
  // By task there is an index, and nothing to bound.
  const span = query.taskId === undefined ? query.scanLimit : Number.MAX_SAFE_INTEGER;
  const low = down ? Math.max(from - span, query.afterPosition + 1) : from + 1;
  const high = down ? from - 1 : Math.min(from + span, last);
  const conditions = ["e.position BETWEEN ? AND ?"];
  const parameters: SqlValue[] = [low, high];
  const add = (condition: string, ...values: SqlValue[]) => {
    conditions.push(condition);
    parameters.push(...values);
  };
  // The unary plus keeps SQLite from walking all positions instead of the task's own index entries.
  if (query.taskId !== undefined) {
    conditions[0] = "+e.position BETWEEN ? AND ?";
    add("e.task = (SELECT seq FROM azoth_tasks WHERE id = ?)", query.taskId);
  }
  if (query.types !== undefined) {
    const ids = query.types.map((type) => names.find(connection, type)).filter((id) => id !== undefined);
    add(`e.type IN (${ids.map(() => "?").join(",")})`, ...ids);
  }
  if (query.sinceMs !== undefined) add("e.at_ms >= ?", query.sinceMs);
  if (query.untilMs !== undefined) add("e.at_ms < ?", query.untilMs);
  const order = down ? "DESC" : "ASC";
  const sql = `${selectEvents} WHERE ${conditions.join(" AND ")} ORDER BY e.position ${order} LIMIT ?`;
  const rows = connection.all<EventRow>(sql, ...parameters, query.limit);
  const events = rows.map((row) => storedEvent(connection, names, row));
  const full = events.length === query.limit;
  const edge = down ? low : Math.max(high, from);
  const scannedTo = full ? (events.at(-1)?.position ?? edge) : edge;
  const end = !full && (down ? low <= query.afterPosition + 1 : high >= last);
  return { events, scannedTo, end };
}

/** All events of a range of tasks, by task and position. */
export function readTaskEvents(connection: Connection, names: Names, fromSeq: number, toSeq: number): StoredEvent[] {
  const sql = `${selectEvents} WHERE e.task BETWEEN ? AND ? ORDER BY e.task, e.position`;
  return connection.all<EventRow>(sql, fromSeq, toSeq).map((row) => storedEvent(connection, names, row));
}

/** The tasks that have events after a position. */
export function tasksTouchedSince(connection: Connection, position: number): number[] {
  const sql = "SELECT DISTINCT task FROM azoth_events WHERE position > ? AND task IS NOT NULL ORDER BY task";
  return connection.all<{ task: number }>(sql, position).map((row) => row.task);
}
