/**
 * The contract of those who follow a log that many write to: they are given everything that is committed, once, in the
 * order of positions, and nothing that is not; what an open transaction may still fill holds them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Engine, EngineTransaction, EventPage, EventQuery, StoredEvent } from "../../src/store/engine.ts";
import { beside, connectMany, connectTwo, type OpenWrite, openWrite, turns } from "./open-write.ts";
import {
  append,
  type ContractSubject,
  everything,
  expectGrowing,
  inOrder,
  logOf,
  newEvent,
  positionsOf,
  range,
  saveNew,
  taskState,
  tasksFrom,
} from "./subject.ts";

const ends = ["commit", "rollBack"] as const;

/** Reads on from where it stands, as subscriptions and event handlers do. */
class Follower {
  readonly events: StoredEvent[] = [];
  scannedTo = 0;
  readonly #read: (query: EventQuery) => Promise<EventPage>;

  constructor(read: (query: EventQuery) => Promise<EventPage>) {
    this.#read = read;
  }

  /** Reads to where there is nothing more for now; resolves with the last page. */
  async readOn(): Promise<EventPage> {
    for (const _ of range(1, 10_000)) {
      const page = await this.#read({ afterPosition: this.scannedTo, limit: 3, scanLimit: 7 });
      const positions = positionsOf(page.events);
      expectGrowing([this.scannedTo, ...positions]);
      expect(page.scannedTo).toBeGreaterThanOrEqual(positions.at(-1) ?? this.scannedTo);
      this.events.push(...page.events);
      this.scannedTo = page.scannedTo;
      if (page.end) return page;
    }
    throw new Error("The pages do not end.");
  }
}

const followerOf = (engine: Engine) => new Follower((query) => engine.reads.readEvents(query));

/** Follows in transactions that write as well, as event handlers do. */
function writingFollowerOf(engine: Engine): Follower {
  return new Follower((query) =>
    engine.write(async (tx) => {
      await tx.saveCheckpoint({
        name: "follower",
        position: query.afterPosition,
        status: "active",
        attempts: 0,
        retryAtMs: null,
        error: null,
        updatedAtMs: 0,
      });
      return await tx.readEvents(query);
    }),
  );
}

type Step =
  | { readonly does: "append"; readonly writer: number; readonly count: number }
  | { readonly does: "commit" | "rollBack"; readonly writer: number };

const writers = 3;
const writer = fc.nat(writers - 1);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant("append" as const), writer, count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("commit" as const), writer }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("rollBack" as const), writer }) },
);

interface Act {
  readonly write: OpenWrite;
  readonly appended: Promise<readonly number[]>[];
}

/** Transactions of several engines that append and end as a test says; each engine has one at a time. */
class Script {
  /** The positions of what was committed, in no order. */
  readonly committed: number[] = [];
  readonly #engines: readonly Engine[];
  readonly #acts = new Map<number, Act>();
  readonly #ends = new Map<number, Promise<void>>();

  constructor(engines: readonly Engine[]) {
    this.#engines = engines;
  }

  /** Resolves when the step is taken, which may have to wait for other steps where there is one writer. */
  async take(step: Step): Promise<void> {
    if (step.does !== "append") return await this.#finish(step.writer, step.does);
    const act = this.#acts.get(step.writer) ?? this.#begin(step.writer);
    const events = range(1, step.count).map(() => newEvent(`writer-${step.writer}`));
    const appended = act.write.do((tx) => tx.append(events));
    act.appended.push(appended);
    await appended;
  }

