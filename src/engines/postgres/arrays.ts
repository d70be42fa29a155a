/** Arrays as PostgreSQL reads them, so that every driver and query builder passes them on as plain text. */

export type ArrayItem = string | number | null | undefined;

/** An array of numbers: "{1,2,NULL}". */
export function numbers(items: readonly (number | null | undefined)[]): string {
  return `{${items.map((item) => item ?? "NULL").join(",")}}`;
}

/** An array of texts, each in quotes: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
export function texts(items: readonly (string | null | undefined)[]): string {
  const quoted = (item: string) => `"${item.replace(/[\\"]/g, "\\$&")}"`;
  return `{${items.map((item) => (item === null || item === undefined ? "NULL" : quoted(item))).join(",")}}`;
}
