/**
 * Proves and restores `replay(log) == state`.
 *
 * Both walk the tasks by ranges of their internal numbers and fold each one's own events, so memory stays flat
 * however long the log is, and every range is compared within one snapshot while writers go on.
 */
import { parseSignal } from "../abort-signal.ts";
import { yieldToEventLoop } from "../clock.ts";
import { AzothError, isAzothError, messageOf, quote } from "../errors.ts";
import { boundedText } from "../limits.ts";
import { readFields } from "../names.ts";
import { decodeLifecycleData, encodeDefinition } from "../tasks/event-codec.ts";
import { isLifecycleType, type LifecycleEvent, type LifecycleType } from "../tasks/events.ts";
import { evolve } from "../tasks/evolve.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import type { Contradiction, EngineReads, EngineTransaction, StoredEvent, TasksWithEvents } from "./engine.ts";
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

/** @throws AzothError INVALID_OPTION */
function parseOptions(options: ReplayOptions): ReplayOptions {
  const given = readFields<ReplayOptions>(options, ["onProgress", "signal"], "A replay", "INVALID_OPTION");
  const { onProgress, signal } = given;
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new AzothError("INVALID_OPTION", `onProgress must be a function, and is ${quote(onProgress)}.`);
  }
  parseSignal(signal);
  signal?.throwIfAborted();
  return given;
}

/**
 * Folds the events of a range of tasks; events of the user's own are passed over.
 * @throws AzothError STORE_CORRUPT if one of them cannot be read, or cannot come where it stands
 */
export function foldTasks(events: readonly StoredEvent[]): Map<number, TaskState> {
  const states = new Map<number, TaskState>();
  for (const stored of events) {
    if (stored.task === null || !isLifecycleType(stored.type)) continue;
    states.set(stored.task, evolveStored(states.get(stored.task) ?? null, stored, stored.type, stored.task));
  }
  return states;
}

function evolveStored(
  state: TaskState | null,
  { position, atMs, run, data }: StoredEvent,
  type: LifecycleType,
  task: number,
): TaskState {
  try {
    const event = { type, atMs, run, data: decodeLifecycleData(type, data, atMs) } as LifecycleEvent;
    const next: TaskState | undefined = evolve(state, event, task);
    if (next === undefined) throw new TypeError("its data has a value that no version of this library wrote");
    return next;
  } catch (cause) {
    const message = `The event at position ${position} (${type}) cannot be replayed: ${boundedText(messageOf(cause), 300)}`;
    throw new AzothError("STORE_CORRUPT", message, { cause, details: { position } });
  }
}

/** Replays the whole log into a fresh projection and puts it in the place of the present one, in one transaction. */
export async function rebuild(
  core: StoreCore,
  options: ReplayOptions = {},
): Promise<{ tasks: number; events: number }> {
  const { onProgress, signal } = parseOptions(options);
  const { engine, queue } = core;
  const begun = await queue.submit({
    exclusive: true,
    run: async (work) => {
      const number = await work.engine.beginRebuild();
      return { number, head: await engine.reads.lastPosition(), lastSeq: await engine.reads.lastTaskSeq() };
    },
  });
  let tasks = 0;
  let eventCount = 0;
  const fill = async (transaction: EngineTransaction, fromSeq: number, toSeq: number) => {
    const events = await transaction.readTaskEvents(fromSeq, toSeq);
    const states = foldTasks(events);
    await transaction.saveRebuilt(begun.number, [...states.values()]);
    eventCount += events.length;
    return states.size;
  };
  for (let fromSeq = 1; fromSeq <= begun.lastSeq; fromSeq += rangeSize) {
    const toSeq = Math.min(fromSeq + rangeSize - 1, begun.lastSeq);
    // Short transactions, so that schedulers go on while the copy fills.
    tasks += await queue.submit({ exclusive: true, run: (work) => fill(work.engine, fromSeq, toSeq) });
    onProgress?.({ done: toSeq, total: begun.lastSeq, events: eventCount });
    signal?.throwIfAborted();
  }
  await queue.submit({
    exclusive: true,
    run: async (work) => {
      await work.engine.lockAllTasks();
      for (const seq of await work.engine.tasksTouchedSince(begun.head)) {
        const added = await fill(work.engine, seq, seq);
        if (seq > begun.lastSeq) tasks += added;
      }
      await work.engine.swapRebuilt(begun.number);
    },
  });
  return { tasks, events: eventCount };
}

