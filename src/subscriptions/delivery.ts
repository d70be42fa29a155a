/**
 * Brings the events of the log to one event handler: in order, in the transaction that stores its checkpoint.
 *
 * The checkpoint is read inside of that transaction, so that of several processes with the same handler each
 * event is handled by one. A failing event holds back the later ones until its strategy lets go of it.
 */
import type { Clock } from "../clock.ts";
import { AzothError, quote } from "../errors.ts";
import { boundedText } from "../limits.ts";
import type { Checkpoint, EventPage, StoredEvent } from "../store/engine.ts";
import { recordedEvent } from "../store/log.ts";
import { refuse } from "../store/sealing.ts";
import type { StoreCore } from "../store/store-core.ts";
import { systemEvent } from "../store/system-events.ts";
import { runTransaction } from "../store/transaction.ts";
import type { Work } from "../store/work.ts";
import type { Admission } from "../tasks/request.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { afterFailure, type ResolvedStrategy, resolveErrorStrategy } from "./error-strategy.ts";
import type { AnyEventHandler } from "./event-handler.ts";

/** Events in one transaction, and positions that one look at the log may pass. */
const batchSize = 100;
const scanLimit = 5_000;
/** A transaction takes no further event after so long, so that other writers get their turn. */
const batchTimeMs = 20;
/** How far a handler whose events are rare may run ahead of its stored checkpoint. */
const unstoredLag = 10_000;

export interface DeliveryOptions {
  readonly core: StoreCore;
  readonly admission: Admission;
  readonly telemetry: Telemetry;
  readonly handler: AnyEventHandler;
}

/**
 * How a round ended: "more" events may wait, none do ("idle"), a transaction in progress holds them back ("held"),
 * another process has the handler in hand ("elsewhere"), the next attempt is due in a while, or it stands still.
 */
export type DeliveryState =
  | { readonly is: "more" | "idle" | "held" | "elsewhere" | "stopped" }
  | { readonly is: "retrying"; readonly inMs: number };

