/**
 * What a copy of another store is made of: its events as they are, its numbers, and the mark of an unfinished copy.
 *
 * The mark is two triggers that refuse every event and checkpoint, but in a transaction that says it is copying.
 * A table without them pays nothing for it, and with them nobody writes by mistake, not even another process or an
 * older version of this library.
 */
import { AzothError } from "../../errors.ts";
import type { Counters, Instance, LoggedEvent } from "../../store/engine.ts";
import { numbers, texts } from "./arrays.ts";
import type { Names } from "./names.ts";
import { unfinishedCode } from "./postgres-errors.ts";
import type { ClientSession, Session } from "./session.ts";

/** The longest text that one statement carries, in characters: far below what V8 and PostgreSQL can hold. */
const maxCharacters = 16_000_000;

const mend = "call copyLog again with the same two stores; or remove it, and go on with the other store";

const markOf = (table: string): string => `azoth_unfinished_${table}`;

const makeMark = (schema: string, table: string): string => `
  CREATE TRIGGER ${markOf(table)} BEFORE INSERT ON ${schema}.azoth_${table} FOR EACH STATEMENT
  WHEN (current_setting('azoth.copying', true) IS DISTINCT FROM 'yes') EXECUTE FUNCTION ${schema}.azoth_refuse_unfinished()`;

const dropMark = (schema: string, table: string): string => `DROP TRIGGER ${markOf(table)} ON ${schema}.azoth_${table}`;

/** The numbers that were given out. A sequence tells of all transactions, also of those that a snapshot does not see. */
export async function readCounters(session: Session, schema: string): Promise<Counters> {
  const given = (sequence: string) =>
    `(SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ${schema}.${sequence})`;
  const [row] = await session.rows(
    `SELECT ${given("azoth_events_position_seq")}, ${given("azoth_task_seq")}, ${given("azoth_instances_id_seq")}`,
  );
  const [positions, tasks, instances] = row as [number, number, number];
  return { positions, tasks, instances };
}

