/** Write transactions that stay open while a test does something beside them, on engines with one writer and with many. */
import { onTestFinished } from "vitest";
import type { Engine, EngineTransaction, WriteMode } from "../../src/store/engine.ts";
import { type ContractSubject, connect, range, storeOf } from "./subject.ts";

/** A promise that is settled from outside. */
export class Latch<T = void> {
  readonly opened: Promise<T>;
  open!: (value: T) => void;
  fail!: (error: unknown) => void;

  constructor() {
    this.opened = new Promise<T>((resolve, reject) => {
      this.open = resolve;
      this.fail = reject;
    });
    // Whoever waits for it learns of the failure; nobody has to wait.
    this.opened.catch(() => {});
  }
}

const takenBack = new Error("the test rolls back");

/** One transaction whose steps and end come from the test. Where there is one writer, the steps wait for their turn. */
export class OpenWrite {
  readonly #transaction = new Latch<EngineTransaction>();
  readonly #end = new Latch();
  readonly #steps: Promise<unknown>[] = [];
  readonly #written: Promise<void>;

  constructor(engine: Pick<Engine, "write">, mode?: WriteMode) {
    this.#written = engine.write(async (transaction) => {
      this.#transaction.open(transaction);
      await this.#end.opened;
      await Promise.allSettled(this.#steps);
    }, mode);
    this.#written.catch((error: unknown) => this.#transaction.fail(error));
  }

  /** Runs a step in the transaction. A step that rejects ends it with its error, as it does in the store. */
  do<T>(step: (transaction: EngineTransaction) => Promise<T>): Promise<T> {
    const running = this.#run(step);
    this.#steps.push(running);
    running.catch((error: unknown) => this.#end.fail(error));
    return running;
  }

  async #run<T>(step: (transaction: EngineTransaction) => Promise<T>): Promise<T> {
    return await step(await this.#transaction.opened);
  }

  /** Commits after the steps so far. */
  async commit(): Promise<void> {
    this.#end.open();
    await this.#written;
  }

  async rollBack(): Promise<void> {
    await Promise.allSettled(this.#steps);
    this.#end.fail(takenBack);
    const error = await this.#written.then(
      () => null,
      (error: unknown) => error,
    );
    if (error !== takenBack) throw new Error("It did not end by being rolled back.", { cause: error });
  }

  /** Ends it if it has not ended, and says nothing of how. */
  async abandon(): Promise<void> {
    this.#end.fail(takenBack);
    await Promise.allSettled([this.#written]);
  }
}

/** Begins a write transaction that ends when the test says so, or with the test. */
export function openWrite(engine: Pick<Engine, "write">, mode?: WriteMode): OpenWrite {
  const write = new OpenWrite(engine, mode);
  onTestFinished(() => write.abandon());
  return write;
}

/** Several engines on one new store. */
export async function connectMany(subject: ContractSubject, count: number): Promise<Engine[]> {
  const store = await storeOf(subject);
  const engines: Engine[] = [];
  while (engines.length < count) engines.push(await connect(subject, store));
  return engines;
}

/** Two engines on one new store. */
export async function connectTwo(subject: ContractSubject): Promise<readonly [Engine, Engine]> {
  const store = await storeOf(subject);
  return [await connect(subject, store), await connect(subject, store)];
}

/**
 * Runs `work` while a transaction is open, and then ends that one. Where there is one writer, `work` waits for the end:
 * there it comes first.
 */
export async function beside<T>(engine: Engine, work: () => Promise<T>, end: () => Promise<void>): Promise<T> {
  const running = work();
  running.catch(() => {});
  if (engine.writers === "one") await end();
  const result = await running;
  if (engine.writers === "many") await end();
  return result;
}

/** Begins a write that has to wait for an open transaction, and resolves when it should have come to where it waits. */
export async function beginWaiting<T>(
  engine: Engine,
  work: (transaction: EngineTransaction) => Promise<T>,
  mode: WriteMode = { patient: true },
): Promise<{ readonly result: Promise<T> }> {
  const begun = new Latch();
  const result = engine.write((transaction) => {
    begun.open();
    return work(transaction);
  }, mode);
  result.catch((error: unknown) => begun.fail(error));
  // Where there is one writer, not even its beginning comes before the end of the other.
  if (engine.writers === "many") await begun.opened;
  await turns(engine);
  return { result };
}

/** Lets what was begun before get to where it waits for another transaction, if it does. */
export async function turns(engine: Engine): Promise<void> {
  for (const _ of range(1, 10)) {
    await engine.reads.listInstances();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What came of a promise, as a value. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

export async function outcomeOf<T>(promise: Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}
