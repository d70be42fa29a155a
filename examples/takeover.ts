/**
 * A worker process is killed with -9 in the middle of a task; another process takes the task over.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AzothDb, immediate, Scheduler, taskHandler } from "azoth-scheduler";

const [role, location] = process.argv.slice(2);
await (role === "worker" ? work(location ?? "") : main());

/** The process that will be killed: its handler never comes to an end. */
async function work(location: string) {
  const invoice = taskHandler({ taskType: "send_invoice", execute: (ctx) => ctx.sleep("1h") });
  await using db = await AzothDb.open(location);
  // Short, so that the example is: after so long without a sign of life others may take its tasks.
  await new Scheduler(db, { handlers: [invoice], claimDuration: "500ms" }).run();
}

async function main() {
  const directory = await mkdtemp(path.join(os.tmpdir(), "azoth-takeover-"));
  const db = await AzothDb.open(directory);
  const invoice = taskHandler({
    taskType: "send_invoice",
    execute: (ctx) => console.log(`Sent: attempt ${ctx.attempt}, the same occurrence, another execution.`),
  });
  const scheduler = new Scheduler(db, { handlers: [invoice], claimDuration: "500ms" });
  await scheduler.scheduleTask({ taskId: "invoice-7", taskType: "send_invoice", schedule: immediate() });

  const worker: ChildProcess = fork(fileURLToPath(import.meta.url), ["worker", directory]);
  await until(db, "TaskStarted");
  worker.kill("SIGKILL");
  console.log("The worker has started invoice-7, and is killed.");

  await scheduler.start();
  await until(db, "TaskExecuted");
  await scheduler.stop();

  const { executions } = await scheduler.history("invoice-7");
  for (const { executionId, outcome } of executions.toReversed()) console.log(`Execution ${executionId}: ${outcome}.`);
  const { ok, tasks } = await db.verify();
  console.log(`Replaying the log gives the stored state of ${tasks} task: ${ok}.`);
  await db.close();
  await rm(directory, { recursive: true });
}

/** Waits for an event, whichever process records it. */
async function until(db: AzothDb, eventType: string) {
  for await (const _ of db.subscribe({ eventTypes: [eventType] })) return;
}

// Prints:
// The worker has started invoice-7, and is killed.
// Sent: attempt 1, the same occurrence, another execution.
// Execution 1.1: claim-lost.
// Execution 1.2: succeeded.
// Replaying the log gives the stored state of 1 task: true.
