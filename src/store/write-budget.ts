/** How much one transaction may keep in memory until its commit. */
import { AzothError } from "../errors.ts";
import { maxTransactionBytes } from "../limits.ts";

export class WriteBudget {
  #left = maxTransactionBytes;

  /** @throws AzothError TRANSACTION_TOO_LARGE */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    const message = `The writes of this transaction take more than ${maxTransactionBytes} bytes until they are committed. Divide them among several: with scheduler.scheduleTasks, or among several tasks.`;
    throw new AzothError("TRANSACTION_TOO_LARGE", message, { details: { maxBytes: maxTransactionBytes } });
  }
}
