/** Every scenario, in the order of the report. */
import { burstLateness, lateness, startLatency } from "./latency.ts";
import { cronOccurrences } from "./occurrences.ts";
import { replay } from "./replay.ts";
import type { Scenario } from "./scenario.ts";
import { scheduleBatches, scheduleCallers, scheduleSingly } from "./scheduling.ts";
import { processOnly, wholeLives } from "./whole-lives.ts";

export const scenarios: readonly Scenario[] = [
  wholeLives,
  processOnly,
  scheduleBatches,
  scheduleCallers,
  scheduleSingly,
  startLatency,
  lateness,
  burstLateness,
  cronOccurrences,
  replay,
];
