/** What a store's tables lack, or have otherwise, compared with those that this code makes: somebody changed them by hand. */

/** Tables with the types of their columns, and indexes with what they are over. */
export interface Shape {
  readonly columns: readonly (readonly [table: string, column: string, type: string])[];
  readonly indexes: readonly (readonly [name: string, table: string, over: string])[];
}

/** One sentence for each difference. What there is beside the expected is nobody's harm, but for columns of our own tables. */
export function driftOf(expected: Shape, actual: Shape): string[] {
  const found = tablesOf(actual);
  const sentences: string[] = [];
  for (const [table, columns] of tablesOf(expected)) {
    const there = found.get(table);
    if (there === undefined) {
      sentences.push(`The table ${table} is missing.`);
      continue;
    }
    for (const [column, type] of columns) {
      const has = there.get(column);
      if (has === undefined) sentences.push(`The column ${table}.${column} is missing.`);
      else if (has !== type) sentences.push(`The column ${table}.${column} is of type ${has}, and should be ${type}.`);
    }
    for (const column of there.keys()) {
      if (!columns.has(column)) sentences.push(`The column ${table}.${column} is not one of the store's.`);
    }
  }
  const indexes = new Map(actual.indexes.map(([name, , over]) => [name, over]));
  for (const [name, table, over] of expected.indexes) {
    if (!found.has(table)) continue;
    const has = indexes.get(name);
    if (has === undefined) sentences.push(`The index ${name} is missing.`);
    else if (has !== over) sentences.push(`The index ${name} is over ${has}, and should be over ${over}.`);
  }
  return sentences;
}

function tablesOf({ columns }: Shape): Map<string, Map<string, string>> {
  const tables = new Map<string, Map<string, string>>();
  for (const [table, column, type] of columns) {
    const known = tables.get(table) ?? new Map<string, string>();
    tables.set(table, known.set(column, type));
  }
  return tables;
}
