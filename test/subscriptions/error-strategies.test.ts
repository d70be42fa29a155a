/** What follows when an event handler fails: stop, skip, retry, dead letter; and what people can do then. */
import { type ErrorStrategy, eventHandler, type RecordedEvent, type Signal, type Transaction } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { dataOf, eventsOf, openKit, timeOf } from "../scheduler/support.ts";

/** A kit with a handler of numbers that fails at those in `bad`, and what it was given when. */
async function withHandler(onError: ErrorStrategy | undefined, bad: Set<number>, more: object = {}) {
  const calls: string[] = [];
  const signals: Signal[] = [];
  const handler = eventHandler<number>({
    name: "fussy",
    eventType: "counted",
    setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS kept (value INTEGER PRIMARY KEY)"),
    handle: async (event: RecordedEvent<number>, tx: Transaction) => {
      calls.push(`${event.payload}@${timeOf(tx.now) ?? ""}`);
      await tx.execute("INSERT INTO kept VALUES (?)", [event.payload]);
      if (bad.has(event.payload)) throw new RangeError(`${event.payload} is bad`);
    },
    ...(onError === undefined ? {} : { onError }),
    ...more,
  });
  const kit = await openKit({ eventHandlers: [handler], onSignal: (signal) => signals.push(signal) });
  return { kit, calls, signals };
}

async function count(kit: TestScheduler, ...values: number[]): Promise<void> {
  await kit.db.transaction(async (tx) => {
    for (const value of values) await tx.append({ eventType: "counted", payload: value });
  });
}

const kept = async (kit: TestScheduler) =>
  (await kit.db.query("SELECT value FROM kept ORDER BY value")).map(({ value }) => value);
const statusOf = async (kit: TestScheduler) => (await kit.scheduler.eventHandlers.list())[0];

describe("stop", () => {
  test("stands still before the event, keeps nothing of it, and goes on with it when resumed", async () => {
    const bad = new Set([2]);
    const { kit, calls, signals } = await withHandler("stop", bad);
    await using _ = kit;
    await count(kit, 1, 2, 3);
    await kit.advance("1h");
    expect(await kept(kit)).toEqual([1]);
    expect(calls).toEqual(["1@00:00:00", "2@00:00:00"]);
    expect(await statusOf(kit)).toMatchObject({
      name: "fussy",
      status: "stopped",
      attempts: 1,
      error: "RangeError: 2 is bad",
    });
    const [stopped] = await eventsOf(kit, "EventHandlerStopped");
    expect(dataOf(stopped)).toMatchObject({ handler: "fussy", error: "RangeError: 2 is bad" });
    expect(signals.find(({ name }) => name === "event-handler.failed")).toMatchObject({
      handler: "fussy",
      then: "stop",
    });
    // Neither a new event nor a restart makes it go on.
    await kit.restart();
    await count(kit, 4);
    await kit.advance("1h");
    expect(await kept(kit)).toEqual([1]);
    bad.clear();
    await kit.scheduler.eventHandlers.resume("fussy");
    await kit.settle();
    expect(await kept(kit)).toEqual([1, 2, 3, 4]);
    expect(await statusOf(kit)).toMatchObject({ status: "active", attempts: 0, error: null });
    expect(await eventsOf(kit, "EventHandlerResumed")).toHaveLength(1);
  });

  test("makes no loop run hot", async () => {
    const { kit } = await withHandler("stop", new Set([1]));
    await using _ = kit;
    await count(kit, 1);
    await kit.settle();
    const { rounds, commits } = kit;
    await kit.advance("1d");
    // 24 polls and 72 heartbeats, for the task loop and for the event handler.
    expect(kit.rounds - rounds).toBeLessThan(2 * (24 + 72) + 10);
    expect(kit.commits - commits).toBeLessThanOrEqual(72);
  });

  test("holds back no other handler", async () => {
    const seen: unknown[] = [];
    const other = eventHandler({
      name: "other",
      eventType: "counted",
      handle: ({ payload }) => void seen.push(payload),
    });
    const { kit } = await withHandler("stop", new Set([1]));
    await using _ = kit;
    await kit.addScheduler({ eventHandlers: [other] });
    await count(kit, 1, 2);
    await kit.settle();
    expect(seen).toEqual([1, 2]);
  });
});

test("skip passes the event over, says so in the log, and keeps nothing of it", async () => {
  const { kit, calls } = await withHandler("skip", new Set([2]));
  await using _ = kit;
  await count(kit, 1, 2, 3);
  await kit.settle();
  expect(await kept(kit)).toEqual([1, 3]);
  expect(calls).toHaveLength(3);
  const [skipped] = await eventsOf(kit, "EventSkipped");
  const counted = await eventsOf(kit, "counted");
  expect(dataOf(skipped)).toEqual({
    handler: "fussy",
    position: counted[1]?.position,
    error: "RangeError: 2 is bad",
    attempts: 1,
  });
});

