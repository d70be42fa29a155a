/** `explain` on histories that go on, and on random ones. */
import { cron, interval, snooze, taskHandler } from "azoth-scheduler";
import type { TestSchedulerOptions } from "azoth-scheduler/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stageOf, type Stage as StageOf } from "../command-line.ts";

/** What the next runs do, by task; else they succeed at once. */
type Script = Record<string, ("fail" | "snooze" | "long")[]>;

function worker(script: Script) {
  return taskHandler({
    taskType: "work",
    async execute(ctx) {
      const next = script[ctx.taskId]?.shift();
      if (next === "fail") throw new Error("no connection");
      if (next === "snooze") return snooze("20m", "the file is not there yet");
      if (next === "long") await ctx.sleep("2h");
      return undefined;
    },
  });
}

type Stage = StageOf<readonly [ReturnType<typeof worker>]>;

async function stage(script: Script = {}, options: Partial<TestSchedulerOptions> = {}): Promise<Stage> {
  return await stageOf({ start, ...options, handlers: [worker(script)] } as const);
}

const start = "2026-03-02T10:00:00Z";
const work = { taskType: "work" as const, taskId: "job" };
const hourly = { ...work, schedule: cron("7 * * * *") };

/** The verdict and the sentences. */
async function why({ json }: Stage, ...argv: string[]): Promise<string[]> {
  const [{ verdict, sentences } = {}] = await json("explain", "job", ...argv);
  return [String(verdict), ...(sentences as string[])];
}

const at = (clock: string) => ["--at", `2026-03-02T${clock}:00Z`];

test("it ran on time, and was not due in between", async () => {
  const on = await stage();
  await on.kit.scheduler.scheduleTask(hourly);
  await on.kit.advanceTo("2026-03-02T12:30:00Z");
  expect(await why(on, ...at("11:07"))).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "It started at 2026-03-02 11:07:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
  expect(await why(on, ...at("11:20"))).toMatchInlineSnapshot(`
    [
      "not-due",
      "It was not due at 2026-03-02 11:20:00.",
      "Its schedule, 7 * * * * (UTC), has its next occurrence after that at 2026-03-02 12:07:00.",
      "Its run before that was for 2026-03-02 11:07:00: from 2026-03-02 11:07:00, until 2026-03-02 11:07:00.",
    ]
  `);
  expect(await why(on)).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "It started at 2026-03-02 12:07:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
  expect(await why(on, "--at", "11:07")).toEqual(await why(on, ...at("11:07")));
  expect((await on.azoth("explain", "job", ...at("11:07"))).stdout).toMatchInlineSnapshot(`
    "job, occurrence of 2026-03-02 11:07:00 (1h 23m ago)
    7 * * * * (UTC); times in UTC

    It ran on time.
    It started at 2026-03-02 11:07:00 on scheduler 1.
    It succeeded after 0ms.

    The events that decided it
           4  2026-03-02 10:07:00  succeeded after 0ms; next 2026-03-02 11:07:00
           5  2026-03-02 11:07:00  started the occurrence of 2026-03-02 11:07:00, attempt 1, on scheduler 1
           6  2026-03-02 11:07:00  succeeded after 0ms; next 2026-03-02 12:07:00

    Now: waiting, next run 2026-03-02 13:07:00 (in 37m).
    "
  `);
});

