/** What the tests of schedulers share: small handlers, and short readings of the log. */
import { type AnyTaskHandler, isAzothError, type RecordedEvent, type TaskHandler, taskHandler } from "azoth-scheduler";
import type { TestScheduler, TestSchedulerOptions } from "azoth-scheduler/testing";
import { createTestScheduler } from "../engine-under-test.ts";

export const runs: number = Math.max(1, Number(process.env.RUNS ?? "1"));

/** How long a property may take: for what hangs, and not for a busy machine. */
export const propertyTimeoutMs = 180_000 * runs;

/**
 * How often a property is tried: RUNS multiplies it, SEED repeats a failure whose seed was printed.
 * Shrinking ends in time for the failure to be printed.
 */
export function fcParameters(numRuns: number): { numRuns: number; interruptAfterTimeLimit: number; seed?: number } {
  const { SEED } = process.env;
  return {
    numRuns: numRuns * runs,
    interruptAfterTimeLimit: propertyTimeoutMs / 2,
    ...(SEED === undefined ? {} : { seed: Number(SEED) }),
  };
}

/** The code of the AzothError that `act` throws; fails if it throws anything else or nothing. */
export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isAzothError(error)) return error.code;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** A promise that the test settles. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

/** A kit without the types of its handlers' payloads. */
export async function openKit(options: TestSchedulerOptions): Promise<TestScheduler> {
  return await createTestScheduler<readonly AnyTaskHandler[]>(options);
}

/** A handler of the type "job" that does nothing. */
export const idle = taskHandler({ taskType: "job", execute: () => {} });

/** A handler of the type "job" that fails as long as `failing()` says so. */
export function failing(
  when: (attempt: number) => boolean = () => true,
): TaskHandler<"job", unknown, unknown, undefined> {
  return taskHandler({
    taskType: "job",
    execute: ({ attempt }) => {
      if (when(attempt)) throw new Error(`attempt ${attempt} failed`);
      return undefined;
    },
  });
}

/** The payload of an event as a record, for assertions. */
export function dataOf(event: RecordedEvent | undefined): Readonly<Record<string, unknown>> {
  if (event === undefined) throw new Error("there is no such event");
  return event.payload as Readonly<Record<string, unknown>>;
}

type Log = Pick<TestScheduler, "log">;

/** The types of a task's events, in order. */
export async function typesOf(kit: Log, taskId: string): Promise<string[]> {
  return (await kit.log({ taskId })).map(({ eventType }) => eventType);
}

/** The events of one type, in order. */
export async function eventsOf(kit: Log, ...eventTypes: string[]): Promise<RecordedEvent[]> {
  return await kit.log({ eventTypes });
}

/** Instants as the clock's time of day, such as "00:10:00". */
export function timeOf(instant: Date | number | null | undefined): string | null {
  return instant == null ? null : new Date(instant).toISOString().slice(11, 19);
}

/** When the task's runs started, by the time of day. */
export async function startsOf(kit: Log, taskId: string): Promise<(string | null)[]> {
  return (await kit.log({ taskId, eventTypes: ["TaskStarted"] })).map(({ recordedAt }) => timeOf(recordedAt));
}