describe("retry", () => {
  const retry = { maxAttempts: 4, base: "10s", factor: 3, cap: "10m" } as const;

  test("tries again with growing delays, and holds later events back meanwhile", async () => {
    const bad = new Set([2]);
    const { kit, calls } = await withHandler({ retry, then: "stop" }, bad);
    await using _ = kit;
    await count(kit, 1, 2, 3);
    await kit.advance("45s");
    expect(await statusOf(kit)).toMatchObject({
      status: "retrying",
      attempts: 3,
      retryAt: new Date("2026-01-01T00:02:10Z"),
    });
    bad.clear();
    await kit.advance("2m");
    expect(calls).toEqual(["1@00:00:00", "2@00:00:00", "2@00:00:10", "2@00:00:40", "2@00:02:10", "3@00:02:10"]);
    expect(await kept(kit)).toEqual([1, 2, 3]);
    expect(await statusOf(kit)).toMatchObject({ status: "active", attempts: 0 });
  });

  test.each(["stop", "skip", "dead-letter"] as const)("ends in %s when the attempts are used up", async (final) => {
    const { kit, calls } = await withHandler({ retry: { maxAttempts: 3, base: "1s" }, then: final }, new Set([1]));
    await using _ = kit;
    await count(kit, 1, 2);
    await kit.advance("1h");
    expect(calls.filter((call) => call.startsWith("1@"))).toEqual(["1@00:00:00", "1@00:00:01", "1@00:00:03"]);
    expect(await kept(kit)).toEqual(final === "stop" ? [] : [2]);
    const type = { stop: "EventHandlerStopped", skip: "EventSkipped", "dead-letter": "EventDeadLettered" }[final];
    expect(await eventsOf(kit, type)).toHaveLength(1);
  });

  test("counts attempts across a crash", async () => {
    const { kit, calls } = await withHandler({ retry, then: "skip" }, new Set([1]));
    await using _ = kit;
    await count(kit, 1);
    await kit.advance("15s");
    await kit.crash();
    await kit.restart();
    await kit.advance("1h");
    expect(calls).toEqual(["1@00:00:00", "1@00:00:10", "1@00:00:40", "1@00:02:10"]);
  });

  test("is shared by several schedulers: together they try no more often", async () => {
    const { kit, calls } = await withHandler({ retry, then: "skip" }, new Set([1]));
    await using _ = kit;
    await kit.addScheduler();
    await kit.addScheduler();
    await count(kit, 1);
    await kit.advance("1h");
    expect(calls).toEqual(["1@00:00:00", "1@00:00:10", "1@00:00:40", "1@00:02:10"]);
  });

  test("comes at once when the handler is resumed by hand", async () => {
    const bad = new Set([1]);
    const { kit } = await withHandler({ retry: { maxAttempts: 2, base: "1d" }, then: "stop" }, bad);
    await using _ = kit;
    await count(kit, 1);
    await kit.settle();
    bad.clear();
    await kit.scheduler.eventHandlers.resume("fussy");
    await kit.settle();
    expect(await kept(kit)).toEqual([1]);
  });

  test("is the default: five attempts within fifteen seconds, then a dead letter", async () => {
    const { kit, calls } = await withHandler(undefined, new Set([1]));
    await using _ = kit;
    await count(kit, 1, 2);
    await kit.advance("1m");
    expect(calls).toEqual(["1@00:00:00", "1@00:00:01", "1@00:00:03", "1@00:00:07", "1@00:00:15", "2@00:00:15"]);
    expect(await eventsOf(kit, "EventDeadLettered")).toHaveLength(1);
  });
});

