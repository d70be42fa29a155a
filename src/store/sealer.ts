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

/** Events in one step, and positions that one look may pass. */
const pageSize = 500;
const scanLimit = 5_000;
/** After a step that came to the end of the log: what is committed meanwhile is sealed in one commit. */
const pauseMs = 100;
/** A safety net under the notices: no sleep is longer. */
const longestWaitMs = 300_000;
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
  /** The chain's head, as far as it is known; undefined before the first look. */
  #head: ChainLink | null | undefined;
  /** Everything up to here is sealed, or no event. */
  #scannedTo = 0;

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
          return isAzothError(error, "STORE_CLOSED") ? ("closed" as const) : ("failed" as const);
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

  /** One step: seals a page of the log, if there is one. */
  async #seal(write: Write): Promise<Step> {
    const { engine, options } = this.#core;
    if (this.#head === undefined) this.#moveTo(await engine.reads.chainHead());
    const head = this.#head ?? null;
    const page = await engine.reads.readEvents({ afterPosition: this.#scannedTo, limit: pageSize, scanLimit });
    if (page.events.length === 0) {
      this.#scannedTo = Math.max(this.#scannedTo, page.scannedTo);
      if (!page.end) return "more";
      return page.held ? "soon" : "done";
    }
    const links = await linksOf(head, page.events, new Pace(options.eventLoopBudgetMs));
    const found = await write(async (transaction) => {
      const locked = await transaction.lockChain("seal");
      if (locked !== "held" && isSame(locked, head)) await transaction.extendChain(links);
      return locked;
    });
    if (found === "held") return "soon";
    if (!isSame(found, head)) {
      // Another sealer was here, or somebody has cut the chain.
      this.#moveTo(found);
      return "more";
    }
    this.#moveTo(links.at(-1) ?? head);
    this.#scannedTo = Math.max(this.#scannedTo, page.scannedTo);
    return page.end ? "soon" : "more";
  }

  #moveTo(head: ChainLink | null): void {
    this.#head = head;
    this.#scannedTo = head?.position ?? 0;
  }
}

function isSame(left: ChainLink | null, right: ChainLink | null): boolean {
  return left?.position === right?.position && left?.hash === right?.hash;
}
