/**
 * The dictionary of event types and task types: a small number for each name.
 *
 * A number is given out in a transaction of its own: within a user's it would make everybody who meets the same
 * new name wait for that transaction's end. A name that no row came to use does no harm.
 */
import type { Connections } from "./connections.ts";
import { texts } from "./arrays.ts";

export class Names {
  readonly #connections: Connections;
  readonly #schema: string;
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();
  /** Numbers that are being given out. */
  #giving: Promise<void> | undefined;

  constructor(connections: Connections, schema: string) {
    this.#connections = connections;
    this.#schema = schema;
  }

  /** The numbers of names, given out now if need be. */
  async intern(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    for (;;) {
      const unknown = [...new Set(names)].filter((name) => !this.#ids.has(name));
      if (unknown.length === 0) return this.#ids;
      if (this.#giving === undefined) {
        this.#giving = this.#give(unknown).finally(() => {
          this.#giving = undefined;
        });
        await this.#giving;
      } else {
        // A thousand that come at once with one new name ask for it once.
        await this.#giving.catch(() => {});
      }
    }
  }

  /** The numbers of those names that any row may use. */
  async find(names: readonly string[]): Promise<number[]> {
    await this.#load(names);
    return names.map((name) => this.#ids.get(name)).filter((id) => id !== undefined);
  }

  /** The number of a name that was interned. */
  idOf(name: string): number {
    const id = this.#ids.get(name);
    if (id === undefined) throw new TypeError(`the name ${name} has no number yet`);
    return id;
  }

  /** Makes sure that `nameOf` knows these. */
  async learn(ids: Iterable<number>): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => !this.#names.has(id));
    if (unknown.length === 0) return;
    const sql = `SELECT id, name FROM ${this.#schema}.azoth_names WHERE id = ANY($1)`;
    this.#remember(await this.#connections.use("core", (session) => session.rows(sql, [`{${unknown.join(",")}}`])));
  }

  /** The name of a number that `learn` has met. */
  nameOf(id: number): string {
    return this.#names.get(id) ?? `unknown type ${id}`;
  }

  async #give(names: readonly string[]): Promise<void> {
    const unknown = await this.#load(names);
    if (unknown.length === 0) return;
    const sql = `INSERT INTO ${this.#schema}.azoth_names (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING`;
    await this.#connections.use("core", (session) => session.run(sql, [texts(unknown.toSorted())]));
    await this.#load(unknown);
  }

  /** Returns those that have no number yet. */
  async #load(names: readonly string[]): Promise<string[]> {
    const unknown = names.filter((name) => !this.#ids.has(name));
    if (unknown.length === 0) return [];
    const sql = `SELECT id, name FROM ${this.#schema}.azoth_names WHERE name = ANY($1)`;
    this.#remember(await this.#connections.use("core", (session) => session.rows(sql, [texts(unknown)])));
    return unknown.filter((name) => !this.#ids.has(name));
  }

  #remember(rows: readonly unknown[][]): void {
    for (const [id, name] of rows as [number, string][]) {
      this.#ids.set(name, id);
      this.#names.set(id, name);
    }
  }
}
