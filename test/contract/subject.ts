/** What the engine contract is held against, and the events and tasks that it writes. */
import { expect, onTestFinished } from "vitest";
import type { Engine, EventQuery, NewEvent, StoredEvent, TaskChange, TaskLogQuery } from "../../src/store/engine.ts";
import { defaultRetryPolicy } from "../../src/tasks/retry-policy.ts";
import type { TaskState } from "../../src/tasks/task-state.ts";

/** One store that several engines may have open. */
export interface ContractStore {
  /** Opens one more engine on the store, as another process would. */
  connect(): Promise<Engine>;
  destroy(): Promise<void>;
}

/** An engine as the contract sees it. */
export interface ContractSubject {
  readonly name: string;
  /** Makes an empty store. */
  create(): Promise<ContractStore>;
}

/** How the engines of the contract are opened, but for where. Without a sync for each commit: the contract holds with and without it. */
export const engineOptions = { durability: "normal", busyTimeoutMs: 10_000, transactionTimeoutMs: 60_000 } as const;

/** A store that ends with the test. */
export async function storeOf(subject: ContractSubject): Promise<ContractStore> {
  const store = await subject.create();
  onTestFinished(() => store.destroy());
  return store;
}

/** An engine on a store, or on a new one; it is closed with the test. */
export async function connect(subject: ContractSubject, store?: ContractStore): Promise<Engine> {
  const engine = await (store ?? (await storeOf(subject))).connect();
  onTestFinished(() => engine.close());
  return engine;
}

export const nowMs: number = Date.UTC(2026, 0, 1);

export function newEvent(type: string, more: Partial<NewEvent> = {}): NewEvent {
  return { type, atMs: nowMs, task: null, run: null, data: "null", meta: null, ...more };
}

/** A waiting task that is due at `nowMs`. */
export function taskState(seq: number, more: Partial<TaskState> = {}): TaskState {
  return {
    seq,
    taskId: `task-${seq}`,
    taskType: "work",
    phase: "waiting",
    paused: false,
    revision: 1,
    definition: {
      schedule: { kind: "immediate" },
      priority: 0,
      maxRetries: 3,
      retry: defaultRetryPolicy,
      timeoutMs: 300_000,
    },
    payload: "null",
    anchorMs: nowMs,
    scheduledForMs: nowMs,
    runAtMs: nowMs,
    lastScheduledForMs: null,
    retryCount: 0,
    lostClaims: 0,
    runs: 0,
    run: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    ...more,
  };
}

/** A task that an instance runs. */
export function runningTask(seq: number, instance: number, number: number = 1): TaskState {
  const run = { number, scheduledForMs: nowMs, attempt: 1, startedAtMs: nowMs, instance, revision: 1 };
  return taskState(seq, { phase: "running", run, runs: number, scheduledForMs: null, runAtMs: null });
}

/** The same task after its run has ended. */
export function completedTask(state: TaskState): TaskState {
  return { ...state, phase: "completed", run: null, scheduledForMs: null, runAtMs: null, updatedAtMs: nowMs + 1 };
}

/** A task of the same definition but for its priority. */
export function withPriority(state: TaskState, priority: number): TaskState {
  return { ...state, definition: { ...state.definition, priority } };
}

/** Stores new tasks; the engine draws their numbers, which have to be those of the states: none was lost before. */
export async function saveNew(engine: Engine, states: readonly TaskState[]): Promise<void> {
  await engine.write(async (transaction) => {
    expect(await transaction.drawTaskSeqs(states.length)).toEqual(seqsOf(states));
    await transaction.saveTasks(states.map((after): TaskChange => ({ before: null, after })));
  });
}

/** Appends in a transaction of its own, and returns the positions. */
export async function append(engine: Engine, events: readonly NewEvent[]): Promise<readonly number[]> {
  return await engine.write((transaction) => transaction.append(events));
}

/** The whole log in one page. */
export const everything: EventQuery = { afterPosition: 0, limit: 100_000, scanLimit: 100_000 };

export async function logOf(engine: Engine): Promise<readonly StoredEvent[]> {
  return (await engine.reads.readEvents(everything)).events;
}

export const seqsOf = (states: readonly TaskState[]): number[] => states.map(({ seq }) => seq);
export const positionsOf = (events: readonly StoredEvent[]): number[] => events.map(({ position }) => position);
/** from, from + 1, … to. */
export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

export const inOrder = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

/** Each number is higher than the one before it. */
export function expectGrowing(numbers: readonly number[]): void {
  expect(numbers).toEqual(inOrder([...new Set(numbers)]));
}

/** The error that a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("It did not reject.");
}

/** All that the log tells of some tasks. */
export function tasksFrom(fromSeq: number, toSeq: number): TaskLogQuery {
  const after = { seq: fromSeq, position: 0 };
  return { after, toSeq, upTo: Number.MAX_SAFE_INTEGER, limit: 1_000, wants: () => true };
}
