/** INSERT of many rows in few statements: a batch is cut into the largest chunks that fit. */
import type { Connection, SqliteValue } from "./driver.ts";

/** Rows in one statement. Each size is a statement of its own, prepared once. */
const chunkSizes = [64, 16, 4, 1];

export class ChunkedInsert {
  readonly #statements: readonly { readonly size: number; readonly sql: string }[];

  constructor(table: string, columns: readonly string[]) {
    const row = `(${columns.map(() => "?").join(",")})`;
    this.#statements = chunkSizes.map((size) => {
      const rows = Array.from({ length: size }, () => row).join(",");
      return { size, sql: `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${rows}` };
    });
  }

  run(connection: Connection, rows: readonly (readonly SqliteValue[])[]): void {
    let done = 0;
    for (const { size, sql } of this.#statements) {
      for (; rows.length - done >= size; done += size) {
        const values: SqliteValue[] = [];
        // Not flat(), which takes as long as the insertion.
        for (const row of rows.slice(done, done + size)) values.push(...row);
        connection.run(sql, ...values);
      }
    }
  }
}
