/** Proves `replay(log) == state`, and that the log is what its hash chain says, if it has one. */
import { isAzothError } from "../errors.ts";
import { encodeDefinition } from "../tasks/event-codec.ts";
import type { Run, TaskState } from "../tasks/task-state.ts";
import { type ChainHead, findBreak, parseChainHead } from "./chain.ts";
import type { Contradiction, EngineReads, TaskLogQuery, TasksWithEvents } from "./engine.ts";
import { Fold, pagesOf, parseOptions, type ReplayOptions, wholeLog } from "./replay.ts";
import type { StoreCore } from "./store-core.ts";

/** Options of `AzothDb.verify`. */
export interface VerifyOptions extends ReplayOptions {
  /** A head of the log's hash chain that was kept elsewhere: what it seals must still be as it was. */
  readonly chainHead?: ChainHead;
}

/** The first place where the log and the stored state differ, or the log and its hash chain. */
export interface Difference {
  /** Of the event at which the chain breaks: it was altered, removed or inserted after it was sealed. */
  readonly position?: number;
  /** Absent if the file itself is damaged, or the log is not what its hash chain says. */
  readonly taskId?: string;
  /**
   * The differing field of the task's state, "row" if a whole row is missing or unexplained, "file", or "log". "chain" if
   * the log is not what its hash chain says, and "chainHead" if that is not the one whose head was kept.
   */
  readonly field: string;
  readonly replayed: unknown;
  readonly stored: unknown;
}

export interface Verification {
  readonly ok: boolean;
  readonly tasks: number;
  readonly events: number;
  readonly difference: Difference | null;
  /** The log was held against its hash chain up to here, and what comes after is not sealed; absent if there is no chain. */
  readonly chain?: ChainHead;
}

/** Holds the log against its hash chain, replays it, and compares every task with its stored row. Changes nothing. */
export async function verify(core: StoreCore, options: VerifyOptions = {}): Promise<Verification> {
  const { chainHead, ...given } = parseOptions(options, ["chainHead"]);
  const kept = chainHead === undefined ? undefined : parseChainHead(chainHead);
  const head = await core.engine.reads.chainHead();
  // First, because it knows the event: what follows from an altered one may be far from it.
  const broken = await findBreak(core, head, { kept, signal: given.signal });
  if (broken !== null) return failed(0, 0, broken);
  const verification = await verifyTasks(core, given);
  return head === null ? verification : { ...verification, chain: head };
}

async function verifyTasks(core: StoreCore, { onProgress, signal }: ReplayOptions): Promise<Verification> {
  const { reads } = core.engine;
  const damage = await reads.checkIntegrity();
  if (damage !== null) return failed(0, 0, { field: "file", replayed: "intact", stored: damage });
  const total = await reads.lastTaskSeq();
  const fold = new Fold();
  let tasks = 0;
  let eventCount = 0;
  for await (const page of pagesOf((query) => readPage(reads, query), wholeLog)) {
    if (page.unreadable !== undefined) return failed(tasks, eventCount, page.unreadable);
    eventCount += page.events.length;
    tasks += page.rows.length;
    const difference = comparePage(fold, page);
    if (difference !== null) return failed(tasks, eventCount, difference);
    const done = page.next === null ? total : Math.min(Math.max(page.next.seq - 1, 0), total);
    onProgress?.({ done, total, events: eventCount });
    signal?.throwIfAborted();
  }
  return { ok: true, tasks, events: eventCount, difference: null };
}

async function readPage(
  reads: EngineReads,
  query: TaskLogQuery,
): Promise<TasksWithEvents & { readonly unreadable?: Difference }> {
  try {
    return await reads.readTasksWithEvents(query);
  } catch (error) {
    if (!isAzothError(error, "STORE_CORRUPT")) throw error;
    const { taskId, field = "file" } = error.details as Partial<Difference>;
    const what = { field, replayed: "readable", stored: error.message };
    const unreadable = taskId === undefined ? what : { taskId, ...what };
    return { events: [], rows: [], contradictions: [], next: null, unreadable };
  }
}

function failed(tasks: number, events: number, difference: Difference): Verification {
  return { ok: false, tasks, events, difference };
}

function comparePage(fold: Fold, page: TasksWithEvents): Difference | null {
  let replayed: TaskState[];
  try {
    replayed = fold.add(page);
  } catch (error) {
    if (!isAzothError(error, "STORE_CORRUPT")) throw error;
    return { field: "log", replayed: error.message, stored: "events that cannot be replayed" };
  }
  // Both by their numbers.
  let index = 0;
  for (const row of page.rows) {
    const state = replayed[index];
    if (state === undefined || state.seq > row.seq) {
      return { taskId: row.taskId, field: "row", replayed: null, stored: row };
    }
    if (state.seq < row.seq) break;
    const difference = compareStates(state, row) ?? contradictionOf(row, page.contradictions);
    if (difference !== null) return difference;
    index++;
  }
  const state = replayed[index];
  return state === undefined ? null : { taskId: state.taskId, field: "row", replayed: state, stored: null };
}

const stateFields: Readonly<Record<keyof TaskState, true>> = {
  seq: true,
  taskId: true,
  taskType: true,
  phase: true,
  paused: true,
  revision: true,
  definition: true,
  payload: true,
  anchorMs: true,
  scheduledForMs: true,
  runAtMs: true,
  lastScheduledForMs: true,
  retryCount: true,
  lostClaims: true,
  runs: true,
  run: true,
  createdAtMs: true,
  updatedAtMs: true,
};
const fieldNames = Object.keys(stateFields) as (keyof TaskState)[];

function compareStates(replayed: TaskState, stored: TaskState): Difference | null {
  for (const field of fieldNames) {
    if (replayed[field] === stored[field]) continue;
    const [left, right] = [comparable(replayed, field), comparable(stored, field)];
    if (left !== right) return { taskId: replayed.taskId, field, replayed: left, stored: right };
  }
  return null;
}

/** What has parts of its own as a text of them. */
function comparable(state: TaskState, field: keyof TaskState): unknown {
  if (field === "definition") return encodeDefinition(state.definition);
  return field === "run" ? runText(state.run) : state[field];
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
