/** The events beside the tasks' lifecycle: what schedulers and event handlers did, with the shapes of their data. */
import type { SystemEventType } from "../tasks/task-event.ts";
import type { NewEvent } from "./engine.ts";

/** The data of every system event by its type. Instants are epoch milliseconds under names ending in `Ms`. */
export interface SystemEventData {
  SchedulerStarted: {
    readonly instance: number;
    readonly name: string;
    readonly taskTypes: readonly string[];
    readonly claimMs: number;
    readonly tzdata: string;
  };
  SchedulerStopped: { readonly instance: number; readonly released: number };
  /** The instance fell silent; `by` took over what it ran. */
  SchedulerLost: { readonly instance: number; readonly lastHeardMs: number; readonly by: number };
  /** The event handler stands still before `position` until it is resumed. */
  EventHandlerStopped: { readonly handler: string; readonly position: number; readonly error: string };
  EventHandlerResumed: { readonly handler: string };
  EventSkipped: {
    readonly handler: string;
    readonly position: number;
    readonly error: string;
    readonly attempts: number;
  };
  /** Its own position is the id of the dead letter. */
  EventDeadLettered: {
    readonly handler: string;
    readonly position: number;
    readonly error: string;
    readonly attempts: number;
  };
  DeadLetterReplayed: { readonly deadLetter: number; readonly handler: string };
  DeadLetterDropped: { readonly deadLetter: number; readonly handler: string; readonly reason: string };
}

export function systemEvent<Type extends SystemEventType>(
  type: Type,
  data: SystemEventData[Type],
): Omit<NewEvent, "atMs"> {
  return { type, data: JSON.stringify(data), task: null, run: null, meta: null };
}
