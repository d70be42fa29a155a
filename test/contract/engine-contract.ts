/** What every engine must do, verb by verb: the store relies on all of it. An engine's own test file calls this. */
import { describe } from "vitest";
import { concurrencyContract } from "./concurrency-contract.ts";
import { coordinationContract } from "./coordination-contract.ts";
import { followerContract } from "./follower-contract.ts";
import { logContract } from "./log-contract.ts";
import { openTransactionContract } from "./open-transaction-contract.ts";
import type { ContractSubject } from "./subject.ts";
import { tasksContract } from "./tasks-contract.ts";
import { transactionContract } from "./transaction-contract.ts";
import { watchContract } from "./watch-contract.ts";

export function engineContract(subject: ContractSubject): void {
  describe(`the engine contract on ${subject.name}`, () => {
    logContract(subject);
    tasksContract(subject);
    coordinationContract(subject);
    transactionContract(subject);
    watchContract(subject);
    concurrencyContract(subject);
    openTransactionContract(subject);
    followerContract(subject);
  });
}
