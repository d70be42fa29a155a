/**
 * Rows of one statement, as few parameters: a column that is the same in all of them is sent once, any other as an
 * array. Most are the same.
 */
import { numbers, texts } from "./arrays.ts";

export type Cell = string | number | null;

export interface Batch {
  /** An expression for each column, by its name. */
  readonly expressions: ReadonlyMap<string, string>;
  /** What the expressions are taken from: a table named "new", with the number of each row as `number`. */
  readonly from: string;
  readonly values: readonly unknown[];
  /** How many columns are sent as arrays: the first, and those that are not the same in all rows. */
  readonly arrays: number;
}

/** Columns that are no whole numbers. */
const texty: ReadonlySet<string> = new Set(["id"]);
const json: ReadonlySet<string> = new Set(["definition", "payload", "data", "meta"]);

/** JSON holds no control characters but as escapes: it needs no quotes of its own, which take long to make. */
const separator = "\u001f";

/** @param columns names and values; the first is what tells the rows from each other */
export function batchOf(columns: readonly (readonly [name: string, cells: readonly Cell[]])[]): Batch {
  const expressions = new Map<string, string>();
  const values: unknown[] = [];
  const arrays: string[] = [];
  const names: string[] = [];
  for (const [index, [name, cells]] of columns.entries()) {
    const [first = null] = cells;
    const type = json.has(name) ? "json" : texty.has(name) ? "text" : "bigint";
    if (index > 0 && cells.every((cell) => cell === first)) {
      values.push(first);
      expressions.set(name, `$${values.length}::${type}`);
      continue;
    }
    names.push(name);
    if (type === "json") {
      values.push(cells.join(separator));
      arrays.push(`string_to_array($${values.length}, chr(31), '')`);
      expressions.set(name, `new.${name}::json`);
    } else {
      values.push(type === "text" ? texts(cells as (string | null)[]) : numbers(cells as (number | null)[]));
      arrays.push(`$${values.length}::${type}[]`);
      expressions.set(name, `new.${name}`);
    }
  }
  const from = `unnest(${arrays.join(", ")}) WITH ORDINALITY AS new (${[...names, "number"].join(", ")})`;
  return { expressions, from, values, arrays: arrays.length };
}

/** As `batchOf`, of rows. */
export function batchOfRows(names: readonly string[], rows: readonly (readonly Cell[])[]): Batch {
  return batchOf(names.map((name, index) => [name, rows.map((row) => row[index] ?? null)] as const));
}

/** The columns' names and expressions, for an INSERT. */
export function insertion({ expressions, from }: Batch): string {
  return `(${[...expressions.keys()].join(", ")}) SELECT ${[...expressions.values()].join(", ")} FROM ${from}`;
}
