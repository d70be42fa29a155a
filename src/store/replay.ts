/**
 * Restores `replay(log) == state`, by a rebuild, and has what its proof in `verify.ts` needs.
 *
 * Both read the log task by task, in pages of so many events that one is folded within some milliseconds, and between
 * two pages everything else has its turn. A task with more events than a page is folded on with the next one: what is in
 * the log of a task never changes, and only the last page has to be of one moment with the stored row. So memory stays
 * flat and the event loop free, however long the log is and however it spreads over the tasks.
 */
import { parseSignal } from "../abort-signal.ts";
import { yieldToEventLoop } from "../clock.ts";
import { AzothError, messageOf, quote } from "../errors.ts";
import { boundedText } from "../limits.ts";
import { readFields } from "../names.ts";
import { decodeLifecycleData } from "../tasks/event-codec.ts";
import { isLifecycleType, type LifecycleEvent, type LifecycleType } from "../tasks/events.ts";
import { evolve } from "../tasks/evolve.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { EngineTransaction, TaskLogEvent, TaskLogPage, TaskLogQuery } from "./engine.ts";
import type { StoreCore } from "./store-core.ts";

/** Events in one page: a bound for the time that one step holds the event loop. */
const pageEvents = 1_000;
/** States in one commit of a rebuild. */
const commitStates = 500;
/** A rebuild has caught up with the schedulers when no more tasks than this have changed since: the rest is done while they wait. */
const fewTasks = 1_000;
/** How often a rebuild tries to catch up. */
const catchUps = 10;
/** Positions in one look for the tasks that have changed. */
const lookPositions = 10_000;
/** Tasks between two that have changed are read along with them, if they are so few. */
const worthReading = 20;

/** How far a rebuild or verification has come: in tasks, and how many events it has read. */
export interface ReplayProgress {
  readonly done: number;
  readonly total: number;
  readonly events: number;
}

export interface ReplayOptions {
  readonly onProgress?: (progress: ReplayProgress) => void;
  readonly signal?: AbortSignal;
}

/** @throws AzothError INVALID_OPTION */
export function parseOptions<Options extends ReplayOptions>(options: Options, more: readonly string[] = []): Options {
  const given = readFields<Options>(options, ["onProgress", "signal", ...more], "A replay", "INVALID_OPTION");
  const { onProgress, signal } = given;
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new AzothError("INVALID_OPTION", `onProgress must be a function, and is ${quote(onProgress)}.`);
  }
  parseSignal(signal);
  signal?.throwIfAborted();
  return given;
}

/** All there is, from before the first number, so that no row can stand outside. */
export const wholeLog: TaskLogQuery = {
  after: { seq: Number.MIN_SAFE_INTEGER, position: 0 },
  toSeq: Number.MAX_SAFE_INTEGER,
  upTo: Number.MAX_SAFE_INTEGER,
  limit: pageEvents,
  wants: isLifecycleType,
};

/**
 * Reads page by page to the end; the next one comes while the present one is worked on.
 * Where events are large and pages short, short ones are asked for.
 */
export async function* pagesOf<Page extends TaskLogPage>(
  read: (query: TaskLogQuery) => Promise<Page>,
  query: TaskLogQuery,
): AsyncGenerator<Page, void, undefined> {
  let reading: Promise<Page> | undefined = read(query);
  try {
    while (reading !== undefined) {
      const page: Page = await reading;
      const limit = Math.min(query.limit, 2 * page.events.length);
      reading = page.next === null ? undefined : read({ ...query, after: page.next, limit });
      // It may fail before it is waited for.
      reading?.catch(() => {});
      yield page;
      await yieldToEventLoop();
    }
  } finally {
    await reading?.catch(() => {});
  }
}

type LifecycleLogEvent = TaskLogEvent & { readonly type: LifecycleType; readonly data: string };

function isLifecycle(event: TaskLogEvent): event is LifecycleLogEvent {
  return event.data !== null && isLifecycleType(event.type);
}

/** Folds the log of tasks page by page; events of the user's own are passed over. */
export class Fold {
  /** The task whose events are not all read yet. */
  #begun: TaskState | null = null;

  /**
   * Returns the states of the tasks that are complete with this page, by their numbers.
   * @throws AzothError STORE_CORRUPT if an event cannot be read, or cannot come where it stands
   */
  add({ events, next }: TaskLogPage): TaskState[] {
    const complete: TaskState[] = [];
    let state = this.#begun;
    for (const event of events) {
      if (state !== null && state.seq !== event.task) {
        complete.push(state);
        state = null;
      }
      if (isLifecycle(event)) state = evolveStored(state, event);
    }
    if (state !== null && next === null) complete.push(state);
    this.#begun = next === null ? null : state;
    return complete;
  }
}

