/** Directories and stores that end with the test that made them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { AzothDb, type AzothDbOptions } from "../../src/store/azoth-db.ts";
import type { SqlRow } from "../../src/store/engine.ts";
import type { RecordedEvent } from "../../src/store/log.ts";

/** An empty directory. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "azoth-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A store, in a directory of its own unless one is given. */
export async function openStore(location: string = scratchDirectory(), options: AzothDbOptions = {}): Promise<AzothDb> {
  const db = await AzothDb.open(location, { noticeInterval: "5ms", ...options });
  onTestFinished(() => db.close());
  return db;
}

/** The whole log, or what a filter leaves of it. */
export async function eventsOf(db: AzothDb, filter?: Parameters<AzothDb["readLog"]>[0]): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const event of db.readLog(filter)) events.push(event);
  return events;
}

/** The first column of the first row. */
export async function valueOf(db: AzothDb, sql: string): Promise<SqlRow[string] | undefined> {
  const [row] = await db.query(sql);
  return row === undefined ? undefined : Object.values(row)[0];
}

/** Polls until `condition` holds; for what happens in other processes or in real time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 10_000,
): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAtMs > deadlineMs) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
