/** What a scheduler's heartbeat does, to the millisecond: when it finds who is silent, whom it spares, and what it tells. */
import { type AnyTaskHandler, immediate, type Signal, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { dataOf, eventsOf, idle, openKit } from "./support.ts";

/** Without patience, for what writes little at a time: a large commit pauses, and has to be waited for. */
const clocked = { claimDuration: "30s", patience: 0 } as const;
const startMs = Date.parse("2026-01-01T00:00:00Z");
const secondsOf = (events: readonly { readonly recordedAt: Date }[]) =>
  events.map(({ recordedAt }) => (recordedAt.getTime() - startMs) / 1000);

/** A handler of the type "job" that never ends where `hangs` says so. */
const mortal = (hangs: () => boolean): AnyTaskHandler =>
  taskHandler({ taskType: "job", timeout: "10h", execute: () => (hangs() ? new Promise<void>(() => {}) : undefined) });

describe("a scheduler that starts", () => {
  test("registers with its name, types and claim time, and says so", async () => {
    const signals: Signal[] = [];
    await using kit = await openKit({
      ...clocked,
      name: "one",
      handlers: [idle],
      onSignal: (signal) => signals.push(signal),
    });
    const [started] = await eventsOf(kit, "SchedulerStarted");
    expect(dataOf(started)).toEqual({
      instance: 1,
      name: "one",
      taskTypes: ["job"],
      claimMs: 30_000,
      tzdata: process.versions["tz"],
    });
    expect(signals.filter(({ name }) => name === "scheduler.started")).toEqual([
      { name: "scheduler.started", instance: 1, instanceName: "one" },
    ]);
  });
});

describe("a silent scheduler", () => {
  test("is found one millisecond after its claims have run out, by a look for that moment", async () => {
    const signals: Signal[] = [];
    let hangs = true;
    await using kit = await openKit({ ...clocked, name: "one", handlers: [mortal(() => hangs)] });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
    await kit.settle();
    await kit.advance("3s");
    await kit.addScheduler({ name: "two", onSignal: (signal) => signals.push(signal) });
    hangs = false;
    await kit.crash();
    await kit.advance("27s");
    expect(await eventsOf(kit, "SchedulerLost")).toEqual([]);
    await kit.advance("1s");
    const lost = await eventsOf(kit, "SchedulerLost");
    expect(secondsOf(lost)).toEqual([30.001]);
    expect(dataOf(lost[0])).toEqual({ instance: 1, lastHeardMs: startMs, by: 2 });
    expect(signals.filter(({ name }) => name === "scheduler.lost")).toEqual([
      { name: "scheduler.lost", instance: 1, instanceName: "one", silentMs: 30_001, tasks: 1 },
    ]);
    // Its tasks are due now, and the finder looks for them at once.
    expect(secondsOf(await eventsOf(kit, "TaskExecuted"))).toEqual([30.001]);
  });

  test("loses more tasks than one commit takes over, with a pause between, and its place with the last of them", async () => {
    let hangs = true;
    const tasks = Array.from({ length: 501 }, () => ({ taskType: "job", schedule: immediate() }) as const);
    await using kit = await openKit({
      claimDuration: "30s",
      handlers: [mortal(() => hangs)],
      maxConcurrentTasks: 501,
    });
    await kit.scheduler.scheduleTasks(tasks);
    await kit.settle();
    expect(await kit.scheduler.countTasks()).toMatchObject({ running: 501 });
    const { scheduler } = await kit.addScheduler();
    hangs = false;
    await kit.crash();
    await kit.advance("1m");
    const released = secondsOf(await eventsOf(kit, "TaskReleased"));
    expect(released.filter((at) => at === 30.001)).toHaveLength(500);
    expect(released.filter((at) => at === 30.011)).toHaveLength(1);
    expect(secondsOf(await eventsOf(kit, "SchedulerLost"))).toEqual([30.011]);
    expect(await scheduler.countTasks()).toMatchObject({ completed: 501 });
  });

  test("loses exactly as many as one commit takes over", async () => {
    let hangs = true;
    const tasks = Array.from({ length: 500 }, () => ({ taskType: "job", schedule: immediate() }) as const);
    await using kit = await openKit({
      claimDuration: "30s",
      handlers: [mortal(() => hangs)],
      maxConcurrentTasks: 500,
    });
    await kit.scheduler.scheduleTasks(tasks);
    await kit.settle();
    const { scheduler } = await kit.addScheduler();
    hangs = false;
    await kit.crash();
    await kit.advance("1m");
    expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
    expect(await scheduler.countTasks()).toMatchObject({ completed: 500 });
  });
});

describe("whoever was silent itself judges nobody before the others had time for a beat", () => {
  test.each(["2h", -7_200_000])("when the clock was set by %s, nobody who lives is taken for dead", async (by) => {
    await using kit = await openKit({ ...clocked, handlers: [idle] });
    await kit.advance("5s");
    await kit.addScheduler();
    await kit.advance("5s");
    kit.clock.jump(by);
    await kit.advance("5m");
    expect(await eventsOf(kit, "SchedulerLost")).toEqual([]);
    expect(await eventsOf(kit, "SchedulerStarted")).toHaveLength(2);
  });

  test("but who did die meanwhile is found with the next beat", async () => {
    await using kit = await openKit({ ...clocked, handlers: [idle] });
    const other = await kit.addScheduler();
    await kit.advance("1m");
    await other.crash();
    kit.clock.jump("2h");
    await kit.advance("25s");
    expect(await eventsOf(kit, "SchedulerLost")).toHaveLength(1);
  });
});
