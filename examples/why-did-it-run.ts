/**
 * The question that the log answers: why did this task run, or not run, at 03:07?
 *
 * A night is played with the testing kit: an hourly task fails once, is kept waiting by a stopped scheduler,
 * and is run by hand. Afterwards its events tell all of it.
 */
import { cron, type LifecycleData, type RecordedEvent, taskHandler } from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";

const sync = taskHandler({
  taskType: "sync",
  execute(ctx) {
    if (ctx.scheduledFor.getUTCHours() === 2 && ctx.attempt === 1) throw new Error("connection reset");
  },
});

await using kit = await createTestScheduler({ handlers: [sync], start: "2026-01-10T00:30:00Z" });
await kit.scheduler.scheduleTask({ taskId: "hourly", taskType: "sync", schedule: cron("0 7 * * * *") });
await kit.advanceTo("2026-01-10T02:30:00Z");
await kit.stop();
await kit.advanceTo("2026-01-10T06:20:00Z"); // Nobody runs tasks now.
await kit.restart();
await kit.advanceTo("2026-01-10T06:50:00Z");
await kit.scheduler.runTaskNow("hourly");
await kit.settle();
await kit.scheduler.cancelTask("hourly", "replaced by a push");

for (const event of await kit.log({ taskId: "hourly" })) console.log(`${time(event.recordedAt)}  ${tell(event)}`);

function tell({ eventType, payload }: RecordedEvent): string {
  switch (eventType) {
    case "TaskScheduled":
      return `scheduled; first due at ${time((payload as LifecycleData["TaskScheduled"]).next.scheduledForMs)}`;
    case "TaskStarted": {
      const { scheduledForMs, attempt } = payload as LifecycleData["TaskStarted"];
      return `started the occurrence of ${time(scheduledForMs)}, attempt ${attempt}`;
    }
    case "TaskExecuted": {
      const { success, error, then, retryAtMs, next } = payload as LifecycleData["TaskExecuted"];
      const at = retryAtMs ?? next?.scheduledForMs;
      return `${success ? "succeeded" : `failed: ${error?.message}`}; ${then}${at === undefined ? "" : ` ${time(at)}`}`;
    }
    case "OccurrencesSkipped": {
      const { count, because, firstMs, lastMs } = payload as LifecycleData["OccurrencesSkipped"];
      return `skipped ${count} occurrences (${because}), ${time(firstMs)} to ${time(lastMs)}`;
    }
    case "TaskRunRequested":
      return "somebody asked for a run";
    case "TaskCancelled":
      return `cancelled: ${(payload as LifecycleData["TaskCancelled"]).reason}`;
    default:
      return eventType;
  }
}

function time(at: Date | number): string {
  return new Date(at).toISOString().slice(11, 16);
}

// Prints:
// 00:30  scheduled; first due at 01:07
// 01:07  started the occurrence of 01:07, attempt 1
// 01:07  succeeded; next 02:07
// 02:07  started the occurrence of 02:07, attempt 1
// 02:07  failed: connection reset; retry 02:08
// 02:08  started the occurrence of 02:07, attempt 2
// 02:08  succeeded; next 03:07
// 06:20  started the occurrence of 03:07, attempt 1
// 06:20  succeeded; next 07:07
// 06:20  skipped 3 occurrences (missed), 04:07 to 06:07
// 06:50  somebody asked for a run
// 06:50  started the occurrence of 06:50, attempt 1
// 06:50  succeeded; next 07:07
// 06:50  cancelled: replaced by a push
