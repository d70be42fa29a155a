/** Cron arithmetic: next occurrences one by one, as the scheduler asks for them. Pure, no store. */
import { cron, nextOccurrences } from "azoth-scheduler";
import type { Scenario } from "./scenario.ts";

const often = "0 */5 * * * *";
const daily = "0 30 2 * * *";
const sparse = "0 0 0 29 2 *";

export const cronOccurrences: Scenario = {
  name: "cron",
  title: "Cron: next occurrences",
  explanation:
    `Each from the one before, through the public \`nextOccurrences\`: \`${often}\` and \`${daily}\`, in UTC and in Europe/Rome (daylight saving), from 2026-01-01 on; ` +
    `and \`${sparse}\`, every fourth year, from each midnight of 2025 on.`,
  systems: ["azoth-sqlite"],
  metrics: {
    oftenUtc: "every 5 min, UTC (/s)",
    dailyUtc: "daily, UTC (/s)",
    oftenRome: "every 5 min, Rome (/s)",
    dailyRome: "daily, Rome (/s)",
    sparseMs: "29 February, Rome (ms each)",
  },
  targets: [
    { engine: "sqlite", metric: "oftenUtc", atLeast: 1_000_000 },
    { engine: "sqlite", metric: "dailyUtc", atLeast: 1_000_000 },
    { engine: "sqlite", metric: "oftenRome", atLeast: 200_000 },
    { engine: "sqlite", metric: "dailyRome", atLeast: 200_000 },
    { engine: "sqlite", metric: "sparseMs", atMost: 1 },
  ],
  measure({ tasks }) {
    // Each takes about a microsecond: fewer would be over before they can be measured.
    const count = tasks * 50;
    return Promise.resolve({
      oftenUtc: occurrencesPerSecond(often, "UTC", count),
      dailyUtc: occurrencesPerSecond(daily, "UTC", Math.min(count, mostDays)),
      oftenRome: occurrencesPerSecond(often, "Europe/Rome", count),
      dailyRome: occurrencesPerSecond(daily, "Europe/Rome", Math.min(count, mostDays)),
      sparseMs: millisecondsFromEachDay(sparse, "Europe/Rome"),
    });
  },
};

/** Schedules end with the year 9999. */
const mostDays = 2_000_000;

function occurrencesPerSecond(expression: string, timeZone: string, count: number): number {
  const schedule = cron(expression, { timeZone });
  let after = new Date(Date.UTC(2026, 0, 1));
  const startedMs = performance.now();
  for (let done = 0; done < count; done++) {
    const [next] = nextOccurrences(schedule, { after });
    if (next === undefined) throw new Error(`${expression} ended after ${done} occurrences`);
    after = next;
  }
  return (count / (performance.now() - startedMs)) * 1_000;
}

function millisecondsFromEachDay(expression: string, timeZone: string): number {
  const schedule = cron(expression, { timeZone });
  const days = Array.from({ length: 365 }, (_, day) => new Date(Date.UTC(2025, 0, 1 + day)));
  const startedMs = performance.now();
  for (const after of days) {
    if (nextOccurrences(schedule, { after }).length !== 1) throw new Error(`${expression} has no next occurrence`);
  }
  return (performance.now() - startedMs) / days.length;
}
