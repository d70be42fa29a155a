/** Recurring tasks in the running scheduler: no drift, missed occurrences, daylight saving, and clocks that are set. */
import { cron, interval, oneTime, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { dataOf, eventsOf, idle, startsOf, timeOf } from "./support.ts";

const hour = 3_600_000;

describe("an interval", () => {
  test("does not drift, whatever its runs take and however late they start", async () => {
    let runs = 0;
    const job = taskHandler({ taskType: "job", execute: (ctx) => ctx.sleep(((runs++ * 37) % 50) * 1_000) });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.advance("123ms");
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1m") });
    await kit.advance("6h");
    const starts = (await eventsOf(kit, "TaskStarted")).map(({ recordedAt }) => recordedAt.getTime());
    expect(starts).toHaveLength(360);
    expect(starts.every((ms) => ms % 60_000 === 123)).toBe(true);
  });

  test("that is longer than any timer runs when its time comes", async () => {
    await using kit = await createTestScheduler({ handlers: [idle], pollInterval: "1000d", claimDuration: "1000d" });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("60d") });
    await kit.advance("61d");
    expect((await eventsOf(kit, "TaskStarted")).map(({ recordedAt }) => recordedAt.toISOString())).toEqual([
      "2026-03-02T00:00:00.000Z",
    ]);
  });

  test("shorter than its runs never runs twice at a time, and skips what falls due meanwhile", async () => {
    let running = 0;
    const job = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        expect(++running).toBe(1);
        await ctx.sleep("150s");
        running--;
      },
    });
    await using kit = await createTestScheduler({ handlers: [job] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: interval("1m") });
    await kit.advance("10m");
    expect(await startsOf(kit, "task")).toEqual(["00:01:00", "00:04:00", "00:07:00", "00:10:00"]);
    const skipped = (await eventsOf(kit, "OccurrencesSkipped")).map(dataOf);
    expect(skipped).toHaveLength(3);
    expect(skipped[0]).toMatchObject({ because: "running", count: 2 });
  });
});

describe("after a downtime", () => {
  test.each([
    ["a cron", cron("0 */10 * * * *")],
    ["an interval", interval("10m")],
  ])(
    "%s runs once, late, then at the next future occurrence; the others are skipped, and named",
    async (_, schedule) => {
      const scheduledFor: (string | null)[] = [];
      const job = taskHandler({ taskType: "job", execute: (ctx) => void scheduledFor.push(timeOf(ctx.scheduledFor)) });
      await using kit = await createTestScheduler({ handlers: [job] });
      await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule });
      await kit.advance("12m");
      await kit.stop();
      await kit.advance("83m");
      await kit.restart();
      await kit.advance("10m");
      expect(await startsOf(kit, "task")).toEqual(["00:10:00", "01:35:00", "01:40:00"]);
      expect(scheduledFor).toEqual(["00:10:00", "00:20:00", "01:40:00"]);
      const minutes = (minute: number) => Date.parse("2026-01-01T00:00:00Z") + minute * 60_000;
      expect((await eventsOf(kit, "OccurrencesSkipped")).map(dataOf)).toEqual([
        {
          because: "missed",
          count: 7,
          firstMs: minutes(30),
          lastMs: minutes(90),
          sampleMs: [30, 40, 50, 60, 70, 80, 90].map(minutes),
        },
      ]);
    },
  );

  test("a one-time task runs once, late", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: oneTime("2026-01-01T00:10:00Z") });
    await kit.stop();
    await kit.advance("5h");
    await kit.restart();
    await kit.advance("5h");
    expect(await startsOf(kit, "task")).toEqual(["05:00:00"]);
  });
});

