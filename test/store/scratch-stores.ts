/** Stores that end with the test that made them. */
import { expect, onTestFinished } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import type { SqlRow } from "../../src/store/engine.ts";
import type { RecordedEvent } from "../../src/store/log.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";

export { scratchDirectory } from "./scratch-directory.ts";

/** A store on the engine under test, in a place of its own unless one is given. */
export async function openStore(location?: string, options: AzothDbOptions = {}): Promise<AzothDb> {
  const db = await AzothDb.open(location ?? (await newLocation({ shared: true })), {
    noticeInterval: "5ms",
    ...options,
  });
  onTestFinished(() => db.close());
  return db;
}

/** The whole log, or what a filter leaves of it. */
export async function eventsOf(db: AzothDb, filter?: Parameters<AzothDb["readLog"]>[0]): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const event of db.readLog(filter)) events.push(event);
  return events;
}

/** Positions grow; with one writer they are 1, 2, 3, … without gaps, and with many those of rolled back work are missing. */
export function expectPositions(all: readonly RecordedEvent[]): void {
  const positions = all.map(({ position }) => position);
  if (engineUnderTest === "sqlite") expect(positions).toEqual(positions.map((_, index) => index + 1));
  else expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
}

/** The first column of the first row. */
export async function valueOf(db: AzothDb, sql: string): Promise<SqlRow[string] | undefined> {
  const [row] = await db.query(sql);
  return row === undefined ? undefined : Object.values(row)[0];
}

/** Schedules tasks of the type "work", which nobody runs. */
export async function scheduleMany(db: AzothDb, count: number): Promise<void> {
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  await scheduler.scheduleTasks(
    Array.from({ length: count }, (_, index) => ({ taskType: "work", schedule: immediate(), payload: index })),
  );
}

/** Polls until `condition` holds; for what happens in other processes or in real time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 25_000,
): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAtMs > deadlineMs) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
