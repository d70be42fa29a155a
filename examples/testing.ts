/**
 * Three nights of a nightly task in a moment: the testing kit runs the real scheduler on a clock that a test moves.
 */
import assert from "node:assert/strict";
import { cron, taskHandler } from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";

let databaseIsUp = false;
const backup = taskHandler({
  taskType: "backup",
  execute() {
    if (!databaseIsUp) throw new Error("the database is down");
    return { eventType: "backup_made", payload: { megabytes: 120 } };
  },
});

await using kit = await createTestScheduler({ handlers: [backup], start: "2026-03-27T12:00:00Z" });
await kit.scheduler.scheduleTask({
  taskId: "nightly",
  taskType: "backup",
  schedule: cron("0 0 3 * * *", { timeZone: "Europe/Rome" }),
});

// To the first night, in which the first attempt fails; a minute later the second one will succeed.
await kit.advanceTo("2026-03-28T02:00:30Z");
assert.equal((await kit.scheduler.getTask("nightly"))?.retryCount, 1);
databaseIsUp = true;
await kit.advance("2d");

const { executions } = await kit.scheduler.history("nightly");
for (const { scheduledFor, attempt, startedAt, outcome } of executions.toReversed()) {
  const [due, started] = [scheduledFor, startedAt].map((date) => date.toISOString().slice(0, 16));
  console.log(`due ${due}, attempt ${attempt} at ${started}: ${outcome}`);
}

assert.equal((await kit.log({ eventTypes: ["backup_made"] })).length, 3);
assert.equal((await kit.db.verify()).ok, true);
console.log("Three backups in three nights, and replaying the log gives the stored state.");

// Prints:
// due 2026-03-28T02:00, attempt 1 at 2026-03-28T02:00: failed
// due 2026-03-28T02:00, attempt 2 at 2026-03-28T02:01: succeeded
// due 2026-03-29T01:00, attempt 1 at 2026-03-29T01:00: succeeded
// due 2026-03-30T01:00, attempt 1 at 2026-03-30T01:00: succeeded
// Three backups in three nights, and replaying the log gives the stored state.
