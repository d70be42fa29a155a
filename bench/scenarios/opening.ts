/** A process that opens a store, starts a scheduler on it, tells what that took, and ends: the first argument is the location. */
import { AzothDb, Scheduler, taskHandler } from "azoth-scheduler";

export interface Opening {
  readonly openMs: number;
  readonly openAndStartMs: number;
  /** After a collection of garbage, with the store open. */
  readonly residentBytes: number;
}

async function open(location: string): Promise<Opening> {
  const calledAtMs = performance.now();
  const db = await AzothDb.open(location);
  const openMs = performance.now() - calledAtMs;
  const handlers = [taskHandler({ taskType: "work", execute: (_, number: number) => void number })];
  const scheduler = new Scheduler(db, { handlers });
  await scheduler.start();
  const openAndStartMs = performance.now() - calledAtMs;
  globalThis.gc?.();
  const residentBytes = process.memoryUsage.rss();
  await scheduler.stop();
  await db.close();
  return { openMs, openAndStartMs, residentBytes };
}

const [, , location = ""] = process.argv;
process.send?.(await open(location), () => process.disconnect?.());
