/** Bad options and handlers of a Scheduler, bad schemas, and what handlers do wrong. */
import {
  type AnyTaskHandler,
  AzothDb,
  type ErrorCode,
  type EventHandler,
  eventHandler,
  retryAfter,
  Scheduler,
  type SchedulerOptions,
  snooze,
  type TaskContext,
  type TaskHandler,
  taskHandler,
} from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { Doors, errorOf, handlers, harmlessLine, idle, request, schedule, wrong } from "./doors.ts";

const doors = new Doors();

describe("a Scheduler", () => {
  const make = (options: unknown) => () => new Scheduler(doors.db, wrong(options));
  const handlerOf = (parts: object) => make({ handlers: [{ taskType: "a", execute: idle, ...parts }] });
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["without a store", "INVALID_OPTION", () => new Scheduler(wrong(undefined)), "undefined", "AzothDb"],
    ["with a location for a store", "INVALID_OPTION", () => new Scheduler(wrong("./data")), '"./data"', "AzothDb"],
    ["with a forged store", "INVALID_OPTION", () => new Scheduler(Object.create(AzothDb.prototype) as AzothDb), "an object"],
    ["with options that are none", "INVALID_OPTION", make(5), "5", "handlers"],
    ["with handlers for options", "INVALID_OPTION", make([idle]), "an array of 1"],
    ["with a misspelt option", "INVALID_OPTION", make({ handler: [] }), '"handler"', "handlers"],
    ["with a handler that is not in an array", "INVALID_OPTION", make({ handlers: { taskType: "a" } }), "handlers", "array"],
    ["with null for handlers", "INVALID_OPTION", make({ handlers: null }), "handlers", "null"],
    ["with external types that are not in an array", "INVALID_OPTION", make({ externalTaskTypes: "a" }), "externalTaskTypes", '"a"'],
    ["with an external type that is none", "INVALID_OPTION", make({ externalTaskTypes: [5] }), "externalTaskTypes", "5"],
    ["with no slots", "INVALID_OPTION", make({ maxConcurrentTasks: 0 }), "maxConcurrentTasks", "0", "from 1"],
    ["with slots as text", "INVALID_OPTION", make({ maxConcurrentTasks: "10" }), "maxConcurrentTasks", '"10"'],
    ["with null slots", "INVALID_OPTION", make({ maxConcurrentTasks: null }), "maxConcurrentTasks", "null"],
    ["with half a slot", "INVALID_OPTION", make({ maxConcurrentTasks: 1.5 }), "1.5"],
    ["with negative retries", "INVALID_OPTION", make({ defaultMaxRetries: -1 }), "defaultMaxRetries", "-1"],
    ["with a default retry that is none", "INVALID_OPTION", make({ defaultRetry: 5 }), "defaultRetry", "5"],
    ["with a default retry out of bounds", "INVALID_OPTION", make({ defaultRetry: { factor: 0 } }), "defaultRetry", "factor", "1 to 100"],
    ["with a poll interval of 0", "INVALID_DURATION", make({ pollInterval: 0 }), "pollInterval", "0", "1ms"],
    ["with a poll interval of null", "INVALID_DURATION", make({ pollInterval: null }), "pollInterval", "null"],
    ["with a default timeout of text", "INVALID_DURATION", make({ defaultTimeout: "long" }), "defaultTimeout", '"long"'],
    ["with a negative grace period", "INVALID_DURATION", make({ gracePeriod: "-1s" }), "gracePeriod", '"-1s"'],
    ["with claims that end at once", "INVALID_DURATION", make({ claimDuration: 5 }), "claimDuration", "5", "30ms"],
    ["with no lost claims", "INVALID_OPTION", make({ maxLostClaims: 0 }), "maxLostClaims", "0"],
    ["with an empty name", "INVALID_OPTION", make({ name: "" }), "name", '""'],
    ["with a name on two lines", "INVALID_OPTION", make({ name: "a\nb" }), "name", "\\n"],
    ["with a logger that is none", "INVALID_OPTION", make({ logger: console.log }), "logger", "debug"],
    ["with a logger that lacks a method", "INVALID_OPTION", make({ logger: { debug: idle, info: idle, warn: idle } }), "logger", "error"],
    ["with a listener that is none", "INVALID_OPTION", make({ onSignal: "log" }), "onSignal", '"log"', "function"],

    ["with two handlers of one type", "DUPLICATE_HANDLER", make({ handlers: [handlers[0], handlers[0]] }), '"plain"', "Keep one"],
    ["with a handler that is none", "INVALID_HANDLER", make({ handlers: [idle] }), "a function", "execute"],
    ["with a gap among handlers", "INVALID_OPTION", make({ handlers: [handlers[0], undefined] }), "handlers", "nothing at 1"],
    ["with a handler that runs nothing", "INVALID_HANDLER", handlerOf({ execute: undefined }), '"a"', "execute", "undefined"],
    ["with a handler with a misspelt key", "INVALID_HANDLER", handlerOf({ maxRetry: 5 }), '"maxRetry"', "maxRetries"],
    ["with a handler without a type", "INVALID_HANDLER", handlerOf({ taskType: undefined }), "taskType", "undefined"],
    ["with a handler of an empty type", "INVALID_HANDLER", handlerOf({ taskType: "" }), "taskType", '""'],
    ["with a handler with a schema that is none", "INVALID_HANDLER", handlerOf({ payload: { region: "string" } }), '"a"', "Standard Schema"],
    ["with a handler with a validate that is none", "INVALID_HANDLER", handlerOf({ validate: true }), '"a"', "validate", "true"],
    ["with a handler with bad retries", "INVALID_HANDLER", handlerOf({ maxRetries: -1 }), '"a"', "maxRetries", "-1"],
    ["with a handler with a bad backoff", "INVALID_HANDLER", handlerOf({ retry: { base: "x" } }), '"a"', "retry.base", '"x"'],
    ["with a handler with a bad timeout", "INVALID_HANDLER", handlerOf({ timeout: 0 }), '"a"', "timeout", "1ms"],
  ]);

  const definition = { name: "a", eventType: "noted", handle: idle };
  const eventHandlerOf = (parts: object) => () => eventHandler(wrong({ ...definition, ...parts }));
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["with an event handler that is none", "INVALID_HANDLER", () => eventHandler(wrong(idle)), "a function", "eventTypes"],
    ["with a hole for an event handler", "INVALID_HANDLER", make({ eventHandlers: [null] }), "null"],
    ["with an event handler that was not made by eventHandler", "INVALID_HANDLER", make({ eventHandlers: [definition] }), '"a"', "event type"],
    ["with an event handler with a misspelt key", "INVALID_HANDLER", eventHandlerOf({ onErrors: "stop" }), '"onErrors"', "onError"],
    ["with an event handler without a name", "INVALID_HANDLER", eventHandlerOf({ name: undefined }), "name", "undefined"],
    ["with an event handler without types", "INVALID_HANDLER", eventHandlerOf({ eventType: undefined }), "eventType"],
    ["with an event handler of one and many types", "INVALID_HANDLER", eventHandlerOf({ eventTypes: ["b"] }), "either"],
    ["with an event handler of no types", "INVALID_HANDLER", eventHandlerOf({ eventType: undefined, eventTypes: [] }), "at least one"],
    ["with an event handler of garbage for a type", "INVALID_HANDLER", eventHandlerOf({ eventType: 5 }), "eventType", "5"],
    ["with an event handler without handle", "INVALID_HANDLER", eventHandlerOf({ handle: undefined }), '"a"', "handle"],
    ["with an event handler with a schema that is none", "INVALID_HANDLER", eventHandlerOf({ payload: {} }), '"a"', "Standard Schema"],
    ["with an event handler with a setUp that is none", "INVALID_HANDLER", eventHandlerOf({ setUp: "CREATE TABLE" }), '"a"', "setUp"],
    ["with an event handler with a reset that is none", "INVALID_HANDLER", eventHandlerOf({ reset: true }), '"a"', "reset"],
    ["with an event handler that starts nowhere", "INVALID_HANDLER", eventHandlerOf({ startFrom: "end" }), '"end"', "beginning"],
    ["with an unknown error strategy", "INVALID_HANDLER", eventHandlerOf({ onError: "panic" }), '"panic"', "dead-letter"],
    ["with a strategy without an end", "INVALID_HANDLER", eventHandlerOf({ onError: { retry: { maxAttempts: 5 } } }), "onError.then", "undefined"],
    ["with a strategy without a retry", "INVALID_HANDLER", eventHandlerOf({ onError: { retry: null, then: "skip" } }), "onError.retry", "null"],
    ["with a strategy with a misspelt key", "INVALID_HANDLER", eventHandlerOf({ onError: { retries: 5, then: "skip" } }), '"retries"'],
    ["with a strategy of no attempts", "INVALID_HANDLER", eventHandlerOf({ onError: { retry: { maxAttempts: 0 }, then: "skip" } }), "maxAttempts", "0"],
    ["with a strategy with a bad backoff", "INVALID_HANDLER", eventHandlerOf({ onError: { retry: { maxAttempts: 2, base: -1 }, then: "skip" } }), "onError", "base", "-1"],
    [
      "with two event handlers of one name",
      "DUPLICATE_HANDLER",
      () => {
        const twice: EventHandler = eventHandler(definition);
        return new Scheduler(doors.db, { eventHandlers: [twice, twice] } satisfies SchedulerOptions);
      },
      '"a"',
      "Keep one",
    ],

    ["asked for an unknown event handler", "EVENT_HANDLER_NOT_FOUND", () => doors.scheduler.eventHandlers.resume("nobody"), '"nobody"', '"projection"'],
    ["asked for no event handler", "EVENT_HANDLER_NOT_FOUND", () => doors.scheduler.eventHandlers.resume(wrong(undefined)), "undefined"],
    ["asked to rebuild what cannot be", "INVALID_HANDLER", () => doors.scheduler.eventHandlers.rebuild("projection"), '"projection"', "reset"],
    ["asked to rebuild with progress to nobody", "INVALID_OPTION", () => doors.scheduler.eventHandlers.rebuild("projection", wrong({ onProgress: 5 })), "onProgress", "5"],
    ["asked for an unknown dead letter", "DEAD_LETTER_NOT_FOUND", () => doors.scheduler.eventHandlers.replayDeadLetter(99), "99"],
    ["asked for a dead letter that is none", "DEAD_LETTER_NOT_FOUND", () => doors.scheduler.eventHandlers.replayDeadLetter(wrong("1")), '"1"'],
    ["asked to drop an unknown dead letter", "DEAD_LETTER_NOT_FOUND", () => doors.scheduler.eventHandlers.dropDeadLetter(99, "why"), "99"],
    ["asked to drop a dead letter that is none", "DEAD_LETTER_NOT_FOUND", () => doors.scheduler.eventHandlers.dropDeadLetter(wrong({}), "why"), "an object"],
    ["asked to drop a dead letter without a reason", "INVALID_TASK", () => doors.scheduler.eventHandlers.dropDeadLetter(1, wrong(undefined)), "reason"],
    ["run with a signal that is none", "INVALID_OPTION", () => doors.scheduler.run(wrong({ signal: 5 })), "signal", "5"],
    ["run with a misspelt option", "INVALID_OPTION", () => doors.scheduler.run(wrong({ abort: AbortSignal.abort() })), '"abort"', "signal"],
    ["run with a signal for options", "INVALID_OPTION", () => doors.scheduler.run(wrong("signal")), '"signal"'],
  ]);

  test("leaves the handlers of another one alone when it is refused", async () => {
    await errorOf(() => new Scheduler(doors.db, { handlers: [wrong({ taskType: "other" })] }));
    const scheduled = doors.db.transaction((transaction) => transaction.scheduleTask(request({ taskType: "other" })));
    expect((await errorOf(() => scheduled)).message).toContain('"plain"');
  });

  test("runs once at a time", async () => {
    await using kit = await createTestScheduler();
    for (const again of [() => kit.scheduler.run(), () => kit.scheduler.start()]) {
      const error = await errorOf(again);
      expect(error.code).toBe("SCHEDULER_RUNNING");
      expect(error.message).toContain("once");
    }
    await kit.restart();
  });
});

