/** Folds the samples into a table with a row for each minute: each sample counted exactly once. */
import { type AzothDb, eventHandler, type SqlRow } from "azoth-scheduler";
import type { Sample } from "./sampling.ts";

export const gauges = ["load", "memory", "disk"] as const;

const table = `CREATE TABLE IF NOT EXISTS machine_minutes (
  minute TEXT PRIMARY KEY, samples INTEGER, last_position INTEGER,
  ${gauges.map((gauge) => `${gauge}_min REAL, ${gauge}_sum REAL, ${gauge}_max REAL`).join(", ")})`;

const addSample = `INSERT INTO machine_minutes VALUES (?, 1, ?, ${gauges.map(() => "?, ?, ?").join(", ")})
  ON CONFLICT (minute) DO UPDATE SET samples = samples + 1, last_position = excluded.last_position,
  ${gauges.map(merge).join(", ")}`;

function merge(gauge: string): string {
  return `${gauge}_min = min(${gauge}_min, excluded.${gauge}_min), ${gauge}_sum = ${gauge}_sum + excluded.${gauge}_sum,
    ${gauge}_max = max(${gauge}_max, excluded.${gauge}_max)`;
}

export const perMinute = eventHandler<Sample>({
  name: "per-minute",
  eventType: "machine_sampled",
  setUp: (tx) => tx.execute(table),
  reset: (tx) => tx.execute("DELETE FROM machine_minutes"),
  // In the transaction that stores this handler's checkpoint: no crash can come between the two.
  handle({ position, payload }, tx) {
    const minute = payload.sampledAt.toISOString().slice(0, 16);
    const values = gauges.flatMap((gauge) => [payload[gauge], payload[gauge], payload[gauge]]);
    return tx.execute(addSample, [minute, position, ...values]);
  },
});

/** The table in one query, and so as it was at one moment; empty before the first sample. */
export async function readMinutes(db: AzothDb): Promise<readonly SqlRow[]> {
  const found = await db.query("SELECT 1 FROM sqlite_schema WHERE name = 'machine_minutes'");
  return found.length === 0 ? [] : await db.query("SELECT * FROM machine_minutes ORDER BY minute");
}
