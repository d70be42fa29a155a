/**
 * One store under all schedulers of a test, each with a handle of its own, as processes have.
 *
 * It lets them write one after the other in the order of their asking, so that a seed tells the whole
 * course of a test, tells each of the others' commits, and can make commits fail.
 */
import { AzothError } from "../errors.ts";
import { type AzothDb, coreOf } from "../store/azoth-db.ts";
import type { EngineReads, EngineTransaction } from "../store/engine.ts";
import type { WorkInProgress } from "./work-in-progress.ts";

/** What the loops of a scheduler ask. */
const readVerbs = [
  "readEvents",
  "lastPosition",
  "chainHead",
  "snapshot",
  "findTask",
  "nextDueAt",
  "overdueOfOtherTypes",
  "runsOf",
  "listInstances",
  "listCheckpoints",
] as const satisfies (keyof EngineReads)[];

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
  /** Changes whenever the database has answered. */
  #ended = 0;
  /** Questions to the database without an answer yet. */
  #asked = 0;
  /** Whom the next answer wakes. */
  readonly #awaiting: (() => void)[] = [];
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
    this.#waitForReads(reads);
    if (life !== endlessLife) {
      reads.nextDueAt = this.#counted(reads.nextDueAt.bind(reads));
      reads.readEvents = this.#counted(reads.readEvents.bind(reads));
    }
    const write = engine.write.bind(engine);
    engine.write = async (work, mode) => {
      const turn = this.#inTurn(() => {
        const written = this.#write((inside) => write(inside, mode), work, life);
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
    const inside = async (transaction: EngineTransaction): Promise<T> => {
      // A process that dies takes its transaction with it, whatever the code in there still waits for.
      const result = await life.orEnd(work(this.#mortal(transaction, life)));
      const failure = this.#failures.shift();
      if (failure !== undefined) throw failure;
      return result;
    };
    try {
      return await this.#ask(() => write((transaction) => this.#unasked(() => inside(transaction))));
    } finally {
      piece.end();
    }
  }

  /** True while the database has been asked something and has not answered: no time passes meanwhile. */
  get isAsked(): boolean {
    return this.#asked > 0;
  }

  /** Resolves when a question is answered, or is no longer the database's to answer. */
  nextAnswer(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }

  #putDown(): void {
    this.#asked--;
    for (const resolve of this.#awaiting.splice(0)) resolve();
  }

  #waitForReads(reads: EngineReads): void {
    for (const verb of readVerbs) {
      const read = reads[verb].bind(reads) as (...query: unknown[]) => Promise<unknown>;
      Object.assign(reads, { [verb]: (...query: unknown[]) => this.#ask(() => read(...query)) });
    }
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    this.#asked++;
    try {
      return await question();
    } finally {
      this.#ended++;
      this.#putDown();
    }
  }

  /** Within a question, the part that is not the database's: what user code waits for may be anything. */
  async #unasked<T>(work: () => Promise<T>): Promise<T> {
    this.#putDown();
    try {
      return await work();
    } finally {
      this.#asked++;
    }
  }

  /** The same transaction, which refuses everything when the process has died: its code may go on. */
  #mortal(transaction: EngineTransaction, life: Life): EngineTransaction {
    return new Proxy(transaction, {
      get: (target, key) => {
        if (life.hasEnded) throw endedError();
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== "function") return member;
        const verb = member.bind(target) as (...parameters: unknown[]) => Promise<unknown>;
        if (key === "nested") {
          return (work: () => Promise<unknown>) => this.#ask(() => verb(() => this.#unasked(work)));
        }
        return (...parameters: unknown[]) => this.#ask(() => verb(...parameters));
      },
    });
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

export function endedError(): AzothError {
  return new AzothError("STORE_CLOSED", "The test has crashed this scheduler.");
}
