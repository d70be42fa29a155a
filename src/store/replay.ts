/**
 * Proves and restores `replay(log) == state`.
 *
 * Both walk the tasks by ranges of their internal numbers and fold each one's own events, so memory stays flat
 * however long the log is, and every range is compared within one snapshot while writers go on.
 */
import { yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import { decodeLifecycleData, encodeDefinition } from "../tasks/event-codec.ts";
import { isLifecycleType, type LifecycleEvent } from "../tasks/events.ts";
import { evolve } from "../tasks/evolve.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { EngineTransaction, StoredEvent } from "./engine.ts";
import type { StoreCore } from "./store-core.ts";

/** Tasks per step. */
const rangeSize = 500;

/** How far a rebuild or verification has come, in tasks. */
export interface ReplayProgress {
  readonly done: number;
  readonly total: number;
  readonly events: number;
}

export interface ReplayOptions {
  readonly onProgress?: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

/** The first place where the log and the stored state differ. */
export interface Difference {
  /** Absent if the file itself is damaged. */
  readonly taskId?: string;
  /** The differing field of the task's state, "row" if a whole row is missing or unexplained, "file", or "log". */
  readonly field: string;
  readonly replayed: unknown;
  readonly stored: unknown;
}

export interface Verification {
  readonly ok: boolean;
  readonly tasks: number;
  readonly events: number;
  readonly difference: Difference | null;
}

/** Folds the events of a range of tasks; events of the user's own are passed over. */
export function foldTasks(events: readonly StoredEvent[]): Map<number, TaskState> {
  const states = new Map<number, TaskState>();
  for (const stored of events) {
    if (stored.task === null || !isLifecycleType(stored.type)) continue;
    const { type, atMs, run, task } = stored;
    const event = { type, atMs, run, data: decodeLifecycleData(type, stored.data) } as LifecycleEvent;
    states.set(task, evolve(states.get(task) ?? null, event, task));
  }
  return states;
}

/** Replays the whole log into a fresh projection and puts it in the place of the present one, in one transaction. */
export async function rebuild(
  core: StoreCore,
  options: ReplayOptions = {},
): Promise<{ tasks: number; events: number }> {
  const { engine, queue } = core;
  const begun = await queue.submit({
    exclusive: true,
    run: async (work) => {
      await work.engine.beginRebuild();
      return { head: await engine.reads.lastPosition(), lastSeq: await engine.reads.lastTaskSeq() };
    },
  });
  let tasks = 0;
  let eventCount = 0;
  const fill = async (transaction: EngineTransaction, fromSeq: number, toSeq: number) => {
    const events = await transaction.readTaskEvents(fromSeq, toSeq);
    const states = foldTasks(events);
    await transaction.saveRebuilt([...states.values()]);
    eventCount += events.length;
    return states.size;
  };
  for (let fromSeq = 1; fromSeq <= begun.lastSeq; fromSeq += rangeSize) {
    options.signal?.throwIfAborted();
    const toSeq = Math.min(fromSeq + rangeSize - 1, begun.lastSeq);
    // Short transactions, so that schedulers go on while the copy fills.
    tasks += await queue.submit({ run: (work) => fill(work.engine, fromSeq, toSeq) });
    options.onProgress?.({ done: toSeq, total: begun.lastSeq, events: eventCount });
  }
  await queue.submit({
    exclusive: true,
    run: async (work) => {
      for (const seq of await work.engine.tasksTouchedSince(begun.head)) {
        const added = await fill(work.engine, seq, seq);
        if (seq > begun.lastSeq) tasks += added;
      }
      await work.engine.swapRebuilt();
    },
  });
  return { tasks, events: eventCount };
}

/** Replays the log and compares every task with its stored row. Changes nothing. */
export async function verify(core: StoreCore, options: ReplayOptions = {}): Promise<Verification> {
  const { reads } = core.engine;
  const damage = await reads.checkIntegrity();
  if (damage !== null) return failed(0, 0, { field: "file", replayed: "intact", stored: damage });
  const lastSeq = await reads.lastTaskSeq();
  let tasks = 0;
  let eventCount = 0;
  for (let fromSeq = 1; fromSeq <= lastSeq; fromSeq += rangeSize) {
    options.signal?.throwIfAborted();
    const toSeq = Math.min(fromSeq + rangeSize - 1, lastSeq);
    const { events, rows } = await reads.readTasksWithEvents(fromSeq, toSeq);
    eventCount += events.length;
    tasks += rows.length;
    const difference = compareRange(events, rows);
    if (difference !== null) return failed(tasks, eventCount, difference);
    options.onProgress?.({ done: toSeq, total: lastSeq, events: eventCount });
    await yieldToEventLoop();
  }
  return { ok: true, tasks, events: eventCount, difference: null };
}

function failed(tasks: number, events: number, difference: Difference): Verification {
  return { ok: false, tasks, events, difference };
}

function compareRange(events: readonly StoredEvent[], rows: readonly TaskState[]): Difference | null {
  let replayed: Map<number, TaskState>;
  try {
    replayed = foldTasks(events);
  } catch (error) {
    if (!(error instanceof AzothError || error instanceof SyntaxError)) throw error;
    return { field: "log", replayed: error.message, stored: "unreadable events" };
  }
  for (const row of rows) {
    const state = replayed.get(row.seq);
    if (state === undefined) return { taskId: row.taskId, field: "row", replayed: null, stored: row };
    replayed.delete(row.seq);
    const difference = compareStates(state, row);
    if (difference !== null) return difference;
  }
  for (const state of replayed.values()) return { taskId: state.taskId, field: "row", replayed: state, stored: null };
  return null;
}

function compareStates(replayed: TaskState, stored: TaskState): Difference | null {
  const left = comparable(replayed);
  const right = comparable(stored);
  for (const field of Object.keys(left)) {
    if (left[field] !== right[field]) {
      return { taskId: replayed.taskId, field, replayed: left[field], stored: right[field] };
    }
  }
  return null;
}

function comparable(state: TaskState): Record<string, unknown> {
  return { ...state, definition: encodeDefinition(state.definition), run: JSON.stringify(state.run) };
}
