/**
 * Every public door with values of all types that nobody expects: it goes well, or it is refused with an AzothError;
 * nothing of a refused call is written, no call hangs, and the store stays whole. SEED repeats a failure, RUNS tries harder.
 */
import {
  AzothDb,
  cron,
  eventHandler,
  fail,
  immediate,
  interval,
  isAzothError,
  nextOccurrences,
  oneTime,
  retryAfter,
  Scheduler,
  snooze,
  type TaskContext,
  type Transaction,
  taskHandler,
} from "azoth-scheduler";
import fc from "fast-check";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestScheduler, engineUnderTest } from "../engine-under-test.ts";
import { fcParameters, garbage, nastyText, Recipe, recordOf } from "./arbitrary-garbage.ts";
import { valueOf } from "../store/scratch-stores.ts";
import { almost, always, fuzz, inTime } from "./fuzzing.ts";
import { drain, handlers, harmlessLine, idle, lastingLocation, wrong } from "./doors.ts";

let place: ReturnType<typeof lastingLocation> | undefined;
let db: AzothDb;
let scheduler: Scheduler;

beforeEach(async () => {
  if (place !== undefined) return;
  place = lastingLocation();
  db = await AzothDb.open(place.url, { noticeInterval: 0, transactionTimeout: "200ms" });
  const reader = eventHandler({ name: "reader", eventType: "noted", handle: idle, reset: idle });
  scheduler = new Scheduler(db, { handlers, eventHandlers: [reader], externalTaskTypes: ["a", "1"] });
  await db.transaction((transaction) => transaction.execute("CREATE TABLE notes (body TEXT)"));
  await scheduler.scheduleTask({ taskId: "a", taskType: "plain", schedule: interval("1h") });
});

afterEach(async () => {
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
});

afterAll(async () => {
  await db?.close();
  await place?.drop();
});

const isSqlite = engineUnderTest === "sqlite";
/** Fails unless the call goes well, or is refused in our words with nothing written. Errors of the user's own code may pass. */
async function succeedsOrRefuses(act: () => unknown, passes: (error: unknown) => boolean = () => false): Promise<void> {
  const before = await db.lastPosition();
  try {
    await inTime(act);
  } catch (error) {
    if (passes(error)) return;
    if (!isAzothError(error)) throw error;
    expect(error.message).toMatch(harmlessLine);
    expect(await db.lastPosition()).toBe(before);
  }
}

const schedule = immediate();

/** Progress is told to the user's own code, and an aborted signal rejects with its own reason. */
function isUsers(_: unknown, values: readonly unknown[]): boolean {
  try {
    const [options] = values.slice(-1) as { onProgress?: unknown; signal?: unknown }[];
    return typeof options?.onProgress === "function" || options?.signal instanceof AbortSignal;
  } catch {
    return false;
  }
}

/** A test of one door: with nothing but garbage, and with what is nearly right. */
function survives(
  what: string,
  act: (...given: never[]) => unknown,
  nearly: readonly fc.Arbitrary<Recipe>[] = [],
  passes: (error: unknown, values: readonly unknown[]) => boolean = () => false,
): void {
  fuzz(what, act, nearly, async (call, values) => await succeedsOrRefuses(call, (error) => passes(error, values)));
}

describe("schedules and outcomes", () => {
  survives("cron", (expression, options) => cron(expression, options), [
    always("0 0 * * *"),
    almost({ timeZone: "UTC" }),
  ]);
  survives("interval", (every, options) => interval(every, options), [always("5m"), almost({ anchor: 0 })]);
  survives("oneTime", (at) => oneTime(at), [almost({ local: "2026-01-01T00:00", timeZone: "UTC" })]);
  survives("nextOccurrences", (given, options) => nextOccurrences(given, options), [
    fc.oneof(
      almost({ kind: "cron", expression: "0 0 * * *", timeZone: "UTC" }),
      almost({ kind: "interval", everyMs: 5, anchorMs: 0 }),
      almost({ kind: "one-time", atMs: 5, local: { dateTime: "2026-01-01T00:00", timeZone: "UTC" }, dst: "gap" }),
    ),
    almost({ after: 0, count: 3 }),
  ]);
  survives("fail", (reason) => fail(reason));
  survives("retryAfter", (delay, reason) => retryAfter(delay, reason), [always("5m"), garbage]);
  survives("snooze", (delay, reason) => snooze(delay, reason), [always("5m"), garbage]);
});

const task = {
  taskType: "plain",
  schedule,
  priority: 1,
  maxRetries: 1,
  retry: {},
  timeout: "5m",
  payload: {},
  taskId: "b",
};
const nearlyTask = fc.oneof(almost(task), almost({ taskType: "plain", schedule, payload: null }));

