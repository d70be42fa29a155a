/**
 * The tasks that this node has claimed, as it last wrote them.
 *
 * A row that still carries the number of the transaction that wrote it (`xmin`) is as that transaction left it: then the
 * state need not be read again to record how the run ended. Any other writer leaves another number, and so does a
 * savepoint.
 */
import type { TaskChange } from "../../store/engine.ts";
import type { TaskState } from "../../tasks/task-state.ts";

/** Claims that were lost are never asked for again, and would be kept for ever. */
const mostKept = 10_000;

export class HeldRuns {
  readonly #kept = new Map<number, { readonly xmin: string; readonly state: TaskState }>();

  /**
   * Takes note of what a transaction has committed.
   * @param xid its number, as `pg_current_xact_id` tells it: `xmin` is the lower half of it
   */
  keep(xid: string, changes: readonly TaskChange[]): void {
    const xmin = String(BigInt(xid) % 2n ** 32n);
    if (this.#kept.size > mostKept) this.#kept.clear();
    for (const { after } of changes) {
      if (after.run === null) this.#kept.delete(after.seq);
      else this.#kept.set(after.seq, { xmin, state: after });
    }
  }

  has(seq: number): boolean {
    return this.#kept.has(seq);
  }

  /** The state of a row, if nobody has written it since. */
  stateOf(seq: number, xmin: string): TaskState | undefined {
    const kept = this.#kept.get(seq);
    return kept?.xmin === xmin ? kept.state : undefined;
  }
}
