/** An event of the user's own: what a handler returns, or a transaction appends. */
import { encodeJson, type PayloadRules } from "../codec.ts";
import { AzothError, quote } from "../errors.ts";
import { parseName, readSafely } from "../names.ts";
import { isLifecycleType } from "./events.ts";

/** The event that a TaskHandler returns. It is appended in the commit that records the task's completion. */
export interface TaskEvent<EventType extends string = string, Payload = unknown> {
  readonly eventType: EventType;
  /** Anything that can be stored as JSON, Date, bigint and Uint8Array included. Defaults to null. */
  readonly payload?: Payload;
}

/** The events that the scheduler itself writes beside the tasks' lifecycle. */
export const systemEventTypes = [
  "SchedulerStarted",
  "SchedulerStopped",
  "SchedulerLost",
  "EventHandlerStopped",
  "EventHandlerResumed",
  "EventSkipped",
  "EventDeadLettered",
  "DeadLetterReplayed",
  "DeadLetterDropped",
] as const;

export type SystemEventType = (typeof systemEventTypes)[number];

/** Checks and encodes an event of the user's. @throws AzothError */
export function encodeTaskEvent(event: unknown, rules: PayloadRules): { type: string; data: string } {
  if (typeof event !== "object" || event === null) {
    throw new AzothError(
      "INVALID_EVENT",
      `An event must be an object like { eventType, payload }, and is ${rules.secret === true ? `of type ${typeof event}` : quote(event)}.`,
    );
  }
  const { eventType, payload } = readSafely("An event", "INVALID_EVENT", () => {
    const { eventType, payload } = event as { eventType?: unknown; payload?: unknown };
    return { eventType, payload };
  });
  const type = parseName(eventType, "eventType", "INVALID_EVENT");
  if (isReservedEventType(type)) {
    throw new AzothError(
      "RESERVED_EVENT_TYPE",
      `The event type ${quote(type)} belongs to the scheduler. Choose another name.`,
    );
  }
  return { type, data: encodeJson(payload, { ...rules, what: `payload of event ${quote(type)}` }) };
}

/** True for types that users cannot append. */
export function isReservedEventType(type: string): boolean {
  return isLifecycleType(type) || (systemEventTypes as readonly string[]).includes(type);
}
