/**
 * What must hold in every log, whatever happened: runs of one task follow each other, each has one outcome, nominal
 * times rise, and attempts keep to their limit.
 */
import type { RecordedEvent } from "azoth-scheduler";
import { expect } from "vitest";
import { engineUnderTest } from "../engine-under-test.ts";
import { dataOf } from "./support.ts";

const ends: ReadonlySet<string> = new Set(["TaskExecuted", "TaskSnoozed", "TaskReleased", "TaskCancelled"]);

/** Fails at the first event of one task's log that breaks a rule. */
export function checkTaskLog(events: readonly RecordedEvent[]): void {
  let open: string | null = null;
  /** The latest run that was claimed before it started. */
  let claimed: string | null = null;
  let nominalMs = Number.NEGATIVE_INFINITY;
  let succeeded = false;
  let failures = 0;
  let maxRetries = 0;
  /** That of the run in progress: another definition may have replaced it. */
  let maxOfRun = 0;
  const seen = new Set<string>();
  for (const event of events) {
    const { eventType: type, executionId = "" } = event;
    const data = dataOf(event);
    const where = `${event.taskId ?? ""} at position ${event.position} (${type})`;
    if (type === "TaskScheduled") {
      maxRetries = Math.max(1, Number(data.maxRetries ?? 3));
      nominalMs = Number.NEGATIVE_INFINITY;
      failures = 0;
    }
    // By hand, attempts begin anew.
    if (type === "TaskResumed" || type === "TaskRunRequested") failures = 0;
    if (type === "TaskClaimed" || (type === "TaskStarted" && claimed !== executionId)) {
      expect(open, `two claims on ${where}`).toBeNull();
      expect(seen.has(executionId), `execution id again on ${where}`).toBe(false);
      seen.add(executionId);
      open = executionId;
    }
    claimed = type === "TaskClaimed" ? executionId : claimed;
    if (type === "TaskStarted") {
      expect(open, `start without claim on ${where}`).toBe(executionId);
      maxOfRun = maxRetries;
      expect(Number(data.attempt), `attempts of ${where}`).toBeLessThanOrEqual(maxOfRun);
      const scheduledForMs = Number(data.scheduledForMs);
      expect(scheduledForMs, `nominal time of ${where}`).toBeGreaterThanOrEqual(nominalMs);
      if (scheduledForMs === nominalMs) expect(succeeded, `occurrence again on ${where}`).toBe(false);
      nominalMs = scheduledForMs;
      succeeded = false;
    }
    if (type === "TaskExecuted" || type === "TaskSnoozed" || type === "TaskReleased") {
      expect(executionId, `outcome of a run without claim on ${where}`).toBe(open);
    }
    if (type === "TaskExecuted") {
      const superseded = data.then === "superseded";
      // The run was of another definition, which tells nothing of the present one's occurrences.
      if (superseded) nominalMs = Number.NEGATIVE_INFINITY;
      else if (data.success === true) [succeeded, failures] = [true, 0];
      else expect(++failures, `failures of ${where}`).toBeLessThanOrEqual(maxOfRun);
    }
    if (ends.has(type)) open = null;
  }
}

/** Groups a log by task and checks each. */
export function checkLog(log: readonly RecordedEvent[]): void {
  const byTask = new Map<string, RecordedEvent[]>();
  let last = 0;
  for (const event of log) {
    expect(event.position).toBeGreaterThan(last);
    // With many writers, what was drawn by a transaction that rolled back stays a hole.
    if (engineUnderTest === "sqlite") expect(event.position).toBe(last + 1);
    last = event.position;
    if (event.taskId === undefined) continue;
    const events = byTask.get(event.taskId) ?? [];
    events.push(event);
    byTask.set(event.taskId, events);
  }
  for (const events of byTask.values()) checkTaskLog(events);
}

/** The executions whose success is recorded. */
export function successesIn(log: readonly RecordedEvent[]): string[] {
  return log
    .filter((event) => event.eventType === "TaskExecuted" && dataOf(event).success === true)
    .map(({ executionId = "" }) => executionId)
    .toSorted();
}
