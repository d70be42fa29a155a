/**
 * Work that a test has to wait for: handlers that run, and transactions that are open.
 *
 * Whether a promise will ever settle cannot be known. So each piece of work is waited for in real time, for as
 * long as the test's patience, from its begin and again from every point at which something woke it; while it
 * sleeps on the manual clock it is not waited for at all.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** What of the work in progress a test waits for. */
export class WorkInProgress {
  /** Changes whenever a piece of work begins, ends, parks or goes on. */
  activity = 0;
  readonly #pieces = new Set<PieceOfWork>();

  begin(): PieceOfWork {
    const piece = new PieceOfWork(this);
    this.#pieces.add(piece);
    this.activity++;
    return piece;
  }

  end(piece: PieceOfWork): void {
    this.#pieces.delete(piece);
    this.activity++;
  }

  /** True if some piece may still do something by itself. */
  isWorthWaiting(realNowMs: number, patienceMs: number): boolean {
    let worth = false;
    for (const piece of this.#pieces) {
      if (piece.isWorthWaiting(realNowMs, patienceMs)) worth = true;
    }
    return worth;
  }
}

/** One call of a handler, or one open transaction. */
export class PieceOfWork {
  readonly #all: WorkInProgress;
  /** Its sleeps on the manual clock. */
  #sleeps = 0;
  #waitedSinceMs: number | undefined;
  #givenUp = false;

  constructor(all: WorkInProgress) {
    this.#all = all;
  }

  /** It sleeps on the manual clock. */
  park(): void {
    this.#sleeps++;
    this.#all.activity++;
  }

  /** One of its sleeps has ended. */
  resume(): void {
    this.#sleeps--;
    this.stir();
  }

  /** Something gave it reason to go on, such as its abort signal. */
  stir(): void {
    this.#waitedSinceMs = undefined;
    this.#givenUp = false;
    this.#all.activity++;
  }

  end(): void {
    this.#all.end(this);
  }

  isWorthWaiting(realNowMs: number, patienceMs: number): boolean {
    if (this.#givenUp || this.#sleeps > 0) return false;
    this.#waitedSinceMs ??= realNowMs;
    this.#givenUp = realNowMs - this.#waitedSinceMs >= patienceMs;
    return !this.#givenUp;
  }
}

const calls = new AsyncLocalStorage<PieceOfWork>();

/** The handler call whose code is running, or undefined. */
export function currentHandlerCall(): PieceOfWork | undefined {
  return calls.getStore();
}

/** Calls `work` as a piece of work: sleeps on a manual clock inside of it are its own. */
export function callHandler<T>(piece: PieceOfWork, work: () => T | Promise<T>): Promise<T> {
  return calls.run(piece, async () => {
    try {
      return await work();
    } finally {
      piece.end();
    }
  });
}
