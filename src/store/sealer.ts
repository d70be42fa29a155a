/**
 * Seals the log: follows it as any reader does, and adds a link to the hash chain for each event that it comes to.
 *
 * Positions may become visible out of order, so no link can be made in the transaction that writes the event: nobody
 * knows yet what comes before it. What is settled never changes any more, and the same links follow from it whoever makes
 * them. Several sealers of one store therefore need no more than a lock for each step; one that died is no loss.
 */
import { systemClock, yieldToEventLoop } from "../clock.ts";
import { isAzothError } from "../errors.ts";
import { Pace } from "../pace.ts";
import { linksOf } from "./chain.ts";
import type { ChainLink, EngineTransaction } from "./engine.ts";
import { Latch } from "./latch.ts";
import type { StoreCore } from "./store-core.ts";

/** Events in one step. */
const pageSize = 500;
/** Positions that one look may pass. */
const scanLimit = 5_000;
/** After a step that came to the end of the log: what is committed meanwhile is sealed in one commit. */
const pauseMs = 100;
/** A safety net under the notices: no sleep is longer. */
const longestWaitMs = 600_000;
/** After a step that failed. */
const retryMs = 1_000;
/** How long the end of a store waits for the rest of its log to be sealed. */
const lastStepsMs = 5_000;

/** How a step ended: there may be "more" to do at once, or "soon", or nothing before the next commit. */
type Step = "more" | "soon" | "done";

type Write = <T>(work: (transaction: EngineTransaction) => Promise<T>) => Promise<T>;

export class Sealer {
  readonly #core: StoreCore;
  readonly #latch: Latch;
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  /** The chain's head, as far as it is known. */
  #head: ChainLink | null = null;

  constructor(core: StoreCore) {
    this.#core = core;
    this.#latch = new Latch(core.clock);
    this.#following = this.#follow(this.#stopping.signal);
  }

  /** Seals what is left, as far as there is time for it. To be called when the store's queue has ended. */
  async close(): Promise<void> {
    this.#stopping.abort();
    const over = new AbortController();
    const sealing = this.#sealRest(over.signal).finally(() => over.abort());
    await Promise.race([sealing, systemClock.sleep(lastStepsMs, over.signal)]);
    over.abort();
  }

  async #sealRest(over: AbortSignal): Promise<void> {
    const { engine } = this.#core;
    await this.#following;
    try {
      while (!over.aborted && (await this.#seal((work) => engine.write(work))) === "more") await yieldToEventLoop();
    } catch {
      // Whoever opens the store next goes on where this one came to.
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, engine, notices, queue } = this.#core;
    const stopListening = notices.listen(() => this.#latch.wake());
    // With one writer, a step rides in the commits of others; with many it is beside them, and they never wait for it.
    const exclusive = engine.writers === "many";
    const write: Write = (work) => queue.submit({ exclusive, run: ({ engine: transaction }) => work(transaction) });
    try {
      // Whoever opens the store has its turn first.
      await yieldToEventLoop();
      while (!signal.aborted) {
        const next = await this.#seal(write).catch((error: unknown) => {
          if (isAzothError(error, "STORE_CLOSED")) return "closed" as const;
          for (const told of this.#core.failureListeners) told("the hash chain", error, retryMs);
          return "failed" as const;
        });
        if (next === "closed") return;
        if (next === "more") await yieldToEventLoop();
        // Not the latch: commits that wake it would make a failing step be tried again without a pause.
        else if (next === "failed") await clock.sleep(retryMs, signal);
        else if (next === "soon") await clock.sleep(pauseMs, signal);
        else await this.#latch.wait(longestWaitMs, signal);
      }
    } finally {
      stopListening();
    }
  }

  /** One step: seals a page of the settled log, if there is one. */
  async #seal(write: Write): Promise<Step> {
    const { reads } = this.#core.engine;
    this.#head ??= await reads.chainHead();
    const head = this.#head;
    const after = head?.position ?? 0;
    const settledTo = await reads.lastPosition();
    if (settledTo <= after) {
      // What is held back may become settled by a rollback, of which nobody is told.
      const { held } = await reads.readEvents({ afterPosition: after, limit: 1, scanLimit });
      return held ? "soon" : "done";
    }
    const events = await reads.snapshot((snapshot) => snapshot.readLog(after, settledTo, pageSize));
    const links = await linksOf(head, events, new Pace(this.#core.options.eventLoopBudgetMs));
    const found = await write(async (transaction) => {
      const locked = await transaction.lockChain("seal");
      if (locked !== "held" && isSame(locked, head)) await transaction.extendChain(links);
      return locked;
    });
    if (found === "held") return "soon";
    const isOurs = isSame(found, head);
    // If not, another sealer was here, or somebody has cut the chain.
    this.#head = isOurs ? (links.at(-1) ?? head) : found;
    return isOurs && this.#head?.position === settledTo ? "soon" : "more";
  }
}

function isSame(left: ChainLink | null, right: ChainLink | null): boolean {
  return left?.position === right?.position && left?.hash === right?.hash;
}