export class Delivery {
  readonly handler: AnyEventHandler;
  readonly #options: DeliveryOptions;
  readonly #strategy: ResolvedStrategy;
  #ready = false;
  /** Everything up to here is known to hold nothing for this handler, or to be handled. */
  #scannedTo = 0;
  /** The position of the checkpoint as this process last stored it. */
  #storedAt = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.handler = options.handler;
    this.#strategy = resolveErrorStrategy(options.handler.onError);
  }

  /** One round: handles a batch of events, if there are any. */
  async deliverOnce(): Promise<DeliveryState> {
    const { core } = this.#options;
    if (!this.#ready) await this.#setUp();
    const { reads } = core.engine;
    // Looks outside of any transaction first: most commits hold nothing for this handler, and a round that
    // commits in vain would wake itself for ever.
    const types = this.handler.eventTypes;
    const peek = await reads.readEvents({ afterPosition: this.#scannedTo, limit: 1, scanLimit, types });
    if (peek.events.length === 0) {
      this.#scannedTo = Math.max(this.#scannedTo, peek.scannedTo);
      const farAhead = this.#scannedTo - this.#storedAt > unstoredLag;
      if (!farAhead) return stateAfter(peek);
    }
    const stored = (await reads.listCheckpoints()).find(({ name }) => name === this.handler.name);
    const held = stored === undefined ? null : heldBy(stored, core.clock.now());
    if (held !== null) return held;
    const { checkpoint, state } = await core.queue.submit({ exclusive: true, run: (work) => this.#deliver(work) });
    if (checkpoint !== null) this.#moveTo(checkpoint.position);
    return state;
  }

  /** Empties the handler's tables and handles the whole log again, in one transaction. */
  async rebuild(onProgress?: (position: number) => void): Promise<number> {
    const { core } = this.#options;
    const { name, reset } = this.handler;
    if (reset === undefined) {
      throw new AzothError("INVALID_HANDLER", `The event handler ${quote(name)} has no reset, and cannot be rebuilt.`);
    }
    const position = await core.queue.submit({
      exclusive: true,
      run: async (work) => {
        await this.#inTransaction(work, (transaction) => this.handler.reset?.(transaction));
        let afterPosition = 0;
        for (;;) {
          const page = await work.engine.readEvents({
            afterPosition,
            limit: batchSize,
            scanLimit,
            types: this.handler.eventTypes,
          });
          for (const event of page.events) await this.#handle(work, event);
          afterPosition = page.scannedTo;
          onProgress?.(afterPosition);
          if (page.end) break;
        }
        await work.engine.saveCheckpoint(fresh(name, afterPosition, work.context.nowMs));
        return afterPosition;
      },
    });
    this.#moveTo(position);
    return position;
  }

  /** Handles the event of a dead letter again, and removes it. Rejects with the handler's error if it fails again. */
  async replayDeadLetter(id: number): Promise<void> {
    await this.#options.core.queue.submit({
      exclusive: true,
      run: async (work) => {
        const letter = await work.engine.findDeadLetter(id);
        if (letter === null) throw new AzothError("DEAD_LETTER_NOT_FOUND", `There is no dead letter ${id}.`);
        const page = await work.engine.readEvents({ afterPosition: letter.position - 1, limit: 1, scanLimit: 1 });
        const event = page.events[0];
        if (event === undefined)
          throw new AzothError("STORE_CORRUPT", `The log has no event at position ${letter.position}.`);
        await this.#handle(work, event);
        work.append(systemEvent("DeadLetterReplayed", { deadLetter: id, handler: letter.handler }));
        await work.engine.removeDeadLetter(id);
      },
    });
  }

  /** Lets a stopped handler go on, from the event that stopped it. */
  async resume(): Promise<void> {
    const { name } = this.handler;
    await this.#options.core.queue.submit({
      run: async (work) => {
        const checkpoint = await work.engine.lockCheckpoint(name, "wait");
        if (checkpoint === null || (checkpoint.status === "active" && checkpoint.attempts === 0)) return;
        await work.engine.saveCheckpoint(fresh(name, checkpoint.position, work.context.nowMs));
        work.append(systemEvent("EventHandlerResumed", { handler: name }));
      },
    });
  }

  async #setUp(): Promise<void> {
    const { core } = this.#options;
    const { name, startFrom } = this.handler;
    const checkpoint = await core.queue.submit({
      exclusive: true,
      run: async (work) => {
        // First the lock, so that of several processes one sets up after the other.
        const known = await work.engine.lockCheckpoint(name, "wait");
        await this.#inTransaction(work, (transaction) => this.handler.setUp?.(transaction));
        if (known !== null) return known;
        const position = startFrom === "now" ? await core.engine.reads.lastPosition() : 0;
        const first = fresh(name, position, work.context.nowMs);
        await work.engine.saveCheckpoint(first);
        return first;
      },
    });
    this.#moveTo(checkpoint.position);
    this.#ready = true;
  }

  #moveTo(position: number): void {
    this.#storedAt = position;
    this.#scannedTo = position;
  }

  async #deliver(work: Work): Promise<{ checkpoint: Checkpoint | null; state: DeliveryState }> {
    const { core } = this.#options;
    const { name, eventTypes } = this.handler;
    const { nowMs } = work.context;
    const locked = await work.engine.lockCheckpoint(name, "skip");
    if (locked === "held") return { checkpoint: null, state: { is: "elsewhere" } };
    let checkpoint = locked ?? fresh(name, 0, nowMs);
    const held = heldBy(checkpoint, nowMs);
    if (held !== null) return { checkpoint, state: held };
    // What was looked at already is passed over, unless somebody set the checkpoint back.
    const untouched = checkpoint.attempts === 0 && checkpoint.position >= this.#storedAt;
    const afterPosition = untouched ? Math.max(checkpoint.position, this.#scannedTo) : checkpoint.position;
    const page = await work.engine.readEvents({ afterPosition, limit: batchSize, scanLimit, types: eventTypes });
    const deadline = deadlineOf(core.clock);
    for (const event of page.events) {
      checkpoint = await this.#attempt(work, checkpoint, event);
      if (checkpoint.position < event.position || deadline()) {
        await work.engine.saveCheckpoint(checkpoint);
        return { checkpoint, state: heldBy(checkpoint, nowMs) ?? { is: "more" } };
      }
    }
    checkpoint = fresh(name, Math.max(page.scannedTo, checkpoint.position), nowMs);
    await work.engine.saveCheckpoint(checkpoint);
    return { checkpoint, state: stateAfter(page) };
  }

  /** Handles one event; what its failure means is in the checkpoint that comes back. */
  async #attempt(work: Work, checkpoint: Checkpoint, event: StoredEvent): Promise<Checkpoint> {
    const { name } = this.handler;
    const { nowMs } = work.context;
    // An event about this handler's own failures would feed on itself.
    if (isAboutItself(event, name)) return fresh(name, event.position, nowMs);
    try {
      await work.attemptNested(() => this.#handle(work, event));
      return fresh(name, event.position, nowMs);
    } catch (thrown) {
      const error = boundedText(describe(thrown));
      return await this.#failed(work, checkpoint, event, error);
    }
  }

  async #failed(work: Work, checkpoint: Checkpoint, event: StoredEvent, error: string): Promise<Checkpoint> {
    const { core, telemetry } = this.#options;
    const { name: handler } = this.handler;
    const { nowMs } = work.context;
    const { position } = event;
    const attempts = checkpoint.attempts + 1;
    const next = afterFailure(this.#strategy, attempts, core.random());
    const then = "then" in next ? next.then : "retry";
    telemetry.emit({ name: "event-handler.failed", handler, position, attempts, message: error, then });
    const stored = core.sealing.sealError(handler, error);
    const failed: Checkpoint = { ...checkpoint, attempts, error: stored, updatedAtMs: nowMs };
    if ("retryInMs" in next) return { ...failed, retryAtMs: nowMs + next.retryInMs };
    switch (next.then) {
      case "stop":
        work.append(systemEvent("EventHandlerStopped", { handler, position, error }));
        return { ...failed, status: "stopped", retryAtMs: null };
      case "skip":
        work.append(systemEvent("EventSkipped", { handler, position, error, attempts }));
        return fresh(handler, position, nowMs);
      case "dead-letter": {
        const staged = work.append(systemEvent("EventDeadLettered", { handler, position, error, attempts }));
        await work.flushForPositions();
        const letter = { id: staged.position, handler, position, error: stored, attempts, atMs: nowMs };
        await work.engine.addDeadLetter(letter);
        return fresh(handler, position, nowMs);
      }
    }
  }

  async #handle(work: Work, stored: StoredEvent): Promise<void> {
    const event = recordedEvent(stored, this.#options.core.sealing, refuse);
    const checked = await this.#checked(event.payload);
    await this.#inTransaction(work, (transaction) =>
      this.handler.handle({ ...event, payload: checked as never }, transaction),
    );
  }

  async #checked(payload: unknown): Promise<unknown> {
    const schema = this.handler.payload;
    if (schema === undefined) return payload;
    const result = await schema["~standard"].validate(payload);
    if (result.issues === undefined) return result.value;
    const words = this.#options.core.sealing.isOn ? [] : result.issues.slice(0, 3).map((issue) => issue.message);
    const why = words.length === 0 ? "" : `: ${boundedText(words.join("; "), 500)}`;
    throw new AzothError("INVALID_PAYLOAD", `The event's payload was refused${why}.`);
  }

  #inTransaction(work: Work, callback: Parameters<typeof runTransaction>[2]): Promise<unknown> {
    const { core, admission } = this.#options;
    return runTransaction(core, work, callback, admission);
  }
}

