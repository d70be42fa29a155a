/** The hash chain over the log in SQL. */
import type { ChainLink } from "../../store/engine.ts";
import { numbers, texts } from "./arrays.ts";
import { isUnfinished } from "./copying.ts";
import type { Session } from "./session.ts";

const columns = "position, encode(hash, 'hex')";

const linkOf = ([position, hash]: unknown[]): ChainLink => ({ position, hash }) as ChainLink;

export async function chainHead(session: Session, schema: string): Promise<ChainLink | null> {
  const sql = `SELECT ${columns} FROM ${schema}.azoth_chain ORDER BY position DESC LIMIT 1`;
  const [row] = await session.rows(sql);
  return row === undefined ? null : linkOf(row);
}

/** The lock is on the chain's name: whoever reads the chain does not wait for it. */
export async function lockChain(
  session: Session,
  schema: string,
  to: "seal" | "copy",
): Promise<ChainLink | null | "held"> {
  const lock = to === "seal" ? "pg_try_advisory_xact_lock" : "pg_advisory_xact_lock";
  const [row] = await session.rows(`SELECT ${lock}(hashtextextended($1, 0))`, [`${schema} chain`]);
  if (row?.[0] === false || (await isUnfinished(session, schema)) !== (to === "copy")) return "held";
  return await chainHead(session, schema);
}

/** Links after a position and up to another. */
export async function readChain(
  session: Session,
  schema: string,
  span: { readonly after: number; readonly to: number; readonly limit: number },
): Promise<ChainLink[]> {
  // Without the upper bound, as `readLogged`.
  const sql = `SELECT ${columns} FROM ${schema}.azoth_chain WHERE position > $1 ORDER BY position LIMIT $2`;
  const rows = await session.rows(sql, [span.after, span.limit]);
  return rows.map(linkOf).filter(({ position }) => position <= span.to);
}

export async function extendChain(session: Session, schema: string, links: readonly ChainLink[]): Promise<void> {
  const sql = `INSERT INTO ${schema}.azoth_chain (position, hash)
    SELECT position, decode(hash, 'hex') FROM unnest($1::bigint[], $2::text[]) AS new (position, hash)`;
  await session.run(sql, [numbers(links.map(({ position }) => position)), texts(links.map(({ hash }) => hash))]);
}
