/** Where the monitor keeps its files and how often it does what: arguments and environment variables. */
import path from "node:path";

const { env } = process;

export const settings = {
  /** The store, the report and the alerts. */
  directory: path.resolve(process.argv[2] ?? env["AZOTH_DATA"] ?? "azoth-data"),
  sampleEvery: env["MONITOR_SAMPLE_EVERY"] ?? "2s",
  reportCron: env["MONITOR_REPORT_CRON"] ?? "*/10 * * * * *",
  /** Stops after so many samples. */
  maxSamples: Number(env["MONITOR_SAMPLES"] ?? Number.POSITIVE_INFINITY),
  /** Percent of the disk in use above which an alert is raised. */
  diskLimit: Number(env["MONITOR_DISK_LIMIT"] ?? 90),
} as const;

export const reportFile = path.join(settings.directory, "report.md");
export const alertFile = path.join(settings.directory, "alerts.txt");
