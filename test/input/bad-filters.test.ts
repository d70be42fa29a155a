/** Bad filters, bounds, cursors and pages are refused, and never taken for "everything" or "nothing". */
import { describe } from "vitest";
import { Doors, drain, wrong } from "./doors.ts";

const doors = new Doors();

describe("a filter", () => {
  const list = (filter: unknown) => () => doors.scheduler.listTasks(wrong(filter));
  const read = (filter: unknown) => () => drain(doors.db.readLog(wrong(filter)));
  const follow = (filter: unknown) => () => drain(doors.db.subscribe(wrong(filter)));
  const past = (options: unknown) => () => doors.scheduler.history("known", wrong(options));
  const letters = (filter: unknown) => () => doors.scheduler.eventHandlers.deadLetters(wrong(filter));
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["of tasks that is none", "INVALID_FILTER", list("running"), '"running"', "state"],
    ["of tasks that is null", "INVALID_FILTER", list(null), "null"],
    ["of tasks with a misspelt key", "INVALID_FILTER", list({ type: "a" }), '"type"', "taskType"],
    ["of tasks with an unknown state", "INVALID_FILTER", list({ state: "asleep" }), '"asleep"', "waiting"],
    ["of tasks with an unknown state among others", "INVALID_FILTER", list({ state: ["waiting", "asleep"] }), '"asleep"'],
    ["of tasks with a state that is missing", "INVALID_FILTER", list({ state: ["waiting", undefined] }), "undefined"],
    ["of tasks with enabled as text", "INVALID_FILTER", list({ enabled: "yes" }), "enabled", '"yes"', "boolean"],
    ["of tasks with a type that is no text", "INVALID_FILTER", list({ taskType: ["a"] }), "taskType", "an array of 1"],
    ["of tasks with a prefix that is no text", "INVALID_FILTER", list({ idPrefix: 5 }), "idPrefix", "5"],
    ["of tasks with a type that a driver would cut", "INVALID_FILTER", list({ taskType: "plain\0x" }), "taskType", "plain\\u0000x"],
    ["of tasks with a prefix that a driver would mend", "INVALID_FILTER", list({ idPrefix: "known\ud800" }), "idPrefix", "known\\ud800"],
    ["of tasks with reversed bounds", "INVALID_FILTER", list({ dueFrom: new Date(5), dueUntil: new Date(4) }), "dueFrom after dueUntil", "00.005Z", "00.004Z"],
    ["of tasks with an impossible bound", "INVALID_INSTANT", list({ dueFrom: "2026-02-30T00:00:00Z" }), "dueFrom", "does not exist"],
    ["of tasks with a bound without offset", "INVALID_INSTANT", list({ dueUntil: "2026-02-03T00:00:00" }), "dueUntil", "offset"],
    ["of minus one task", "INVALID_FILTER", list({ limit: -1 }), "limit", "-1", "1 to 1000"],
    ["of no tasks", "INVALID_FILTER", list({ limit: 0 }), "0"],
    ["of too many tasks", "INVALID_FILTER", list({ limit: 1_001 }), "1001", "1000"],
    ["of half a task", "INVALID_FILTER", list({ limit: 0.5 }), "0.5"],
    ["of tasks, with a limit of text", "INVALID_FILTER", list({ limit: "10" }), '"10"'],
    ["of tasks after a foreign cursor", "INVALID_FILTER", list({ cursor: "'; DROP TABLE" }), "cursor", "'; DROP TABLE"],
    ["of tasks after a cursor that is no text", "INVALID_FILTER", list({ cursor: 5 }), "cursor", "5"],
    ["of executions that is none", "INVALID_FILTER", past(5), "5", "limit"],
    ["of executions with a misspelt key", "INVALID_FILTER", past({ count: 5 }), '"count"', "limit"],
    ["of minus one execution", "INVALID_FILTER", past({ limit: -1 }), "-1"],
    ["of executions after a foreign cursor", "INVALID_FILTER", past({ cursor: "x" }), '"x"', "nextCursor"],
    ["of executions after a cursor that is no text", "INVALID_FILTER", past({ cursor: 5 }), "5"],
    ["of dead letters that is none", "INVALID_FILTER", letters(null), "null"],
    ["of dead letters with a misspelt key", "INVALID_FILTER", letters({ name: "a" }), '"name"', "handler"],
    ["of dead letters of no name", "INVALID_FILTER", letters({ handler: {} }), "handler", "an object"],
    ["of minus one dead letter", "INVALID_FILTER", letters({ limit: -1 }), "-1", "1000"],
    ["of dead letters after a text", "INVALID_FILTER", letters({ after: "1" }), '"1"'],
    ["of a subscription with a signal that is none", "INVALID_OPTION", follow({ signal: 5 }), "signal", "5"],
    ["of the log with a signal", "INVALID_FILTER", read({ signal: AbortSignal.abort() }), '"signal"'],
  ]);

  describe.each([
    ["the log", read],
    ["a subscription", follow],
  ])("of %s", (_, stream) => {
    // biome-ignore format: a table, one row to a line.
    doors.refuses([
      ["that is none", "INVALID_FILTER", stream("noted"), '"noted"', "eventTypes"],
      ["that is null", "INVALID_FILTER", stream(null), "null"],
      ["with a misspelt key", "INVALID_FILTER", stream({ eventType: "a" }), '"eventType"', "eventTypes"],
      ["after minus one", "INVALID_FILTER", stream({ after: -1 }), "after", "-1"],
      ["after a text", "INVALID_FILTER", stream({ after: "5" }), "after", '"5"'],
      ["of one type, not in an array", "INVALID_FILTER", stream({ eventTypes: "noted" }), "eventTypes", '"noted"', "array"],
      ["of types that are none", "INVALID_FILTER", stream({ eventTypes: ["a", 5] }), "eventTypes", "5"],
      ["of a type that is missing", "INVALID_FILTER", stream({ eventTypes: Object.assign(["a"], { 2: "b" }) }), "eventTypes"],
      ["of types that a driver would cut", "INVALID_FILTER", stream({ eventTypes: ["noted\0x"] }), "eventTypes", "noted\\u0000x"],
      ["of a task that is none", "INVALID_FILTER", stream({ taskId: 5 }), "taskId", "5"],
      ["of a task with an id that a driver would cut", "INVALID_FILTER", stream({ taskId: "known\0x" }), "taskId", "known\\u0000x"],
      ["with reversed bounds", "INVALID_FILTER", stream({ since: 5, until: 4 }), "since after until", "5 > 4"],
      ["since an impossible date", "INVALID_INSTANT", stream({ since: "2026-13-01T00:00:00Z" }), "since"],
      ["until garbage", "INVALID_INSTANT", stream({ until: {} }), "until", "an object"],
    ]);
  });
});
