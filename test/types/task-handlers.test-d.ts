/** How types flow from handlers to requests: checked by `tsc`, never run. */
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  type AnyTaskHandler,
  type AzothDb,
  fail,
  immediate,
  type PayloadOf,
  retryAfter,
  Scheduler,
  snooze,
  type TaskContext,
  type TaskHandler,
  taskHandler,
} from "../../src/index.ts";

declare const db: AzothDb;

/** Compiles only if the two types are the same. */
function same<Left, Right>(
  ..._proof: (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? [] : ["the types differ"]
): void {}

const schedule = immediate();

// Handlers with a schema: what goes in at scheduling, what comes out to execute.
const zodHandler = taskHandler({
  taskType: "zod",
  payload: z.object({ region: z.string(), day: z.coerce.date(), limit: z.number().default(10) }),
  execute(context, payload) {
    same<typeof context, TaskContext>();
    same<typeof payload, { region: string; day: Date; limit: number }>();
    return { eventType: "reported", payload: { rows: payload.limit } };
  },
});
const valibotHandler = taskHandler({
  taskType: "valibot",
  payload: v.object({ region: v.string(), rows: v.pipe(v.string(), v.transform(Number)) }),
  execute(_context, payload) {
    same<typeof payload, { region: string; rows: number }>();
  },
});
const arktypeHandler = taskHandler({
  taskType: "arktype",
  payload: type({ region: "string", "rows?": "number" }),
  execute(_context, payload) {
    same<typeof payload.region, string>();
    same<typeof payload.rows, number | undefined>();
  },
});
same<(typeof zodHandler)["taskType"], "zod">();
same<PayloadOf<typeof zodHandler>, { region: string; day: unknown; limit?: number | undefined }>();
same<PayloadOf<typeof valibotHandler>, { region: string; rows: string }>();
same<PayloadOf<typeof arktypeHandler>, { region: string; rows?: number }>();

// Handlers with an annotated parameter, with a validate function, with none of them.
const annotated = taskHandler({
  taskType: "annotated",
  execute: async (_context, payload: { to: string; copies?: number }) => ({ eventType: "sent", payload: payload.to }),
});
const optional = taskHandler({
  taskType: "optional",
  execute: (_context, payload: { depth: number } | undefined) => {
    same<typeof payload, { depth: number } | undefined>();
  },
});
const validated = taskHandler({
  taskType: "validated",
  validate: (payload) => {
    same<typeof payload, unknown>();
    return typeof payload === "string";
  },
  execute: (_context, payload: string) => void payload.length,
});
const free = taskHandler({ taskType: "free", execute: () => {} });
const unannotated = taskHandler({
  taskType: "unannotated",
  execute: (_context, payload) => {
    same<typeof payload, unknown>();
  },
});
same<PayloadOf<typeof annotated>, { to: string; copies?: number }>();
same<PayloadOf<typeof free>, unknown>();

// What execute may give back.
taskHandler({ taskType: "t", execute: () => undefined });
taskHandler({ taskType: "t", execute: () => null });
taskHandler({ taskType: "t", execute: async () => {} });
taskHandler({ taskType: "t", execute: () => ({ eventType: "e" }) });
taskHandler({ taskType: "t", execute: (context) => (context.attempt > 2 ? fail("no") : retryAfter("5m")) });
taskHandler({
  taskType: "t",
  execute: async (context) =>
    context.attempt > 2 ? snooze("1h", "later") : { eventType: "e", payload: [new Date(), 1n] },
});
taskHandler({
  taskType: "t",
  // @ts-expect-error -- A number is no event, outcome or nothing.
  execute: () => 5,
});
taskHandler({
  taskType: "t",
  // @ts-expect-error -- An event needs its type.
  execute: async () => ({ payload: 5 }),
});
taskHandler({
  taskType: "t",
  // @ts-expect-error -- Misspelt: it is maxRetries.
  maxRetry: 3,
  execute: () => {},
});
// @ts-expect-error -- A handler has to do something.
taskHandler({ taskType: "t" });
// @ts-expect-error -- A handler has a type.
taskHandler({ execute: () => {} });

// A scheduler knows the payloads of its handlers by their types.
const scheduler = new Scheduler(db, {
  handlers: [zodHandler, valibotHandler, arktypeHandler, annotated, optional, validated, free, unannotated],
});
void scheduler.scheduleTask({ taskType: "zod", schedule, payload: { region: "eu", day: "2026-01-01" } });
void scheduler.scheduleTask({ taskType: "zod", schedule, payload: { region: "eu", day: new Date(), limit: 5 } });
void scheduler.scheduleTask({ taskType: "valibot", schedule, payload: { region: "eu", rows: "12" } });
void scheduler.scheduleTask({ taskType: "arktype", schedule, payload: { region: "eu" } });
void scheduler.scheduleTask({
  taskType: "annotated",
  schedule,
  payload: { to: "a" },
  taskId: "t",
  priority: 5,
  timeout: "5m",
});
void scheduler.scheduleTask({ taskType: "optional", schedule });
void scheduler.scheduleTask({ taskType: "optional", schedule, payload: { depth: 1 } });
void scheduler.scheduleTask({ taskType: "validated", schedule, payload: "text" });
void scheduler.scheduleTask({ taskType: "free", schedule });
void scheduler.scheduleTask({ taskType: "free", schedule, payload: { anything: [1, "b"] } });
void scheduler.scheduleTask({ taskType: "unannotated", schedule, payload: 5 });
void scheduler.scheduleTasks([
  { taskType: "zod", schedule, payload: { region: "eu", day: 5 } },
  { taskType: "free", schedule },
]);

// @ts-expect-error -- No handler has this type.
void scheduler.scheduleTask({ taskType: "unknown", schedule });
// @ts-expect-error -- A misspelt type.
void scheduler.scheduleTask({ taskType: "anotated", schedule, payload: { to: "a" } });
// @ts-expect-error -- The payload is missing.
void scheduler.scheduleTask({ taskType: "annotated", schedule });
// @ts-expect-error -- The payload is missing.
void scheduler.scheduleTask({ taskType: "zod", schedule });
// @ts-expect-error -- A payload may not be undefined where the handler wants one.
void scheduler.scheduleTask({ taskType: "annotated", schedule, payload: undefined });
// @ts-expect-error -- A part of the payload is missing.
void scheduler.scheduleTask({ taskType: "zod", schedule, payload: { day: "2026-01-01" } });
// @ts-expect-error -- A part of the payload has another type.
void scheduler.scheduleTask({ taskType: "annotated", schedule, payload: { to: 5 } });
// @ts-expect-error -- The payload of another handler.
void scheduler.scheduleTask({ taskType: "valibot", schedule, payload: { to: "a" } });
// @ts-expect-error -- What comes out of the schema is not what goes in.
void scheduler.scheduleTask({ taskType: "valibot", schedule, payload: { region: "eu", rows: 12 } });
// @ts-expect-error -- The payload has a part too many.
void scheduler.scheduleTask({ taskType: "annotated", schedule, payload: { to: "a", too: "b" } });
// @ts-expect-error -- A misspelt option.
void scheduler.scheduleTask({ taskType: "free", schedule, maxRetry: 5 });
// @ts-expect-error -- A schedule is needed.
void scheduler.scheduleTask({ taskType: "free" });
// @ts-expect-error -- A schedule is no text.
void scheduler.scheduleTask({ taskType: "free", schedule: "0 0 * * *" });
void scheduler.scheduleTasks([
  { taskType: "free", schedule },
  // @ts-expect-error -- Each one is checked.
  { taskType: "annotated", schedule },
]);

// Requests can be built apart from the call.
const request = { taskType: "annotated", schedule, payload: { to: "a" } } as const;
void scheduler.scheduleTask(request);

// Without known handlers every request passes, as for a process that only schedules.
const outside = new Scheduler(db, { externalTaskTypes: ["anything"] });
void outside.scheduleTask({ taskType: "anything", schedule, payload: { a: 1 } });
void outside.scheduleTask({ taskType: "something else", schedule });
const listed: AnyTaskHandler[] = [zodHandler, annotated];
const dynamic = new Scheduler(db, { handlers: listed });
void dynamic.scheduleTask({ taskType: "anything", schedule, payload: 5 });
const single = new Scheduler(db, { handlers: [annotated] });
// @ts-expect-error -- One handler is a tuple as well.
void single.scheduleTask({ taskType: "other", schedule });
const none = new Scheduler(db);
void none.scheduleTask({ taskType: "anything", schedule });

// A scheduler of known handlers can be handed to what takes any.
async function count(any: Scheduler): Promise<number> {
  return (await any.listTasks({ enabled: true, state: ["waiting", "paused"] })).tasks.length;
}
void count(scheduler);

// A class may be a handler.
class Report implements TaskHandler<"report", { day: string }> {
  readonly taskType = "report";
  execute(context: TaskContext, payload: { day: string }) {
    context.logger.info({ day: payload.day }, "reporting");
    return { eventType: "reported", payload: payload.day };
  }
}
const withClass = new Scheduler(db, { handlers: [new Report()] });
void withClass.scheduleTask({ taskType: "report", schedule, payload: { day: "monday" } });
// @ts-expect-error -- The payload is missing.
void withClass.scheduleTask({ taskType: "report", schedule });

// What a handler does through its context.
taskHandler({
  taskType: "t",
  async execute(context) {
    context.transaction.append({ eventType: "e", payload: 1 });
    context.transaction.execute("INSERT INTO t VALUES (?)", [1, null, "a", 1n, new Uint8Array()]);
    same<Awaited<ReturnType<typeof context.transaction.scheduleTask>>, { taskId: string }>();
    context.transaction.cancelTask("t", "because");
    same<typeof context.signal, AbortSignal>();
    same<typeof context.scheduledFor, Date>();
    // @ts-expect-error -- A Date cannot be bound.
    context.transaction.execute("INSERT INTO t VALUES (?)", [new Date()]);
    // @ts-expect-error -- A context is not to be changed.
    context.attempt = 5;
    await context.sleep("5s");
  },
});
