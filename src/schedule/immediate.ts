/** Makes an immediate schedule. */

import type { ImmediateSchedule } from "./schedule.ts";

/** Due now, once: what a job queue does. */
export function immediate(): ImmediateSchedule {
  return { kind: "immediate" };
}
