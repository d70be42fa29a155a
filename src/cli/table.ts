/** Tables for people: columns as wide as their contents, cut where a terminal's line ends. */
import type { Output } from "./output.ts";
import { cut, padEnd, padStart, widthOf } from "./text.ts";

export interface Column<Row> {
  readonly title: string;
  /** The cell, escaped already and without colours. */
  readonly cell: (row: Row) => string;
  /** Colours the cell, which has its final width by then. */
  readonly paint?: (text: string, row: Row) => string;
  readonly align?: "left" | "right";
  /** The fewest columns that it is cut to, where the line is too short. Columns without it are never cut. */
  readonly shrinksTo?: number;
}

const gap = "  ";

/** How wide each column becomes, so that a row fits the line if it can. */
export function columnWidths<Row>(columns: readonly Column<Row>[], rows: readonly Row[], line: number): number[] {
  const widths = columns.map(({ title, cell }) => {
    return rows.reduce((widest, row) => Math.max(widest, widthOf(cell(row))), widthOf(title));
  });
  const room = line - gap.length * (columns.length - 1);
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    // The widest gives first, so that short columns stay whole.
    const from = columns.reduce<number>((best, { shrinksTo }, index) => {
      if (shrinksTo === undefined || (widths[index] ?? 0) <= shrinksTo) return best;
      return best === -1 || (widths[index] ?? 0) > (widths[best] ?? 0) ? index : best;
    }, -1);
    if (from === -1) break;
    widths[from] = (widths[from] ?? 0) - 1;
    excess--;
  }
  return widths;
}

/** Prints rows as they come, in pages: the first page says how wide the columns are. */
export class Table<Row> {
  readonly #output: Output;
  readonly #columns: readonly Column<Row>[];
  #widths: readonly number[] | undefined;

  constructor(output: Output, columns: readonly Column<Row>[]) {
    this.#output = output;
    this.#columns = columns;
  }

  async print(rows: readonly Row[]): Promise<void> {
    if (this.#widths === undefined) {
      this.#widths = columnWidths(this.#columns, rows, this.#output.width);
      const titles = this.#columns.map(({ title }, index) => this.#fit(title, index));
      await this.#output.line(this.#output.colors.bold(titles.join(gap).trimEnd()));
    }
    for (const row of rows) {
      const cells = this.#columns.map(({ cell, paint }, index) => {
        const text = this.#fit(cell(row), index);
        return paint === undefined ? text : paint(text, row);
      });
      await this.#output.line(cells.join(gap).trimEnd());
    }
  }

  #fit(text: string, index: number): string {
    const width = this.#widths?.[index] ?? 0;
    const shown = Number.isFinite(this.#output.width) ? cut(text, width) : text;
    if (this.#columns[index]?.align === "right") return padStart(shown, width);
    return index === this.#columns.length - 1 ? shown : padEnd(shown, width);
  }
}

/** Names and values below each other. */
export async function printFacts(
  output: Output,
  facts: readonly (readonly [name: string, value: string])[],
): Promise<void> {
  const width = Math.max(...facts.map(([name]) => widthOf(name)));
  for (const [name, value] of facts) {
    await output.line(`${output.colors.bold(padEnd(name, width))}${gap}${value}`.trimEnd());
  }
}
