/** Which occurrence is next, which were passed over and why; and that no nominal time ever comes twice. */
import { cron, immediate, interval, oneTime, type Schedule } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { at, everyTenMinutes, everyTenMinutesByInterval, Story } from "./story.ts";

const recurring: [string, Schedule][] = [
  ["cron", everyTenMinutes],
  ["interval", everyTenMinutesByInterval],
];

describe("the first occurrence", () => {
  test("of a cron is the first match after now", () => {
    expect(Story.of(everyTenMinutes, {}, "00:10").data("TaskScheduled").next).toEqual({ scheduledForMs: at("00:20") });
  });

  test("of an interval is one interval from now, and its phase stays", () => {
    const story = Story.of(interval("10m"), {}, "00:03").at("00:13").start().at("00:14").succeed();
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:23") });
  });

  test("of an interval with an anchor is on the anchor's grid", () => {
    const schedule = interval("10m", { anchor: "2025-12-31T23:59:00Z" });
    expect(Story.of(schedule, {}, "00:03").data("TaskScheduled").next).toEqual({ scheduledForMs: at("00:09") });
  });

  test("of a one-time task in the past is due at once, under its own nominal time, and only once", () => {
    const story = Story.of(oneTime("2025-12-31T12:00:00Z")).start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: Date.parse("2025-12-31T12:00:00Z") });
    story.succeed();
    expect(story.data("TaskExecuted")).toMatchObject({ then: "completed" });
    expect(story.task).toMatchObject({ phase: "completed", runAtMs: null });
  });

  test("of an immediate task is now", () => {
    expect(Story.of(immediate(), {}, "00:07").start().data("TaskStarted").scheduledForMs).toBe(at("00:07"));
  });

  test("tells what daylight saving did to it, and by which data", () => {
    const story = new Story().at("00:00");
    story.schedule(cron("0 30 2 29 3 *", { timeZone: "Europe/Rome" }));
    expect(story.data("TaskScheduled").next).toEqual({
      scheduledForMs: Date.parse("2026-03-29T01:00:00Z"),
      dst: "gap",
      tzdata: "2026a",
    });
  });

  test("that was moved to the end of a gap says so, for a one-time task in local time as well", () => {
    const story = new Story().schedule(oneTime({ local: "2026-10-25T02:30", timeZone: "Europe/Rome" }));
    expect(story.data("TaskScheduled").next).toEqual({
      scheduledForMs: Date.parse("2026-10-25T00:30:00Z"),
      dst: "overlap",
      tzdata: "2026a",
    });
  });
});

describe.each(recurring)("a recurring task by %s", (_, schedule) => {
  test("starts nothing before its time", () => {
    const story = Story.of(schedule).at("00:09:59.999").start();
    expect(story.then).toEqual([]);
    expect(story.at("00:10").start().then).toEqual(["TaskStarted"]);
  });

  test("skips nothing when it ends before its next time, to the millisecond", () => {
    const story = Story.of(schedule).at("00:10").start().at("00:19:59.999").succeed();
    expect(story.then).toEqual(["TaskExecuted"]);
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:20") });
  });

  test("skips what fell due during a run, the last instant of it included", () => {
    const story = Story.of(schedule).at("00:10").start().at("00:40").succeed();
    expect(story.data("OccurrencesSkipped")).toEqual({
      because: "running",
      count: 3,
      firstMs: at("00:20"),
      lastMs: at("00:40"),
      sampleMs: [at("00:20"), at("00:30"), at("00:40")],
    });
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:50") });
  });

  test("runs once late after a downtime, and skips what was missed besides", () => {
    const story = Story.of(schedule).at("01:35").start();
    expect(story.data("TaskStarted")).toMatchObject({ scheduledForMs: at("00:10") });
    story.at("01:36").succeed();
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "missed", count: 8, firstMs: at("00:20") });
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("01:40") });
  });

  test("tells what was missed before a late run from what fell due during it", () => {
    const story = Story.of(schedule).at("00:25").start().at("00:45").succeed();
    expect(story.last.filter(({ type }) => type === "OccurrencesSkipped").map(({ data }) => data)).toEqual([
      { because: "missed", count: 1, firstMs: at("00:20"), lastMs: at("00:20"), sampleMs: [at("00:20")] },
      {
        because: "running",
        count: 2,
        firstMs: at("00:30"),
        lastMs: at("00:40"),
        sampleMs: [at("00:30"), at("00:40")],
      },
    ]);
  });

  test("skips what fell due while a retry was pending", () => {
    const story = Story.of(schedule, { retry: { baseMs: 900_000, factor: 1, capMs: 900_000, jitter: 0 } });
    story.at("00:10").start().fail().at("00:25").start().at("00:26").succeed();
    expect(story.data("OccurrencesSkipped")).toMatchObject({ because: "retrying", count: 1, firstMs: at("00:20") });
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:30") });
  });

  test("counts a great many, samples ten, and says when it stopped counting", () => {
    const story = Story.of(schedule).at("+30 00:05").start().succeed();
    const skipped = story.data("OccurrencesSkipped");
    expect(skipped.sampleMs).toHaveLength(10);
    if (schedule.kind === "interval") expect(skipped).toMatchObject({ count: 30 * 144 - 1 });
    else expect(skipped).toMatchObject({ count: 1_000, atLeast: true });
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("+30 00:10") });
  });

  test.each(["-1 23:00", "00:00", "00:05"])("fires no nominal time again when the clock goes back to %s", (time) => {
    const story = Story.of(schedule).at("00:10").start().at(time).succeed();
    expect(story.data("TaskExecuted").next).toEqual({ scheduledForMs: at("00:20") });
    expect(story.data("TaskExecuted").durationMs).toBe(0);
    expect(story.at("00:10").start().then).toEqual([]);
    expect(story.at("00:20").start().then).toEqual(["TaskStarted"]);
  });

  test("fires no nominal time again when it is disabled, the clock goes back, and it is resumed or run now", () => {
    const disabled = () => Story.of(schedule, { maxRetries: 1 }).at("00:20").start().fail().at("00:05");
    const resumed = disabled().resume();
    expect(resumed.task.scheduledForMs).toBeGreaterThan(resumed.task.lastScheduledForMs ?? 0);
    const requested = disabled().runNow();
    expect(requested.task.scheduledForMs).toBeGreaterThan(requested.task.lastScheduledForMs ?? 0);
  });

  test("fires no nominal time before a snoozed one when it is paused, the clock goes back, and it is resumed", () => {
    const story = Story.of(schedule).at("00:20").start().pause().at("00:01").finish({ kind: "snoozed", forMs: 60_000 });
    story.at("00:03").resume();
    expect(story.task.scheduledForMs).toBeGreaterThanOrEqual(at("00:20"));
  });
});

test("an interval does not drift, however late its runs start and however long they take", () => {
  const story = Story.of(interval("10m"), {}, "00:00:01.234");
  for (let round = 1; round <= 5; round++) {
    story.at(`00:${round}0:0${round + 1}.999`).start();
    expect(story.data("TaskStarted").scheduledForMs).toBe(at(`00:${round}0:01.234`));
    story.at(`00:${round}9`).succeed();
  }
  expect(story.task.scheduledForMs).toBe(at("01:00:01.234"));
});
