/** The log in SQL: appending, and reading it by pages. */
import type {
  EventPage,
  EventQuery,
  NewEvent,
  StoredEvent,
  TaskLogEvent,
  TaskLogPage,
  TaskLogQuery,
} from "../../store/engine.ts";
import { numbers } from "./arrays.ts";
import { batchOf, insertion } from "./batch.ts";
import type { Names } from "./names.ts";
import type { Session } from "./session.ts";
import type { SettledLog } from "./settled.ts";

/** Resolves as soon as the events are sent; `stored` tells of the answer, with their positions if these are asked for. */
export async function sendEvents(
  session: Session,
  { schema, names }: { readonly schema: string; readonly names: Names },
  events: readonly NewEvent[],
  positions: "positions" | "no positions",
): Promise<{ readonly stored: Promise<readonly number[]> }> {
  if (events.length === 0) return { stored: Promise.resolve([]) };
  const ids = await names.intern(events.map(({ type }) => type));
  const batch = batchOf([
    ["type", events.map(({ type }) => ids.get(type) ?? null)],
    ["at_ms", events.map(({ atMs }) => atMs)],
    ["task", events.map(({ task }) => task)],
    ["run", events.map(({ run }) => run)],
    ["data", events.map(({ data }) => data)],
    ["meta", events.map(({ meta }) => meta)],
  ]);
  // Positions are drawn in the order of the rows, because they are sorted before the default is computed.
  const sql = `INSERT INTO ${schema}.azoth_events ${insertion(batch)} ORDER BY number`;
  if (positions === "no positions") return { stored: session.run(sql, batch.values, "kept").then(() => []) };
  const answer = session.rows(`${sql} RETURNING position`, batch.values, "kept");
  return { stored: answer.then((rows) => rows.map(([position]) => position as number)) };
}

/** Data that takes more bytes than this, as it is stored, does not come with its page, but apart, and only if it is wanted. */
const longData = 4_096;
/** Bytes of data, as they are stored, after which a page ends. */
const pageBytes = 256_000;
/** The text of short data, and the size of long data. */
const sizedData = (data: string): string =>
  `CASE WHEN pg_column_size(${data}) <= ${longData} THEN ${data}::text END,
   CASE WHEN pg_column_size(${data}) > ${longData} THEN pg_column_size(${data}) END`;

type EventRow = [
  position: number,
  type: number,
  atMs: number,
  task: number | null,
  run: number | null,
  /** Null if it is long. */
  data: string | null,
  /** Null if it is short. */
  bytes: number | null,
  version: number,
  meta: string | null,
  taskId: string | null,
];

const columns = `e.position, e.type, e.at_ms, e.task, e.run, ${sizedData("e.data")}, e.version, e.meta::text, t.id`;

const selectEvents = (schema: string): string =>
  `SELECT ${columns} FROM ${schema}.azoth_events e LEFT JOIN ${schema}.azoth_tasks t ON t.seq = e.task`;

/** The events of these rows up to where they become long. */
async function storedEvents(reading: LogReading, rows: readonly EventRow[]): Promise<StoredEvent[]> {
  const { names } = reading;
  await names.learn(rows.map(([, type]) => type));
  let size = 0;
  const fitting = rows.filter(([, , , , , short, bytes]) => {
    const fits = size < pageBytes;
    size += bytes ?? short?.length ?? 0;
    return fits;
  });
  const long = fitting.filter(([, , , , , , bytes]) => bytes !== null).map(([position]) => position);
  const texts = await longTexts(reading, long);
  return fitting.map(([position, type, atMs, task, run, short, , version, meta, taskId]) => {
    const data = short ?? texts.get(position) ?? "";
    return { position, type: names.nameOf(type), atMs, task, run, data, version, meta, taskId };
  });
}

async function longTexts(
  { schema, rows }: Pick<LogReading, "schema" | "rows">,
  positions: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  if (positions.length === 0) return new Map();
  const sql = `SELECT position, data::text FROM ${schema}.azoth_events WHERE position = ANY($1)`;
  return new Map((await rows(sql, [numbers(positions)])) as [number, string][]);
}

export interface LogReading {
  readonly schema: string;
  readonly names: Names;
  readonly settled: SettledLog;
  /** Runs a query for rows. */
  readonly rows: (text: string, values: readonly unknown[]) => Promise<unknown[][]>;
}

