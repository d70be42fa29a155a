/** What the checker of the log knows of a task: its own idea of where it stands. */
import type { LoggedSchedule } from "./occurrences.ts";

/** What of the payload of TaskScheduled is held against what follows. */
export interface Definition {
  readonly schedule: LoggedSchedule;
  readonly maxRetries: number;
  readonly retry: { readonly baseMs: number; readonly factor: number; readonly capMs: number; readonly jitter: number };
  readonly because: "new" | "replaced" | "revived";
  readonly anchorMs?: number;
  readonly next: { readonly scheduledForMs: number };
}

export interface Run {
  readonly executionId: string;
  readonly instance: number;
  readonly scheduledForMs: number;
  readonly definition: Definition;
  started: boolean;
}

/** Where a task stands, as far as its log tells. */
export interface Task {
  definition: Definition;
  /** Of an interval without an anchor of its own. */
  anchorMs: number;
  run: Run | null;
  latestRun: number;
  state: "waiting" | "completed" | "disabled" | "cancelled";
  paused: boolean;
  /** What is pending, and when it may start. */
  scheduledForMs: number | null;
  runAtMs: number;
  failures: number;
  /** Claims that were lost in a row. */
  lostClaims: number;
  /** All occurrences up to here have run, or an event says why they did not. */
  accountedToMs: number;
  /** Ranges after that, of which an event says that they were skipped. */
  skipped: (readonly [firstMs: number, lastMs: number])[];
  /** The latest nominal time whose run began. */
  nominalMs: number;
  /** Whether the latest occurrence has had its success. */
  succeeded: boolean;
}

/** Where a task stands, for whoever holds a row against it. */
export interface Standing {
  readonly state: "waiting" | "paused" | "claimed" | "running" | "completed" | "disabled" | "cancelled";
  /** When what is pending may start; null if nothing is, or it may not. */
  readonly runAtMs: number | null;
}

export function standingOf({ run, state, paused, runAtMs }: Task): Standing {
  // A cancelled task's run is over, whatever its handler does.
  if (run !== null) return { state: run.started ? "running" : "claimed", runAtMs: null };
  if (state !== "waiting") return { state, runAtMs: null };
  return paused ? { state: "paused", runAtMs: null } : { state, runAtMs };
}

/** The part of a definition that its user wrote, as a text to be compared. */
export function ofUser(definition: Definition): string {
  return JSON.stringify({ ...definition, because: null, revision: null, next: null, anchorMs: null });
}

export function isRecurring({ kind }: LoggedSchedule): boolean {
  return kind === "cron" || kind === "interval";
}
