/** Transactions of query builders as clients. They stand in docs/your-own-transaction.md letter for letter; a test compares them. */
import { sql } from "drizzle-orm";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import type { Knex } from "knex";
import { CompiledQuery, type Transaction } from "kysely";

export const drizzleClient = (tx: Pick<NodePgDatabase, "execute">) => ({
  query: (text: string, values: unknown[]) => {
    // Every second piece is the number of a placeholder.
    const pieces = text.split(/\$(\d+)/);
    return tx.execute<Record<string, unknown>>(
      sql.join(pieces.map((piece, index) => (index % 2 === 0 ? sql.raw(piece) : sql.param(values[Number(piece) - 1])))),
    );
  },
});

export const kyselyClient = <Tables>(trx: Transaction<Tables>) => ({
  query: (text: string, values: unknown[]) =>
    trx.withoutPlugins().executeQuery<object>(CompiledQuery.raw(text, values)),
});

export const knexClient = (trx: Knex.Transaction) => ({
  query: async (text: string, values: unknown[]): Promise<{ rows: object[] }> => {
    const numbers = [...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
    return await trx.raw(
      text.replaceAll(/\$\d+/g, "?"),
      numbers.map((number) => values[number - 1] as Knex.RawBinding),
    );
  },
});