describe("a scheduler", () => {
  survives("scheduleTask", (request) => scheduler.scheduleTask(request), [nearlyTask]);
  survives("scheduleTasks", (requests) => scheduler.scheduleTasks(requests), [
    fc.array(nearlyTask, { maxLength: 3 }).map((recipes) => {
      return new Recipe(fc.stringify(recipes), () => recipes.map((recipe) => recipe.make()));
    }),
  ]);
  survives("cancelTask", (taskId, reason) => scheduler.cancelTask(taskId, reason), [always("b"), garbage]);
  survives("pauseTask", (taskId, reason) => scheduler.pauseTask(taskId, reason), [always("a"), garbage]);
  survives("resumeTask", (taskId) => scheduler.resumeTask(taskId));
  survives("runTaskNow", (taskId) => scheduler.runTaskNow(taskId));
  survives("getTask", (taskId) => scheduler.getTask(taskId));
  const filter = {
    state: "waiting",
    enabled: true,
    taskType: "a",
    idPrefix: "a",
    dueFrom: 0,
    dueUntil: 5,
    limit: 5,
    cursor: "5",
  };
  survives("listTasks", (filter) => scheduler.listTasks(filter), [almost(filter)]);
  survives("history", (taskId, options) => scheduler.history(taskId, options), [
    always("a"),
    almost({ limit: 5, cursor: "5" }),
  ]);
  survives("eventHandlers.deadLetters", (filter) => scheduler.eventHandlers.deadLetters(filter), [
    almost({ handler: "reader", after: 0, limit: 5 }),
  ]);
  survives("eventHandlers.resume", (name) => scheduler.eventHandlers.resume(name));
  survives(
    "eventHandlers.rebuild",
    (name, options) => scheduler.eventHandlers.rebuild(name, options),
    [always("reader"), almost({ onProgress: idle })],
    isUsers,
  );
  survives("eventHandlers.replayDeadLetter", (id) => scheduler.eventHandlers.replayDeadLetter(id));
  survives("eventHandlers.dropDeadLetter", (id, why) => scheduler.eventHandlers.dropDeadLetter(id, why), [
    always(1),
    garbage,
  ]);

  survives("new Scheduler", (store, options) => new Scheduler(store, options), [
    fc.constant(new Recipe("the store", () => db)),
    almost({
      handlers,
      eventHandlers: [],
      externalTaskTypes: ["a"],
      pollInterval: "1s",
      maxConcurrentTasks: 1,
      defaultRetry: {},
      defaultTimeout: "5m",
      name: "n",
      logger: console,
      onSignal: idle,
    }),
  ]);
  survives(
    "run",
    async (options) => {
      const other = new Scheduler(db, { gracePeriod: 0, handlers });
      const running = other.run(options);
      // A refusal is looked at below.
      running.catch(() => {});
      await other.stop();
      await running;
    },
    [almost({ signal: AbortSignal.abort() })],
  );
});

describe("handlers", () => {
  const definition = { taskType: "t", execute: idle, validate: idle, maxRetries: 1, retry: {}, timeout: "5m" };
  survives("taskHandler", (handler) => new Scheduler(db, { handlers: [taskHandler(handler) as never] }), [
    almost(definition),
  ]);
  survives("handlers that nobody checked", (handler) => new Scheduler(db, { handlers: [handler] }), [
    almost(definition),
  ]);
  const reading = {
    name: "n",
    eventTypes: ["a"],
    handle: idle,
    onError: { retry: { maxAttempts: 1 }, then: "skip" },
    startFrom: "now",
    setUp: idle,
    reset: idle,
  };
  survives("eventHandler", (handler) => new Scheduler(db, { eventHandlers: [eventHandler(handler)] }), [
    fc.oneof(almost(reading), almost({ ...reading, onError: undefined })),
  ]);
  survives("event handlers that nobody checked", (handler) => new Scheduler(db, { eventHandlers: [handler] }), [
    almost(reading),
  ]);

  test("what they check, return and throw is recorded, whatever it is, and stops nobody", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { minLength: 1, maxLength: 40 }), async (recipes) => {
        const made = (payload: unknown): unknown => recipes[Number(payload)]?.make();
        const give = (_: TaskContext, payload: unknown) => made(payload) as undefined;
        const raise = (_: TaskContext, payload: unknown) => {
          throw made(payload);
        };
        const checks = (payload: unknown) => made(payload);
        await using kit = await createTestScheduler({
          maxConcurrentTasks: 100,
          patience: 0,
          handlers: [
            taskHandler({ taskType: "gives", execute: give }),
            taskHandler({ taskType: "gives-later", execute: async (...given) => give(...given) }),
            taskHandler({ taskType: "raises", execute: raise }),
            taskHandler({ taskType: "raises-later", execute: async (...given) => raise(...given) }),
          ],
        });
        const types = ["gives", "gives-later", "raises", "raises-later"];
        await kit.scheduler.scheduleTasks(
          recipes.flatMap((_, payload) =>
            types.map((taskType) => wrong({ taskType, schedule, payload, maxRetries: 1, timeout: "1m" })),
          ),
        );
        await kit.advance("10m");
        const { waiting, running, completed, disabled } = await kit.scheduler.countTasks();
        // Nothing but a snooze can wait, and garbage is none.
        expect([waiting, running, completed + disabled]).toEqual([0, 0, recipes.length * types.length]);
        expect(await kit.db.verify()).toMatchObject({ ok: true });

        const checking = new Scheduler(kit.db, {
          handlers: [taskHandler({ taskType: "c", validate: checks, execute: idle })],
        });
        for (const payload of recipes.keys()) {
          await succeedsOrRefuses(() => checking.scheduleTask({ taskType: "c", schedule, payload }));
        }
      }),
      { ...fcParameters(4), endOnFailure: true },
    );
  });
});

