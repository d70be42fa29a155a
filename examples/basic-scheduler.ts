/**
 * A report at once and one every second, until three have been recorded.
 *
 *   scheduleTask -> log -> TaskHandler -> its event in the log -> EventHandler
 */
import { AzothDb, eventHandler, immediate, interval, Scheduler, taskHandler } from "azoth-scheduler";

// Does the work. What it returns is an event, committed together with the completion of the task.
const report = taskHandler({
  taskType: "generate_report",
  execute(ctx, payload: { region: string }) {
    console.log(`Generating the report for ${payload.region} (task ${ctx.taskId}).`);
    return { eventType: "report_generated", payload: { region: payload.region, rows: 12 } };
  },
});

// Reads that event from the log: in order, once, and from where it was after a restart.
let recorded = 0;
const done = new AbortController();
const archive = eventHandler<{ region: string; rows: number }>({
  name: "report-archive",
  eventType: "report_generated",
  handle(event) {
    console.log(`Recorded: ${event.eventType} for ${event.payload.region}, ${event.payload.rows} rows.`);
    recorded++;
    if (recorded === 3) done.abort();
  },
});

await using db = await AzothDb.open(process.argv[2] ?? ":memory:");
const scheduler = new Scheduler(db, { handlers: [report], eventHandlers: [archive] });

await scheduler.scheduleTask({
  taskId: "first-report",
  taskType: "generate_report",
  schedule: immediate(),
  payload: { region: "eu" },
});
await scheduler.scheduleTask({
  taskId: "regular-report",
  taskType: "generate_report",
  schedule: interval("1s"),
  payload: { region: "us" },
});

await scheduler.run({ signal: done.signal });

const { executions } = await scheduler.history("regular-report");
console.log(`regular-report ran ${executions.length} times; the log has ${await db.lastPosition()} events.`);

// Prints:
// Generating the report for eu (task first-report).
// Recorded: report_generated for eu, 12 rows.
// Generating the report for us (task regular-report).
// Recorded: report_generated for us, 12 rows.
// Generating the report for us (task regular-report).
// Recorded: report_generated for us, 12 rows.
// regular-report ran 2 times; the log has 13 events.
