/** Tasks and events in a transaction of the user's own client: they commit, or vanish, with what the user wrote there. */
import { AzothError } from "../errors.ts";
import type { Admission } from "../tasks/request.ts";
import { WriteCollision } from "./engine.ts";
import type { StoreCore } from "./store-core.ts";
import { OpenTransaction, type Transaction } from "./transaction.ts";
import { Pace } from "../pace.ts";
import { Work } from "./work.ts";

/** What can be done in a transaction that the user has open. Statements of their own they run on their client. */
export type JoinedTransaction = Pick<Transaction, "append" | "scheduleTask" | "cancelTask" | "getTask">;

/** @throws AzothError INVALID_OPTION if the store is not in PostgreSQL, or the client cannot run statements */
export function joinTransaction(core: StoreCore, client: unknown, admission: Admission): JoinedTransaction {
  const { engine } = core;
  if (engine.join === undefined) {
    const message = `A store at ${engine.location} has no transactions of other clients to join. Use db.transaction.`;
    throw new AzothError("INVALID_OPTION", message);
  }
  const joined = engine.join(client);
  // Each call by itself: between two of them the user may have rolled back to a savepoint.
  const attempt = <T>(call: (open: OpenTransaction) => Promise<T>): Promise<T> =>
    joined.attempt(async (transaction) => {
      const tzdata = process.versions.tz ?? "unknown";
      const outside = { context: { nowMs: core.clock.now(), tzdata }, draw: core.random, sealing: core.sealing };
      const work = new Work(transaction, outside, new Pace(core.options.eventLoopBudgetMs));
      const result = await call(new OpenTransaction(core, work, admission));
      await work.flush();
      return result;
    });
  const run = async <T>(call: (open: OpenTransaction) => Promise<T>): Promise<T> => {
    try {
      return await attempt(call).catch((error: unknown) => {
        // A task with the same id was stored while this one waited for it: now it can be seen.
        if (error instanceof WriteCollision && error.cause === undefined) return attempt(call);
        throw error;
      });
    } catch (error) {
      if (!(error instanceof WriteCollision)) throw error;
      const message = "Your transaction collided with another one. Roll it back, and do it again.";
      throw new AzothError("STORE_BUSY", message, { cause: error });
    }
  };
  return {
    append: (event) => run((open) => open.append(event)),
    scheduleTask: (request) => run((open) => open.scheduleTask(request)),
    cancelTask: (taskId, reason) => run((open) => open.cancelTask(taskId, reason)),
    getTask: (taskId) => run((open) => open.getTask(taskId)),
  };
}
