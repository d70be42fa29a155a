/** Cron arithmetic: next occurrences one by one, as the scheduler asks for them. Pure, no store. */
import { cron, nextOccurrences } from "azoth-scheduler";
import type { Scenario } from "./scenario.ts";

const often = "0 */5 * * * *";
const daily = "0 30 2 * * *";

export const cronOccurrences: Scenario = {
  name: "cron",
  title: "Cron: next occurrences",
  explanation: `Each from the one before, through the public \`nextOccurrences\`: \`${often}\` and \`${daily}\`, in UTC and in Europe/Rome (daylight saving), from 2026-01-01 on.`,
  contest: "azoth",
  metrics: {
    oftenUtc: { label: "every 5 min, UTC (/s)", compared: false },
    oftenRome: { label: "every 5 min, Rome (/s)", compared: false },
    dailyUtc: { label: "daily, UTC (/s)", compared: false },
    dailyRome: { label: "daily, Rome (/s)", compared: false },
  },
  measure({ tasks }) {
    // Each takes about a microsecond: fewer would be over before they can be measured.
    const count = tasks * 10;
    return Promise.resolve({
      oftenUtc: occurrencesPerSecond(often, "UTC", count),
      oftenRome: occurrencesPerSecond(often, "Europe/Rome", count),
      dailyUtc: occurrencesPerSecond(daily, "UTC", count),
      dailyRome: occurrencesPerSecond(daily, "Europe/Rome", count),
    });
  },
};

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