  /** Commits whatever is open. */
  async end(): Promise<void> {
    await Promise.all([...this.#acts.keys()].map((writer) => this.#finish(writer, "commit")));
    await Promise.all(this.#ends.values());
  }

  #begin(writer: number): Act {
    const engine = this.#engines[writer];
    if (engine === undefined) throw new Error(`There is no engine ${writer}.`);
    const before = this.#ends.get(writer);
    const write: Engine["write"] = async (work, mode) => {
      await before;
      return await engine.write(work, mode);
    };
    const act: Act = { write: openWrite({ write }), appended: [] };
    this.#acts.set(writer, act);
    return act;
  }

  #finish(writer: number, how: "commit" | "rollBack"): Promise<void> {
    const act = this.#acts.get(writer);
    if (act === undefined) return Promise.resolve();
    this.#acts.delete(writer);
    const finishing = async () => {
      await act.write[how]();
      if (how === "commit") this.committed.push(...(await Promise.all(act.appended)).flat());
    };
    const finished = finishing();
    this.#ends.set(writer, finished);
    return finished;
  }
}

export function followerContract(subject: ContractSubject): void {
  describe("a reader of the log", () => {
    test.each(ends)("is held where a transaction in progress has appended, and goes on after it (%s)", async (end) => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1)]);
      const [before = 0] = await append(engine, [newEvent("before")]);
      const holder = openWrite(engine);
      const [open = 0] = await holder.do((tx) => tx.append([newEvent("open")]));
      expect(open).toBeGreaterThan(before);
      const followers = [followerOf(engine), followerOf(other)];
      const look = async () => {
        const positions = await append(other, [newEvent("beside", { task: 1 }), newEvent("beside")]);
        if (engine.writers === "one") return positions;
        expectGrowing([open, ...positions]);
        for (const follower of followers) {
          const page = await follower.readOn();
          expect(page).toMatchObject({ end: true, held: true });
          expect(follower.scannedTo).toBeLessThan(open);
          expect(positionsOf(follower.events)).toEqual([before]);
        }
        for (const { reads } of [engine, other]) {
          expect(await reads.lastPosition()).toBe(before);
          const down = await reads.readEvents({ ...everything, beforePosition: Number.MAX_SAFE_INTEGER });
          expect(positionsOf(down.events)).toEqual([before]);
          // Nobody follows a single task, and whoever looks at one sees what is committed.
          const ofTask = await reads.readEvents({ ...everything, taskId: "task-1" });
          expect(positionsOf(ofTask.events)).toEqual(positions.slice(0, 1));
          expect((await reads.readTasksWithEvents(tasksFrom(1, 1))).events).toHaveLength(1);
        }
        return positions;
      };
      const positions = await beside(other, look, () => holder[end]());
      const expected = inOrder([before, ...(end === "commit" ? [open] : []), ...positions]);
      for (const follower of followers) {
        const page = await follower.readOn();
        expect(page).toMatchObject({ end: true, held: false });
        expect(positionsOf(follower.events)).toEqual(expected);
      }
      for (const { reads } of [engine, other]) expect(await reads.lastPosition()).toBe(expected.at(-1));
    });

    test("is held by the first of several, and then by the next", async () => {
      const engines = await connectMany(subject, 3);
      const follower = new Follower(
        (query) => engines[2]?.reads.readEvents(query) ?? Promise.reject(new Error("none")),
      );
      const [first, second, third] = engines.map((engine) => openWrite(engine));
      if (first === undefined || second === undefined || third === undefined) throw new Error("no engines");
      const many = engines[0]?.writers === "many";
      const appended: Promise<readonly number[]>[] = [];
      for (const write of [first, second, third]) {
        const step = write.do((tx) => tx.append([newEvent("a")]));
        appended.push(step);
        if (many) await step;
      }
      const seen = async () => {
        const { held } = await follower.readOn();
        return { held, events: follower.events.length };
      };
      const open = [second, first, third];
      const states: unknown[] = [await seen()];
      for (const write of open) {
        const ending = write.commit();
        if (many) await ending;
        states.push(await seen());
      }
      await Promise.all(open.map((write) => write.commit()));
      expect(await seen()).toEqual({ held: false, events: 3 });
      expect(inOrder((await Promise.all(appended)).flat())).toEqual(positionsOf(follower.events));
      if (!many) return;
      expect(states).toEqual([
        { held: false, events: 0 },
        { held: true, events: 0 },
        { held: false, events: 2 },
        { held: false, events: 3 },
      ]);
    });

    test("is not held by a transaction that has appended nothing", async () => {
      const [engine, other] = await connectTwo(subject);
      await saveNew(engine, [taskState(1)]);
      const holder = openWrite(engine);
      await holder.do(async (tx) => {
        await tx.lockTasks(["task-1"]);
        await tx.drawTaskSeqs(1);
        await tx.addInstance({ name: "i", nowMs: 0, claimMs: 1 });
      });
      const follower = followerOf(other);
      const look = async () => {
        const [position] = await append(other, [newEvent("a")]);
        expect(await follower.readOn()).toMatchObject({ end: true, held: false });
        expect(positionsOf(follower.events)).toEqual([position]);
        expect(await engine.reads.lastPosition()).toBe(position);
      };
      await beside(other, look, () => holder.commit());
    });

    test("that appends in the transaction that it reads in finds its own events there, or after it", async () => {
      const [engine, other] = await connectTwo(subject);
      await append(other, [newEvent("foreign")]);
      let open: EngineTransaction | undefined;
      const follower = new Follower(async (query) => {
        if (open === undefined) throw new Error("no transaction");
        return await open.readEvents(query);
      });
      const told: number[] = [];
      for (const round of range(1, 5)) {
        await engine.write(async (tx) => {
          open = tx;
          await follower.readOn();
          told.push(...(await tx.append([newEvent("own"), newEvent("own")])));
          if (round % 2 === 0) await follower.readOn();
        });
        if (round === 3) await append(other, [newEvent("foreign")]);
      }
      await engine.write(async (tx) => {
        open = tx;
        await follower.readOn();
      });
      const all = await logOf(other);
      expect(all).toHaveLength(12);
      expect(follower.events).toEqual(all);
      expect(positionsOf(all.filter(({ type }) => type === "own"))).toEqual(told);
    });

    test("misses nothing, in whatever order transactions append and end", { timeout: 120_000 }, async () => {
      const engines = await connectMany(subject, writers + 1);
      const script = new Script(engines.slice(0, writers));
      const reader = engines[writers];
      if (reader === undefined) throw new Error("no engine");
      const followers = engines.map(followerOf);
      const writing = writingFollowerOf(reader);
      const { committed } = script;
      const run = async (steps: readonly Step[]) => {
        const looks: { last: number; upTo: number[] }[] = [];
        const begun = await reader.reads.lastPosition();
        const present = async () => (await reader.reads.readEvents({ ...everything, afterPosition: begun })).events;
        for (const step of steps) {
          const taken = script.take(step);
          if (reader.writers === "many") await taken;
          const last = await reader.reads.lastPosition();
          looks.push({ last, upTo: positionsOf(await present()).filter((position) => position <= last) });
          for (const follower of followers) await follower.readOn();
          if (reader.writers === "many") await writing.readOn();
        }
        await script.end();
        for (const follower of [...followers, writing]) {
          expect(await follower.readOn()).toMatchObject({ held: false });
          expect(positionsOf(follower.events)).toEqual(inOrder(committed));
        }
        // Where somebody was told that the log ends, nothing was added before it.
        const added = inOrder(committed).filter((position) => position > begun);
        for (const { last, upTo } of looks) expect(upTo).toEqual(added.filter((position) => position <= last));
        expect(await reader.reads.lastPosition()).toBe(inOrder(committed).at(-1) ?? 0);
      };
      await fc.assert(fc.asyncProperty(fc.array(anyStep, { minLength: 2, maxLength: 20 }), run), { numRuns: 30 });
      if (reader.writers === "one") expect(inOrder(committed)).toEqual(range(1, committed.length));
    });

    test("misses nothing while several engines write as fast as they can", async () => {
      const engines = await connectMany(subject, 4);
      const committed: number[] = [];
      let writingNow = true;
      const following = engines.map(async (engine, index) => {
        const follower = index === 0 ? writingFollowerOf(engine) : followerOf(engine);
        while (writingNow) {
          await follower.readOn();
          await new Promise((resolve) => setImmediate(resolve));
        }
        await follower.readOn();
        return follower;
      });
      await Promise.all(
        engines.slice(1).map(async (engine, writer) => {
          for (const round of range(1, 40)) {
            const write = engine.write(async (tx) => {
              const positions = [...(await tx.append([newEvent(`w${writer}`), newEvent(`w${writer}`)]))];
              // Some commit late, so that others with higher positions commit before them.
              if ((round + writer) % 3 === 0) await turns(engine);
              positions.push(...(await tx.append([newEvent(`w${writer}`)])));
              if (round % 4 === writer) throw new Error("rolled back");
              expectGrowing(positions);
              return positions;
            });
            if (round % 4 === writer) await expect(write).rejects.toThrow("rolled back");
            else committed.push(...(await write));
          }
        }),
      );
      writingNow = false;
      for (const follower of await Promise.all(following)) {
        expect(positionsOf(follower.events)).toEqual(inOrder(committed));
      }
      if (engines[0]?.writers === "one") expect(inOrder(committed)).toEqual(range(1, committed.length));
    });
  });
}
