/**
 * Callers that share commits get what they would have got one after the other: the same commands, in groups of any
 * size and one by one, leave the same log, the same tasks and the same rows, whoever of them fails in the middle.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { immediate } from "../../src/schedule/immediate.ts";
import { interval } from "../../src/schedule/interval.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { type AzothDb, coreOf } from "../../src/store/azoth-db.ts";
import { commandInWork, scheduleInWork } from "../../src/store/task-verbs.ts";
import type { Work } from "../../src/store/work.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { engineUnderTest, rowNumber } from "../engine-under-test.ts";
import { eventsOf, openStore } from "./scratch-stores.ts";

/** One thing that a caller does to a task. */
interface Step {
  readonly taskId: string;
  readonly verb: "schedule" | "cancel" | "pause" | "resume" | "run-now" | "append" | "insert" | "flush" | "throw";
  readonly payload: number;
}

/** What one caller asks for: some steps, of which a failing one ends it, or is caught. */
interface Call {
  /** "plain" shares commits; "transaction" is a user's; "nested" undoes its part of a shared commit by itself. */
  readonly kind: "plain" | "transaction" | "nested";
  readonly steps: readonly Step[];
  readonly catches: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  taskId: fc.constantFrom("a", "b", "c"),
  verb: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom("schedule", "cancel", "pause", "resume", "run-now") },
    { weight: 2, arbitrary: fc.constantFrom("append", "insert", "flush", "throw") },
  ),
  payload: fc.integer({ min: 0, max: 3 }),
});
const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constantFrom("plain", "plain", "plain", "transaction", "nested"),
  steps: fc.array(step, { minLength: 1, maxLength: 5 }),
  catches: fc.boolean(),
});
/** Callers that ask at one moment, moment by moment. */
const moments = fc.array(fc.array(call, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 });

class Subject {
  readonly db: AzothDb;
  readonly #scheduler: Scheduler;
  readonly #clock: ManualClock;

  static async open(): Promise<Subject> {
    const clock = new ManualClock("2026-01-01T00:00:00Z");
    const db = await openStore(undefined, {
      clock,
      durability: "normal",
      noticeInterval: 0,
      random: () => 0.5,
    });
    await db.transaction((tx) => tx.execute(`CREATE TABLE notes (number ${rowNumber}, payload INTEGER)`));
    return new Subject(db, clock);
  }

  private constructor(db: AzothDb, clock: ManualClock) {
    this.db = db;
    this.#clock = clock;
    this.#scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  }

  passTime(): void {
    this.#clock.jump("1s");
  }

  /** Resolves with how it ended. */
  async make({ kind, steps, catches }: Call): Promise<string> {
    const all = async (work: Work) => {
      for (const each of steps) {
        const taken = this.#take(work, each, kind);
        await (catches ? taken.catch(() => {}) : taken);
      }
    };
    const { queue } = coreOf(this.db);
    const made =
      kind === "plain"
        ? queue.submit({ run: all })
        : queue.submit({ exclusive: kind === "transaction", run: (work) => work.attemptNested(() => all(work)) });
    return await made.then(
      () => "done",
      (error: unknown) => (error as { code?: string; message: string }).code ?? (error as Error).message,
    );
  }

  async #take(work: Work, { taskId, verb, payload }: Step, kind: Call["kind"]): Promise<void> {
    const { ids, admission } = coreOf(this.db);
    switch (verb) {
      case "schedule": {
        const schedule = payload === 0 ? immediate() : interval(payload * 1_000);
        const admitted = await admission.admit({ taskId, taskType: "work", schedule, payload });
        await scheduleInWork(work, ids, admitted);
        return;
      }
      case "cancel":
        await commandInWork(work, taskId, { kind: "cancel", reason: "because" });
        return;
      case "append":
        work.append({ type: "noted", data: String(payload), task: null, run: null, meta: null });
        return;
      case "insert":
        // Statements of the user's run in nested parts only.
        if (kind === "plain") return;
        await work.flush();
        await work.engine.execute("INSERT INTO notes (payload) VALUES (?)", [payload]);
        return;
      case "flush":
        if (kind !== "plain") await work.flush();
        return;
      case "throw":
        throw new Error("thrown");
      default:
        await commandInWork(work, taskId, { kind: verb });
    }
  }

  async outcome() {
    const events = (await eventsOf(this.db)).map(({ position, eventType, taskId, recordedAt, payload }) => {
      // With many writers, what a part that failed has drawn stays a hole.
      const place = engineUnderTest === "sqlite" ? { position } : {};
      return { ...place, eventType, taskId, recordedAt, payload };
    });
    const { tasks } = await this.#scheduler.listTasks();
    const notes = await this.db.query("SELECT payload FROM notes ORDER BY number");
    return { events, tasks, notes, verification: (await this.db.verify()).difference };
  }
}

/** With many writers, users' transactions run beside what is shared, in no order: there, each is asked for by itself. */
function ordered(moment: readonly Call[]): (readonly Call[])[] {
  if (engineUnderTest === "sqlite") return [moment];
  const alone = moment.filter(({ kind }) => kind === "transaction");
  return [moment.filter(({ kind }) => kind !== "transaction"), ...alone.map((call) => [call])];
}

test("grouped calls are worth as much as single ones", async () => {
  await fc.assert(
    fc.asyncProperty(moments, async (calls) => {
      const grouped = await Subject.open();
      const single = await Subject.open();
      for (const atOnce of calls.flatMap(ordered)) {
        const together = await Promise.all(atOnce.map((each) => grouped.make(each)));
        const apart: string[] = [];
        for (const each of atOnce) apart.push(await single.make(each));
        expect(together).toEqual(apart);
        grouped.passTime();
        single.passTime();
      }
      const outcome = await grouped.outcome();
      expect(outcome).toEqual(await single.outcome());
      expect(outcome.verification).toBeNull();
      await Promise.all([grouped.db.close(), single.db.close()]);
    }),
    { numRuns: Number(process.env["AZOTH_RUNS"] ?? (engineUnderTest === "sqlite" ? 25 : 6)) },
  );
});
