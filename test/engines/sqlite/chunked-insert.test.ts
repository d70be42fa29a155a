/** Whatever rows have in common, each is stored as it is. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { ChunkedInsert } from "../../../src/engines/sqlite/chunked-insert.ts";
import { Connection, loadDriver } from "../../../src/engines/sqlite/driver.ts";

const { DatabaseSync } = await loadDriver();
const connection = new Connection(new DatabaseSync(":memory:"));
connection.exec("CREATE TABLE rows (number INTEGER PRIMARY KEY, a, b, c)");
afterAll(() => connection.close());

/** Few values, so that columns are often, and often nearly, the same in all rows of a chunk. */
const value = fc.constantFrom(null, 0, 1, "", "text");
const column = fc.oneof(
  fc.record({ usual: value, other: value, at: fc.nat(199) }).map(({ usual, other, at }) => {
    return (row: number) => (row === at ? other : usual);
  }),
  fc.array(value, { minLength: 1, maxLength: 7 }).map((values) => (row: number) => values[row % values.length] ?? null),
);

test("rows come back as they were put in", () => {
  const insert = new ChunkedInsert("rows", ["number", "a", "b", "c"]);
  fc.assert(
    fc.property(fc.nat(200), column, column, column, (count, a, b, c) => {
      const rows = Array.from({ length: count }, (_, row) => [row, a(row), b(row), c(row)]);
      connection.run("DELETE FROM rows");
      insert.run(connection, rows);
      const stored = connection.all<Record<string, unknown>>("SELECT number, a, b, c FROM rows ORDER BY number");
      expect(stored.map((row) => Object.values(row))).toEqual(rows);
    }),
  );
});