describe("a schema", () => {
  const schemaOf = (validate: (value: unknown) => unknown): AnyTaskHandler["payload"] =>
    wrong({ "~standard": { version: 1, vendor: "test", validate } });

  // biome-ignore format: a table, one row to a line.
  test.each<[string, (value: unknown) => unknown, string]>([
    [
      "that throws",
      () => {
        throw new TypeError("Cannot read\n  properties");
      },
      "Cannot read properties",
    ],
    ["that rejects", () => Promise.reject(new Error("no database")), "no database"],
    ["that answers nothing", () => undefined, "no result"],
    ["that answers null", () => null, "no result"],
    ["that answers with issues that are none", () => ({ issues: "all wrong" }), "no result"],
    ["that has a thousand issues", () => ({ issues: Array.from({ length: 1_000 }, () => ({ message: "x".repeat(5_000) })) }), "xxx"],
    ["that answers in colours", () => ({ issues: [{ message: "\u001b[31mno\r\n", path: ["a\nb", { key: Symbol("k") }, 0] }] }), "a b.Symbol(k).0: \\u001b[31mno"],
  ])("%s refuses in our words", async (_, validate, words) => {
    const payload = schemaOf(validate);
    await using db = await AzothDb.open(":memory:");
    const other = new Scheduler(db, {
      handlers: [{ taskType: "a", ...(payload === undefined ? {} : { payload }), execute: idle }],
    });
    const error = await errorOf(() => other.scheduleTask({ taskType: "a", schedule }));
    expect(error.code).toBe("INVALID_PAYLOAD");
    expect(error.message).toContain(words);
    expect(error.message).toMatch(harmlessLine);
  });

  // biome-ignore format: a table, one row to a line.
  test.each<[string, AnyTaskHandler["payload"], unknown]>([
    ["zod, optional", z.object({ n: z.number() }).optional(), undefined],
    ["zod, with a default", z.number().default(7), 7],
    ["zod, nullable", z.object({ n: z.number() }).nullable(), null],
    ["valibot, optional", v.optional(v.object({ n: v.number() })), undefined],
    ["valibot, with a default", v.optional(v.number(), 7), 7],
    ["arktype, optional", type("number | undefined"), undefined],
  ])("takes no payload where nothing fits: %s", async (_, payload, given) => {
    const seen: unknown[] = [];
    const handler = wrong({
      taskType: "a",
      payload,
      execute: (_: TaskContext, payload: unknown) => void seen.push(payload),
    });
    await using kit = await createTestScheduler({ handlers: [handler as TaskHandler] });
    await kit.scheduler.scheduleTask({ taskType: "a", schedule });
    await kit.settle();
    expect(seen).toEqual([given]);
  });
});