/** Replays the log and compares every task with its stored row. Changes nothing. */
export async function verify(core: StoreCore, options: ReplayOptions = {}): Promise<Verification> {
  const { onProgress, signal } = parseOptions(options);
  const { reads } = core.engine;
  const damage = await reads.checkIntegrity();
  if (damage !== null) return failed(0, 0, { field: "file", replayed: "intact", stored: damage });
  const lastSeq = await reads.lastTaskSeq();
  let tasks = 0;
  let eventCount = 0;
  for (const { fromSeq, toSeq, done } of ranges(lastSeq)) {
    const range = await readRange(reads, fromSeq, toSeq);
    if ("field" in range) return failed(tasks, eventCount, range);
    eventCount += range.events.length;
    tasks += range.rows.length;
    const difference = compareRange(range);
    if (difference !== null) return failed(tasks, eventCount, difference);
    onProgress?.({ done, total: lastSeq, events: eventCount });
    signal?.throwIfAborted();
    await yieldToEventLoop();
  }
  return { ok: true, tasks, events: eventCount, difference: null };
}

/** All numbers there are, so that no row can stand outside: the first range begins below 1, the last has no end. */
function* ranges(lastSeq: number): Generator<{ fromSeq: number; toSeq: number; done: number }> {
  for (let from = 1; from === 1 || from <= lastSeq; from += rangeSize) {
    const to = from + rangeSize - 1;
    const isLast = to >= lastSeq;
    yield {
      fromSeq: from === 1 ? Number.MIN_SAFE_INTEGER : from,
      toSeq: isLast ? Number.MAX_SAFE_INTEGER : to,
      done: isLast ? lastSeq : to,
    };
  }
}

async function readRange(reads: EngineReads, fromSeq: number, toSeq: number): Promise<TasksWithEvents | Difference> {
  try {
    return await reads.readTasksWithEvents(fromSeq, toSeq);
  } catch (error) {
    if (!isAzothError(error, "STORE_CORRUPT")) throw error;
    const { taskId, field = "file" } = error.details as Partial<Difference>;
    return { ...(taskId === undefined ? {} : { taskId }), field, replayed: "readable", stored: error.message };
  }
}

function failed(tasks: number, events: number, difference: Difference): Verification {
  return { ok: false, tasks, events, difference };
}

function compareRange({ events, rows, contradictions }: TasksWithEvents): Difference | null {
  let replayed: Map<number, TaskState>;
  try {
    replayed = foldTasks(events);
  } catch (error) {
    if (!isAzothError(error, "STORE_CORRUPT")) throw error;
    return { field: "log", replayed: error.message, stored: "events that cannot be replayed" };
  }
  for (const row of rows) {
    const state = replayed.get(row.seq);
    if (state === undefined) return { taskId: row.taskId, field: "row", replayed: null, stored: row };
    replayed.delete(row.seq);
    const difference = compareStates(state, row) ?? contradictionOf(row, contradictions);
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
  return { ...state, definition: encodeDefinition(state.definition), run: runText(state.run) };
}

/** By name, not by the order in which an object happens to hold its fields. */
function runText(run: Run | null): string {
  return JSON.stringify(run === null ? null : Object.entries(run).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function contradictionOf(row: TaskState, contradictions: readonly Contradiction[]): Difference | null {
  const found = contradictions.find(({ seq }) => seq === row.seq);
  if (found === undefined) return null;
  return { taskId: row.taskId, field: found.field, replayed: found.expected, stored: found.stored };
}
