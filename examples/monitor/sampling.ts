/** Measures this machine, as the event `machine_sampled`. */
import { statfs } from "node:fs/promises";
import os from "node:os";
import { taskHandler } from "azoth-scheduler";
import { settings } from "./settings.ts";

export interface Sample {
  readonly sampledAt: Date;
  /** The load average of the last minute. */
  readonly load: number;
  /** Percent in use. */
  readonly memory: number;
  /** Percent in use, of the file system that holds the store. */
  readonly disk: number;
}

/** @param onSample called with the number of samples of this process */
export function samplingHandler(onSample: (count: number) => void) {
  let count = 0;
  return taskHandler({
    taskType: "sample_machine",
    timeout: "10s",
    async execute(ctx) {
      const { blocks, bavail } = await statfs(settings.directory);
      const payload: Sample = {
        sampledAt: ctx.now(),
        load: round(os.loadavg()[0] ?? 0),
        memory: round(100 * (1 - os.freemem() / os.totalmem())),
        disk: round(100 * (1 - bavail / blocks)),
      };
      onSample(++count);
      return { eventType: "machine_sampled", payload };
    },
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