function evolveStored(
  state: TaskState | null,
  { position, type, atMs, run, data, task }: LifecycleLogEvent,
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

/** Counts each event and each task once, though a task that changes during a rebuild is read again from its beginning. */
class Tally {
  tasks = 0;
  events = 0;
  #task: number | undefined;

  /** @param after what comes after this position was not counted before */
  add(events: readonly TaskLogEvent[], after: number): void {
    for (const event of events) {
      const isNew = event.position > after;
      if (isNew) this.events++;
      if (event.task === this.#task || !isLifecycle(event)) continue;
      this.#task = event.task;
      if (isNew) this.tasks++;
    }
  }
}

/** Replays the whole log into a fresh projection and puts it in the place of the present one, in one transaction. */
export async function rebuild(
  core: StoreCore,
  options: ReplayOptions = {},
): Promise<{ tasks: number; events: number }> {
  const { onProgress, signal } = parseOptions(options);
  const { engine, queue } = core;
  const { reads } = engine;
  const inTransaction = <T>(run: (transaction: EngineTransaction) => Promise<T>) =>
    queue.submit({ exclusive: true, run: (work) => run(work.engine) });
  const begun = await inTransaction(async (transaction) => {
    const number = await transaction.beginRebuild();
    return { number, head: await reads.lastPosition(), total: await reads.lastTaskSeq() };
  });
  const tally = new Tally();
  // Folded outside of a transaction, and saved in short ones, so that schedulers go on meanwhile.
  const beside: Filling = {
    read: (query) => reads.readTaskEvents(query),
    save: (states) => inTransaction((transaction) => transaction.saveRebuilt(begun.number, states)),
  };
  let { head } = begun;
  await fill(beside, { ...wholeLog, upTo: head }, ({ events, next }) => {
    tally.add(events, 0);
    const done = next === null ? begun.total : Math.min(Math.max(next.seq - 1, 0), begun.total);
    onProgress?.({ done, total: begun.total, events: tally.events });
    signal?.throwIfAborted();
  });
  const fillAgain = async (filling: Filling, seqs: readonly number[], upTo: number) => {
    const after = head;
    for (const { first, last } of spansOf(seqs)) {
      const query = { ...wholeLog, after: { seq: first, position: 0 }, toSeq: last, upTo };
      await fill(filling, query, ({ events }) => tally.add(events, after));
    }
    head = upTo;
  };
  for (let round = 0; round < catchUps; round++) {
    const last = await reads.lastPosition();
    if (last === head) break;
    const seqs = await inTransaction((transaction) => touchedTasks(transaction, head, last));
    await fillAgain(beside, seqs, last);
    signal?.throwIfAborted();
    if (seqs.length <= fewTasks) break;
  }
  await inTransaction(async (transaction) => {
    await transaction.lockAllTasks();
    const within: Filling = {
      read: (query) => transaction.readTaskEvents(query),
      save: (states) => transaction.saveRebuilt(begun.number, states),
    };
    const seqs = await transaction.tasksTouched(head, Number.MAX_SAFE_INTEGER);
    await fillAgain(within, seqs, Number.MAX_SAFE_INTEGER);
    await transaction.swapRebuilt(begun.number);
  });
  return { tasks: tally.tasks, events: tally.events };
}

interface Filling {
  readonly read: (query: TaskLogQuery) => Promise<TaskLogPage>;
  readonly save: (states: readonly TaskState[]) => Promise<void>;
}

/** Folds a part of the log into the copy. */
async function fill({ read, save }: Filling, query: TaskLogQuery, onPage: (page: TaskLogPage) => void): Promise<void> {
  const fold = new Fold();
  let states: TaskState[] = [];
  for await (const page of pagesOf(read, query)) {
    states = states.concat(fold.add(page));
    if (states.length >= commitStates || page.next === null) {
      await save(states);
      states = [];
    }
    onPage(page);
  }
}

async function touchedTasks(transaction: EngineTransaction, after: number, upTo: number): Promise<number[]> {
  const seqs = new Set<number>();
  for (let from = after; from < upTo; from += lookPositions) {
    const touched = await transaction.tasksTouched(from, Math.min(from + lookPositions, upTo));
    for (const seq of touched) seqs.add(seq);
    await yieldToEventLoop();
  }
  return [...seqs].toSorted((left, right) => left - right);
}

/** Growing numbers as spans, in which a few others may lie. */
function* spansOf(seqs: readonly number[]): Generator<{ first: number; last: number }> {
  let [first] = seqs;
  for (const [index, last] of seqs.entries()) {
    const following = seqs[index + 1];
    if (first === undefined || (following !== undefined && following - last <= worthReading)) continue;
    yield { first, last };
    first = following;
  }
}
