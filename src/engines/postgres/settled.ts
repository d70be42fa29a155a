/**
 * How far the log can be read without ever missing an event.
 *
 * Positions are drawn from a sequence, and a lower one may be committed after a higher one: a reader that passed it
 * by would lose its events. So readers stop before a position that is not there (a hole) until every transaction
 * that could have drawn it has ended; one that is still not there then was rolled back, and stays a hole.
 *
 * Who could have drawn it? Whoever draws a position holds a lock on the events table that allows it to write there:
 * PostgreSQL takes it before the statement draws, and releases it after the transaction's end is visible to all. So
 * a transaction that was not among the holders after a position was drawn has either ended, or did not draw it.
 * Other long transactions of the same server delay nobody.
 */
import type { Connections } from "./connections.ts";
import type { Place } from "./place.ts";
import type { ClientSession } from "./session.ts";

/** Positions that one look for holes passes. */
const lookAhead = 20_000;

export class SettledLog {
  readonly #connections: Connections;
  readonly #place: Place;
  /** Up to here nothing will ever be added. */
  #position = 0;
  /** Settled as soon as none of these transactions is open. */
  #pending: { readonly position: number; readonly holders: ReadonlySet<string> } | undefined;
  /** The life of the server that this is true of. */
  #life = "";
  /** The look that is under way. One at a time: an answer that came late would be taken for news. */
  #looking: Promise<unknown> = Promise.resolve();

  constructor(connections: Connections, place: Place) {
    this.#connections = connections;
    this.#place = place;
  }

  /** How far the log is settled, at the least; looks anew only if `wanted` is further. */
  async reaches(wanted: number): Promise<number> {
    if (this.#position >= wanted) return this.#position;
    const look = this.#looking.then(() => this.#look(wanted));
    this.#looking = look.catch(() => {});
    return await look;
  }

  async #look(wanted: number): Promise<number> {
    // The one before may have seen enough.
    if (this.#position >= wanted) return this.#position;
    return await this.#connections.use("core", async (session) => {
      await this.#lookForHolders(session);
      if (this.#position < wanted) await this.#followWhatIsThere(session, wanted);
      return this.#position;
    });
  }

  async #lookForHolders(session: ClientSession): Promise<void> {
    const { quotedSchema } = this.#place;
    // In this order: what was drawn before the look at the holders is what they may have drawn. Not the sequence is
    // asked: a crash takes numbers back that were drawn in vain, and gives them out again.
    const [committed, holding] = await Promise.all([
      session.rows(
        `SELECT coalesce(max(position), 0), pg_postmaster_start_time()::text FROM ${quotedSchema}.azoth_events`,
      ),
      session.rows(
        `SELECT DISTINCT virtualtransaction FROM pg_locks
         WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
           AND relation = $1::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        [`${quotedSchema}.azoth_events`],
      ),
    ]);
    const [position, startedAt] = committed[0] as [number, string];
    this.#forgetOtherLives(`${session.life} ${startedAt}`);
    const holders = new Set(holding.map(([holder]) => holder as string));
    if (holders.size === 0) {
      this.#settle(position);
      this.#pending = undefined;
      return;
    }
    if (this.#pending !== undefined && [...this.#pending.holders].some((holder) => holders.has(holder))) return;
    if (this.#pending !== undefined) this.#settle(this.#pending.position);
    this.#pending = { position, holders };
  }

  /** A server that was started anew knows its transactions by other names, and may have lost what it had not written. */
  #forgetOtherLives(life: string): void {
    if (life === this.#life) return;
    this.#life = life;
    this.#pending = undefined;
    this.#position = 0;
  }

  /** Whatever is there without a hole is settled, however many transactions are open. */
  async #followWhatIsThere(session: ClientSession, wanted: number): Promise<void> {
    const sql = `SELECT position FROM ${this.#place.quotedSchema}.azoth_events
      WHERE position > $1 AND position <= $2 ORDER BY position`;
    while (this.#position < wanted) {
      const from = this.#position;
      const positions = await session.rows(sql, [from, Math.min(from + lookAhead, wanted)]);
      let reached = from;
      for (const [position] of positions as [number][]) {
        if (position !== reached + 1) break;
        reached = position;
      }
      this.#settle(reached);
      if (reached < from + lookAhead) return;
    }
  }

  /** Several readers look at once: what one has learned is true for all. */
  #settle(position: number): void {
    this.#position = Math.max(this.#position, position);
  }
}
