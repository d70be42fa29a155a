/**
 * What must hold of every log, whatever was killed, stopped or blocked while it was written: each start has at most
 * one end, no two runs of a task overlap, and of each occurrence one success is recorded, with its event and its row.
 */
import type { AzothDb, LifecycleData, RecordedEvent, SystemEventData } from "azoth-scheduler";
import { expect } from "vitest";

type DataOf = LifecycleData & SystemEventData;

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

/** The violations of what must hold of every log, in words; none is expected. */
export function findViolations(log: Log): string[] {
  const violations: string[] = [];
  const open = new Map<string, string>();
  const ahead = new Set<string>();
  const latestRun = new Map<string, number>();
  const succeeded = new Map<string, string>();
  const occurrence = new Map<string, string>();
  for (const [index, event] of log.events.entries()) {
    const { position, eventType, taskId = "", executionId = "" } = event;
    const say = (what: string) => violations.push(`at ${position}, ${taskId} (${executionId}): ${what}`);
    if (position !== index + 1) say(`position ${index + 1} was expected`);
    switch (eventType) {
      case "TaskClaimed":
      case "TaskStarted": {
        // The start of what was claimed ahead.
        if (eventType === "TaskStarted" && open.get(taskId) === executionId && ahead.delete(executionId)) break;
        if (eventType === "TaskClaimed") ahead.add(executionId);
        const run = Number(executionId.split(".")[1]);
        if (open.has(taskId)) say(`started while ${open.get(taskId)} goes on`);
        if (run <= (latestRun.get(taskId) ?? 0)) say(`run ${run} after run ${latestRun.get(taskId)}`);
        open.set(taskId, executionId);
        latestRun.set(taskId, run);
        const { scheduledForMs } = event.payload as LifecycleData["TaskStarted"];
        occurrence.set(executionId, `${taskId}/${scheduledForMs}`);
        break;
      }
      case "TaskExecuted":
      case "TaskReleased":
      case "TaskSnoozed": {
        if (open.get(taskId) !== executionId) say(`${eventType} of a run that does not hold the claim`);
        open.delete(taskId);
        if (eventType !== "TaskExecuted" || !(event.payload as LifecycleData["TaskExecuted"]).success) break;
        const nominal = occurrence.get(executionId) ?? "";
        if (succeeded.has(nominal)) say(`a second success of one occurrence, after ${succeeded.get(nominal)}`);
        succeeded.set(nominal, executionId);
        break;
      }
      case "TaskCancelled":
        open.delete(taskId);
        break;
      default:
    }
  }
  return violations;
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

/** All that must hold of a store at rest. */
export async function expectWhole(db: AzothDb): Promise<Log> {
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const log = await Log.of(db);
  expect(findViolations(log)).toEqual([]);
  await expectTracesOnce(db, log);
  return log;
}
