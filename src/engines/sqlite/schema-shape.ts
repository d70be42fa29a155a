/** The shape of a SQLite store: its version, how large it is, and what somebody changed of its tables. */
import { driftOf, type Shape } from "../schema-drift.ts";
import { Connection, type SqliteDriver } from "./driver.ts";
import { migrate } from "./schema.ts";

export function describe(connection: Connection): { schemaVersion: number; bytes: number } {
  const { version, bytes } = connection.get<{ version: number; bytes: number }>(
    `SELECT user_version AS version, page_count * page_size AS bytes
     FROM pragma_user_version, pragma_page_count, pragma_page_size`,
  ) ?? { version: 0, bytes: 0 };
  return { schemaVersion: version, bytes };
}

export function schemaDrift(connection: Connection, { DatabaseSync }: SqliteDriver): string[] {
  const model = new Connection(new DatabaseSync(":memory:"));
  try {
    migrate(model, 0);
    return driftOf(shapeOf(model), shapeOf(connection));
  } finally {
    model.close();
  }
}

function shapeOf(connection: Connection): Shape {
  const columns = connection.all<{ place: string; name: string; type: string }>(
    `SELECT m.name AS place, c.name AS name, c.type AS type FROM sqlite_schema m, pragma_table_xinfo(m.name) c
     WHERE m.type = 'table' AND m.name GLOB 'azoth_*' ORDER BY m.name, c.cid`,
  );
  const parts = connection.all<{ name: string; place: string; part: string }>(
    `SELECT m.name AS name, m.tbl_name AS place, i.name AS part FROM sqlite_schema m, pragma_index_info(m.name) i
     WHERE m.type = 'index' AND m.sql IS NOT NULL AND m.name GLOB 'azoth_*' ORDER BY m.name, i.seqno`,
  );
  const indexes = new Map<string, readonly [name: string, table: string, over: string]>();
  for (const { name, place, part } of parts) {
    // A rebuild leaves its indexes with a suffix: see `taskIndexes`.
    const plain = place === "azoth_tasks" ? name.replace(/_rebuilt$/, "") : name;
    const before = indexes.get(plain)?.[2];
    indexes.set(plain, [plain, place, before === undefined ? part : `${before}, ${part}`]);
  }
  return {
    columns: columns.map(({ place, name, type }) => [place, name, type] as const),
    indexes: [...indexes.values()],
  };
}
