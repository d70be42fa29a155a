/** What the log has on one task around one instant: no more than is needed, however long its history is. */
import type { AzothDb, LifecycleData, RecordedEvent, SystemEventData } from "../../index.ts";

/** An event with its payload as the type says. */
export type Told = {
  readonly [Type in keyof LifecycleData]: {
    readonly type: Type;
    readonly atMs: number;
    readonly position: number;
    readonly executionId: string | undefined;
    readonly data: LifecycleData[Type];
    readonly event: RecordedEvent;
  };
}[keyof LifecycleData];

export interface Evidence {
  /** Up to the instant, oldest first: the latest, and what decides the task's state. */
  readonly before: readonly Told[];
  /** After it, until what was asked about is over. */
  readonly after: readonly Told[];
}

/** Events before the instant that are looked at: the runs around it, with their retries. */
const backwards = 300;
/** And after it: a task may be retried for long. */
const forwards = 1_000;

const deciding = ["TaskScheduled", "TaskPaused", "TaskResumed", "TaskCancelled"] as const;

const lifecycleTypes: Readonly<Record<keyof LifecycleData, true>> = {
  TaskScheduled: true,
  TaskClaimed: true,
  TaskStarted: true,
  TaskExecuted: true,
  TaskSnoozed: true,
  TaskReleased: true,
  TaskCancelled: true,
  TaskPaused: true,
  TaskResumed: true,
  TaskRunRequested: true,
  TaskResultRefused: true,
  TaskHandlerSettled: true,
  OccurrencesSkipped: true,
};

export async function gatherEvidence(db: AzothDb, taskId: string, atMs: number): Promise<Evidence> {
  const until = new Date(atMs + 1);
  const eventTypes = Object.keys(lifecycleTypes);
  const before = await take(db, { taskId, eventTypes, until, latestFirst: true }, backwards);
  if (before.length === backwards) {
    // What came long before may still hold.
    for (const type of deciding) {
      if (before.some((told) => told.type === type)) continue;
      before.push(...(await take(db, { taskId, eventTypes: [type], until, latestFirst: true }, 1)));
    }
  }
  const after = await take(db, { taskId, eventTypes, since: until }, forwards);
  return { before: before.toSorted((a, b) => a.position - b.position), after };
}

async function take(db: AzothDb, query: Parameters<AzothDb["readLog"]>[0], most: number): Promise<Told[]> {
  const found: Told[] = [];
  for await (const event of db.readLog(query)) {
    const { eventType: type, recordedAt, position, executionId, payload: data } = event;
    found.push({ type, atMs: recordedAt.getTime(), position, executionId, data, event } as unknown as Told);
    if (found.length === most) break;
  }
  return found;
}

/** Who could have run a task at an instant. */
export interface Crew {
  /** Schedulers were at work, of which some handled the type. */
  readonly handled: boolean;
  readonly running: boolean;
  /** The last scheduler that handled the type ended then, if none did at the instant. */
  readonly endedAtMs?: number;
  /** When one that handles the type began after it, if none did at the instant. */
  readonly begunAtMs?: number;
  /** Others, without a handler for it, ran for some of the time between. */
  readonly others: boolean;
}

/** Goes back through the starts and ends of schedulers until it is clear who was there. */
export async function crewAt(db: AzothDb, taskType: string, atMs: number): Promise<Crew> {
  const ended = new Map<number, number>();
  let running = false;
  let endedAtMs: number | undefined;
  let othersEndedAtMs = Number.NEGATIVE_INFINITY;
  const eventTypes = ["SchedulerStarted", "SchedulerStopped", "SchedulerLost"];
  for await (const event of db.readLog({ eventTypes, latestFirst: true })) {
    const recordedMs = event.recordedAt.getTime();
    const { instance, taskTypes, lastHeardMs } = event.payload as SystemEventData["SchedulerStarted"] &
      SystemEventData["SchedulerLost"];
    if (event.eventType !== "SchedulerStarted") {
      // One that fell silent did nothing from its last sign of life on.
      ended.set(instance, event.eventType === "SchedulerLost" ? lastHeardMs : recordedMs);
      continue;
    }
    if (recordedMs > atMs) continue;
    const endMs = ended.get(instance) ?? Number.POSITIVE_INFINITY;
    const handles = taskTypes.includes(taskType);
    if (endMs > atMs) {
      running = true;
      if (handles) return { handled: true, running, others: false };
    } else if (handles) endedAtMs = Math.max(endedAtMs ?? 0, endMs);
    else othersEndedAtMs = Math.max(othersEndedAtMs, endMs);
  }
  const { begunAtMs, others: since } = await crewSince(db, taskType, atMs);
  return {
    handled: false,
    running,
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    ...(begunAtMs === undefined ? {} : { begunAtMs }),
    others: since || othersEndedAtMs > (endedAtMs ?? atMs),
  };
}

async function crewSince(db: AzothDb, taskType: string, atMs: number): Promise<Pick<Crew, "begunAtMs" | "others">> {
  let others = false;
  // After the instant: who began in its very millisecond was there.
  for await (const event of db.readLog({ eventTypes: ["SchedulerStarted"], since: new Date(atMs + 1) })) {
    const { taskTypes } = event.payload as SystemEventData["SchedulerStarted"];
    if (taskTypes.includes(taskType)) return { begunAtMs: event.recordedAt.getTime(), others };
    others = true;
  }
  return { others };
}
