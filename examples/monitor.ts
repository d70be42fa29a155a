/**
 * A monitor of this machine.
 *
 *   sample-machine (interval)    measures load, memory and disk, and returns the event `machine_sampled`
 *   per-minute (event handler)   folds each sample into the table `machine_minutes`, exactly once
 *   disk-watch (event handler)   schedules a `raise_alert` task when the disk gets too full
 *   write-report (cron)          writes report.md from that table
 *
 *     node monitor.js [directory]     default: AZOTH_DATA, else ./azoth-data
 *
 * Stop it with Ctrl-C, or kill it: started again it goes on where it was, and its report stays right.
 * Intervals and limits can be set, see monitor/settings.ts.
 */
import os from "node:os";
import { AzothDb, cron, interval, Scheduler } from "azoth-scheduler";
import { diskWatch, raiseAlert } from "./monitor/disk-watch.ts";
import { perMinute, readMinutes } from "./monitor/per-minute.ts";
import { reportHandler } from "./monitor/report.ts";
import { samplingHandler } from "./monitor/sampling.ts";
import { clockTime, columns, shortPath, showEvent } from "./monitor/screen.ts";
import { reportFile, settings } from "./monitor/settings.ts";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());

await using db = await AzothDb.open(settings.directory);
const scheduler = new Scheduler(db, {
  handlers: [
    samplingHandler((count) => {
      if (count >= settings.maxSamples) stop.abort();
    }),
    reportHandler(db),
    raiseAlert,
  ],
  eventHandlers: [perMinute, diskWatch],
  // After a kill -9, another process may take over what was running after this time.
  claimDuration: "3s",
});

console.log(`Azoth Scheduler: a monitor of ${os.hostname()}

  data      ${shortPath(db.location)}
  report    ${shortPath(reportFile)}
  to stop   Ctrl-C; start it again, and it goes on where it was
`);

const found = await db.lastPosition();
if (found === 0) {
  console.log("Found     nothing: a new store.");
} else {
  const minutes = await readMinutes(db);
  const samples = minutes.reduce((sum, row) => sum + Number(row["samples"]), 0);
  const last = (await scheduler.getTask("sample-machine"))?.lastScheduledFor;
  const since = last == null ? "" : `, the last one due ${last.toLocaleString("sv-SE")}`;
  console.log(`Found     ${found} events; ${samples} samples${since}.`);
}

const scheduled = await scheduler.scheduleTasks([
  { taskId: "sample-machine", taskType: "sample_machine", schedule: interval(settings.sampleEvery) },
  { taskId: "write-report", taskType: "write_report", schedule: cron(settings.reportCron) },
]);
for (const { taskId, change, nextRunAt } of scheduled) {
  const next = nextRunAt === null ? "when it has been taken over" : clockTime(nextRunAt);
  console.log(`Scheduled ${taskId} (${change}), next ${next}.`);
}
console.log(`\n${columns}`);

// The log as it grows, whichever process writes to it.
let shown = found;
const showing = new AbortController();
const screen = (async () => {
  for await (const event of db.subscribe({ after: found, signal: showing.signal })) {
    showEvent(event);
    shown = event.position;
  }
})();

await scheduler.run({ signal: stop.signal });
showing.abort();
await screen;
for await (const event of db.readLog({ after: shown })) showEvent(event);

console.log(`\nStopped. The log has ${await db.lastPosition()} events; start it again, and it goes on from there.`);
