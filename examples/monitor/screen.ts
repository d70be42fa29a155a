/** What the monitor prints: each event of the log as one line of at most 80 columns. */
import path from "node:path";
import { styleText } from "node:util";
import type { LifecycleData, RecordedEvent, SystemEventData } from "azoth-scheduler";
import type { Sample } from "./sampling.ts";

const colours = process.stdout.isTTY && !process.env["NO_COLOR"];

export const clockTime = (at: number | Date) => new Date(at).toTimeString().slice(0, 8);

/** A path as it is short to read: relative where that leads downwards. */
export function shortPath(file: string): string {
  const relative = path.relative("", file);
  return relative.startsWith("..") ? file : relative;
}

export const columns = `${"time".padEnd(8)} ${"position".padStart(8)}  ${"event".padEnd(18)} what`;

export function showEvent({ position, recordedAt, eventType, taskId, payload }: RecordedEvent): void {
  const begin = `${clockTime(recordedAt)} ${`#${position}`.padStart(8)}  ${eventType.padEnd(18)} `;
  const line = `${begin}${describe(eventType, shortId(taskId ?? ""), payload)}`.slice(0, 80);
  console.log(colours ? styleText(styleOf(eventType), line) : line);
}

/** Generated ids are long, and their ends tell them apart. */
const shortId = (taskId: string) => (taskId.length > 20 ? `…${taskId.slice(-6)}` : taskId);

function styleOf(eventType: string) {
  if (eventType === "alert_raised") return "red";
  if (/Skipped|Lost|Released/.test(eventType)) return "yellow";
  return eventType.startsWith("Task") ? "dim" : "reset";
}

function describe(eventType: string, task: string, payload: unknown): string {
  switch (eventType) {
    case "machine_sampled": {
      const { load, memory, disk } = payload as Sample;
      return `load ${load}, memory ${memory} %, disk ${disk} %`;
    }
    case "report_written": {
      const { samples, minutes } = payload as { samples: number; minutes: number };
      return `${samples} samples, ${minutes} min`;
    }
    case "alert_raised":
      return `the disk is ${(payload as { disk: number }).disk} % full`;
    case "TaskScheduled":
      return `${task}, first due ${clockTime((payload as LifecycleData["TaskScheduled"]).next.scheduledForMs)}`;
    case "TaskStarted": {
      const { attempt, scheduledForMs } = payload as LifecycleData["TaskStarted"];
      return `${task}, due ${clockTime(scheduledForMs)}${attempt > 1 ? `, attempt ${attempt}` : ""}`;
    }
    case "TaskExecuted": {
      const { success, durationMs, next, error } = payload as LifecycleData["TaskExecuted"];
      if (!success) return `${task}, failed: ${error?.message ?? ""}`;
      return `${task}, ${durationMs} ms${next === undefined ? "" : `, next ${clockTime(next.scheduledForMs)}`}`;
    }
    case "OccurrencesSkipped": {
      const { because, count, firstMs } = payload as LifecycleData["OccurrencesSkipped"];
      return `${task}, ${count} ${because} from ${clockTime(firstMs)}`;
    }
    case "TaskReleased":
      return `${task}, ${(payload as LifecycleData["TaskReleased"]).because}: runs again`;
    case "SchedulerLost": {
      const { instance, lastHeardMs } = payload as SystemEventData["SchedulerLost"];
      return `instance ${instance}, last heard ${clockTime(lastHeardMs)}`;
    }
    case "SchedulerStarted":
    case "SchedulerStopped":
      return `instance ${(payload as SystemEventData["SchedulerStarted" | "SchedulerStopped"]).instance}`;
    default:
      return task;
  }
}
