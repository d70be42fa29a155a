/**
 * The tables, as numbered migrations. A migration that was released is never edited; a change is a new one.
 * `PRAGMA user_version` holds the number of the last one applied.
 */
import type { Connection } from "./driver.ts";

/** "Azot" in the file header tells our files from other programs' (PRAGMA application_id). */
export const applicationId = 0x417a6f74;

const firstTables = `
  -- Event types and task types by small numbers, so that no long name repeats in the log or an index.
  CREATE TABLE azoth_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

  -- The log. AUTOINCREMENT, because a plain key would give the highest number out again after a deletion.
  CREATE TABLE azoth_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    type INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    task INTEGER,
    run INTEGER,
    data TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    meta TEXT
  ) STRICT;
  CREATE INDEX azoth_events_by_task ON azoth_events (task) WHERE task IS NOT NULL;

  -- The hash chain over the log, if it is switched on: a link for each event that is sealed.
  CREATE TABLE azoth_chain (position INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;

  -- Coordination and checkpoints: not history, and not rebuilt.
  CREATE TABLE azoth_instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    heartbeat_at_ms INTEGER NOT NULL,
    claim_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE azoth_checkpoints (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    retry_at_ms INTEGER,
    error TEXT,
    updated_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE azoth_dead_letters (
    id INTEGER PRIMARY KEY,
    handler TEXT NOT NULL,
    position INTEGER NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;

  -- The last internal task number given out.
  CREATE TABLE azoth_sequences (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
  INSERT INTO azoth_sequences VALUES ('task', 0);
`;

/** The task projection. A function, because a rebuild makes a second copy of it. */
export function taskTable(name: string): string {
  return `
    CREATE TABLE ${name} (
      seq INTEGER PRIMARY KEY,
      id TEXT NOT NULL,
      type INTEGER NOT NULL,
      phase INTEGER NOT NULL,
      paused INTEGER NOT NULL,
      revision INTEGER NOT NULL,
      priority INTEGER NOT NULL,
      definition TEXT NOT NULL,
      payload TEXT NOT NULL,
      anchor_ms INTEGER NOT NULL,
      scheduled_for_ms INTEGER,
      run_at_ms INTEGER,
      due_at_ms INTEGER,
      last_scheduled_for_ms INTEGER,
      retry_count INTEGER NOT NULL,
      lost_claims INTEGER NOT NULL,
      runs INTEGER NOT NULL,
      run_instance INTEGER,
      run_scheduled_for_ms INTEGER,
      run_attempt INTEGER,
      run_started_at_ms INTEGER,
      run_revision INTEGER,
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL
    ) STRICT;
  `;
}

/**
 * The indexes of the projection, or of a copy of it. An index keeps its name when its table is renamed, so those of a
 * copy have a suffix if the projection's have none: a migration that changes one has to look for both.
 */
export function taskIndexes(table: string, suffix: "" | "_rebuilt"): string {
  return `
    CREATE UNIQUE INDEX azoth_tasks_by_id${suffix} ON ${table} (id);
    CREATE INDEX azoth_tasks_due${suffix} ON ${table} (type, due_at_ms, priority DESC, seq) WHERE due_at_ms IS NOT NULL;
    CREATE INDEX azoth_tasks_running${suffix} ON ${table} (run_instance) WHERE run_instance IS NOT NULL;
  `;
}

const migrations: readonly string[] = [`${firstTables}${taskTable("azoth_tasks")}${taskIndexes("azoth_tasks", "")}`];

/** The schema that this code needs. */
export const schemaVersion = migrations.length;

/** Brings the schema from `version` to {@link schemaVersion}. Call it inside of a transaction. */
export function migrate(connection: Connection, version: number): void {
  for (const migration of migrations.slice(version)) connection.exec(migration);
  connection.exec(`PRAGMA user_version = ${schemaVersion}`);
}
