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
  readonly hasEnded: boolean;
  /** Settles as the promise does, or rejects when the process is killed. */
  orEnd<T>(promise: Promise<T>): Promise<T>;
}

/** The life of the test itself. */
export const endlessLife: Life = { hasEnded: false, orEnd: (promise) => promise };

export class SharedStore {
  /** Write transactions that were committed. */
  commits = 0;
  /** Looks of the schedulers' loops at what is due, or at what is new in the log. */
  rounds = 0;
  /** Changes whenever a transaction ends. */
  #ended = 0;
  readonly #work: WorkInProgress;
  readonly #announcing: boolean;
  /** The handles, each with the latest of its writes that was begun. */
  readonly #handles = new Map<AzothDb, Promise<unknown>>();
  #lastWrite: Promise<unknown> = Promise.resolve();
  #failures: AzothError[] = [];

  /** @param announcing whether commits are told at once, or found by looking, as in life */
  constructor(work: WorkInProgress, announcing: boolean) {
    this.#work = work;
    this.#announcing = announcing;
  }

  /** Changes whenever something happens. */
  get activity(): number {
    return this.#ended + this.rounds;
  }

  /** Lets the next commits fail: their transactions run, and are rolled back. */
  failNext(count: number, error: AzothError): void {
    this.#failures = Array.from({ length: count }, () => error);
  }

  /** Takes in a handle; from now on it writes in turn, and the looks of its loops are counted. */
  add(db: AzothDb, life: Life): void {
    this.#handles.set(db, Promise.resolve());
    const { engine } = coreOf(db);
    const { reads } = engine;
    if (life !== endlessLife) {
      reads.nextDueAt = this.#counted(reads.nextDueAt.bind(reads));
      reads.readEvents = this.#counted(reads.readEvents.bind(reads));
    }
    const write = engine.write.bind(engine);
    engine.write = async (work) => {
      const turn = this.#inTurn(() => {
        const written = this.#write(write, work, life);
        if (this.#handles.has(db)) this.#handles.set(db, written);
        return written;
      });
      const result = await life.orEnd(turn);
      this.commits++;
      if (this.#announcing) this.#tellOthers(db);
      return result;
    };
  }

  /** Resolves when the handle writes nothing more. */
  async remove(db: AzothDb): Promise<void> {
    const latest = this.#handles.get(db);
    this.#handles.delete(db);
    await latest?.catch(() => {});
  }

  async #write<T>(
    write: (work: (transaction: EngineTransaction) => Promise<T>) => Promise<T>,
    work: (transaction: EngineTransaction) => Promise<T>,
    life: Life,
  ): Promise<T> {
    if (life.hasEnded) throw endedError();
    const piece = this.#work.begin();
    try {
      return await write(async (transaction) => {
        // A process that dies takes its transaction with it, whatever the code in there still waits for.
        const result = await life.orEnd(work(mortal(transaction, life)));
        const failure = this.#failures.shift();
        if (failure !== undefined) throw failure;
        return result;
      });
    } finally {
      piece.end();
      this.#ended++;
    }
  }

  #counted<Query, Result>(look: (query: Query) => Result): (query: Query) => Result {
    return (query) => {
      this.rounds++;
      return look(query);
    };
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#lastWrite.then(write);
    this.#lastWrite = turn.catch(() => {});
    return turn;
  }

  #tellOthers(db: AzothDb): void {
    for (const other of this.#handles.keys()) {
      if (other !== db) coreOf(other).notices.announce();
    }
  }
}

/** The same transaction, which refuses everything when the process has died: its code may go on. */
function mortal(transaction: EngineTransaction, life: Life): EngineTransaction {
  return new Proxy(transaction, {
    get(target, key) {
      if (life.hasEnded) throw endedError();
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

export function endedError(): AzothError {
  return new AzothError("STORE_CLOSED", "The test has crashed this scheduler.");
}
