/** What the loop tells observers of the runs that it started and recorded. */
import { executionIdOf } from "../store/log.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { type Report, runFacts } from "./executor.ts";

/** @param recorded what was decided of each report, in their order */
export function announceEnds(
  telemetry: Telemetry,
  reports: readonly Report[],
  recorded: readonly (readonly LifecycleEvent[])[],
): void {
  if (!telemetry.observed) return;
  for (const [index, { handlerRun }] of reports.entries()) {
    for (const event of recorded[index] ?? []) announceEnd(telemetry, runFacts(handlerRun), event);
  }
}

export function announceStarts(telemetry: Telemetry, started: readonly TaskState[]): void {
  if (!telemetry.observed) return;
  for (const { seq, taskId, taskType, run } of started) {
    if (run === null) continue;
    const facts = { taskId, taskType, executionId: executionIdOf(seq, run.number), attempt: run.attempt };
    telemetry.emit({ name: "task.started", ...facts, latenessMs: Math.max(0, run.startedAtMs - run.scheduledForMs) });
  }
}

function announceEnd(telemetry: Telemetry, facts: ReturnType<typeof runFacts>, event: LifecycleEvent): void {
  switch (event.type) {
    case "TaskExecuted": {
      const { success, durationMs, error, retryAtMs = null } = event.data;
      if (success) return telemetry.emit({ name: "task.succeeded", ...facts, durationMs });
      const { code = "HANDLER_FAILED", message = "" } = error ?? {};
      return telemetry.emit({ name: "task.failed", ...facts, durationMs, code, message, retryAtMs });
    }
    case "TaskSnoozed":
      return telemetry.emit({ name: "task.snoozed", ...facts, untilMs: event.data.untilMs });
    case "TaskResultRefused":
      return telemetry.emit({ name: "task.refused", ...facts, because: event.data.because });
    default:
  }
}
