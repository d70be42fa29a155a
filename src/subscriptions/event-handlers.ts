/** The event handlers of one scheduler: where they stand, and their dead letters. */
import { AzothError, quote } from "../errors.ts";
import { defaultPageSize, maxPageSize, queuedCallBytes } from "../limits.ts";
import { parseFunction, parseName, readFields } from "../names.ts";
import type { StoreCore } from "../store/store-core.ts";
import { systemEvent } from "../store/system-events.ts";
import { parseReason } from "../store/task-verbs.ts";
import type { Admission } from "../tasks/request.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { Delivery } from "./delivery.ts";
import { type AnyEventHandler, checkEventHandler } from "./event-handler.ts";

/** Where an event handler stands. */
export interface EventHandlerStatus {
  readonly name: string;
  /** Everything up to this position is handled. */
  readonly position: number;
  readonly status: "active" | "retrying" | "stopped";
  /** Failed attempts at the event that holds it. */
  readonly attempts: number;
  readonly retryAt: Date | null;
  readonly error: string | null;
}

/** An event that was put aside. */
export interface DeadLetter {
  readonly id: number;
  readonly handler: string;
  /** The position of the event that could not be handled. */
  readonly position: number;
  readonly error: string;
  readonly attempts: number;
  readonly recordedAt: Date;
}

export interface EventHandlersOptions {
  readonly core: StoreCore;
  readonly admission: Admission;
  readonly telemetry: Telemetry;
  readonly handlers: readonly AnyEventHandler[];
}

export class EventHandlers {
  /** @internal */
  readonly deliveries: readonly Delivery[];
  readonly #core: StoreCore;

  /** @throws AzothError INVALID_HANDLER, DUPLICATE_HANDLER */
  constructor({ core, admission, telemetry, handlers }: EventHandlersOptions) {
    this.#core = core;
    const names = new Set<string>();
    for (const handler of handlers) {
      checkEventHandler(handler);
      if (names.has(handler.name)) {
        throw new AzothError(
          "DUPLICATE_HANDLER",
          `Two event handlers have the name ${quote(handler.name)}. Keep one of them.`,
        );
      }
      names.add(handler.name);
    }
    this.deliveries = handlers.map((handler) => new Delivery({ core, admission, telemetry, handler }));
  }

  /** Where every event handler that the store knows stands. */
  async list(): Promise<EventHandlerStatus[]> {
    const checkpoints = await this.#core.engine.reads.listCheckpoints();
    return checkpoints.map(({ name, position, status, attempts, retryAtMs, error }) => ({
      name,
      position,
      status: status === "active" && attempts > 0 ? "retrying" : status,
      attempts,
      retryAt: retryAtMs === null ? null : new Date(retryAtMs),
      error: error === null ? null : this.#core.sealing.errorOf(name, error),
    }));
  }

  /** Lets a stopped handler go on, from the event that stopped it; a retrying one tries at once. @throws AzothError EVENT_HANDLER_NOT_FOUND */
  async resume(name: string): Promise<void> {
    await this.#deliveryOf(name).resume();
  }

  /**
   * Empties the tables of a handler that has a `reset`, and handles the whole log again, in one transaction.
   * Resolves with the position it came to. @throws AzothError EVENT_HANDLER_NOT_FOUND, INVALID_HANDLER
   */
  async rebuild(name: string, options: { readonly onProgress?: (position: number) => void } = {}): Promise<number> {
    const fields = readFields<typeof options>(options, ["onProgress"], "A rebuild", "INVALID_OPTION");
    return await this.#deliveryOf(name).rebuild(parseFunction(fields.onProgress, "onProgress"));
  }

  /** Dead letters, oldest first: at most `limit` (default 100) with ids above `after`. @throws AzothError INVALID_FILTER */
  async deadLetters(
    filter: { readonly handler?: string; readonly after?: number; readonly limit?: number } = {},
  ): Promise<DeadLetter[]> {
    const keys = ["handler", "after", "limit"];
    const fields = readFields<typeof filter>(filter, keys, "The dead letter filter", "INVALID_FILTER");
    const { handler, after = 0, limit = defaultPageSize } = fields;
    if (handler !== undefined) parseName(handler, "handler", "INVALID_FILTER");
    if (!Number.isSafeInteger(after) || after < 0 || !Number.isSafeInteger(limit) || limit < 1 || limit > maxPageSize) {
      throw new AzothError(
        "INVALID_FILTER",
        `Dead letters take after >= 0 and limit from 1 to ${maxPageSize}, and got ${quote(after)} and ${quote(limit)}.`,
      );
    }
    const query = { afterId: after, limit, ...(handler === undefined ? {} : { handler }) };
    const letters = await this.#core.engine.reads.listDeadLetters(query);
    return letters.map(({ atMs, ...letter }) => ({
      ...letter,
      error: this.#core.sealing.errorOf(letter.handler, letter.error),
      recordedAt: new Date(atMs),
    }));
  }

  /** Handles the event again and removes the letter; if it fails again, rejects with its error and keeps the letter. @throws AzothError DEAD_LETTER_NOT_FOUND, EVENT_HANDLER_NOT_FOUND */
  async replayDeadLetter(id: number): Promise<void> {
    await this.#deliveryOf((await this.#letter(id)).handler).replayDeadLetter(id);
  }

  /** Removes the letter; the log keeps the reason. @throws AzothError DEAD_LETTER_NOT_FOUND */
  async dropDeadLetter(id: number, reason: string): Promise<void> {
    if (!isLetterId(id)) throw noLetter(id);
    const because = parseReason(reason, "reason");
    await this.#core.queue.submit({
      bytes: queuedCallBytes,
      run: async (work) => {
        const letter = await work.engine.findDeadLetter(id);
        if (letter === null) throw noLetter(id);
        work.append(systemEvent("DeadLetterDropped", { deadLetter: id, handler: letter.handler, reason: because }));
        await work.engine.removeDeadLetter(id);
      },
    });
  }

  async #letter(id: number): Promise<DeadLetter> {
    if (!isLetterId(id)) throw noLetter(id);
    const [letter] = await this.deadLetters({ after: id - 1, limit: 1 });
    if (letter?.id !== id) throw noLetter(id);
    return letter;
  }

  #deliveryOf(name: string): Delivery {
    const found = this.deliveries.find(({ handler }) => handler.name === name);
    if (found !== undefined) return found;
    const known = this.deliveries
      .slice(0, 10)
      .map(({ handler }) => quote(handler.name))
      .join(", ");
    throw new AzothError(
      "EVENT_HANDLER_NOT_FOUND",
      `No event handler here is named ${quote(name)}. Registered: ${known || "none"}.`,
    );
  }
}

function isLetterId(id: unknown): boolean {
  return typeof id === "number" && Number.isSafeInteger(id) && id > 0;
}

function noLetter(id: unknown): AzothError {
  return new AzothError(
    "DEAD_LETTER_NOT_FOUND",
    `There is no dead letter ${quote(id)}. List them; it may have been replayed or dropped.`,
  );
}
