/** Every scenario, in the order of the report. */
import { fullStore, opening } from "./full-store.ts";
import { burstLateness, lateness, startLatency, startLatencyOfOther } from "./latency.ts";
import { cronOccurrences } from "./occurrences.ts";
import { replay } from "./replay.ts";
import type { Scenario } from "./scenario.ts";
import { scheduleBatches, scheduleCallers, scheduleSingly } from "./scheduling.ts";
import { processOnly, wholeLives } from "./whole-lives.ts";

export const scenarios: readonly Scenario[] = [
  processOnly,
  wholeLives,
  scheduleBatches,
  scheduleCallers,
  scheduleSingly,
  startLatency,
  startLatencyOfOther,
  lateness,
  burstLateness,
  fullStore,
  opening,
  replay,
  cronOccurrences,
];
