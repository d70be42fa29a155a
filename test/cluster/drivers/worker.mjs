/**
 * A process with a scheduler: the subject of the cluster tests, under the name and with the handlers that its
 * one argument tells (`WorkerConfig` in ../messages.ts). It sees the built package, as a user does.
 *
 * Ends on SIGTERM as an application should: its scheduler stops, the store closes, the exit code is 0.
 */
import { createInterface } from "node:readline";
import { AzothDb, eventHandler, immediate, Scheduler, taskHandler } from "../../../dist/index.js";
import { generateLoad } from "./load.mjs";
import { tell } from "./tell.mjs";

/** @type {import("../messages.ts").WorkerConfig} */
const config = JSON.parse(process.argv[2] ?? "");
const { location, name, taskTypes, busyTimeout, holds = true, load, tally = false, tellsStarts = false } = config;

if (config.listens === true) {
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    process.on(event, ({ message }) => tell({ is: "uncaught", message }));
  }
}

/** How user code ends its process without meaning to, and once on purpose. */
const poisons = {
  kill: () => process.kill(process.pid, "SIGKILL"),
  memory() {
    const hoard = [];
    for (;;) hoard.push(Array.from({ length: 1_000 }, () => ({ since: hoard.length })));
  },
  rejection: () => void Promise.reject(new Error("a rejection that nobody awaits")),
  throw: () => void setTimeout(() => throwInTimer(), 1),
};

function throwInTimer() {
  throw new Error("a throw in a timer");
}

let release = () => {};
/** Resolves when the test says "release". */
const released = new Promise((resolve) => {
  release = resolve;
});

/** What a task leaves behind when it has run: an event and a row through its transaction, and the event it returns. */
function note(ctx) {
  const { taskId, executionId, idempotencyKey } = ctx;
  ctx.transaction.append({ eventType: "note_appended", payload: { key: idempotencyKey } });
  ctx.transaction.execute("INSERT INTO notes (task, occurrence, execution, process) VALUES (?, ?, ?, ?)", [
    taskId,
    idempotencyKey,
    executionId,
    name,
  ]);
  return { eventType: "note_taken", payload: { key: idempotencyKey, process: name } };
}

/** Tells of a run's start, and of its signal. */
function watch(ctx) {
  const { taskId, executionId, signal } = ctx;
  tell({ is: "started", taskId, executionId, atMs: Date.now() });
  signal.addEventListener("abort", () => {
    tell({ is: "aborted", taskId, code: signal.reason.code, atMs: Date.now() });
  });
}

/** @type {Record<import("../messages.ts").TaskType, (ctx: any, payload: import("../messages.ts").NotePayload) => unknown>} */
const executors = {
  async note(ctx, { pauseMs = 0, failures = 0, child = false }) {
    if (tellsStarts) watch(ctx);
    if (pauseMs > 0) await ctx.sleep(pauseMs);
    if (ctx.attempt <= failures) throw new Error(`attempt ${ctx.attempt} of ${failures} that fail`);
    if (child) {
      const taskId = `${ctx.taskId}/child`;
      await ctx.transaction.scheduleTask({ taskId, taskType: "note", schedule: immediate(), payload: {} });
    }
    return note(ctx);
  },
  async hold(ctx, { stubborn = false }) {
    watch(ctx);
    if (!holds) return note(ctx);
    if (!stubborn) return await ctx.sleep("1h");
    await released;
    return note(ctx);
  },
  async block(ctx, { blockMs = 0 }) {
    watch(ctx);
    if (!holds) return note(ctx);
    await released;
    // As a long computation does, but without the load on the machine.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
    return note(ctx);
  },
  async poison(ctx, { by = "kill" }) {
    watch(ctx);
    poisons[by]();
    await ctx.sleep(200);
    return note(ctx);
  },
  solo: (ctx) => {
    if (tellsStarts) watch(ctx);
    return note(ctx);
  },
};

const tallyHandler = eventHandler({
  name: "tally",
  eventType: "note_taken",
  handle: (event, tx) =>
    tx.execute("INSERT INTO tally (position, key) VALUES (?, ?)", [event.position, event.payload.key]),
});

const db = await AzothDb.open(location, busyTimeout === undefined ? {} : { busyTimeout });
const scheduler = new Scheduler(db, {
  handlers: taskTypes.map((taskType) => taskHandler({ taskType, execute: executors[taskType] })),
  eventHandlers: tally ? [tallyHandler] : [],
  externalTaskTypes: Object.keys(executors),
  name,
  defaultRetry: { base: "20ms", factor: 1 },
  defaultMaxRetries: 5,
  ...config.scheduler,
  onSignal(signal) {
    if (signal.name === "store.failed") {
      tell({ is: "store-failed", code: signal.error.code ?? signal.error.name, message: signal.error.message });
    }
    if (signal.name === "scheduler.declared-dead") tell({ is: "declared-dead", instance: signal.instance });
    if (signal.name === "event-loop.blocked") {
      tell({ is: "blocked", blockedMs: signal.blockedMs, claimMs: signal.claimMs });
    }
  },
});
await db.transaction(async (tx) => {
  await tx.execute("CREATE TABLE IF NOT EXISTS notes (task TEXT, occurrence TEXT, execution TEXT, process TEXT)");
  await tx.execute("CREATE TABLE IF NOT EXISTS orders (task TEXT)");
  await tx.execute("CREATE TABLE IF NOT EXISTS tally (position INTEGER, key TEXT)");
});

createInterface(process.stdin).on("line", (line) => {
  /** @type {import("../messages.ts").Order} */
  const order = JSON.parse(line);
  if (order.do === "release") release();
  if (order.do === "usage") {
    const { user, system } = process.cpuUsage();
    tell({ is: "usage", cpuMs: (user + system) / 1000 });
  }
});

const ending = new AbortController();
process.on("SIGTERM", () => ending.abort());
const { stopped } = await scheduler.start();
tell({ is: "listeners", names: process.eventNames().map(String) });
tell({ is: "ready" });
if (load !== undefined) void generateLoad({ db, scheduler, name, ...load, signal: ending.signal });
ending.signal.addEventListener("abort", () => void scheduler.stop());
await stopped;
await db.close();
tell({ is: "stopped" });
process.stdin.destroy();