/** One page of the log, of the settled part only. Looks at no more than `scanLimit` positions, and ends where it becomes long. */
export async function readEvents(reading: LogReading, query: EventQuery): Promise<EventPage> {
  const { schema, settled, rows, names } = reading;
  const last = await lastCommitted(reading);
  const byTask = query.taskId !== undefined;
  // The events of one task are committed in their order: whoever changes a task holds its row.
  const wanted = byTask ? last : Math.min(last, furthest(query, last));
  const settledTo = byTask ? last : await settled.reaches(wanted);
  const held = settledTo < wanted;
  const reach = held ? settledTo : wanted;
  const down = query.beforePosition !== undefined;
  const from = down ? Math.min(query.beforePosition, reach + 1) : query.afterPosition;
  const span = byTask ? Number.MAX_SAFE_INTEGER : query.scanLimit;
  const low = down ? Math.max(from - span, query.afterPosition + 1) : from + 1;
  const high = down ? from - 1 : Math.min(from + span, reach);
  const values: unknown[] = [low, high];
  const conditions = ["e.position BETWEEN $1 AND $2"];
  const add = (condition: (placeholder: string) => string, value: unknown) => {
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  if (query.taskId !== undefined) {
    add((id) => `e.task = (SELECT seq FROM ${schema}.azoth_tasks WHERE id = ${id})`, query.taskId);
  }
  if (query.types !== undefined) add((ids) => `e.type = ANY(${ids})`, numbers(await names.find(query.types)));
  if (query.sinceMs !== undefined) add((at) => `e.at_ms >= ${at}`, query.sinceMs);
  if (query.untilMs !== undefined) add((at) => `e.at_ms < ${at}`, query.untilMs);
  const order = down ? "DESC" : "ASC";
  const sql = `${selectEvents(schema)} WHERE ${conditions.join(" AND ")} ORDER BY e.position ${order} LIMIT ${query.limit}`;
  const found = high < low ? [] : ((await rows(sql, values)) as EventRow[]);
  const events = await storedEvents(reading, found);
  const full = events.length === query.limit || events.length < found.length;
  const edge = down ? low : Math.max(high, from);
  const scannedTo = full ? (events.at(-1)?.position ?? edge) : edge;
  const atEnd = down ? low <= query.afterPosition + 1 : high >= reach && (held || wanted === last);
  return { events, scannedTo, end: atEnd && !full, held: held && !full && !down };
}

/** No further than this the page can look. */
function furthest({ beforePosition, afterPosition, scanLimit }: EventQuery, last: number): number {
  return beforePosition === undefined ? afterPosition + Math.min(scanLimit, last) : beforePosition - 1;
}

/** The position of the last committed event, whatever may still come before it; 0 for an empty log. */
async function lastCommitted({ schema, rows }: LogReading): Promise<number> {
  const [row] = await rows(`SELECT coalesce(max(position), 0) FROM ${schema}.azoth_events`, []);
  return row?.[0] as number;
}

/** The position of the last event before which nothing can be added any more. */
export async function lastPosition(reading: LogReading): Promise<number> {
  const last = await lastCommitted(reading);
  const reach = await reading.settled.reaches(last);
  if (reach >= last) return last;
  const sql = `SELECT coalesce(max(position), 0) FROM ${reading.schema}.azoth_events WHERE position <= $1`;
  return (await reading.rows(sql, [reach]))[0]?.[0] as number;
}

type TaskLogRow = [
  position: number,
  type: number,
  atMs: number,
  task: number,
  run: number | null,
  /** Null if it is long. */
  data: string | null,
  /** Null if it is short. */
  bytes: number | null,
];

/** A page of the log by tasks. */
export async function readTaskEvents(
  { schema, names, rows }: Omit<LogReading, "settled">,
  { after, toSeq, upTo, limit, wants }: TaskLogQuery,
): Promise<TaskLogPage> {
  const sql = `SELECT position, type, at_ms, task, run, ${sizedData("data")}
    FROM ${schema}.azoth_events
    WHERE (task, position) > ($1, $2) AND task <= $3 AND position <= $4 ORDER BY task, position LIMIT $5`;
  const found = (await rows(sql, [after.seq, after.position, toSeq, upTo, limit])) as TaskLogRow[];
  await names.learn(found.map(([, type]) => type));
  const long: number[] = [];
  const events: TaskLogEvent[] = [];
  let size = 0;
  for (const [position, id, atMs, task, run, short, bytes] of found) {
    if (size >= pageBytes) break;
    const type = names.nameOf(id);
    const wanted = wants(type);
    if (wanted) size += bytes ?? short?.length ?? 0;
    if (wanted && bytes !== null) long.push(position);
    events.push({ position, type, atMs, task, run, data: wanted ? (short ?? "") : null });
  }
  const last = events.at(-1);
  const isEnd = last === undefined || (events.length === found.length && found.length < limit);
  const next = isEnd ? null : { seq: last.task, position: last.position };
  const texts = await longTexts({ schema, rows }, long);
  return { events: events.map((event) => ({ ...event, data: texts.get(event.position) ?? event.data })), next };
}

/** The tasks that have events after a position and up to another. */
export async function tasksTouched(
  session: Session,
  schema: string,
  afterPosition: number,
  toPosition: number,
): Promise<number[]> {
  const sql = `SELECT DISTINCT task FROM ${schema}.azoth_events
    WHERE position > $1 AND position <= $2 AND task IS NOT NULL ORDER BY task`;
  return (await session.rows(sql, [afterPosition, toPosition])).map(([task]) => task as number);
}
