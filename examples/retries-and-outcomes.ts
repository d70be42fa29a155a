/**
 * What a handler can say of its attempt, and what the history says of it afterwards.
 */
import { AzothDb, fail, immediate, retryAfter, Scheduler, snooze, taskHandler } from "azoth-scheduler";

// Short delays for the example; without `retry` they are 1, 2, 4, … minutes.
const retry = { base: "50ms", factor: 2 };

const flaky = taskHandler({
  taskType: "flaky",
  retry,
  execute(ctx) {
    if (ctx.attempt < 3) throw new Error(`connection refused, attempt ${ctx.attempt}`);
  },
});

const hopeless = taskHandler({
  taskType: "hopeless",
  retry,
  execute: () => {
    throw new Error("out of order");
  },
});

// No retry can mend this: the task is disabled at once.
const rejected = taskHandler({ taskType: "rejected", execute: () => fail("the address does not exist") });

// The service said when to come back.
const limited = taskHandler({
  taskType: "limited",
  execute: (ctx) => (ctx.attempt === 1 ? retryAfter("100ms", "rate limit") : undefined),
});

// Not ready yet: comes back without counting an attempt.
let looks = 0;
const waiting = taskHandler({
  taskType: "waiting",
  execute: () => (++looks < 3 ? snooze("50ms", "the file is not there yet") : undefined),
});

const slow = taskHandler({
  taskType: "slow",
  timeout: "100ms",
  maxRetries: 1,
  execute: (ctx) => ctx.sleep("1m"),
});

await using db = await AzothDb.open(process.argv[2] ?? ":memory:");
const scheduler = new Scheduler(db, { handlers: [flaky, hopeless, rejected, limited, waiting, slow] });

for (const taskType of ["flaky", "hopeless", "rejected", "limited", "waiting", "slow"] as const) {
  await scheduler.scheduleTask({ taskId: taskType, taskType, schedule: immediate() });
}

await scheduler.start();
for await (const _ of db.subscribe({ eventTypes: ["TaskExecuted", "TaskSnoozed"] })) {
  const { waiting, running } = await scheduler.countTasks();
  if (waiting + running === 0) break;
}
await scheduler.stop();

for (const { taskId, state } of (await scheduler.listTasks()).tasks) {
  console.log(`${taskId}: ${state}`);
  const { executions } = await scheduler.history(taskId);
  for (const { attempt, outcome, error } of executions.toReversed()) {
    console.log(`  attempt ${attempt} ${outcome}${error === null ? "" : `: ${error.message}`}`);
  }
}

// Prints:
// flaky: completed
//   attempt 1 failed: connection refused, attempt 1
//   attempt 2 failed: connection refused, attempt 2
//   attempt 3 succeeded
// hopeless: disabled
//   attempt 1 failed: out of order
//   attempt 2 failed: out of order
//   attempt 3 failed: out of order
// rejected: disabled
//   attempt 1 failed: the address does not exist
// limited: completed
//   attempt 1 failed: rate limit
//   attempt 2 succeeded
// waiting: completed
//   attempt 1 snoozed
//   attempt 1 snoozed
//   attempt 1 succeeded
// slow: disabled
//   attempt 1 timed-out: The attempt did not finish within its timeout of 100 ms.
