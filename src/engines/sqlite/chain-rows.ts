/** The hash chain over the log in SQL. */
import type { ChainLink } from "../../store/engine.ts";
import { ChunkedInsert } from "./chunked-insert.ts";
import type { Connection } from "./driver.ts";

interface ChainRow {
  readonly position: number;
  readonly hash: Uint8Array;
}

const linkOf = ({ position, hash }: ChainRow): ChainLink => ({ position, hash: Buffer.from(hash).toString("hex") });

const insertLinks = new ChunkedInsert("azoth_chain", ["position", "hash"]);

export function chainHead(connection: Connection): ChainLink | null {
  const row = connection.get<ChainRow>("SELECT position, hash FROM azoth_chain ORDER BY position DESC LIMIT 1");
  return row === undefined ? null : linkOf(row);
}

/** Links after a position and up to another. */
export function readChain(connection: Connection, after: number, to: number, limit: number): ChainLink[] {
  const sql = "SELECT position, hash FROM azoth_chain WHERE position > ? AND position <= ? ORDER BY position LIMIT ?";
  return connection.all<ChainRow>(sql, after, to, limit).map(linkOf);
}

export function extendChain(connection: Connection, links: readonly ChainLink[]): void {
  const rows = links.map(({ position, hash }) => [position, Buffer.from(hash, "hex")]);
  insertLinks.run(connection, rows);
}
