/** The text of docs/errors.md: the table's texts from the catalogue, its order and headings from the source. */
export function errorsPage(catalogue: Readonly<Record<string, readonly string[]>>, source: string): string;
