/** Bad tasks are refused before anything is written, and say in which field and why. */
import { type ErrorCode, immediate, taskHandler } from "azoth-scheduler";
import { type } from "arktype";
import * as v from "valibot";
import { describe } from "vitest";
import * as z from "zod";
import { Doors, idle, request, type Row, schedule, wrong } from "./doors.ts";

const doors = new Doors([
  taskHandler({ taskType: "zod", payload: z.object({ region: z.string(), n: z.number().int() }), execute: idle }),
  taskHandler({
    taskType: "valibot",
    payload: v.object({ region: v.pipe(v.string(), v.minLength(2)) }),
    execute: idle,
  }),
  taskHandler({ taskType: "arktype", payload: type({ region: "string >= 2" }), execute: idle }),
  taskHandler({
    taskType: "validate",
    validate: (payload) => z.object({ region: z.string() }).parse(payload),
    execute: idle,
  }),
]);

describe("scheduleTask", () => {
  const refusesTask = (rows: readonly (readonly [string, ErrorCode, never, ...string[]])[]) => {
    doors.refuses(
      rows.map(([what, code, task, ...words]): Row => [what, code, () => doors.scheduler.scheduleTask(task), ...words]),
    );
  };
  const circle: Record<string, unknown> = {};
  circle.self = circle;

  // biome-ignore format: a table, one row to a line.
  refusesTask([
    ["of no object", "INVALID_TASK", wrong(undefined), "undefined", "taskType", "schedule"],
    ["of an array", "INVALID_TASK", wrong([]), "an array of 0"],
    ["with an unknown type", "UNKNOWN_TASK_TYPE", request({ taskType: "fax" }), '"fax"', '"plain"', "externalTaskTypes"],
    ["without a type", "INVALID_TASK", request({ taskType: undefined }), "taskType", "undefined"],
    ["with a type that is no text", "INVALID_TASK", request({ taskType: 5 }), "taskType", "5"],
    ["with a misspelt field", "INVALID_TASK", request({ maxRetry: 5 }), '"maxRetry"', "maxRetries"],
    ["without a schedule", "INVALID_SCHEDULE", request({ schedule: undefined }), "undefined", "cron()"],
    ["with a bare expression for a schedule", "INVALID_SCHEDULE", request({ schedule: "* * * * *" }), "cron()"],
    ["with a function for a schedule", "INVALID_SCHEDULE", request({ schedule: immediate }), "a function"],
    ["with a schedule of an unknown kind", "INVALID_SCHEDULE", request({ schedule: { kind: "weekly" } }), '"weekly"', "interval"],
    ["with a schedule of a kind that every object has", "INVALID_SCHEDULE", request({ schedule: { kind: "toString" } }), '"toString"'],
    ["with a bad handmade cron", "INVALID_CRON", request({ schedule: { kind: "cron", expression: "x", timeZone: "UTC" } }), '"x"'],
    ["with a handmade cron without expression", "INVALID_CRON", request({ schedule: { kind: "cron" } }), "undefined"],
    ["with a handmade interval of text", "INVALID_SCHEDULE", request({ schedule: { kind: "interval", everyMs: "5m" } }), "everyMs", '"5m"'],
    ["with a handmade interval of nothing", "INVALID_INTERVAL", request({ schedule: { kind: "interval", everyMs: 0 } }), "1ms"],
    ["with a handmade one-time at a text", "INVALID_SCHEDULE", request({ schedule: { kind: "one-time", atMs: "noon" } }), "atMs", '"noon"'],
    ["with an unknown part of a schedule", "INVALID_SCHEDULE", request({ schedule: { kind: "immediate", at: 5 } }), '"at"'],
    ["with an empty id", "INVALID_TASK_ID", request({ taskId: "" }), "taskId", '""', "1 to 255"],
    ["with an id that is too long", "INVALID_TASK_ID", request({ taskId: "x".repeat(256) }), "256"],
    ["with an id that is no text", "INVALID_TASK_ID", request({ taskId: 5 }), "taskId", "5"],
    ["with null for an id", "INVALID_TASK_ID", request({ taskId: null }), "null"],
    ["with an id that moves a terminal's cursor", "INVALID_TASK_ID", request({ taskId: "a\u001b[2Jb" }), "\\u001b[2J"],
    ["with an id that turns the writing", "INVALID_TASK_ID", request({ taskId: "a\u202eb" }), "\\u202e"],
    ["with an id with a zero", "INVALID_TASK_ID", request({ taskId: "a\0b" }), "\\u0000"],
    ["with an id that is half a character", "INVALID_TASK_ID", request({ taskId: "a\ud800" }), "\\ud800"],
    ["with an id with spaces around it", "INVALID_TASK_ID", request({ taskId: " a" }), '" a"', "spaces"],
    ["with a priority of text", "INVALID_TASK", request({ priority: "high" }), "priority", '"high"', "1000000"],
    ["with a priority of null", "INVALID_TASK", request({ priority: null }), "priority", "null"],
    ["with a priority out of bounds", "INVALID_TASK", request({ priority: 1e9 }), "1000000000", "1000000"],
    ["with minus one retries", "INVALID_TASK", request({ maxRetries: -1 }), "maxRetries", "-1"],
    ["with half a retry", "INVALID_TASK", request({ maxRetries: 0.5 }), "0.5", "whole number"],
    ["with endless retries", "INVALID_TASK", request({ maxRetries: Infinity }), "Infinity"],
    ["with null retries", "INVALID_TASK", request({ maxRetries: null }), "maxRetries", "null"],
    ["with a retry of text", "INVALID_TASK", request({ retry: "fast" }), "retry", '"fast"', "base"],
    ["with an unknown part of retry", "INVALID_TASK", request({ retry: { delay: "1s" } }), '"delay"', "base"],
    ["with a shrinking backoff", "INVALID_TASK", request({ retry: { factor: 0.5 } }), "retry.factor", "0.5", "1 to 100"],
    ["with a jitter of 2", "INVALID_TASK", request({ retry: { jitter: 2 } }), "retry.jitter", "0 to 1"],
    ["with a jitter of NaN", "INVALID_TASK", request({ retry: { jitter: Number.NaN } }), "NaN"],
    ["with a negative base", "INVALID_DURATION", request({ retry: { base: -1 } }), "retry.base", "-1"],
    ["with a cap that is none", "INVALID_DURATION", request({ retry: { cap: "never" } }), "retry.cap", '"never"'],
    ["with no time at all", "INVALID_DURATION", request({ timeout: 0 }), "timeout", "0", "1ms"],
    ["with too much time", "INVALID_DURATION", request({ timeout: "366d" }), "timeout", '"366d"', "365d"],
    ["with null for a timeout", "INVALID_DURATION", request({ timeout: null }), "timeout", "null"],

    ["with a payload that zod refuses", "INVALID_PAYLOAD", request({ taskType: "zod", payload: { region: 5, n: 1.5 } }), '"zod"', "region: ", "n: "],
    ["with no payload where zod wants one", "INVALID_PAYLOAD", request({ taskType: "zod" }), '"zod"', "object"],
    ["with a payload that valibot refuses", "INVALID_PAYLOAD", request({ taskType: "valibot", payload: { region: "x" } }), '"valibot"', "region: "],
    ["with a payload that arktype refuses", "INVALID_PAYLOAD", request({ taskType: "arktype", payload: { region: "x" } }), '"arktype"', "region"],
    ["with a payload that validate() refuses", "INVALID_PAYLOAD", request({ taskType: "validate", payload: { region: 5 } }), '"validate"', "region"],
    ["with a payload that validate() is against", "INVALID_PAYLOAD", request({ taskType: "false", payload: 1 }), "validate returned false"],
    ["with a function in its payload", "PAYLOAD_NOT_JSON", request({ payload: { a: [1, { b: idle }] } }), "a.1.b", "a function"],
    ["with a Map in its payload", "PAYLOAD_NOT_JSON", request({ payload: { cache: new Map() } }), "cache", "a Map"],
    ["with NaN in its payload", "PAYLOAD_NOT_JSON", request({ payload: [0, Number.NaN] }), " 1 ", "NaN", "finite"],
    ["with an invalid Date in its payload", "PAYLOAD_NOT_JSON", request({ payload: { at: new Date("x") } }), "at at", "Date"],
    ["with a circle for a payload", "PAYLOAD_NOT_JSON", request({ payload: circle }), "self.self", "100 levels", "acyclic"],
    ["with a payload that is too large", "PAYLOAD_TOO_LARGE", request({ payload: "x".repeat(999) }), "1001 bytes", "1000", "reference"],
    ["with a payload that is too large in UTF-8 only", "PAYLOAD_TOO_LARGE", request({ payload: "ä".repeat(500) }), "1002 bytes", "1000"],
  ]);

  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["of many that are no array", "INVALID_TASK", () => doors.scheduler.scheduleTasks(wrong({ taskType: "plain", schedule })), "an object", "array"],
    ["of too many", "INVALID_TASK", () => doors.scheduler.scheduleTasks(Array.from({ length: 10_001 }, () => request({}))), "10001", "10000"],
    ["of many with a hole", "INVALID_TASK", () => doors.scheduler.scheduleTasks(wrong(Object.assign([request({})], { 2: request({}) }))), "Task 1", "undefined"],
    ["of many, one of which is wrong", "INVALID_PAYLOAD", () => doors.scheduler.scheduleTasks([request({}), request({ taskType: "zod", payload: {} })]), "Task 1", "region"],
    ["of many, one of which is unknown", "UNKNOWN_TASK_TYPE", () => doors.scheduler.scheduleTasks([request({}), request({}), request({ taskType: "fax" })]), "Task 2", '"fax"'],
  ]);
});

