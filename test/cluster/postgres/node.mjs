/**
 * A process with a scheduler on PostgreSQL: a node, as its one argument tells (`NodeConfig` in messages.ts). It sees the
 * built package, as a user does.
 *
 * Ends on SIGTERM as an application should: its scheduler stops, the store closes, the exit code is 0.
 */
import { openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { tell } from "../drivers/tell.mjs";

/** @type {import("./messages.ts").NodeConfig} */
const config = JSON.parse(process.argv[2] ?? "");
const { name, clock, load, tally = false } = config;

const machineNow = Date.now;
let shiftMs = clock?.shiftMs ?? 0;
// Before the library is loaded: nothing of it may keep the right one.
if (clock?.of === "process") Date.now = () => machineNow() + shiftMs;
const { AzothDb, eventHandler, Scheduler, immediate, taskHandler } = await import("../../../dist/index.js");
const { generateLoad } = await import("./load.mjs");

const monotonicMs = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;
const journal = openSync(config.journal, "a");

/** In one write, so that a kill leaves it whole or not at all. */
function write(is, { executionId: execution, taskId: task }) {
  /** @type {import("./messages.ts").JournalEntry} */
  const entry = { is, execution, task, node: name, monotonicMs: monotonicMs() };
  writeSync(journal, `${JSON.stringify(entry)}\n`);
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
}

/** @param {(ctx: any) => void} leaveTraces */
const worker =
  (leaveTraces) =>
  async (ctx, { pauseMs = 0, failures = 0 }) => {
    write("begun", ctx);
    if (load === undefined) tellStart(ctx);
    if (pauseMs > 0) await ctx.sleep(pauseMs);
    if (ctx.attempt <= failures) throw new Error(`attempt ${ctx.attempt} of ${failures} that fail`);
    leaveTraces(ctx);
    write("done", ctx);
    return { eventType: "note_taken", payload: { key: ctx.idempotencyKey, process: name } };
  };

function tellStart({ taskId, executionId }) {
  tell({ is: "started", taskId, executionId, monotonicMs: monotonicMs(), atMs: machineNow() });
}

async function hold(ctx) {
  const { taskId, signal } = ctx;
  write("begun", ctx);
  signal.addEventListener("abort", () => tell({ is: "aborted", taskId, code: signal.reason.code }));
  tellStart(ctx);
  await released;
  note(ctx);
  write("done", ctx);
  return { eventType: "note_taken", payload: { key: ctx.idempotencyKey, process: name } };
}

const executors = { note: worker(note), red: worker(note), blue: worker(note), plain: worker(() => {}), hold };

const tallyHandler = eventHandler({
  name: "tally",
  eventType: "order_placed",
  handle: (event, tx) => tx.execute("INSERT INTO tally (position) VALUES (?)", [event.position]),
});

async function open() {
  const ownClock = {
    now: () => machineNow() + shiftMs,
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {}),
  };
  try {
    return await AzothDb.open(config.url, { ...config.db, ...(clock?.of === "store" ? { clock: ownClock } : {}) });
  } catch (error) {
    tell({ is: "not-opened", code: error.code ?? error.name, message: error.message });
    process.exit(1);
  }
}

const db = await open();
const scheduler = new Scheduler(db, {
  handlers: config.taskTypes.map((taskType) => taskHandler({ taskType, execute: executors[taskType] })),
  eventHandlers: tally ? [tallyHandler] : [],
  externalTaskTypes: Object.keys(executors),
  name,
  defaultRetry: { base: "20ms", factor: 1 },
  defaultMaxRetries: 5,
  ...config.scheduler,
  onSignal(signal) {
    if (signal.name === "store.failed") {
      const { what, error } = signal;
      tell({ is: "store-failed", what, code: error.code ?? error.name, message: error.message });
    }
    if (signal.name === "scheduler.declared-dead") tell({ is: "declared-dead", instance: signal.instance });
  },
});

const ending = new AbortController();
const quiet = new AbortController();

async function schedule({ taskId, taskType }) {
  const begunAt = monotonicMs();
  await scheduler.scheduleTask({ taskId, taskType, schedule: immediate(), payload: {} });
  tell({ is: "scheduled", taskId, monotonicMs: begunAt });
}

createInterface(process.stdin).on("line", (line) => {
  /** @type {import("./messages.ts").NodeOrder} */
  const order = JSON.parse(line);
  if (order.do === "release") release();
  if (order.do === "quiet") quiet.abort();
  if (order.do === "set-clock") shiftMs = order.shiftMs;
  if (order.do === "schedule") void schedule(order);
});

process.on("SIGTERM", () => ending.abort());
const { stopped } = await scheduler.start();
tell({ is: "ready" });
const signal = AbortSignal.any([ending.signal, quiet.signal]);
const loading = load === undefined ? Promise.resolve() : generateLoad({ db, scheduler, name, ...load, signal });
ending.signal.addEventListener("abort", () => void scheduler.stop());
await stopped;
// What is acknowledged after the store has closed would be told to nobody.
await loading;
await db.close();
tell({ is: "stopped" });
process.stdin.destroy();
