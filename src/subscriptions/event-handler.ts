/** EventHandlers: durable, ordered readers of the log, as users write them. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { AzothError, quote } from "../errors.ts";
import { parseName, readFields, readSafely } from "../names.ts";
import type { RecordedEvent } from "../store/log.ts";
import type { Transaction } from "../store/transaction.ts";
import type { ErrorStrategy } from "./error-strategy.ts";
import { resolveErrorStrategy } from "./error-strategy.ts";

/** User code for event types. Make one with {@link eventHandler}, which infers the payload's type. */
export interface EventHandler<Payload = unknown> {
  /** The name of its checkpoint: renaming it starts it anew. */
  readonly name: string;
  /** The types of events that it gets, in the order of the log. */
  readonly eventTypes: readonly string[];
  /** Any Standard Schema: checks, and types, what `handle` gets. A payload that it refuses is an error like any other. */
  readonly payload?: StandardSchemaV1<unknown, Payload>;
  /**
   * Handles one event, in the transaction that stores the checkpoint: what it writes through `transaction` happens
   * exactly once. Keep slow work and side effects out of it: let it schedule a task.
   */
  handle(event: RecordedEvent<Payload>, transaction: Transaction): unknown;
  /** What happens when `handle` fails. Defaults to five attempts from one second on, and then a dead letter. */
  readonly onError?: ErrorStrategy;
  /** Where it begins when its name is new: at the beginning of the log, or with what comes from now on. Defaults to "beginning". */
  readonly startFrom?: "beginning" | "now";
  /** Makes its own tables, in a transaction, before the first event of each process. Write it to be repeatable: `CREATE TABLE IF NOT EXISTS`. */
  setUp?(transaction: Transaction): unknown;
  /** Empties its own tables: makes it a projection that can be rebuilt from the log. */
  reset?(transaction: Transaction): unknown;
}

/** Any event handler. The payload is `never` because handlers of different payloads share this type. */
export interface AnyEventHandler extends Omit<EventHandler, "handle" | "payload"> {
  readonly payload?: StandardSchemaV1;
  handle(event: RecordedEvent<never>, transaction: Transaction): unknown;
}

/** An event handler with `eventType` for the usual single type. */
export type EventHandlerDefinition<Payload> = Omit<EventHandler<Payload>, "eventTypes"> &
  ({ readonly eventType: string } | { readonly eventTypes: readonly string[] });

const keys = ["name", "eventType", "eventTypes", "payload", "handle", "onError", "startFrom", "setUp", "reset"];

/**
 * Defines an event handler.
 *
 * @example
 * const totals = eventHandler<{ rows: number }>({
 *   name: "report-totals",
 *   eventType: "report_generated",
 *   setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS totals (day TEXT PRIMARY KEY, rows INTEGER)"),
 *   handle: async (event, tx) => {
 *     const day = event.recordedAt.toISOString().slice(0, 10);
 *     await tx.execute("INSERT INTO totals VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows", [day, event.payload.rows]);
 *   },
 * });
 * @throws AzothError INVALID_HANDLER
 */
export function eventHandler<Payload = unknown>(definition: EventHandlerDefinition<Payload>): EventHandler<Payload> {
  type Parts = EventHandler<Payload> & { eventType?: string };
  const { eventType, eventTypes, ...rest } = readFields<Parts>(
    definition,
    keys,
    "The event handler",
    "INVALID_HANDLER",
  );
  if ((eventType === undefined) === (eventTypes === undefined))
    throw invalid("must have either eventType or eventTypes");
  const handler: EventHandler<Payload> = { ...rest, eventTypes: eventType === undefined ? eventTypes : [eventType] };
  checkEventHandler(handler);
  return handler;
}

/** @throws AzothError INVALID_HANDLER */
export function checkEventHandler(handler: AnyEventHandler | EventHandler<never>): void {
  readSafely("An event handler", "INVALID_HANDLER", () => checkParts(handler));
}

function checkParts(handler: AnyEventHandler | EventHandler<never>): void {
  if (typeof handler !== "object" || handler === null) {
    throw invalid(`must be an object like { name, eventTypes, handle }, and is ${quote(handler)}`);
  }
  parseName(handler.name, "An event handler's name", "INVALID_HANDLER");
  const { eventTypes, startFrom, payload } = handler;
  if (!Array.isArray(eventTypes) || eventTypes.length === 0) {
    throw invalid(`${quote(handler.name)} must have at least one event type, and has ${quote(eventTypes)}`);
  }
  for (const type of eventTypes) parseName(type, "eventType", "INVALID_HANDLER");
  if (typeof handler.handle !== "function") throw invalid(`${quote(handler.name)} must have a function handle`);
  if (startFrom !== undefined && startFrom !== "beginning" && startFrom !== "now") {
    throw invalid(`${quote(handler.name)} has startFrom: ${quote(startFrom)}; it takes "beginning" or "now"`);
  }
  if (payload !== undefined && typeof payload?.["~standard"]?.validate !== "function") {
    throw invalid(
      `${quote(handler.name)} has a payload that is no Standard Schema (zod 3.24+, valibot 1+, arktype 2+)`,
    );
  }
  for (const part of ["setUp", "reset"] as const) {
    if (handler[part] !== undefined && typeof handler[part] !== "function") {
      throw invalid(`${quote(handler.name)} has ${part}: ${quote(handler[part])}, which is no function`);
    }
  }
  resolveErrorStrategy(handler.onError);
}

function invalid(what: string): AzothError {
  return new AzothError("INVALID_HANDLER", `An event handler ${what}.`);
}