/** True if a transaction is open that has appended events: see settled.ts for why its lock tells. */
export async function hasWriters(session: Session, schema: string): Promise<boolean> {
  const sql = `SELECT EXISTS (
      SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
        AND relation = $1::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
  return (await session.rows(sql, [`${schema}.azoth_events`]))[0]?.[0] === true;
}

export async function readExtent(session: Session, schema: string): Promise<{ events: number; last: number }> {
  const [row] = await session.rows(`SELECT count(*), coalesce(max(position), 0) FROM ${schema}.azoth_events`);
  const [events, last] = row as [number, number];
  return { events, last };
}

/** Events after a position and up to another, as a copy takes them. */
export async function readLogged(
  session: Session,
  schema: string,
  names: Names,
  span: { readonly after: number; readonly to: number; readonly limit: number },
): Promise<LoggedEvent[]> {
  // Without the upper bound: for a range, and nothing known of the table yet, the server would read and sort all of it.
  const sql = `SELECT position, type, at_ms, task, run, data::text, version, meta::text FROM ${schema}.azoth_events
    WHERE position > $1 ORDER BY position LIMIT $2`;
  const found = await session.rows(sql, [span.after, span.limit]);
  const rows = found.filter(([position]) => (position as number) <= span.to);
  await names.learn(rows.map(([, type]) => type as number));
  return rows.map(([position, type, atMs, task, run, data, version, meta]) => {
    return { position, type: names.nameOf(type as number), atMs, task, run, data, version, meta } as LoggedEvent;
  });
}

export async function beginCopy(session: ClientSession, schema: string): Promise<boolean> {
  // Nobody is in the middle of a write, and whoever waits to begin one meets the mark.
  await lockLog(session, schema);
  if (await isUnfinished(session, schema)) return true;
  const tables = ["events", "chain", "tasks", "instances", "checkpoints", "dead_letters"];
  const used = tables.map((table) => `EXISTS (SELECT 1 FROM ${schema}.azoth_${table})`).join(" OR ");
  const [row] = await session.rows(`SELECT ${used}`);
  if (row?.[0] !== false) return false;
  await session.script(
    `CREATE OR REPLACE FUNCTION ${schema}.azoth_refuse_unfinished() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION '${mend}' USING ERRCODE = '${unfinishedCode}'; END $$;
     ${makeMark(schema, "events")}; ${makeMark(schema, "checkpoints")}`,
  );
  return true;
}

export async function appendCopied(
  session: ClientSession,
  { schema, names }: { readonly schema: string; readonly names: Names },
  after: number,
  events: readonly LoggedEvent[],
): Promise<void> {
  const ids = await names.intern(events.map(({ type }) => type));
  // Sent together, and answered in their order: should it not be ours to append, all of it is taken back.
  const [, [row]] = await Promise.all([
    refuseFinished(session, schema),
    session.rows(`SELECT coalesce(max(position), 0) FROM ${schema}.azoth_events`),
    session.rows("SELECT set_config('azoth.copying', 'yes', true)"),
    ...chunksOf(events).map((chunk) => insertLogged(session, schema, ids, chunk)),
  ]);
  if (row?.[0] !== after) throw otherCopy();
}

async function insertLogged(
  session: ClientSession,
  schema: string,
  ids: ReadonlyMap<string, number>,
  events: readonly LoggedEvent[],
): Promise<void> {
  const sql = `INSERT INTO ${schema}.azoth_events (position, type, at_ms, task, run, data, version, meta)
    SELECT position, type, at_ms, task, run, data::json, version, meta::json
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::text[], $7::smallint[], $8::text[])
      AS new (position, type, at_ms, task, run, data, version, meta)`;
  await session.run(sql, [
    numbers(events.map(({ position }) => position)),
    numbers(events.map(({ type }) => ids.get(type))),
    numbers(events.map(({ atMs }) => atMs)),
    numbers(events.map(({ task }) => task)),
    numbers(events.map(({ run }) => run)),
    texts(events.map(({ data }) => data)),
    numbers(events.map(({ version }) => version)),
    texts(events.map(({ meta }) => meta)),
  ]);
}

export async function setCounters(
  session: Session,
  schema: string,
  { positions, tasks, instances }: Counters,
): Promise<void> {
  await refuseFinished(session, schema);
  // With `false`, the number itself comes next: a sequence cannot stand at 0.
  const set = (sequence: string, last: number) =>
    session.rows("SELECT setval($1::regclass, $2, false)", [`${schema}.${sequence}`, last + 1]);
  await set("azoth_events_position_seq", positions);
  await set("azoth_task_seq", tasks);
  await set("azoth_instances_id_seq", instances);
  // Now all of the log is read by tasks. The server would look at what has grown only after a while.
  await session.run(`ANALYZE ${schema}.azoth_events`);
}

export async function endCopy(session: ClientSession, schema: string, instances: readonly Instance[]): Promise<void> {
  await refuseFinished(session, schema);
  await session.script(
    `${dropMark(schema, "events")}; ${dropMark(schema, "checkpoints")}; DROP FUNCTION ${schema}.azoth_refuse_unfinished()`,
  );
  await session.run(
    `INSERT INTO ${schema}.azoth_instances (id, name, heartbeat_at_ms, claim_ms)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])`,
    [
      numbers(instances.map(({ id }) => id)),
      texts(instances.map(({ name }) => name)),
      numbers(instances.map(({ heartbeatAtMs }) => heartbeatAtMs)),
      numbers(instances.map(({ claimMs }) => claimMs)),
    ],
  );
  await session.run(`ANALYZE ${schema}.azoth_tasks`);
}

/** Two copies may be at work on one store: whoever comes late finds it further than it was, or in use by then. */
async function refuseFinished(session: Session, schema: string): Promise<void> {
  const [, unfinished] = await Promise.all([lockLog(session, schema), isUnfinished(session, schema)]);
  if (!unfinished) throw otherCopy();
}

function otherCopy(): AzothError {
  return new AzothError("STORE_BUSY", "Another copy into the same store has gone on meanwhile. Let it end.");
}

async function lockLog(session: Session, schema: string): Promise<void> {
  await session.run(`LOCK TABLE ${schema}.azoth_events IN SHARE ROW EXCLUSIVE MODE`);
}

export async function isUnfinished(session: Session, schema: string): Promise<boolean> {
  const sql = "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = $2)";
  return (await session.rows(sql, [`${schema}.azoth_events`, markOf("events")]))[0]?.[0] === true;
}

/** At least one event each. */
function chunksOf(events: readonly LoggedEvent[]): (readonly LoggedEvent[])[] {
  const chunks: LoggedEvent[][] = [];
  let characters = maxCharacters;
  for (const event of events) {
    const length = event.data.length + (event.meta?.length ?? 0);
    characters += length;
    if (characters > maxCharacters) {
      chunks.push([]);
      characters = length;
    }
    chunks.at(-1)?.push(event);
  }
  return chunks;
}
