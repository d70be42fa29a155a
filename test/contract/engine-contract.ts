/** What every engine must do, verb by verb: the store relies on all of it. An engine's own test file calls this. */
import { describe } from "vitest";
import { coordinationContract } from "./coordination-contract.ts";
import { logContract } from "./log-contract.ts";
import type { ContractSubject } from "./subject.ts";
import { tasksContract } from "./tasks-contract.ts";
import { transactionContract } from "./transaction-contract.ts";

export function engineContract(subject: ContractSubject): void {
  describe(`the engine contract on ${subject.name}`, () => {
    logContract(subject);
    tasksContract(subject);
    coordinationContract(subject);
    transactionContract(subject);
  });
}
