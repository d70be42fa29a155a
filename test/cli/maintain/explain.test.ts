/** `explain` says what is true of each situation, in the words for it. */
import { cron, interval, oneTime, Scheduler, snooze, taskHandler } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler, newLocation } from "../../engine-under-test.ts";
import { run } from "../command-line.ts";

const work = taskHandler({ taskType: "work", execute: () => undefined });
const slow = taskHandler({ taskType: "slow", execute: (ctx) => ctx.sleep("30m") });
const broken = taskHandler({
  taskType: "broken",
  execute: () => {
    throw new Error("no luck");
  },
});
const shy = taskHandler({
  taskType: "shy",
  execute: (ctx) => (ctx.now().getUTCMinutes() < 10 ? snooze("10m", "busy") : undefined),
});
const handlers = [work, slow, broken, shy] as const;
type Kit = TestScheduler<typeof handlers>;

const hourly = cron("0 0 * * * *");
const nightly = cron("0 30 2 * * *", { timeZone: "Europe/Berlin" });

interface Situation {
  readonly name: string;
  readonly start?: string;
  readonly options?: object;
  readonly arrange: (kit: Kit) => Promise<void>;
  readonly at: string;
  readonly verdict: string;
  readonly sentences: readonly string[];
}

const one = { taskId: "t", schedule: hourly, maxRetries: 0, timeout: "1h" } as const;
const schedule = async (kit: Kit, taskType: string, more: object = {}) => {
  await kit.scheduler.scheduleTask({ ...one, taskType, ...more } as never);
};
const startedAt = (time: string, scheduler = 1) => `It started at 2026-01-01 ${time} on scheduler ${scheduler}.`;
const succeeded = "It succeeded after 0ms.";

