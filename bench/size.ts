/**
 * How much room finished tasks take: `npm run bench:size -- [location] [tasks] [chain]`.
 *
 * Runs one-shot tasks, each with an event of its own, through a store (a directory, or a postgres:// URL with a schema that
 * is not there yet) and prints the bytes for each, all events kept. With "chain" the log is sealed by a hash chain.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { AzothDb, immediate, Scheduler, taskHandler } from "azoth-scheduler";

const batch = 1_000;
const [, , location = mkdtempSync(join(tmpdir(), "azoth-size-")), count = "20000", chain] = process.argv;
const hashChain = chain === "chain";
const tasks = Math.ceil(Number(count) / batch) * batch;
const onPostgres = location.startsWith("postgres");

const db = await AzothDb.open(location, { hashChain });
const allRan = deferred();
let ran = 0;
const scheduler = new Scheduler(db, {
  handlers: [
    taskHandler({
      taskType: "send_mail",
      execute: (_, to: string) => {
        if (++ran === tasks) allRan.resolve(undefined);
        return { eventType: "mail_sent", payload: { to } };
      },
    }),
  ],
});
const startedAtMs = performance.now();
const cpuBefore = process.cpuUsage();
await scheduler.start();
for (let from = 0; from < tasks; from += batch) {
  const requests = Array.from({ length: batch }, (_, index) => {
    return { taskType: "send_mail" as const, schedule: immediate(), payload: `user-${from + index}@example.com` };
  });
  await scheduler.scheduleTasks(requests);
}
await allRan.promise;
await scheduler.stop();
const seconds = (performance.now() - startedAtMs) / 1_000;
const events = await db.lastPosition();
if (hashChain) await untilSealed();
const sealedLater = (performance.now() - startedAtMs) / 1_000 - seconds;
const { user, system } = process.cpuUsage(cpuBefore);
for (const [what, bytes] of await sizes()) console.log(`${what}: ${Math.round(bytes / tasks)} bytes a task`);
console.log(`${tasks} tasks, ${events} events, ${seconds.toFixed(1)} s with the scheduling of them`);
console.log(`${((user + system) / events).toFixed(1)} µs of this process's processor time an event`);
if (hashChain) console.log(`all were sealed ${sealedLater.toFixed(2)} s later`);
await db.close();
if (process.argv[2] === undefined) rmSync(location, { recursive: true, force: true });

async function sizes(): Promise<[string, number][]> {
  if (!onPostgres) {
    await db.close();
    return [["the file", statSync(join(location, "azoth.db")).size]];
  }
  const sql = `SELECT c.relname AS name, pg_relation_size(c.oid) AS rows, pg_indexes_size(c.oid) AS indexes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relname IN ('azoth_chain', 'azoth_events', 'azoth_tasks') ORDER BY 1`;
  const schema = new URL(location).searchParams.get("schema") ?? "azoth";
  const tables = await db.query(sql, [schema]);
  return tables.flatMap(({ name, rows, indexes }): [string, number][] => [
    [`${String(name)}, rows`, Number(rows)],
    [`${String(name)}, indexes`, Number(indexes)],
  ]);
}

async function untilSealed(): Promise<void> {
  while ((await db.chainHead())?.position !== events) await setTimeout(1);
}

function deferred(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve: (value: unknown) => void = () => {};
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