test("it was tried again", async () => {
  const on = await stage({ job: ["fail", "fail"] });
  await on.kit.scheduler.scheduleTask(hourly);
  await on.kit.advanceTo("2026-03-02T10:07:10Z");
  expect(await why(on)).toMatchInlineSnapshot(`
    [
      "failed",
      "It ran, and failed.",
      "It started at 2026-03-02 10:07:00 on scheduler 1.",
      "It failed after 0ms: no connection.",
      "It was to be tried again at 2026-03-02 10:08:00.",
    ]
  `);
  await on.kit.advanceTo("2026-03-02T10:30:00Z");
  expect(await why(on, ...at("10:07"))).toMatchInlineSnapshot(`
    [
      "ran-late",
      "It ran, but late.",
      "It started at 2026-03-02 10:07:00 on scheduler 1.",
      "It failed after 0ms: no connection.",
      "It was to be tried again at 2026-03-02 10:08:00.",
      "Attempt 2 started at 2026-03-02 10:08:00 on scheduler 1.",
      "It failed after 0ms: no connection.",
      "It was to be tried again at 2026-03-02 10:10:00.",
      "Attempt 3 started at 2026-03-02 10:10:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
});

test("its handler put it off; it ran for long; somebody asked for a run", async () => {
  const on = await stage({ job: ["snooze", "long"] });
  await on.kit.scheduler.scheduleTask({ ...hourly, timeout: "3h" });
  await on.kit.advanceTo("2026-03-02T10:10:00Z");
  expect(await why(on, ...at("10:07"))).toMatchInlineSnapshot(`
    [
      "waiting",
      "It started, and has to run again.",
      "It started at 2026-03-02 10:07:00 on scheduler 1.",
      "Its handler put it off until 2026-03-02 10:27:00: the file is not there yet.",
    ]
  `);
  await on.kit.advanceTo("2026-03-02T11:30:00Z");
  expect(await why(on, ...at("10:07"))).toMatchInlineSnapshot(`
    [
      "running",
      "It is running.",
      "It started at 2026-03-02 10:07:00 on scheduler 1.",
      "Its handler put it off until 2026-03-02 10:27:00: the file is not there yet.",
      "It started again at 2026-03-02 10:27:00 on scheduler 1.",
      "That run has not ended.",
    ]
  `);
  expect(await why(on, ...at("11:07"))).toMatchInlineSnapshot(`
    [
      "not-run",
      "It did not run.",
      "The run for 2026-03-02 10:07:00 was still going on, and has not ended since; a task never runs twice at the same time.",
    ]
  `);
  await on.kit.advanceTo("2026-03-02T12:40:00Z");
  expect(await why(on, ...at("11:07"))).toMatchInlineSnapshot(`
    [
      "skipped",
      "It did not run: the occurrence was skipped.",
      "The run of 2026-03-02 10:07:00 was still going on, and a task never runs twice at the same time.",
      "It was one of 2 occurrences skipped, from 2026-03-02 11:07:00 to 2026-03-02 12:07:00.",
    ]
  `);
  await on.kit.scheduler.runTaskNow("job");
  await on.kit.settle();
  expect(await why(on, ...at("12:40"))).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "Somebody asked for this run at 2026-03-02 12:40:00.",
      "It started at 2026-03-02 12:40:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
});

test("clocks changed: a gap, and an overlap", async () => {
  const on = await stage({}, { start: "2026-03-28T12:00:00Z" });
  await on.kit.scheduler.scheduleTask({ ...work, schedule: cron("30 2 * * *", { timeZone: "Europe/Rome" }) });
  await on.kit.advance("1d");
  expect(await why(on, "--at", "2026-03-29T03:00:00+02:00")).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "Its local time did not exist that day: the clock was put forward, and 2026-03-29 01:00:00 was the first instant after the gap.",
      "It started at 2026-03-29 01:00:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
  expect(await why(on, "--at", "2026-03-29T02:30:00+02:00")).toMatchInlineSnapshot(`
    [
      "not-due",
      "It was not due at 2026-03-29 00:30:00.",
      "Its schedule, 30 2 * * * (Europe/Rome), has its next occurrence after that at 2026-03-29 01:00:00, to which a gap of the clock moves it.",
    ]
  `);
  await on.kit.advanceTo("2026-10-25T12:00:00Z");
  expect(await why(on, "--at", "2026-10-25T02:30:00+02:00")).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "Its local time came twice that day, because the clock was put back: the first was chosen.",
      "It started at 2026-10-25 00:30:00 on scheduler 1.",
      "It succeeded after 0ms.",
    ]
  `);
  expect(await why(on, "--at", "2026-10-25T02:30:00+01:00")).toMatchInlineSnapshot(`
    [
      "not-due",
      "It was not due at 2026-10-25 01:30:00.",
      "Its schedule, 30 2 * * * (Europe/Rome), has its next occurrence after that at 2026-10-26 01:30:00.",
      "Its run before that was for 2026-10-25 00:30:00: from 2026-10-25 00:30:00, until 2026-10-25 00:30:00.",
    ]
  `);
});