describe("a store", () => {
  const filter = { after: 0, taskId: "a", eventTypes: ["noted"], since: 0, until: 5 };
  survives("readLog", (filter) => drain(db.readLog(filter)), [almost(filter)]);
  test("subscribe", async () => {
    const ended = new Recipe("an aborted signal", () => AbortSignal.abort(new Error("aborted")));
    const conditions = fc.dictionary(fc.constantFrom(...Object.keys(filter)), garbage, { minKeys: 1, maxKeys: 3 });
    const given = fc.oneof(recordOf(conditions.map((wrongs) => ({ ...wrongs, signal: ended }))), garbage);
    await fc.assert(
      fc.asyncProperty(given, async (recipe) => {
        const options = recipe.make();
        // Without a signal, or with one that may still abort, it goes well for ever.
        if (options === undefined || isEndless(options)) return;
        await succeedsOrRefuses(() => drain(db.subscribe(wrong(options))));
      }),
      fcParameters(100),
    );
  });
  survives("query", (sql, parameters) => db.query(sql, parameters), [always("SELECT ?"), garbage]);
  const options = { onProgress: idle, signal: undefined };
  survives("rebuild", (options) => db.rebuild(options), [almost(options)], isUsers);
  survives("verify", (options) => db.verify(options), [almost(options)], isUsers);
  survives("backup", (file) => {
    // Texts are names of files, which this test will not make.
    if (typeof file !== "string") return db.backup(file);
    return undefined;
  });
  survives(
    "open",
    async (options) => {
      await using opened = await AzothDb.open(isSqlite ? ":memory:" : String(place?.url), options);
      return await opened.lastPosition();
    },
    [
      almost({
        durability: "full",
        busyTimeout: 5,
        transactionTimeout: 5,
        noticeInterval: 0,
        maxPayloadBytes: 5,
        random: Math.random,
        maxConnections: 5,
      }),
    ],
  );
  survives("open at a location", async (location) => {
    if (typeof location !== "string") await AzothDb.open(location);
  });
  survives("isAzothError", (value) => isAzothError(value));

  function isEndless(options: unknown): boolean {
    try {
      const { signal } = options as { signal?: AbortSignal };
      return signal === undefined || (signal instanceof AbortSignal && !signal.aborted);
    } catch {
      return false;
    }
  }
});

describe("a transaction", () => {
  const within = (act: (transaction: Transaction) => unknown): Promise<unknown> => {
    return db.transaction(async (transaction) => {
      await transaction.append({ eventType: "noted" });
      await transaction.execute("INSERT INTO notes VALUES (1)");
      await act(transaction);
    });
  };
  survives("append", (event) => within((transaction) => transaction.append(event)), [
    almost({ eventType: "a", payload: {} }),
  ]);
  survives("execute", (sql, values) => within((transaction) => transaction.execute(sql, values)), [
    always("INSERT INTO notes VALUES (?)"),
    garbage,
  ]);
  survives("query", (sql, values) => within((transaction) => transaction.query(sql, values)), [
    always("SELECT ?, ?"),
    garbage,
  ]);
  survives("scheduleTask", (request) => within((transaction) => transaction.scheduleTask(request)), [nearlyTask]);
  survives("cancelTask", (taskId, why) => within((transaction) => transaction.cancelTask(taskId, why)), [
    always("b"),
    garbage,
  ]);
  survives("getTask", (taskId) => within((transaction) => transaction.getTask(taskId)));

  test("takes any callback's result, and passes on what it throws; a callback that is none is refused", async () => {
    await fc.assert(
      fc.asyncProperty(garbage, async (recipe) => {
        await succeedsOrRefuses(
          () => db.transaction(() => recipe.make()),
          () => true,
        );
        const callback = recipe.make();
        await succeedsOrRefuses(
          () => db.transaction(wrong(callback)),
          () => typeof callback === "function",
        );
      }),
      fcParameters(60),
    );
  });

  test("that is refused leaves nothing behind, and one that catches the refusal keeps the rest", async () => {
    await fc.assert(
      fc.asyncProperty(garbage, garbage, async (event, id) => {
        const rowsOf = async (table: string) => Number(await valueOf(db, `SELECT count(*) FROM ${table}`));
        const counts = async () => [await rowsOf("azoth_events"), await rowsOf("notes")];
        const before = await counts();
        let refused = 0;
        await within(async (transaction) => {
          const note = (error: unknown) => {
            if (!isAzothError(error)) throw error;
            refused++;
          };
          await transaction.append(wrong({ eventType: "", payload: event.make() })).catch(note);
          await transaction.cancelTask(wrong(id.make()), wrong(undefined)).catch(note);
          await transaction.scheduleTask(wrong({ taskType: "fax", schedule: event.make() })).catch(note);
        });
        expect(refused).toBe(3);
        expect(await counts()).toEqual(before.map((count) => count + 1));
      }),
      fcParameters(30),
    );
  });
});

