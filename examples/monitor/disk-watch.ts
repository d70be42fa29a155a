/** "When a sample with a full disk was recorded, raise an alert", once each time the limit is passed. */
import { appendFile } from "node:fs/promises";
import { eventHandler, immediate, taskHandler } from "azoth-scheduler";
import type { Sample } from "./sampling.ts";
import { alertFile, settings } from "./settings.ts";

export const diskWatch = eventHandler<Sample>({
  name: "disk-watch",
  eventType: "machine_sampled",
  setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS disk_watch (id INTEGER PRIMARY KEY, full INTEGER)"),
  async handle({ payload }, tx) {
    const [before] = await tx.query("SELECT full FROM disk_watch");
    const full = payload.disk > settings.diskLimit ? 1 : 0;
    await tx.execute("REPLACE INTO disk_watch VALUES (1, ?)", [full]);
    // Side effects are for tasks: one that fails is retried, and the log tells of it.
    if (full === 1 && before?.["full"] !== 1) {
      await tx.scheduleTask({ taskType: "raise_alert", schedule: immediate(), payload });
    }
  },
});

export const raiseAlert = taskHandler({
  taskType: "raise_alert",
  async execute(_ctx, { sampledAt, disk }: Sample) {
    await appendFile(alertFile, `${sampledAt.toISOString()} disk ${disk} % full, limit ${settings.diskLimit} %\n`);
    return { eventType: "alert_raised", payload: { disk } };
  },
});
