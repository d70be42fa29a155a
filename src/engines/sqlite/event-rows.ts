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
  /** Null if it is long. */
  readonly data: string | null;
  readonly version: number;
  readonly meta: string | null;
  readonly task_id: string | null;
}

/** Data longer than this does not come with its page, but by itself, and only if it is wanted. */
const longData = 4_096;
/** Characters of data after which a page ends. */
const pageCharacters = 256_000;
const shortData = (data: string): string => `iif(length(${data}) <= ${longData}, ${data}, NULL)`;

const selectEvents = (index: string): string => `
  SELECT e.position, e.type, e.at_ms, e.task, e.run, ${shortData("e.data")} AS data, e.version, e.meta, t.id AS task_id
  FROM azoth_events e ${index} LEFT JOIN azoth_tasks t ON t.seq = e.task`;
const anyEvents = selectEvents("");
/** SQLite would rather walk all positions than the task's own entries of the index. */
const eventsOfTask = selectEvents("INDEXED BY azoth_events_by_task");

function storedEvent(connection: Connection, names: Names, row: EventRow): StoredEvent {
  return {
    position: row.position,
    type: names.nameOf(connection, row.type),
    atMs: row.at_ms,
    task: row.task,
    run: row.run,
    data: row.data ?? dataAt(connection, row.position),
    version: row.version,
    meta: row.meta,
    taskId: row.task_id,
  };
}

/** One page of the log. Looks at no more than `scanLimit` events, and ends where it becomes long. */
export function readEvents(connection: Connection, names: Names, query: EventQuery): EventPage {
  const last = lastGiven(connection);
  const down = query.beforePosition !== undefined;
  const task = query.taskId === undefined ? null : (seqOf(connection, query.taskId) ?? -1);
  const from = down ? Math.min(query.beforePosition, last + 1) : query.afterPosition;
  let low = down ? Math.max(from - query.scanLimit, query.afterPosition + 1) : from + 1;
  let high = down ? from - 1 : Math.min(from + query.scanLimit, last);
  if (task !== null) {
    // Its events may lie far apart: so many of them, and not of positions.
    if (down)
      low = nthOfTask(connection, { task, low: query.afterPosition + 1, high, query }) ?? query.afterPosition + 1;
    else high = nthOfTask(connection, { task, low, high: last, query }) ?? last;
  }
  const conditions = ["e.position BETWEEN ? AND ?"];
  const parameters: SqliteValue[] = [low, high];
  const add = (condition: string, ...values: SqliteValue[]) => {
    conditions.push(condition);
    parameters.push(...values);
  };
  if (task !== null) add("e.task = ?", task);
  // With no type that there is, there is nothing to walk, and SQLite would refuse the index.
  let walksTask = task !== null;
  if (query.types !== undefined) {
    const ids = query.types.map((type) => names.find(connection, type)).filter((id) => id !== undefined);
    add(`e.type IN (${ids.map(() => "?").join(",")})`, ...ids);
    walksTask &&= ids.length > 0;
  }
  if (query.sinceMs !== undefined) add("e.at_ms >= ?", query.sinceMs);
  if (query.untilMs !== undefined) add("e.at_ms < ?", query.untilMs);
  const select = walksTask ? eventsOfTask : anyEvents;
  const sql = `${select} WHERE ${conditions.join(" AND ")} ORDER BY e.position ${down ? "DESC" : "ASC"} LIMIT ?`;
  const rows = connection.all<EventRow>(sql, ...parameters, query.limit);
  const events: StoredEvent[] = [];
  let characters = 0;
  for (const row of rows) {
    if (characters >= pageCharacters) break;
    const event = storedEvent(connection, names, row);
    characters += event.data.length;
    events.push(event);
  }
  const full = events.length === query.limit || events.length < rows.length;
  const edge = down ? low : Math.max(high, from);
  const scannedTo = full ? (events.at(-1)?.position ?? edge) : edge;
  const end = !full && (down ? low <= query.afterPosition + 1 : high >= last);
  return { events, scannedTo, end, held: false };
}

function seqOf(connection: Connection, taskId: string): number | undefined {
  return connection.get<{ seq: number }>("SELECT seq FROM azoth_tasks WHERE id = ?", taskId)?.seq;
}

/** The position of the event of a task with which a page has looked at as many as it may; undefined if there are fewer. */
function nthOfTask(
  connection: Connection,
  span: { readonly task: number; readonly low: number; readonly high: number; readonly query: EventQuery },
): number | undefined {
  const order = span.query.beforePosition === undefined ? "ASC" : "DESC";
  const sql = `SELECT position FROM azoth_events INDEXED BY azoth_events_by_task
    WHERE task = ? AND position BETWEEN ? AND ? ORDER BY position ${order} LIMIT 1 OFFSET ?`;
  const offset = span.query.scanLimit - 1;
  return connection.get<{ position: number }>(sql, span.task, span.low, span.high, offset)?.position;
}

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
  `SELECT json_group_array(json_array(position, type, at_ms, task, run, ${shortData("data")}))
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
