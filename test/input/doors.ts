/**
 * What the tests of bad input share: a store with a little in it, and tables of calls that must be refused with a code,
 * in words that name what was wrong, show the value and say how to mend it, and of which nothing may be written.
 */
import {
  type AnyTaskHandler,
  AzothDb,
  type AzothError,
  type ErrorCode,
  eventHandler,
  immediate,
  isAzothError,
  oneTime,
  Scheduler,
  taskHandler,
} from "azoth-scheduler";
import { afterAll, beforeEach, expect, test } from "vitest";
import { engineUnderTest } from "../engine-under-test.ts";
import { lastingUrl } from "../postgres/databases.ts";

/** What a user of JavaScript can pass, whatever the types say. */
export const wrong = (value: unknown): never => value as never;

export const idle = (): void => {};

export const schedule = immediate();

/** A request that is right but for the parts given. */
export const request = (parts: object): never => wrong({ taskType: "plain", schedule, ...parts });

/** Handlers of "plain", which takes anything, and "false", which takes nothing. */
export const handlers: readonly AnyTaskHandler[] = [
  taskHandler({ taskType: "plain", execute: idle }),
  taskHandler({ taskType: "false", validate: () => false, execute: idle }),
];

/** The AzothError of a call; fails if it goes well, or throws anything else. */
export async function errorOf(act: () => unknown): Promise<AzothError> {
  try {
    await act();
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** Reads a stream to its end. */
export async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** One line of 10 to 1,499 characters, without control characters, marks of direction, or halves of characters. */
export const harmlessLine = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{10,1499}\.$/u;

/** A place for a store that all tests of a file use, and what is to be done with it after them. */
export function lastingLocation(): { readonly url: string; readonly drop: () => Promise<void> } {
  return engineUnderTest === "postgres" ? lastingUrl() : { url: ":memory:", drop: async () => {} };
}

/** What a message looks like that is a foreign one, or a stack. */
const foreignWords = /node_modules|\.ts:|\bat .*:\d+|Cannot read prop|is not a function|is not iterable/;

/** A call that is to be refused, with the code and words that the message must have. */
export type Row = readonly [what: string, code: ErrorCode, act: () => unknown, ...words: string[]];

/** A store of this file's tests, with two tasks and an event. */
export class Doors {
  #db: AzothDb | undefined;
  #scheduler: Scheduler | undefined;
  #before: unknown;

  /** @param more handlers beside the usual ones */
  constructor(more: readonly AnyTaskHandler[] = []) {
    let place: ReturnType<typeof lastingLocation> | undefined;
    // Not before all of them: where there is no server, they are skipped one by one.
    beforeEach(async () => {
      if (place !== undefined) return;
      place = lastingLocation();
      await this.#open(place.url, [...handlers, ...more]);
    });
    afterAll(async () => {
      await this.#db?.close();
      await place?.drop();
    });
  }

  get db(): AzothDb {
    if (this.#db === undefined) throw new Error("the store is opened before the first test");
    return this.#db;
  }

  get scheduler(): Scheduler {
    if (this.#scheduler === undefined) throw new Error("the scheduler is made before the first test");
    return this.#scheduler;
  }

  /** A test for each row. */
  refuses(rows: readonly Row[]): void {
    test.each(rows.map((row) => [row[0], row] as const))("%s", async (_, [, code, act, ...words]) => {
      const error = await errorOf(act);
      expect(error.message).toMatch(harmlessLine);
      expect(error.message).not.toMatch(foreignWords);
      for (const part of words) expect(error.message).toContain(part);
      expect(error.code).toBe(code);
      await this.expectNothingWritten();
    });
  }

  async expectNothingWritten(): Promise<void> {
    expect(await this.#written()).toEqual(this.#before);
  }

  async #open(location: string, handlers: readonly AnyTaskHandler[]): Promise<void> {
    this.#db = await AzothDb.open(location, { maxPayloadBytes: 1_000, noticeInterval: 0 });
    const projection = eventHandler({ name: "projection", eventType: "noted", handle: idle });
    this.#scheduler = new Scheduler(this.#db, { handlers, eventHandlers: [projection] });
    const later = { taskType: "plain", schedule: oneTime("2100-01-01T00:00:00Z") };
    await this.#scheduler.scheduleTask({ taskId: "known", ...later });
    await this.#scheduler.scheduleTask({ taskId: "cancelled", ...later });
    await this.#scheduler.cancelTask("cancelled", "for the test");
    await this.#db.transaction((transaction) => transaction.append({ eventType: "noted" }));
    this.#before = await this.#written();
  }

  /** All that could have been written. */
  async #written(): Promise<unknown> {
    const tables = ["azoth_tasks", "azoth_instances", "azoth_checkpoints", "azoth_dead_letters"];
    const rows = await Promise.all(tables.map((table) => this.db.query(`SELECT * FROM ${table}`)));
    return [await this.db.lastPosition(), rows];
  }
}
