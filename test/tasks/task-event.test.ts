/** Events of the user's own: what is refused, and which names are taken. */
import { describe, expect, test } from "vitest";
import { defaultMaxPayloadBytes } from "../../src/limits.ts";
import { isAzothError } from "../../src/errors.ts";
import { encodeTaskEvent, isReservedEventType, systemEventTypes } from "../../src/tasks/task-event.ts";

const rules = { maxBytes: defaultMaxPayloadBytes };

function refusalOf(event: unknown, more: Partial<Parameters<typeof encodeTaskEvent>[1]> = {}) {
  try {
    encodeTaskEvent(event, { ...rules, ...more });
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("an event is its type and its payload as text, which is null by default", () => {
  expect(encodeTaskEvent({ eventType: "sent", payload: { to: "you" } }, rules)).toEqual({
    type: "sent",
    data: '{"to":"you"}',
  });
  expect(encodeTaskEvent({ eventType: "sent" }, rules)).toEqual({ type: "sent", data: "null" });
});

describe("what is no event is refused", () => {
  test.each([[null], ["sent"], [5], [{}], [{ eventType: 5 }], [{ eventType: "" }]])("%j", (event) => {
    expect(refusalOf(event).code).toBe("INVALID_EVENT");
  });

  test("a name that is none is named by its field, and a payload by its event", () => {
    expect(refusalOf({ eventType: " " }).message).toMatch(/^eventType /);
    expect(refusalOf({ eventType: "sent", payload: "x".repeat(100) }, { maxBytes: 10 }).message).toContain(
      'payload of event "sent"',
    );
  });

  test("a getter that throws", () => {
    const hostile = Object.defineProperty({}, "eventType", {
      get: () => {
        throw new Error("no");
      },
    });
    const { code, message } = refusalOf(hostile);
    expect(code).toBe("INVALID_EVENT");
    expect(message).toMatch(/^An event /);
  });
});

describe("names that belong to the scheduler", () => {
  const lifecycle = [
    "TaskScheduled",
    "TaskClaimed",
    "TaskStarted",
    "TaskExecuted",
    "TaskSnoozed",
    "TaskReleased",
    "TaskCancelled",
    "TaskPaused",
    "TaskResumed",
    "TaskRunRequested",
    "TaskResultRefused",
    "TaskHandlerSettled",
    "OccurrencesSkipped",
  ];

  test.each([...lifecycle, ...systemEventTypes])("%s", (eventType) => {
    expect(isReservedEventType(eventType)).toBe(true);
    expect(refusalOf({ eventType }).code).toBe("RESERVED_EVENT_TYPE");
  });

  test("and no others", () => {
    for (const name of ["sent", "taskscheduled", "toString", "constructor"])
      expect(isReservedEventType(name)).toBe(false);
  });
});