describe("daylight saving in Europe/Rome", () => {
  const starts = async (expression: string, start: string, duration: string) => {
    await using kit = await createTestScheduler({ handlers: [idle], start });
    const schedule = cron(expression, { timeZone: "Europe/Rome" });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule });
    await kit.advance(duration);
    const started = await eventsOf(kit, "TaskStarted");
    const planned = await eventsOf(kit, "TaskScheduled", "TaskExecuted");
    return {
      at: started.map(({ recordedAt }) => recordedAt.toISOString().slice(5, 16)),
      dst: planned.map((event) => (dataOf(event).next as { dst?: string } | undefined)?.dst ?? null),
      tzdata: (dataOf(planned[0]).next as { tzdata?: string }).tzdata,
    };
  };

  test("moves a fixed time in the spring gap to its end, and the event says so", async () => {
    const { at, dst, tzdata } = await starts("30 2 * * *", "2026-03-27T12:00:00Z", "3d");
    expect(at).toEqual(["03-28T01:30", "03-29T01:00", "03-30T00:30"]);
    expect(dst).toEqual([null, "gap", null, null]);
    expect(tzdata).toBe(process.versions.tz);
  });

  test("runs a fixed time in the autumn overlap once, at its first pass, and the event says so", async () => {
    const { at, dst } = await starts("30 2 * * *", "2026-10-23T12:00:00Z", "3d");
    expect(at).toEqual(["10-24T00:30", "10-25T00:30", "10-26T01:30"]);
    expect(dst).toEqual([null, "overlap", null, null]);
  });

  test("lets an interval-like cron follow the elapsed time through both", async () => {
    const spring = await starts("0 */30 * * * *", "2026-03-29T00:00:00Z", "3h");
    expect(spring.at).toHaveLength(6);
    const autumn = await starts("0 */30 * * * *", "2026-10-25T00:00:00Z", "3h");
    expect(autumn.at).toHaveLength(6);
  });
});

describe("a clock that is set", () => {
  /** A cron every ten minutes, an interval and a one-time task, with loops that look every ten seconds. */
  async function setUp() {
    const runs: string[] = [];
    const job = taskHandler({
      taskType: "job",
      execute: (ctx) => void runs.push(`${ctx.taskId} ${ctx.scheduledFor.toISOString()}`),
    });
    const kit = await createTestScheduler({ handlers: [job], pollInterval: "10s", claimDuration: "1m" });
    await kit.scheduler.scheduleTask({ taskId: "cron", taskType: "job", schedule: cron("0 */10 * * * *") });
    await kit.scheduler.scheduleTask({ taskId: "interval", taskType: "job", schedule: interval("7m") });
    await kit.scheduler.scheduleTask({ taskId: "once", taskType: "job", schedule: oneTime("2026-01-01T01:00:00Z") });
    return { kit, runs };
  }

  test("forwards by hours runs what fell due once, skips the rest by name, and goes on", async () => {
    const { kit, runs } = await setUp();
    await using _ = kit;
    await kit.advance("15m");
    kit.clock.jump(5 * hour);
    await kit.advance("10s");
    expect((await kit.scheduler.getTask("once"))?.state).toBe("completed");
    await kit.advance("20m");
    expect(new Set(runs).size).toBe(runs.length);
    expect(runs.filter((run) => run.startsWith("cron"))).toHaveLength(4);
    const skipped = await kit.log({ taskId: "cron", eventTypes: ["OccurrencesSkipped"] });
    // 00:20 ran late at 05:15; 00:30 to 05:10 were missed.
    expect(dataOf(skipped[0])).toMatchObject({ because: "missed", count: 29 });
    expect(await eventsOf(kit, "SchedulerLost")).toEqual([]);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("backwards by hours fires nothing again, and goes on when the time comes", async () => {
    const { kit, runs } = await setUp();
    await using _ = kit;
    await kit.advance("65m");
    const before = runs.length;
    kit.clock.jump(-3 * hour);
    await kit.advance("179m");
    expect(runs).toHaveLength(before);
    await kit.advance("12m");
    expect(runs.length).toBeGreaterThan(before);
    expect(new Set(runs).size).toBe(runs.length);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("while nobody of several schedulers has died takes nobody for dead", async () => {
    const { kit } = await setUp();
    await using _ = kit;
    await kit.addScheduler();
    await kit.addScheduler();
    for (const by of [5 * hour, -9 * hour, hour, -hour]) {
      kit.clock.jump(by);
      await kit.advance("3m");
    }
    expect(await eventsOf(kit, "SchedulerLost")).toEqual([]);
    expect(await eventsOf(kit, "SchedulerStarted")).toHaveLength(3);
  });

  test("backwards after a crash does not keep the dead one's tasks for hours", async () => {
    const stuck = taskHandler({ taskType: "job", timeout: "1d", execute: () => new Promise<undefined>(() => {}) });
    await using kit = await createTestScheduler({ handlers: [stuck], claimDuration: "15s", patience: 0 });
    await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: oneTime("2026-01-01T00:00:00Z") });
    await kit.settle();
    await kit.crash();
    kit.clock.jump(-5 * hour);
    await kit.restart();
    await kit.advance("1m");
    expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
  });
});
