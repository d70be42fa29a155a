/** What is measured: a way to keep and run tasks, behind one face, so that every scenario is written once. */

/** Plain data, because it crosses to the process that is measured. */
export interface System {
  readonly kind: "azoth" | "bare-loop";
  /** "full": fsync at each commit. */
  readonly durability: "full" | "normal";
  /** Handlers at one time; for the bare loop, tasks a turn. */
  readonly slots: number;
}

export interface BenchTask {
  /** Given back when the task runs. */
  readonly number: number;
  /** Absent: at once. */
  readonly dueAtMs?: number;
}

/** A system on a fresh store. */
export interface OpenSystem {
  /** One call of a user's: resolves when the tasks are committed. */
  schedule(tasks: readonly BenchTask[]): Promise<void>;
  /** Begins to take tasks, and calls `onRun` at the start of each. */
  start(onRun: (number: number) => void): Promise<void>;
  /** Resolves when every result is recorded. */
  stop(): Promise<void>;
  /** What the store holds: asked once, at the end. */
  count(): Promise<{ readonly finished: number; readonly events: number }>;
  close(): Promise<void>;
}

/** Four events a task: scheduled, started, the handler's own, executed. */
export const eventsPerTask = 4;

/** A system's name in tables; `bySlots` if the number of slots tells systems apart there. */
export function labelOf({ kind, durability, slots }: System, bySlots: boolean): string {
  const words = [kind === "azoth" ? "azoth" : "bare loop"];
  if (bySlots) words.push(kind === "azoth" ? `${slots} slots` : `${slots} a turn`);
  if (durability === "normal") words.push("durability normal");
  return words.join(", ");
}
