/** Tasks as people read them. */
import type { ExecutionOutcome, Schedule, TaskStateName } from "../index.ts";
import type { Colors } from "./output.ts";
import { escapeControls } from "./text.ts";
import { dateTime, duration } from "./times.ts";

export const taskStates: readonly TaskStateName[] = [
  "waiting",
  "paused",
  "claimed",
  "running",
  "completed",
  "disabled",
  "cancelled",
];

/** "30 2 * * * (Europe/Rome)", "every 5m", "once at …", "once, at once". */
export function scheduleText(schedule: Schedule, timeZone: string): string {
  switch (schedule.kind) {
    case "cron":
      return escapeControls(`${schedule.expression} (${schedule.timeZone})`);
    case "interval":
      return `every ${duration(schedule.everyMs)}`;
    case "one-time":
      return `once, at ${dateTime(new Date(schedule.atMs), timeZone)}`;
    case "immediate":
      return "once, at once";
  }
}

export function paintState(colors: Colors, state: TaskStateName): (text: string) => string {
  switch (state) {
    case "running":
    case "claimed":
      return colors.cyan;
    case "disabled":
      return colors.red;
    case "paused":
      return colors.yellow;
    case "completed":
    case "cancelled":
      return colors.dim;
    case "waiting":
      return colors.green;
  }
}

export function paintOutcome(colors: Colors, outcome: ExecutionOutcome): (text: string) => string {
  switch (outcome) {
    case "succeeded":
      return colors.green;
    case "failed":
    case "timed-out":
    case "claim-lost":
      return colors.red;
    case "running":
      return colors.cyan;
    case "snoozed":
    case "released":
    case "cancelled":
      return colors.yellow;
  }
}