function fresh(name: string, position: number, nowMs: number): Checkpoint {
  return { name, position, status: "active", attempts: 0, retryAtMs: null, error: null, updatedAtMs: nowMs };
}

function stateAfter(page: EventPage): DeliveryState {
  if (page.held) return { is: "held" };
  return { is: page.end ? "idle" : "more" };
}

/** Why a handler cannot go on now, or null. */
function heldBy({ status, retryAtMs, updatedAtMs }: Checkpoint, nowMs: number): DeliveryState | null {
  if (status === "stopped") return { is: "stopped" };
  // The clock was set back since: until it shows the instant of the retry again, days may pass.
  if (nowMs < updatedAtMs) return null;
  return retryAtMs === null || retryAtMs <= nowMs ? null : { is: "retrying", inMs: retryAtMs - nowMs };
}

function deadlineOf(clock: Clock): () => boolean {
  const startedAtMs = clock.now();
  return () => Math.abs(clock.now() - startedAtMs) > batchTimeMs;
}

function isAboutItself(event: StoredEvent, handler: string): boolean {
  if (!event.type.startsWith("Event") && !event.type.startsWith("DeadLetter")) return false;
  const data = JSON.parse(event.data) as { handler?: unknown } | null;
  return data?.handler === handler;
}

/** Whatever a handler threw, as text. Reading a hostile object's fields may throw as well. */
function describe(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : quote(thrown);
  } catch {
    return "an error that cannot be read";
  }
}
