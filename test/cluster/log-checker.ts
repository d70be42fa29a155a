/**
 * What must hold of every store, whatever was killed, stopped or blocked while it was written: all that a life of the
 * simulation is held to by its log, and of each success its event and its row.
 */
import type { AzothDb, LifecycleData, RecordedEvent, SystemEventData } from "azoth-scheduler";
import { expect } from "vitest";
import { LogChecker, type LogOptions } from "../../simulation/check-log.ts";

type DataOf = LifecycleData & SystemEventData;

/** Of a scheduler that is not told otherwise. */
const defaultMaxLostClaims = 10;

/** A log in memory, with its events' payloads typed by their names. */
export class Log {
  readonly events: readonly RecordedEvent[];

  static async of(db: AzothDb): Promise<Log> {
    const events: RecordedEvent[] = [];
    for await (const event of db.readLog()) events.push(event);
    return new Log(events);
  }

  constructor(events: readonly RecordedEvent[]) {
    this.events = events;
  }

  /** The events of a type, of one task if one is given. */
  all<Type extends keyof DataOf>(type: Type, taskId?: string): RecordedEvent<DataOf[Type]>[] {
    return this.events.filter((event): event is RecordedEvent<DataOf[Type]> => {
      return event.eventType === type && (taskId === undefined || event.taskId === taskId);
    });
  }

  /** The events of a type of the user's own. */
  own(type: string): RecordedEvent[] {
    return this.events.filter(({ eventType }) => eventType === type);
  }

  /** The types of a task's events, in order. */
  story(taskId: string): string[] {
    return this.events.filter((event) => event.taskId === taskId).map(({ eventType }) => eventType);
  }

  /** The name of the scheduler that an instance number stands for. */
  nameOf(instance: number): string | undefined {
    return this.all("SchedulerStarted").find(({ payload }) => payload.instance === instance)?.payload.name;
  }
}

/** The tasks of events, sorted. */
export function taskIdsOf(events: readonly RecordedEvent[]): string[] {
  return events.map(({ taskId = "" }) => taskId).toSorted();
}

/** What is broken of all that must hold of a log, in words; none is expected. */
export function findViolations(log: Log, options: Partial<LogOptions> = {}): readonly string[] {
  return new LogChecker({ positions: "none", maxLostClaims: defaultMaxLostClaims, ...options }).readAll(log.events)
    .violations;
}

/** Each success has its two events and its row; whatever else was tried left none. */
export async function expectTracesOnce(db: AzothDb, log: Log): Promise<void> {
  const successes = log
    .all("TaskExecuted")
    .filter(({ payload }) => payload.success)
    .map(({ executionId = "" }) => executionId)
    .toSorted();
  const rows = await db.query("SELECT execution FROM notes");
  expect(rows.map(({ execution }) => String(execution)).toSorted()).toEqual(successes);
  for (const type of ["note_appended", "note_taken"]) {
    const executions = log.own(type).map(({ executionId = "" }) => executionId);
    expect(executions.toSorted()).toEqual(successes);
  }
}

/** The event, the row and the task of a transaction are all there, or none. */
export async function expectOrdersOnce(db: AzothDb, log: Log): Promise<void> {
  const rows = (await db.query("SELECT task FROM orders")).map(({ task }) => String(task)).toSorted();
  const events = log.own("order_placed").map(({ payload }) => (payload as { id: string }).id);
  expect(events.toSorted()).toEqual(rows);
  const scheduled = new Set(log.all("TaskScheduled").map(({ taskId }) => taskId));
  expect(rows.filter((id) => !scheduled.has(id))).toEqual([]);
}

/** All that must hold of a store at rest. */
export async function expectWhole(db: AzothDb, options?: Partial<LogOptions>): Promise<Log> {
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const log = await Log.of(db);
  expect(findViolations(log, options)).toEqual([]);
  await expectTracesOnce(db, log);
  return log;
}
