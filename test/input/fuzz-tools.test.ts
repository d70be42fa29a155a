/** The doors beside the scheduler's and the store's: the kit for tests, codecs, previews, copies; they go well, or refuse in our words. */
import {
  aesGcm,
  AzothDb,
  copyLog,
  cron,
  eventHandler,
  isAzothError,
  Scheduler,
  taskHandler,
  upcomingOccurrences,
} from "azoth-scheduler";
import { createTestScheduler, ManualClock, seededRandom } from "azoth-scheduler/testing";
import fc from "fast-check";
import { describe, expect } from "vitest";
import { garbage, Recipe } from "./arbitrary-garbage.ts";
import { handlers, idle } from "./doors.ts";
import { almost, always, fuzz, succeedsOrRefuses } from "./fuzzing.ts";

/** Whether code of the user's has a say in what a call rejects with. */
function isUsers(options: { readonly signal?: unknown; readonly onProgress?: unknown }): boolean {
  return options.signal instanceof AbortSignal || typeof options.onProgress === "function";
}

const aKey = { id: "one", key: Buffer.alloc(32, 7) };

describe("codecs", () => {
  fuzz("aesGcm", (options) => aesGcm(options), [
    fc.oneof(
      almost({ keys: [aKey] }),
      almost(aKey).map((recipe) => new Recipe(fc.stringify(recipe), () => ({ keys: [recipe.make()] }))),
    ),
  ]);
  const codec = aesGcm({ keys: [aKey] });
  const sealed = String(codec.seal("text", "context"));
  fuzz(
    "open what nobody has sealed",
    (text) => {
      if (typeof text === "string") return codec.open(text, "context");
      return undefined;
    },
    [
      fc.tuple(fc.nat(sealed.length - 1), fc.string({ unit: "binary", maxLength: 3 })).map(([at, put]) => {
        const changed = sealed.slice(0, at) + put + sealed.slice(at + 1);
        return new Recipe(fc.stringify(changed), () => changed);
      }),
    ],
  );
  fuzz(
    "a store with a codec of the user's",
    async (payloadCodec) => {
      await using db = await AzothDb.open(":memory:", { payloadCodec });
      const scheduler = new Scheduler(db, { handlers });
      await scheduler.scheduleTask({ taskType: "plain", schedule: cron("@daily"), payload: "text" });
    },
    [
      fc.tuple(garbage, garbage).map(([seal, open]) => {
        return new Recipe(fc.stringify([seal, open]), () => ({ seal: () => seal.make(), open: () => open.make() }));
      }),
    ],
  );
});

describe("previews and copies", () => {
  fuzz("upcomingOccurrences", (schedule, options) => upcomingOccurrences(schedule, options), [
    always(cron("0 0 * * *")),
    almost({ after: 0, count: 3 }),
  ]);
  fuzz("copyLog", (from, to, options) => copyLog(from, to, options));
  fuzz("copyLog with options", async (options) => {
    await using from = await AzothDb.open(":memory:");
    await using to = await AzothDb.open(":memory:");
    await copyLog(from, to, options).catch((error: unknown) => {
      // An aborted signal rejects with its own reason, and what is told of progress throws what it throws.
      if (isAzothError(error) || !isUsers(options)) throw error;
    });
  });
});

describe("a transaction of the user's own", () => {
  fuzz("joinTransaction", async (client) => {
    await using db = await AzothDb.open(":memory:");
    const scheduler = new Scheduler(db, { handlers });
    scheduler.joinTransaction(client);
  });
});

describe("the kit for tests", () => {
  const reading = eventHandler({ name: "reader", eventType: "noted", handle: idle });
  const idling = taskHandler({ taskType: "idle", execute: idle });
  fuzz(
    "createTestScheduler",
    async (options) => {
      await using kit = await createTestScheduler(options);
      await kit.settle();
    },
    [
      almost({
        handlers: [idling],
        eventHandlers: [reading],
        start: 0,
        location: ":memory:",
        seed: 1,
        patience: 0,
        maxRounds: 5,
        durability: "normal",
        noticeInterval: 0,
        pollInterval: "1h",
        hashChain: true,
      }),
    ],
  );
  fuzz("its calls", async (given, further) => {
    await using kit = await createTestScheduler({ handlers: [idling], patience: 0 });
    for (const call of [
      () => kit.crashAfter(given),
      () => kit.failNextCommits(given, further),
      () => kit.slowStorage(given),
      () => kit.log(given),
      () => kit.restart(given),
      () => kit.addScheduler(given),
    ]) {
      await succeedsOrRefuses(call);
    }
  });
  fuzz("new ManualClock", (start) => new ManualClock(start));
  fuzz("a manual clock's calls", async (given) => {
    const clock = new ManualClock(0);
    for (const call of [() => clock.set(given), () => clock.jump(given)]) await succeedsOrRefuses(call);
    expect(Number.isSafeInteger(clock.now())).toBe(true);
  });
  fuzz("seededRandom", (seed) => {
    const drawn = seededRandom(seed)();
    expect(drawn >= 0 && drawn < 1).toBe(true);
  });
});