describe("dead letters", () => {
  test("are listed, by handler and in pages", async () => {
    const { kit } = await withHandler("dead-letter", new Set([1, 2, 3]));
    await using _ = kit;
    await count(kit, 1, 2, 3, 4);
    await kit.settle();
    const { eventHandlers } = kit.scheduler;
    const letters = await eventHandlers.deadLetters();
    const counted = await eventsOf(kit, "counted");
    expect(letters.map(({ position, error, attempts }) => [position, error, attempts])).toEqual(
      counted.slice(0, 3).map(({ position, payload }) => [position, `RangeError: ${Number(payload)} is bad`, 1]),
    );
    expect(await eventHandlers.deadLetters({ handler: "nobody" })).toEqual([]);
    const [first] = await eventHandlers.deadLetters({ handler: "fussy", limit: 1 });
    expect(first).toEqual(letters[0]);
    expect(await eventHandlers.deadLetters({ after: first?.id ?? 0 })).toEqual(letters.slice(1));
    await expect(eventHandlers.deadLetters({ limit: 0 })).rejects.toMatchObject({ code: "INVALID_FILTER" });
    expect(await kept(kit)).toEqual([4]);
  });

  test("can be replayed, and are gone then", async () => {
    const bad = new Set([1]);
    const { kit } = await withHandler("dead-letter", bad);
    await using _ = kit;
    await count(kit, 1, 2);
    await kit.settle();
    const { eventHandlers } = kit.scheduler;
    const [letter] = await eventHandlers.deadLetters();
    const id = letter?.id ?? 0;
    await expect(eventHandlers.replayDeadLetter(id)).rejects.toThrow("1 is bad");
    expect(await eventHandlers.deadLetters()).toHaveLength(1);
    expect(await kept(kit)).toEqual([2]);
    bad.clear();
    await eventHandlers.replayDeadLetter(id);
    expect(await kept(kit)).toEqual([1, 2]);
    expect(await eventHandlers.deadLetters()).toEqual([]);
    expect(dataOf((await eventsOf(kit, "DeadLetterReplayed"))[0])).toEqual({ deadLetter: id, handler: "fussy" });
    await expect(eventHandlers.replayDeadLetter(id)).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
  });

  test("can be dropped, with the reason in the log", async () => {
    const { kit } = await withHandler("dead-letter", new Set([1]));
    await using _ = kit;
    await count(kit, 1);
    await kit.settle();
    const { eventHandlers } = kit.scheduler;
    const [letter] = await eventHandlers.deadLetters();
    const id = letter?.id ?? 0;
    await eventHandlers.dropDeadLetter(id, "known and harmless");
    expect(await eventHandlers.deadLetters()).toEqual([]);
    expect(dataOf((await eventsOf(kit, "DeadLetterDropped"))[0])).toEqual({
      deadLetter: id,
      handler: "fussy",
      reason: "known and harmless",
    });
    for (const wrong of [id, 0, -1, 1.5, 999]) {
      await expect(eventHandlers.dropDeadLetter(wrong, "")).rejects.toMatchObject({ code: "DEAD_LETTER_NOT_FOUND" });
    }
  });

  test("and the rest survive a crash and a rebuild of the store", async () => {
    const { kit } = await withHandler("dead-letter", new Set([1]));
    await using _ = kit;
    await count(kit, 1, 2);
    await kit.settle();
    await kit.crash();
    await kit.db.rebuild();
    await kit.restart();
    await kit.settle();
    expect(await kit.scheduler.eventHandlers.deadLetters()).toHaveLength(1);
    expect(await kept(kit)).toEqual([2]);
  });
});

describe("a handler of events about failing handlers", () => {
  const types = ["EventSkipped", "EventDeadLettered", "EventHandlerStopped"];

  test.each(["skip", "dead-letter"] as const)(
    "that fails itself does not feed on its own failures: %s",
    async (onError) => {
      let calls = 0;
      const watcher = eventHandler({
        name: "watcher",
        eventTypes: ["counted", ...types],
        onError,
        handle: () => {
          calls++;
          throw new Error("always");
        },
      });
      await using kit = await openKit({ eventHandlers: [watcher] });
      await count(kit, 1);
      await kit.advance("1h");
      expect(calls).toBe(1);
      expect(await kit.log({ eventTypes: types })).toHaveLength(1);
    },
  );

  test("hears of other handlers' failures", async () => {
    const heard: string[] = [];
    const watcher = eventHandler({
      name: "watcher",
      eventTypes: types,
      handle: (event) => void heard.push(event.eventType),
    });
    const { kit } = await withHandler("skip", new Set([1]));
    await using _ = kit;
    await kit.addScheduler({ eventHandlers: [watcher] });
    await count(kit, 1);
    await kit.settle();
    expect(heard).toEqual(["EventSkipped"]);
  });
});

describe("whatever a handler does", () => {
  test.each<[string, () => unknown]>([
    [
      "throws a text",
      () => {
        // oxlint-disable-next-line typescript/only-throw-error
        throw "text";
      },
    ],
    [
      "throws nothing",
      () => {
        // oxlint-disable-next-line typescript/only-throw-error
        throw undefined;
      },
    ],
    [
      "throws an error that cannot be read",
      () => {
        throw Object.defineProperties(new Error("x"), {
          message: {
            get: () => {
              throw new Error("gotcha");
            },
          },
        });
      },
    ],
    [
      "throws a revoked proxy",
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        // oxlint-disable-next-line typescript/only-throw-error
        throw proxy;
      },
    ],
    ["rejects", () => Promise.reject(new Error("rejected"))],
  ])("it harms only itself: it %s", async (_, handle) => {
    const { kit } = await withHandler("skip", new Set(), { handle });
    await using __ = kit;
    await count(kit, 1);
    await kit.settle();
    const [skipped] = await eventsOf(kit, "EventSkipped");
    expect(String(dataOf(skipped).error).length).toBeGreaterThan(3);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("a handler that never settles is cut off by the transaction's timeout, and holds the store no longer", async () => {
    const { kit } = await withHandler("skip", new Set(), { handle: () => new Promise(() => {}) });
    await using _ = kit;
    await count(kit, 1);
    await kit.advance("10s");
    const [skipped] = await eventsOf(kit, "EventSkipped");
    expect(String(dataOf(skipped).error)).toMatch(/did not end within 5000 ms/);
  });
});

test("commands to handlers that nobody has are refused", async () => {
  const { kit } = await withHandler("skip", new Set());
  await using _ = kit;
  await expect(kit.scheduler.eventHandlers.resume("nobody")).rejects.toMatchObject({ code: "EVENT_HANDLER_NOT_FOUND" });
});
