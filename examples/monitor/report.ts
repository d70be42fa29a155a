/** Writes report.md from the table of minutes. */
import { rename, writeFile } from "node:fs/promises";
import os from "node:os";
import { type AzothDb, type SqlRow, taskHandler } from "azoth-scheduler";
import { gauges, readMinutes } from "./per-minute.ts";
import { reportFile } from "./settings.ts";

export function reportHandler(db: AzothDb) {
  return taskHandler({
    taskType: "write_report",
    async execute(ctx) {
      const minutes = await readMinutes(db);
      const samples = minutes.reduce((sum, row) => sum + Number(row["samples"]), 0);
      const through = Math.max(0, ...minutes.map((row) => Number(row["last_position"])));
      const lines = [
        `# ${os.hostname()}`,
        "",
        `${samples} samples, up to position ${through} of the log. Written ${ctx.now().toISOString()}.`,
        "",
        "| minute (UTC) | samples | load: min, average, max | memory % | disk % |",
        "| --- | --- | --- | --- | --- |",
        ...minutes.map(minuteLine),
        "",
      ];
      // Under another name first, so that nobody ever reads half a report.
      await writeFile(`${reportFile}.new`, lines.join("\n"));
      await rename(`${reportFile}.new`, reportFile);
      return { eventType: "report_written", payload: { samples, minutes: minutes.length, through } };
    },
  });
}

function minuteLine(row: SqlRow): string {
  const cells = gauges.map((gauge) => {
    const average = Number(row[`${gauge}_sum`]) / Number(row["samples"]);
    const values = [Number(row[`${gauge}_min`]), average, Number(row[`${gauge}_max`])];
    return values.map((value) => value.toFixed(2)).join(", ");
  });
  return `| ${[row["minute"], row["samples"], ...cells].join(" | ")} |`;
}
