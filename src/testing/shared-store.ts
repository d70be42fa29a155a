/**
 * One store under all schedulers of a test, each with a handle of its own, as processes have.
 *
 * It lets them write one after the other in the order of their asking, so that a seed tells the whole
 * course of a test, tells each of the others' commits, and can make commits fail.
 */
import { AzothError } from "../errors.ts";
import { type AzothDb, coreOf } from "../store/azoth-db.ts";
import type { EngineTransaction } from "../store/engine.ts";
import type { WorkInProgress } from "./work-in-progress.ts";

/** Whose life a handle shares. */
export interface Life {
  /** Rejects when the process is killed; never resolves. */
  readonly ended: Promise<never>;
  readonly hasEnded: boolean;
}

export const endlessLife: Life = { ended: new Promise<never>(() => {}), hasEnded: false };

export class SharedStore {
  /** Write transactions that were committed. */
  commits = 0;
  /** Changes whenever a transaction begins or ends. */
  activity = 0;
  readonly #work: WorkInProgress;
  readonly #announcing: boolean;
  readonly #handles = new Set<AzothDb>();
  #lastWrite: Promise<unknown> = Promise.resolve();
  #failures: AzothError[] = [];

  /** @param announcing whether commits are told at once, or found by looking, as in life */
  constructor(work: WorkInProgress, announcing: boolean) {
    this.#work = work;
    this.#announcing = announcing;
  }

  /** Lets the next commits fail: their transactions run, and are rolled back. */
  failNext(count: number, error: AzothError): void {
    this.#failures = Array.from({ length: count }, () => error);
  }

  /** Takes in a handle; from now on it writes in turn. */
  add(db: AzothDb, life: Life): void {
    this.#handles.add(db);
    const { engine } = coreOf(db);
    const write = engine.write.bind(engine);
    engine.write = async (work) => {
      const result = await this.#inTurn(() => Promise.race([life.ended, this.#write(write, work, life)]));
      this.commits++;
      if (this.#announcing) this.#tellOthers(db);
      return result;
    };
  }

  remove(db: AzothDb): void {
    this.#handles.delete(db);
  }

  async #write<T>(
    write: (work: (transaction: EngineTransaction) => Promise<T>) => Promise<T>,
    work: (transaction: EngineTransaction) => Promise<T>,
    life: Life,
  ): Promise<T> {
    if (life.hasEnded) return await life.ended;
    const piece = this.#work.begin();
    try {
      return await write(async (transaction) => {
        const result = await work(transaction);
        const failure = this.#failures.shift();
        if (failure !== undefined) throw failure;
        return result;
      });
    } finally {
      piece.end();
      this.activity++;
    }
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#lastWrite.then(write);
    this.#lastWrite = turn.catch(() => {});
    return turn;
  }

  #tellOthers(db: AzothDb): void {
    for (const other of this.#handles) {
      if (other !== db) coreOf(other).notices.announce();
    }
  }
}