describe("texts that mean something elsewhere", () => {
  test("are data as ids: they come back as they went in, or are refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(nastyText, { maxLength: 12 }), async (ids) => {
        const accepted: string[] = [];
        for (const taskId of ids) {
          await succeedsOrRefuses(async () => {
            const scheduled = await scheduler.scheduleTask({
              taskId,
              taskType: "plain",
              schedule: interval("1h"),
              payload: taskId,
            });
            expect(scheduled.taskId).toBe(taskId);
            accepted.push(taskId);
          });
        }
        for (const taskId of accepted) {
          expect(await scheduler.getTask(taskId)).toMatchObject({ taskId, payload: taskId });
          const { tasks } = await scheduler.listTasks({ idPrefix: taskId, limit: 1_000 });
          const under = accepted.filter((id) => id.startsWith(taskId));
          if (tasks.length < 1_000) expect(tasks.map((task) => task.taskId)).toEqual(expect.arrayContaining(under));
          expect(tasks.every((task) => task.taskId.startsWith(taskId))).toBe(true);
          const { updatedAt } = await scheduler.cancelTask(taskId, taskId);
          const types = [];
          for await (const event of db.readLog({ taskId, since: updatedAt })) {
            expect(event.taskId).toBe(taskId);
            types.push([event.eventType, (event.payload as { reason?: unknown }).reason]);
          }
          expect(types.at(-1)).toEqual(["TaskCancelled", taskId]);
        }
      }),
      fcParameters(40),
    );
  });

  test("are data as event types and task types", async () => {
    await fc.assert(
      fc.asyncProperty(nastyText, async (text) => {
        await succeedsOrRefuses(async () => {
          const position = await db.transaction((transaction) =>
            transaction.append({ eventType: text, payload: { [text]: text } }),
          );
          const read = [];
          for await (const event of db.readLog({ eventTypes: [text], after: position - 1 })) read.push(event);
          expect(read).toMatchObject([{ position, eventType: text }]);
          expect(Object.entries(read[0]?.payload as object)).toEqual([[text, text]]);
        });
        await succeedsOrRefuses(async () => {
          const other = new Scheduler(db, { externalTaskTypes: [text], name: text });
          const { taskId } = await other.scheduleTask({ taskType: text, schedule });
          const { tasks } = await other.listTasks({ taskType: text, limit: 1_000 });
          expect(tasks.find((task) => task.taskId === taskId)).toMatchObject({ taskType: text });
          expect(new Set(tasks.map((task) => task.taskType))).toEqual(new Set([text]));
        });
      }),
      fcParameters(100),
    );
  });

  test("are data in bound parameters of SQL, and in filters", async () => {
    await fc.assert(
      fc.asyncProperty(nastyText, async (text) => {
        await succeedsOrRefuses(async () => {
          expect(await db.query("SELECT ? AS given", [text])).toEqual([{ given: text }]);
        });
        for (const filter of [{ idPrefix: text }, { taskType: text }]) {
          await succeedsOrRefuses(() => scheduler.listTasks(filter));
        }
        for (const filter of [{ taskId: text }, { eventTypes: [text] }]) {
          await succeedsOrRefuses(() => drain(db.readLog({ ...filter, after: 1_000_000 })));
        }
        await succeedsOrRefuses(async () => {
          expect(await scheduler.eventHandlers.deadLetters({ handler: text })).toEqual([]);
        });
      }),
      fcParameters(100),
    );
  });
});
