/**
 * Cron schedules: when they will fire, what daylight saving does to them, and one that runs every second.
 */
import { AzothDb, cron, nextOccurrences, Scheduler, taskHandler } from "azoth-scheduler";

/** The next times of a schedule as a clock on the wall in Rome shows them. */
function preview(title: string, expression: string, after: string) {
  console.log(`${title} (${expression})`);
  for (const date of nextOccurrences(cron(expression, { timeZone: "Europe/Rome" }), { after, count: 3 })) {
    const wall = date.toLocaleString("sv-SE", { timeZone: "Europe/Rome" });
    console.log(`  ${wall} in Rome, ${date.toISOString()}`);
  }
}

// Rome's clocks go from 02:00 to 03:00 on 29 March 2026: 02:30 does not exist on that day.
preview("A fixed time still runs once a day", "0 30 2 * * *", "2026-03-27T12:00:00Z");
preview("A step follows elapsed time", "0 */30 * * * *", "2026-03-29T00:00:00Z");
preview("Weekdays at 9 do not move", "0 0 9 * * 1-5", "2026-03-26T12:00:00Z");

const done = new AbortController();
let ticks = 0;
const tick = taskHandler({
  taskType: "tick",
  execute(ctx) {
    ticks++;
    console.log(`Tick ${ticks} of ${ctx.taskId}, due ${ctx.scheduledFor.getMilliseconds()} ms after a whole second.`);
    if (ticks === 2) done.abort();
  },
});

await using db = await AzothDb.open(process.argv[2] ?? ":memory:");
const scheduler = new Scheduler(db, { handlers: [tick] });
await scheduler.scheduleTask({ taskId: "every-second", taskType: "tick", schedule: cron("* * * * * *") });
await scheduler.scheduleTask({
  taskId: "every-night",
  taskType: "tick",
  schedule: cron("0 30 2 * * *", { timeZone: "Europe/Rome" }),
});

const again = await scheduler.scheduleTask({ taskId: "every-second", taskType: "tick", schedule: cron("* * * * * *") });
console.log(`Scheduling the same once more: ${again.change}.`);

await scheduler.run({ signal: done.signal });

for (const { taskId, state, runs, schedule } of (await scheduler.listTasks({ enabled: true })).tasks) {
  console.log(`${taskId}: ${state} after ${runs} runs (${schedule.kind}).`);
}

// Prints:
// A fixed time still runs once a day (0 30 2 * * *)
//   2026-03-28 02:30:00 in Rome, 2026-03-28T01:30:00.000Z
//   2026-03-29 03:00:00 in Rome, 2026-03-29T01:00:00.000Z
//   2026-03-30 02:30:00 in Rome, 2026-03-30T00:30:00.000Z
// A step follows elapsed time (0 */30 * * * *)
//   2026-03-29 01:30:00 in Rome, 2026-03-29T00:30:00.000Z
//   2026-03-29 03:00:00 in Rome, 2026-03-29T01:00:00.000Z
//   2026-03-29 03:30:00 in Rome, 2026-03-29T01:30:00.000Z
// Weekdays at 9 do not move (0 0 9 * * 1-5)
//   2026-03-27 09:00:00 in Rome, 2026-03-27T08:00:00.000Z
//   2026-03-30 09:00:00 in Rome, 2026-03-30T07:00:00.000Z
//   2026-03-31 09:00:00 in Rome, 2026-03-31T07:00:00.000Z
// Scheduling the same once more: unchanged.
// Tick 1 of every-second, due 0 ms after a whole second.
// Tick 2 of every-second, due 0 ms after a whole second.
// every-second: waiting after 2 runs (cron).
// every-night: waiting after 0 runs (cron).
