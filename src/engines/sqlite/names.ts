/** The dictionary of event types and task types: a small number for each name. */
import type { Connection } from "./driver.ts";

export class Names {
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();

  /** The number of a name, or undefined if no row uses it yet. */
  find(connection: Connection, name: string): number | undefined {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const row = connection.get<{ id: number; name: string }>("SELECT id, name FROM azoth_names WHERE name = ?", name);
    // Drivers cut a text at its NUL and mend half characters, and then find the row of another name.
    return row?.name === name ? this.#remember(row.id, name) : undefined;
  }

  /** The number of a name, given out now if need be. Inside of a write transaction only. */
  intern(connection: Connection, name: string): number {
    const known = this.find(connection, name);
    if (known !== undefined) return known;
    const row = connection.get<{ id: number }>("INSERT INTO azoth_names (name) VALUES (?) RETURNING id", name);
    return this.#remember(Number(row?.id), name);
  }

  /** The name of a number that a row holds. */
  nameOf(connection: Connection, id: number): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const row = connection.get<{ name: string }>("SELECT name FROM azoth_names WHERE id = ?", id);
    if (row !== undefined) this.#remember(id, row.name);
    return row?.name ?? `unknown type ${id}`;
  }

  /** After a rollback, numbers that were given out in it are void. */
  forget(): void {
    this.#ids.clear();
    this.#names.clear();
  }

  #remember(id: number, name: string): number {
    this.#ids.set(name, id);
    this.#names.set(id, name);
    return id;
  }
}
