/**
 * INSERT of many rows in few statements: a batch is cut into the largest chunks that fit. In a large chunk, what is the
 * same in all rows is bound once: most columns of a batch are, and to bind a value takes a driver as long as to store it.
 */
import type { Connection, SqliteValue } from "./driver.ts";

type Row = readonly SqliteValue[];

/** Rows in one statement. Each size is a statement of its own, prepared once. */
const chunkSizes = [64, 16, 4, 1];
/** From so many rows on: each set of shared columns makes a statement of its own. */
const smallestShared = 16;
/** Statements of one size that are kept. */
const mostTexts = 50;

export class ChunkedInsert {
  readonly #table: string;
  readonly #columns: readonly string[];
  /** Statements by the number of rows and the set of shared columns. */
  readonly #texts = new Map<number, Map<number, string>>(chunkSizes.map((size) => [size, new Map()]));

  /** @param columns at most 30, because a set of them is kept in the bits of a number */
  constructor(table: string, columns: readonly string[]) {
    this.#table = table;
    this.#columns = columns;
  }

  run(connection: Connection, rows: readonly Row[]): void {
    let done = 0;
    for (const size of chunkSizes) {
      for (; rows.length - done >= size; done += size) this.#insert(connection, rows, done, size);
    }
  }

  #insert(connection: Connection, rows: readonly Row[], from: number, size: number): void {
    const shared = size >= smallestShared ? this.#sharedIn(rows, from, size) : 0;
    const parameters: SqliteValue[] = [];
    for (let column = 0; column < this.#columns.length; column++) {
      if (has(shared, column)) parameters.push(rows[from]?.[column] ?? null);
    }
    for (let row = from; row < from + size; row++) {
      for (let column = 0; column < this.#columns.length; column++) {
        if (!has(shared, column)) parameters.push(rows[row]?.[column] ?? null);
      }
    }
    connection.runWith(this.#text(size, shared), parameters);
  }

  /** The columns that have one value in all of these rows, as bits. */
  #sharedIn(rows: readonly Row[], from: number, size: number): number {
    let shared = 0;
    for (let column = 0; column < this.#columns.length; column++) {
      const value = rows[from]?.[column];
      let row = from + 1;
      while (row < from + size && rows[row]?.[column] === value) row++;
      if (row === from + size) shared |= 1 << column;
    }
    return shared;
  }

  #text(size: number, shared: number): string {
    const texts = this.#texts.get(size) ?? new Map<number, string>();
    const known = texts.get(shared);
    if (known !== undefined) return known;
    // A handful is usual. What differs in every batch must not fill the memory.
    if (texts.size >= mostTexts) texts.clear();
    let bound = this.#columns.filter((_, column) => has(shared, column)).length;
    let boundShared = 0;
    const sharedPlaces = this.#columns.map((_, column) => (has(shared, column) ? `?${++boundShared}` : undefined));
    const values = Array.from(
      { length: size },
      () => `(${sharedPlaces.map((place) => place ?? `?${++bound}`).join(",")})`,
    );
    const text = `INSERT INTO ${this.#table} (${this.#columns.join(", ")}) VALUES ${values.join(",")}`;
    texts.set(shared, text);
    return text;
  }
}

function has(set: number, column: number): boolean {
  return ((set >> column) & 1) === 1;
}
