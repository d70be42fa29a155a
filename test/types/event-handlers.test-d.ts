/** How types flow to event handlers and readers of the log: checked by `tsc`, never run. */
import { z } from "zod";
import {
  type AzothDb,
  eventHandler,
  type RecordedEvent,
  Scheduler,
  type Signal,
  type TaskInfo,
  type Transaction,
} from "../../src/index.ts";

declare const db: AzothDb;

/** Compiles only if the two types are the same. */
function same<Left, Right>(
  ..._proof: (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? [] : ["the types differ"]
): void {}

// The payload's type by a type argument, by a schema, or unknown.
const byArgument = eventHandler<{ rows: number }>({
  name: "totals",
  eventType: "reported",
  handle: async (event, transaction) => {
    same<typeof event, RecordedEvent<{ rows: number }>>();
    same<typeof transaction, Transaction>();
    same<typeof event.payload.rows, number>();
    same<typeof event.taskId, string | undefined>();
    await transaction.execute("INSERT INTO totals VALUES (?)", [event.payload.rows]);
  },
});
const bySchema = eventHandler({
  name: "checked",
  eventTypes: ["reported", "counted"],
  payload: z.object({ rows: z.number(), day: z.coerce.date() }),
  onError: { retry: { maxAttempts: 5, base: "1s" }, then: "dead-letter" },
  startFrom: "now",
  handle: (event) => {
    same<typeof event.payload, { rows: number; day: Date }>();
  },
});
const untyped = eventHandler({
  name: "any",
  eventType: "reported",
  onError: "stop",
  handle: (event) => {
    same<typeof event.payload, unknown>();
  },
  setUp: (transaction) => transaction.execute("CREATE TABLE IF NOT EXISTS t (a)"),
  reset: (transaction) => transaction.execute("DELETE FROM t"),
});

// Handlers of different payloads stand side by side.
const scheduler = new Scheduler(db, { eventHandlers: [byArgument, bySchema, untyped] });
void scheduler.eventHandlers.list();

// @ts-expect-error -- It needs an event type.
eventHandler({ name: "n", handle: () => {} });
// @ts-expect-error -- It needs a name.
eventHandler({ eventType: "e", handle: () => {} });
// @ts-expect-error -- It needs to do something.
eventHandler({ name: "n", eventType: "e" });
// @ts-expect-error -- There is no such strategy.
eventHandler({ name: "n", eventType: "e", handle: () => {}, onError: "ignore" });
// @ts-expect-error -- A retry has an end.
eventHandler({ name: "n", eventType: "e", handle: () => {}, onError: { retry: {}, then: "skip" } });
// @ts-expect-error -- "end" is no place to begin.
eventHandler({ name: "n", eventType: "e", handle: () => {}, startFrom: "end" });

// Reading the log.
async function read(): Promise<void> {
  for await (const event of db.readLog({ after: 5, eventTypes: ["a"], since: new Date() })) {
    same<typeof event, RecordedEvent>();
    same<typeof event.payload, unknown>();
  }
  for await (const event of db.subscribe({ signal: AbortSignal.abort() })) same<typeof event.position, number>();
  // @ts-expect-error -- A misspelt filter.
  db.readLog({ eventType: "a" });
}
void read;

// Transactions pass on the results of their callbacks, sync or async.
same<ReturnType<typeof numberInTransaction>, Promise<number>>();
function numberInTransaction() {
  return db.transaction((transaction) => transaction.append({ eventType: "a" }));
}
same<ReturnType<typeof textInTransaction>, Promise<string>>();
function textInTransaction() {
  return db.transaction(() => "text");
}

// Tasks and signals.
async function inspect(): Promise<void> {
  const task = await scheduler.getTask("t");
  same<typeof task, TaskInfo | null>();
  // @ts-expect-error -- There may be none.
  task.taskId.length;
  const { executions, nextCursor } = await scheduler.history("t", { limit: 5 });
  same<typeof nextCursor, string | null>();
  same<NonNullable<(typeof executions)[number]>["endedAt"], Date | null>();
  // @ts-expect-error -- There is no such state.
  await scheduler.listTasks({ state: "done" });
}
void inspect;

function onSignal(signal: Signal): string | number {
  switch (signal.name) {
    case "task.failed":
      return signal.code;
    case "scheduler.lost":
      return signal.silentMs;
    default:
      return signal.name;
  }
}
void onSignal;
