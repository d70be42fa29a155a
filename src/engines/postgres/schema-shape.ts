/** The shape of a store on PostgreSQL: its version, how large it is, and what somebody changed of its tables. */
import { driftOf, type Shape } from "../schema-drift.ts";
import type { Place } from "./place.ts";
import { codeOf } from "./postgres-errors.ts";
import { migrations } from "./schema.ts";
import type { ClientSession, Session } from "./session.ts";

export async function describe(session: Session, place: Place): Promise<{ schemaVersion: number; bytes: number }> {
  const [row] = await session.rows(
    `SELECT (SELECT version FROM ${place.quotedSchema}.azoth_schema),
       (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::float8 FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r')`,
    [place.schema],
  );
  const [schemaVersion, bytes] = row as [number, number];
  return { schemaVersion, bytes };
}

/** Of a schema that lives as long as its transaction, which is never committed. */
const model = "azoth_expected_shape";
const notAllowed = "42501";

/** Null if this user may not make the schema that is compared with. */
export async function schemaDrift(session: ClientSession, place: Place): Promise<string[] | null> {
  await session.script("BEGIN");
  try {
    await session.script(`CREATE SCHEMA ${model}`);
    for (const { sql } of migrations) await session.script(sql(model));
    return driftOf(await shapeOf(session, model), await shapeOf(session, place.schema));
  } catch (error) {
    if (codeOf(error) === notAllowed) return null;
    throw error;
  } finally {
    await session.script("ROLLBACK").catch(() => {});
  }
}

async function shapeOf(session: Session, schema: string): Promise<Shape> {
  const columns = await session.rows(
    `SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname LIKE 'azoth\\_%' AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY c.relname, a.attnum`,
    [schema],
  );
  const indexes = await session.rows(
    `SELECT indexname::text, tablename::text, regexp_replace(indexdef, '^.* USING ', '') FROM pg_indexes
     WHERE schemaname = $1 AND tablename LIKE 'azoth\\_%' ORDER BY indexname`,
    [schema],
  );
  return { columns: columns as [string, string, string][], indexes: indexes as [string, string, string][] };
}
