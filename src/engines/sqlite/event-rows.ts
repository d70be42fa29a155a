/** The log in SQL: appending, and reading it by pages. */
import type {
  EventPage,
  EventQuery,
  LoggedEvent,
  NewEvent,
  StoredEvent,
  TaskLogEvent,
  TaskLogPage,
  TaskLogQuery,
} from "../../store/engine.ts";
import { ChunkedInsert } from "./chunked-insert.ts";
import type { Connection, SqliteValue } from "./driver.ts";
import type { Names } from "./names.ts";

/** Without the position, which SQLite gives, and with what is seldom there apart: each value takes time to bind. */
const newColumns = ["type", "at_ms", "task", "run", "data"];
const insertEvents = new ChunkedInsert("azoth_events", newColumns);
const insertWithMeta = new ChunkedInsert("azoth_events", [...newColumns, "meta"]);
const insertWithAll = new ChunkedInsert("azoth_events", [...newColumns, "meta", "version", "position"]);

/** The last position ever given out, as this connection sees it. */
function lastGiven(connection: Connection): number {
  const row = connection.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events'");
  return row?.seq ?? 0;
}

/** The position of the last event. In a copy of another log, it may be lower than the last one given out. */
export function lastPosition(connection: Connection): number {
  return connection.get<{ last: number | null }>("SELECT max(position) AS last FROM azoth_events")?.last ?? 0;
}

/** Appends events. */
export function postEvents(connection: Connection, names: Names, events: readonly NewEvent[]): void {
  if (events.some(({ meta }) => meta !== null)) {
    const rows = events.map((event): SqliteValue[] => [...newValues(connection, names, event), event.meta]);
    insertWithMeta.run(connection, rows);
  } else {
    const rows = events.map((event) => newValues(connection, names, event));
    insertEvents.run(connection, rows);
  }
}

/** Appends events, and returns their positions. */
export function appendEvents(connection: Connection, names: Names, events: readonly NewEvent[]): readonly number[] {
  postEvents(connection, names, events);
  const first = lastGiven(connection) - events.length + 1;
  return events.map((_, index) => first + index);
}

function newValues(connection: Connection, names: Names, { type, atMs, task, run, data }: NewEvent): SqliteValue[] {
  return [names.intern(connection, type), atMs, task, run, data];
}

/** Puts in events of another log as they are. */
export function insertLogged(connection: Connection, names: Names, events: readonly LoggedEvent[]): void {
  const rows = events.map((event): SqliteValue[] => {
    return [...newValues(connection, names, event), event.meta, event.version, event.position];
  });
  insertWithAll.run(connection, rows);
}

/** Events after a position and up to another, as a copy takes them. */
export function readLogged(
  connection: Connection,
  names: Names,
  span: { readonly after: number; readonly to: number; readonly limit: number },
): LoggedEvent[] {
  // As one JSON array: a driver takes longer to hand over the columns one by one.
  const sql = `SELECT json_array(position, type, at_ms, task, run, data, version, meta) AS columns FROM azoth_events
    WHERE position > ? AND position <= ? ORDER BY position LIMIT ?`;
  return connection.all<{ columns: string }>(sql, span.after, span.to, span.limit).map(({ columns }) => {
    const [position, type, atMs, task, run, data, version, meta] = JSON.parse(columns) as LoggedColumns;
    return { position, type: names.nameOf(connection, type), atMs, task, run, data, version, meta };
  });
}

type LoggedColumns = [
  position: number,
  type: number,
  atMs: number,
  task: number | null,
  run: number | null,
  data: string,
  version: number,
  meta: string | null,
];

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
  const last = lastGiven(connection);
  const down = query.beforePosition !== undefined;
  const from = down ? Math.min(query.beforePosition, last + 1) : query.afterPosition;
  // By task there is an index, and nothing to bound.
  const span = query.taskId === undefined ? query.scanLimit : Number.MAX_SAFE_INTEGER;
  const low = down ? Math.max(from - span, query.afterPosition + 1) : from + 1;
  const high = down ? from - 1 : Math.min(from + span, last);
  const conditions = ["e.position BETWEEN ? AND ?"];
  const parameters: SqliteValue[] = [low, high];
  const add = (condition: string, ...values: SqliteValue[]) => {
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
  return { events, scannedTo, end, held: false };
}

/** Data longer than this does not come with its page, but by itself, and only if it is wanted. */
const longData = 4_096;
/** Characters of data after which a page ends. */
const pageCharacters = 256_000;

type TaskLogColumns = [
  position: number,
  type: number,
  atMs: number,
  task: number,
  run: number | null,
  /** Null if it is long. */
  data: string | null,
];

/** As one JSON array: a driver takes several times as long to hand over the columns one by one. */
const selectTaskLog = (condition: string): string =>
  `SELECT json_group_array(json_array(position, type, at_ms, task, run, iif(length(data) <= ${longData}, data, NULL)))
     AS page FROM (SELECT * FROM azoth_events WHERE ${condition} AND position <= ? ORDER BY task, position LIMIT ?)`;
/** Two statements, because for a comparison of pairs SQLite would walk all events of the first task again. */
const restOfTask = selectTaskLog("task = ? AND position > ?");
const laterTasks = selectTaskLog("task > ? AND task <= ?");

/** A page of the log by tasks. */
export function readTaskEvents(
  connection: Connection,
  names: Names,
  { after, toSeq, upTo, limit, wants }: TaskLogQuery,
): TaskLogPage {
  const read = (sql: string, ...parameters: number[]): TaskLogColumns[] =>
    JSON.parse(connection.get<{ page: string }>(sql, ...parameters)?.page ?? "[]") as TaskLogColumns[];
  const rows = read(restOfTask, after.seq, after.position, upTo, limit);
  if (rows.length < limit) rows.push(...read(laterTasks, after.seq, toSeq, upTo, limit - rows.length));
  const events: TaskLogEvent[] = [];
  let characters = 0;
  for (const [position, id, atMs, task, run, short] of rows) {
    if (characters >= pageCharacters) break;
    const type = names.nameOf(connection, id);
    const data = wants(type) ? (short ?? dataAt(connection, position)) : null;
    characters += data?.length ?? 0;
    events.push({ position, type, atMs, task, run, data });
  }
  const last = events.at(-1);
  const isEnd = last === undefined || (events.length === rows.length && rows.length < limit);
  return { events, next: isEnd ? null : { seq: last.task, position: last.position } };
}

function dataAt(connection: Connection, position: number): string {
  return connection.get<{ data: string }>("SELECT data FROM azoth_events WHERE position = ?", position)?.data ?? "";
}

/** The tasks that have events after a position and up to another. */
export function tasksTouched(connection: Connection, afterPosition: number, toPosition: number): number[] {
  const sql = `SELECT DISTINCT task FROM azoth_events
    WHERE position > ? AND position <= ? AND task IS NOT NULL ORDER BY task`;
  return connection.all<{ task: number }>(sql, afterPosition, toPosition).map((row) => row.task);
}
