/**
 * One store under all schedulers of a test, each with a handle of its own, as processes have.
 *
 * It lets them write one after the other in the order of their asking, so that a seed tells the whole
 * course of a test, tells each of the others' commits, and can make commits fail.
 */
import { AzothError } from "../errors.ts";
import { type AzothDb, coreOf } from "../store/azoth-db.ts";
import type { EngineReads, EngineTransaction } from "../store/engine.ts";
import type { ManualClock } from "./manual-clock.ts";
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
  /** Told of each call to the store, before it and when a commit has answered: the life may end there. */
  called(): void;
  /** Settles as the promise does, or rejects when the process is killed. */
  orEnd<T>(promise: Promise<T>): Promise<T>;
}

/** The life of the test itself. */
export const endlessLife: Life = { hasEnded: false, called: () => {}, orEnd: (promise) => promise };

/** How a commit is to fail. */
interface Failure {
  readonly error: AzothError;
  /** True if it takes effect nevertheless, and only its answer is lost. */
  readonly kept: boolean;
}

export class SharedStore {
  /** Write transactions that were committed. */
  commits = 0;
  /** Write transactions that failed because they were told to. */
  failedCommits = 0;
  /** Looks of the schedulers' loops at what is due, or at what is new in the log. */
  rounds = 0;
  /** Changes whenever the database has answered. */
  #ended = 0;
  /** Questions to the database without an answer yet. */
  #asked = 0;
  /** Whom the next answer wakes. */
  readonly #awaiting: (() => void)[] = [];
  readonly #work: WorkInProgress;
  readonly #clock: ManualClock;
  readonly #announcing: boolean;
  /** The handles, each with the latest of its writes that was begun. */
  readonly #handles = new Map<AzothDb, Promise<unknown>>();
  #lastWrite: Promise<unknown> = Promise.resolve();
  #failure: Failure | undefined;
  /** How many commits are still to fail so. */
  #toFail = 0;
  #slowMs = 0;
  /** What the storage takes its time for just now. */
  readonly #slow = new Set<AbortController>();

  /** @param announcing whether commits are told at once, or found by looking, as in life */
  constructor(work: WorkInProgress, clock: ManualClock, announcing: boolean) {
    this.#work = work;
    this.#clock = clock;
    this.#announcing = announcing;
  }

  /** Changes whenever something happens. */
  get activity(): number {
    return this.#ended + this.rounds;
  }

  /** Lets the next commits fail: their transactions run, and are rolled back, or kept without an answer. */
  failNext(count: number, failure: Failure): void {
    this.#failure = failure;
    this.#toFail = count;
  }

  /** Lets each call of a scheduler take so long on the clock; what is under way ends at once. */
  slowDown(ms: number): void {
    this.#slowMs = ms;
    for (const pause of this.#slow) pause.abort();
  }

  /** Takes in a handle; from now on it writes in turn, and the looks of its loops are counted. */
  add(db: AzothDb, life: Life): void {
    this.#handles.set(db, Promise.resolve());
    const { engine } = coreOf(db);
    const { reads } = engine;
    this.#waitForReads(reads, life);
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
    const beSlow = async () => {
      piece.park();
      await this.#beSlow(life).finally(() => piece.resume());
    };
    let failure: Failure | undefined;
    const inside = async (transaction: EngineTransaction): Promise<T> => {
      // A process that dies takes its transaction with it, whatever the code in there still waits for.
      const result = await life.orEnd(work(this.#mortal(transaction, life)));
      if (this.#isSlowFor(life)) await beSlow();
      callOf(life);
      if (this.#toFail > 0) {
        this.#toFail--;
        this.failedCommits++;
        failure = this.#failure;
      }
      if (failure?.kept === false) throw failure.error;
      return result;
    };
    try {
      const result = await this.#ask(life, () => write((transaction) => this.#unasked(() => inside(transaction))));
      if (this.#isSlowFor(life)) await beSlow();
      callOf(life);
      if (failure !== undefined) throw failure.error;
      return result;
    } finally {
      piece.end();
    }
  }

  #isSlowFor(life: Life): boolean {
    return this.#slowMs > 0 && life !== endlessLife;
  }

  async #beSlow(life: Life): Promise<void> {
    const pause = new AbortController();
    this.#slow.add(pause);
    try {
      await life.orEnd(this.#clock.sleepFor(life, this.#slowMs, pause.signal));
    } finally {
      this.#slow.delete(pause);
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

  #waitForReads(reads: EngineReads, life: Life): void {
    for (const verb of readVerbs) {
      const read = reads[verb].bind(reads) as (...query: unknown[]) => Promise<unknown>;
      const look = async (...query: unknown[]) => {
        if (this.#isSlowFor(life)) await this.#beSlow(life);
        return await this.#ask(life, () => read(...query));
      };
      Object.assign(reads, { [verb]: look });
    }
  }

  async #ask<T>(life: Life, question: () => Promise<T>): Promise<T> {
    callOf(life);
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
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== "function") return member;
        const verb = member.bind(target) as (...parameters: unknown[]) => Promise<unknown>;
        if (key === "nested") {
          return (work: () => Promise<unknown>) => this.#ask(life, () => verb(() => this.#unasked(work)));
        }
        return (...parameters: unknown[]) => this.#ask(life, () => verb(...parameters));
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

/** @throws AzothError STORE_CLOSED if the life ends with this call */
function callOf(life: Life): void {
  life.called();
  if (life.hasEnded) throw endedError();
}

export function endedError(): AzothError {
  return new AzothError("STORE_CLOSED", "The test has crashed this scheduler.");
}