describe("a task that is asked for", () => {
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["is unknown to cancelTask", "TASK_NOT_FOUND", () => doors.scheduler.cancelTask("nobody", "why"), '"nobody"', "list the tasks"],
    ["is unknown to pauseTask", "TASK_NOT_FOUND", () => doors.scheduler.pauseTask("nobody"), '"nobody"'],
    ["is unknown to resumeTask", "TASK_NOT_FOUND", () => doors.scheduler.resumeTask("nobody"), '"nobody"'],
    ["is unknown to runTaskNow", "TASK_NOT_FOUND", () => doors.scheduler.runTaskNow("nobody"), '"nobody"'],
    ["is unknown to history", "TASK_NOT_FOUND", () => doors.scheduler.history("nobody"), '"nobody"'],
    ["is unknown to a transaction", "TASK_NOT_FOUND", () => doors.db.transaction((tx) => tx.cancelTask("nobody", "why")), '"nobody"'],
    ...([undefined, null, 5, "", {}, "a\nb"] as const).flatMap((id): Row[] => [
      [`cannot have the id ${JSON.stringify(id)} for cancelTask`, "INVALID_TASK_ID", () => doors.scheduler.cancelTask(wrong(id), "why"), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for pauseTask`, "INVALID_TASK_ID", () => doors.scheduler.pauseTask(wrong(id)), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for resumeTask`, "INVALID_TASK_ID", () => doors.scheduler.resumeTask(wrong(id)), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for runTaskNow`, "INVALID_TASK_ID", () => doors.scheduler.runTaskNow(wrong(id)), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for getTask`, "INVALID_TASK_ID", () => doors.scheduler.getTask(wrong(id)), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for history`, "INVALID_TASK_ID", () => doors.scheduler.history(wrong(id)), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for cancelTask in a transaction`, "INVALID_TASK_ID", () => doors.db.transaction((tx) => tx.cancelTask(wrong(id), "why")), "taskId"],
      [`cannot have the id ${JSON.stringify(id)} for getTask in a transaction`, "INVALID_TASK_ID", () => doors.db.transaction((tx) => tx.getTask(wrong(id))), "taskId"],
    ]),
    ["is cancelled without a reason", "INVALID_TASK", () => doors.scheduler.cancelTask("known", wrong(undefined)), "reason", "undefined", "says why"],
    ["is cancelled for a reason that is no text", "INVALID_TASK", () => doors.scheduler.cancelTask("known", wrong({ a: 1 })), "reason", "an object"],
    ["is cancelled without a reason in a transaction", "INVALID_TASK", () => doors.db.transaction((tx) => tx.cancelTask("known", wrong(null))), "reason", "null"],
    ["is paused for a reason that is no text", "INVALID_TASK", () => doors.scheduler.pauseTask("known", wrong(5)), "reason", "5"],
    ["was cancelled when it is to be paused", "TASK_CANCELLED", () => doors.scheduler.pauseTask("cancelled"), '"cancelled"'],
    ["was cancelled when it is to be resumed", "TASK_CANCELLED", () => doors.scheduler.resumeTask("cancelled"), '"cancelled"'],
    ["was cancelled when it is to run", "TASK_CANCELLED", () => doors.scheduler.runTaskNow("cancelled"), '"cancelled"', "schedule it again"],
  ]);
});