describe("a handler's outcome", () => {
  test("with a delay that is none is an error in the handler", async () => {
    expect((await errorOf(() => snooze(-1))).message).toContain("-1");
    expect((await errorOf(() => retryAfter(wrong(undefined)))).message).toContain("undefined");
    expect((await errorOf(() => retryAfter("11y"))).code).toBe("INVALID_DURATION");
  });

  // biome-ignore format: a table, one row to a line.
  test.each<[string, (context: TaskContext) => unknown, ErrorCode]>([
    ["cancels a task that is none", ({ transaction }) => transaction.cancelTask(wrong(undefined), "why"), "INVALID_TASK_ID"],
    ["cancels a task that is an object", ({ transaction }) => transaction.cancelTask(wrong({}), "why"), "INVALID_TASK_ID"],
    ["cancels without a reason", ({ transaction }) => transaction.cancelTask("known", wrong(undefined)), "INVALID_TASK"],
    ["cancels an unknown task", ({ transaction }) => transaction.cancelTask("nobody", "why"), "TASK_NOT_FOUND"],
    ["schedules garbage", async ({ transaction }) => void (await transaction.scheduleTask(wrong(5))), "INVALID_TASK"],
    ["schedules garbage and does not look", ({ transaction }) => void transaction.scheduleTask(wrong(5)), "INVALID_TASK"],
    ["appends garbage", ({ transaction }) => transaction.append(wrong({ eventType: [] })), "INVALID_EVENT"],
    ["appends a reserved event", ({ transaction }) => transaction.append({ eventType: "TaskStarted" }), "RESERVED_EVENT_TYPE"],
    ["runs garbage", ({ transaction }) => transaction.execute(wrong(null)), "INVALID_SQL"],
    ["runs broken SQL", ({ transaction }) => transaction.execute("SELEKT"), "INVALID_SQL"],
    ["binds garbage", ({ transaction }) => transaction.execute("SELECT ?", [wrong({})]), "INVALID_SQL"],
    ["binds no list", ({ transaction }) => transaction.execute("SELECT ?", wrong(5)), "INVALID_SQL"],
    ["returns garbage", () => 5, "HANDLER_RESULT_INVALID"],
    ["returns a reserved event", () => ({ eventType: "TaskExecuted" }), "HANDLER_RESULT_INVALID"],
    ["returns what cannot be stored", () => ({ eventType: "done", payload: new Map() }), "HANDLER_RESULT_INVALID"],
  ])("fails its own attempt only, when it %s", async (_, execute, code) => {
    const bad = taskHandler({ taskType: "bad", execute: execute as () => void });
    const good = taskHandler({ taskType: "good", execute: () => ({ eventType: "done", payload: 1 }) });
    await using kit = await createTestScheduler({ handlers: [bad, good] });
    await kit.scheduler.scheduleTasks([
      { taskId: "bad", taskType: "bad", schedule, maxRetries: 1 },
      { taskId: "good", taskType: "good", schedule },
    ]);
    await kit.settle();
    const [execution] = (await kit.scheduler.history("bad")).executions;
    expect(execution).toMatchObject({ outcome: "failed", error: { code } });
    expect(await kit.scheduler.countTasks()).toMatchObject({ disabled: 1, completed: 1 });
    expect(await kit.log({ eventTypes: ["done"] })).toHaveLength(1);
  });
});
