/**
 * What a test plays on: directories, child processes, and the store as the test process itself holds it. Everything
 * on a stage ends with its test, and tests with stages of their own may run beside each other.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzothDb, type AzothDbOptions, immediate, Scheduler } from "azoth-scheduler";
import { test as base, expect } from "vitest";
import { Child, patienceMs } from "./child.ts";
import { allTaskTypes, type DoomedConfig, type NotePayload, type TaskType, type WorkerConfig } from "./messages.ts";

export interface Desk {
  readonly db: AzothDb;
  /** Never started: for commands and queries, of tasks that the workers handle. */
  readonly scheduler: Scheduler;
}

export class Stage {
  readonly #children: Child[] = [];
  readonly #stores: AzothDb[] = [];
  readonly #directories: string[] = [];

  /** An empty directory. */
  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), "azoth-cluster-"));
    this.#directories.push(directory);
    return directory;
  }

  /** Opens the store beside whoever has it open. */
  async desk(location: string, options?: AzothDbOptions): Promise<Desk> {
    const db = await AzothDb.open(location, options);
    this.#stores.push(db);
    const scheduler = new Scheduler(db, {
      externalTaskTypes: allTaskTypes,
      defaultRetry: { base: "20ms", factor: 1 },
    });
    return { db, scheduler };
  }

  child(driver: "worker" | "doomed", config: WorkerConfig | DoomedConfig): Child {
    const child = new Child(driver, config, "nodeOptions" in config ? config.nodeOptions : []);
    this.#children.push(child);
    return child;
  }

  /** Starts a worker, and resolves when its scheduler is at work. */
  async worker(config: WorkerConfig): Promise<Child> {
    const worker = this.child("worker", config);
    await worker.told("ready");
    return worker;
  }

  async clear(): Promise<void> {
    for (const child of this.#children) await child.kill();
    for (const db of this.#stores) await db.close();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }
}

export const test = base.extend<{ stage: Stage }>({
  stage: async ({ onTestFinished }, use) => {
    const stage = new Stage();
    onTestFinished(() => stage.clear());
    await use(stage);
  },
});

/** Polls until `condition` holds; for what other processes do. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAtMs > patienceMs) throw new Error(`Waited ${patienceMs} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when no task waits, is claimed or runs any more. */
export async function untilDone({ scheduler }: Desk): Promise<void> {
  let counts = await scheduler.countTasks();
  const isDone = async () => {
    counts = await scheduler.countTasks();
    return counts.waiting === 0 && counts.claimed === 0 && counts.running === 0;
  };
  try {
    await until(isDone, "every task is done");
  } catch (cause) {
    throw new Error(`Not every task was done in time: ${JSON.stringify(counts)}`, { cause });
  }
}

/** Schedules a task that is due now. */
export async function schedule(
  { scheduler }: Desk,
  taskType: TaskType,
  taskId: string,
  payload: NotePayload = {},
): Promise<void> {
  await scheduler.scheduleTask({ taskId, taskType, schedule: immediate(), payload });
}

/** What no worker may tell, whatever is done to it. */
export function expectNoComplaint(worker: Child): void {
  expect(worker.all("refused")).toEqual([]);
  expect(worker.all("store-failed")).toEqual([]);
  expect(worker.output).toBe("");
}

/** Asks workers to stop, as an operating system does, and expects that they end in order. */
export async function dismiss(...workers: readonly Child[]): Promise<void> {
  for (const worker of workers) worker.signal("SIGTERM");
  for (const worker of workers) {
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expectNoComplaint(worker);
  }
}
