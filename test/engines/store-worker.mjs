/**
 * A process of its own that opens a store and uses it as it is told; started by `store-worker.ts`. It imports the
 * built package, as a user does.
 *
 * Its argument is a JSON object (WorkerOptions there). It prints one JSON array a line, [what, ...facts], and takes
 * commands as lines of JSON on its standard input.
 */
import { existsSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { AzothDb, immediate, isAzothError, Scheduler, taskHandler } from "../../dist/index.js";

const options = JSON.parse(process.argv[2]);

// What was acknowledged is on its way out before anything can kill this process.
process.stdout._handle?.setBlocking?.(true);
const say = (...words) => process.stdout.write(`${JSON.stringify(words)}\n`);

function sayError(error) {
  const { code, message } = error ?? {};
  say("error", { code: String(code), message: String(message), isAzoth: isAzothError(error) });
}

process.on("uncaughtException", (error) => {
  say("crashed", String(error?.stack ?? error));
  process.exit(70);
});

if (options.uid !== undefined) {
  // What has to be loaded is loaded before the rights are given up.
  await (await AzothDb.open(":memory:")).close();
  process.setgid(options.uid);
  process.setuid(options.uid);
}

let db;
try {
  db = await AzothDb.open(options.location, options.db);
} catch (error) {
  sayError(error);
  process.exit(3);
}
const work = taskHandler({
  taskType: "work",
  execute: (context) => ({ eventType: "worked", payload: context.taskId }),
});
const scheduler = new Scheduler(db, {
  handlers: [work],
  onSignal: (signal) => signal.name === "store.failed" && say("store failed", signal.error.code),
});
if (options.run === true) await scheduler.start();
say("ready");

/** The size of the write-ahead log: all that had been written when something was acknowledged. */
function logSize() {
  const log = `${db.location}-wal`;
  return existsSync(log) ? statSync(log).size : 0;
}

const commands = {
  /** Schedules tasks, several at a time, and tells each one once it is acknowledged; goes on after a failure. */
  async schedule({ prefix, count, payload = null, inFlight = 8 }) {
    let next = 0;
    const one = async () => {
      while (next < count) {
        const taskId = `${prefix}-${next++}`;
        try {
          await scheduler.scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload });
          say("ack", taskId, logSize());
        } catch (error) {
          sayError(error);
        }
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    say("scheduled", prefix);
  },
  async append({ count, eventType }) {
    for (let index = 0; index < count; index++) {
      say("ack", await db.transaction((tx) => tx.append({ eventType, payload: index })), logSize());
    }
    say("appended", eventType);
  },
  async follow({ after, until }) {
    const positions = [];
    for await (const { position } of db.subscribe({ after })) {
      positions.push(position);
      if (position >= until) break;
    }
    say("followed", positions);
  },
  async rebuild() {
    say("rebuilt", await db.rebuild());
  },
  async stop() {
    await scheduler.stop();
    await db.close();
    say("stopped");
    process.exit(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  // Not one after the other: a process does many things at a time.
  commands[command](rest).catch(sayError);
}