test("the machine's clock was set back", async () => {
  const on = await stage();
  await on.kit.scheduler.scheduleTask({ ...work, schedule: interval("10m") });
  await on.kit.advanceTo("2026-03-02T11:05:00Z");
  on.kit.clock.set("2026-03-02T10:35:00Z");
  await on.kit.scheduler.runTaskNow("job");
  await on.kit.settle();
  expect(await why(on)).toMatchInlineSnapshot(`
    [
      "ran",
      "It ran on time.",
      "Somebody asked for this run at 2026-03-02 10:35:00.",
      "It started at 2026-03-02 10:35:00 on scheduler 1.",
      "It succeeded after 0ms.",
      "The clock was set back by 25m or more between events 14 and 15, to 2026-03-02 10:35:00.",
    ]
  `);
});

test("whatever happened, it has an answer, and says that it ran if and only if it did", async () => {
  const step = fc.oneof(
    fc
      .constantFrom("pause", "resume", "cancel", "run-now", "schedule", "restart", "crash")
      .map((what) => ({ what, minutes: 0 })),
    fc.integer({ min: 1, max: 300 }).map((minutes) => ({ what: "advance", minutes })),
  );
  const history = fc.record({
    outcomes: fc.array(fc.constantFrom("fail" as const, "snooze" as const, "long" as const), { maxLength: 6 }),
    steps: fc.array(step, { maxLength: 14 }),
    looks: fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 3, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ outcomes, steps, looks }) => {
      const on = await stage({ job: [...outcomes] });
      const { kit } = on;
      await kit.scheduler.scheduleTask({ ...work, schedule: cron("*/15 * * * *"), timeout: "3h" });
      for (const { what, minutes } of steps) {
        if (what === "advance") await kit.advance(`${minutes}m`);
        else if (what === "restart") await kit.restart();
        else if (what === "crash") {
          await kit.crash();
          kit.clock.jump("40m");
          await kit.restart();
        } else if (what === "schedule")
          await kit.scheduler.scheduleTask({ ...work, schedule: cron("*/20 * * * *"), timeout: "3h" });
        else await on.azoth("tasks", what, "job");
        await kit.settle();
      }
      const ran = await succeeded(on);
      for (const minutes of looks) {
        const instant = new Date(Date.parse("2026-03-02T10:00:00Z") + minutes * 60_000).toISOString();
        const { code, stdout, stderr } = await on.azoth("--json", "explain", "job", "--at", instant);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        const { verdict, occurrence, sentences } = JSON.parse(stdout) as Record<string, unknown>;
        expect((sentences as unknown[]).length).toBeGreaterThan(0);
        expect(String(verdict).startsWith("ran"), `${instant}: ${stdout}`).toBe(ran.has(String(occurrence)));
      }
    }),
    { numRuns: 12 },
  );
});

/** The occurrences whose last run succeeded. */
async function succeeded({ kit }: Stage): Promise<Set<string>> {
  const ran = new Map<string, boolean>();
  const nominal = new Map<string | undefined, string>();
  for (const { eventType, executionId, payload } of await kit.log({ taskId: "job" })) {
    const { scheduledForMs, success } = payload as { scheduledForMs: number; success: boolean };
    if (eventType === "TaskStarted") {
      nominal.set(executionId, new Date(scheduledForMs).toISOString());
      ran.set(new Date(scheduledForMs).toISOString(), false);
    }
    if (eventType === "TaskExecuted") ran.set(nominal.get(executionId) ?? "", success);
  }
  return new Set([...ran].filter(([, success]) => success).map(([occurrence]) => occurrence));
}