const situations: readonly Situation[] = [
  {
    name: "it ran on time",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.advance("90m");
    },
    at: "01:00",
    verdict: "ran",
    sentences: ["It ran on time.", startedAt("01:00:00"), succeeded],
  },
  {
    name: "it was not due",
    arrange: async (kit) => {
      await schedule(kit, "work", { schedule: oneTime("2026-01-01T01:00:00Z") });
      await kit.advance("30m");
    },
    at: "10m",
    verdict: "not-due",
    sentences: ["It was not due at 2026-01-01 00:20:00.", "It was to run once, for 2026-01-01 01:00:00."],
  },
  {
    name: "it was not there yet",
    arrange: async (kit) => await schedule(kit, "work", { schedule: interval("10m") }),
    at: "2025-12-31T23:00:00Z",
    verdict: "not-scheduled",
    sentences: ["The task was not there yet: it was first scheduled at 2026-01-01 00:00:00."],
  },
  {
    name: "no scheduler runs",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.stop();
      await kit.advance("3h");
    },
    at: "01:00",
    verdict: "waiting",
    sentences: ["It has not run yet.", "No scheduler was running from 2026-01-01 00:00:00 on."],
  },
  {
    name: "no scheduler ran until late",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.stop();
      await kit.advance("200m");
      await kit.restart();
      await kit.advance("1m");
    },
    at: "01:00",
    verdict: "ran-late",
    sentences: [
      "It ran, but late.",
      "It started 2h 20m late.",
      "No scheduler was running from 2026-01-01 00:00:00 until 2026-01-01 03:20:00.",
      startedAt("03:20:00", 2),
      succeeded,
    ],
  },
  {
    name: "it was missed while no scheduler ran",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.stop();
      await kit.advance("200m");
      await kit.restart();
      await kit.advance("1m");
    },
    at: "02:00",
    verdict: "skipped",
    sentences: [
      "It did not run: the occurrence was skipped.",
      "The occurrence of 2026-01-01 01:00:00 ran late, and stood for all that were missed by then.",
      "No scheduler was running from 2026-01-01 00:00:00 until 2026-01-01 03:20:00.",
      "It was one of 2 occurrences skipped, from 2026-01-01 02:00:00 to 2026-01-01 03:00:00.",
    ],
  },
  {
    name: "another scheduler ran, after the one that had the handler",
    arrange: async (kit) => {
      await schedule(kit, "work");
      const other = await kit.addScheduler({ handlers: [slow] });
      await kit.stop();
      await kit.advance("30m");
      await other.stop();
      await kit.advance("1h");
    },
    at: "01:00",
    verdict: "waiting",
    sentences: [
      "It has not run yet.",
      "No scheduler with a handler for its type was running from 2026-01-01 00:00:00 on.",
    ],
  },
  {
    name: "none has the handler",
    arrange: async (kit) => {
      await new Scheduler(kit.db, { externalTaskTypes: ["other"] }).scheduleTask({ ...one, taskType: "other" });
      await kit.advance("2h");
    },
    at: "01:00",
    verdict: "waiting",
    sentences: ["It has not run yet.", "Schedulers were running, but none had a handler for its type then, nor since."],
  },
  {
    name: "the slots were taken",
    options: { maxConcurrentTasks: 1 },
    arrange: async (kit) => {
      await schedule(kit, "slow", { taskId: "first" });
      await schedule(kit, "slow");
      await kit.advance("150m");
    },
    at: "01:00",
    verdict: "ran-late",
    sentences: [
      "It ran, but late.",
      "It started 30m late.",
      "A scheduler was there: its slots were taken, or it could not reach the store.",
      startedAt("01:30:00"),
      "It succeeded after 30m.",
    ],
  },
  {
    name: "it failed for good",
    arrange: async (kit) => {
      await schedule(kit, "broken");
      await kit.advance("90m");
    },
    at: "01:00",
    verdict: "failed",
    sentences: [
      "It ran, and failed.",
      startedAt("01:00:00"),
      "It failed after 0ms: no luck.",
      "No attempts were left, so the task was disabled.",
      "`azoth-scheduler tasks resume` lets it go on.",
    ],
  },
  {
    name: "it failed for good, and was resumed",
    arrange: async (kit) => {
      await schedule(kit, "broken");
      await kit.advance("90m");
      await kit.scheduler.resumeTask("t");
    },
    at: "01:00",
    verdict: "failed",
    sentences: [
      "It ran, and failed.",
      startedAt("01:00:00"),
      "It failed after 0ms: no luck.",
      "No attempts were left, so the task was disabled.",
      "It was resumed at 2026-01-01 01:30:00.",
    ],
  },
  {
    name: "it was paused, and resumed",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.advance("30m");
      await kit.scheduler.pauseTask("t", "audit");
      await kit.advance("2h");
      await kit.scheduler.resumeTask("t");
    },
    at: "01:00",
    verdict: "skipped",
    sentences: [
      "It did not run: the occurrence was skipped.",
      "It was paused since 2026-01-01 00:30:00: audit.",
      "It was one of 2 occurrences skipped, from 2026-01-01 01:00:00 to 2026-01-01 02:00:00.",
    ],
  },
  {
    name: "it had been cancelled",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.advance("30m");
      await kit.scheduler.cancelTask("t", "no use");
      await kit.advance("1h");
    },
    at: "01:00",
    verdict: "not-run",
    sentences: ["It did not run.", "It had been cancelled at 2026-01-01 00:30:00: no use."],
  },
  {
    name: "another definition had replaced it",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.advance("30m");
      await schedule(kit, "work", { schedule: cron("0 15 * * * *") });
      await kit.advance("1h");
    },
    at: "01:00",
    verdict: "not-run",
    sentences: ["It did not run.", "Before it could start, the task was replaced at 2026-01-01 00:30:00."],
  },
  {
    name: "somebody asked for it",
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.advance("30m");
      await kit.scheduler.runTaskNow("t");
      await kit.advance("1m");
    },
    at: "00:30",
    verdict: "ran",
    sentences: [
      "It ran on time.",
      "Somebody asked for this run at 2026-01-01 00:30:00.",
      startedAt("00:30:00"),
      succeeded,
    ],
  },
  {
    name: "its handler put it off",
    arrange: async (kit) => {
      await schedule(kit, "shy");
      await kit.advance("90m");
    },
    at: "01:00",
    verdict: "ran-late",
    sentences: [
      "It ran, but late.",
      startedAt("01:00:00"),
      "Its handler put it off until 2026-01-01 01:10:00: busy.",
      "It started again at 2026-01-01 01:10:00 on scheduler 1.",
      succeeded,
    ],
  },
  {
    name: "another scheduler took it over",
    options: { claimDuration: "1m" },
    arrange: async (kit) => {
      await schedule(kit, "slow");
      await kit.advance("65m");
      await kit.addScheduler();
      await kit.crash();
      await kit.advance("1h");
    },
    at: "01:00",
    verdict: "ran-late",
    sentences: [
      "It ran, but late.",
      startedAt("01:00:00"),
      "That run ended without an outcome at 2026-01-01 01:06:00: the scheduler fell silent, as after a crash, and another one took the task over.",
      "It started again at 2026-01-01 01:06:00 on scheduler 2.",
      "It succeeded after 30m.",
    ],
  },
  {
    name: "a gap of the clock moved it",
    start: "2026-03-28T12:00:00Z",
    arrange: async (kit) => {
      await schedule(kit, "work", { schedule: nightly });
      await kit.advance("1d");
    },
    at: "2026-03-29T01:00:00Z",
    verdict: "ran",
    sentences: [
      "It ran on time.",
      "Its local time did not exist that day: the clock was put forward, and 2026-03-29 01:00:00 was the first instant after the gap.",
      "It started at 2026-03-29 01:00:00 on scheduler 1.",
      succeeded,
    ],
  },
  {
    name: "its local time came twice",
    start: "2026-10-24T12:00:00Z",
    arrange: async (kit) => {
      await schedule(kit, "work", { schedule: nightly });
      await kit.advance("1d");
    },
    at: "2026-10-25T00:30:00Z",
    verdict: "ran",
    sentences: [
      "It ran on time.",
      "Its local time came twice that day, because the clock was put back: the first was chosen.",
      "It started at 2026-10-25 00:30:00 on scheduler 1.",
      succeeded,
    ],
  },
];

describe("explain", () => {
  test.each(situations)("says that $name", async ({ start, options = {}, arrange, at, verdict, sentences }) => {
    const location = await newLocation({ shared: true });
    await using kit = await createTestScheduler({ handlers, location, ...(start && { start }), ...options });
    await arrange(kit);
    const world = { clock: kit.clock, store: location, columns: 80 };
    const answer = await run(["explain", "t", "--at", at, "--json"], world);
    expect(answer).toMatchObject({ code: 0, stderr: "" });
    expect(answer.objects).toMatchObject([{ taskId: "t", verdict, sentences }]);
    const { stdout } = await run(["explain", "t", "--at", at], world);
    const lines = stdout.split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.join(" ")).toContain(sentences.join(" "));
  });
});
