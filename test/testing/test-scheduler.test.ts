/** The kit itself: that it waits for what it must, for no longer, and that a crash is one. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AzothError,
  cron,
  immediate,
  interval,
  isAzothError,
  oneTime,
  type TaskContext,
  taskHandler,
} from "azoth-scheduler";
import { createTestScheduler, seededRandom } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { deferred, eventsOf, idle, typesOf } from "../scheduler/support.ts";

describe("time", () => {
  test("three days of a cron with failures and backoffs take as many commits as they have to", async () => {
    const random = seededRandom(7);
    let runs = 0;
    const flaky = taskHandler({
      taskType: "job",
      execute: () => {
        runs++;
        if (random() < 0.3) throw new Error("not this time");
      },
    });
    await using kit = await createTestScheduler({ handlers: [flaky], defaultMaxRetries: 20 });
    await kit.scheduler.scheduleTask({ taskId: "cron", taskType: "job", schedule: cron("0 */10 * * * *") });
    await kit.advance("3d");
    const executed = await eventsOf(kit, "TaskExecuted");
    const successes = executed.filter(({ payload }) => (payload as { success: boolean }).success);
    // Nothing but retries can have kept an occurrence of the 432 from succeeding in its own ten minutes.
    expect(successes.length).toBeGreaterThan(400);
    expect(executed).toHaveLength(runs);
    expect(runs).toBeGreaterThan(successes.length);
    // A commit to claim and one to record each run, a heartbeat every 20 minutes from the first one on, the
    // registration and the scheduling.
    expect(kit.commits).toBeLessThanOrEqual(2 * runs + 3 * 24 * 3 + 1 + 2);
    expect(await kit.db.verify()).toMatchObject({ ok: true });
  });

  test("passes from sleeper to sleeper, so that each occurrence runs in its own time", async () => {
    const ran: string[] = [];
    const job = taskHandler({ taskType: "job", execute: (ctx) => void ran.push(ctx.now().toISOString()) });
    await using kit = await createTestScheduler({ handlers: [job], start: "2026-05-01T23:59:00Z" });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: interval("30s") });
    await kit.advanceTo("2026-05-02T00:00:29Z");
    expect(ran).toEqual(["2026-05-01T23:59:30.000Z", "2026-05-02T00:00:00.000Z"]);
  });

  test("advanceTo refuses the past", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    await expect(kit.advanceTo("2025-12-31T23:59:59Z")).rejects.toMatchObject({ code: "INVALID_INSTANT" });
  });

  test("a task that is due again at once, for ever, is said so instead of hanging the test", async () => {
    const greedy = taskHandler({
      taskType: "job",
      execute: async (ctx) => void (await ctx.transaction.scheduleTask({ taskType: "job", schedule: immediate() })),
    });
    await using kit = await createTestScheduler({ handlers: [greedy], maxRounds: 100 });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
    await expect(kit.settle()).rejects.toMatchObject({ code: "TEST_UNSETTLED" });
  });
});

describe("handlers", () => {
  test("that do real work are waited for", async () => {
    const directory = await mkdtemp(join(tmpdir(), "azoth-kit-"));
    const file = join(directory, "report.txt");
    const report = taskHandler({
      taskType: "report",
      execute: async () => {
        for (let line = 0; line < 20; line++) await writeFile(file, `line ${line}\n`, { flag: "a" });
        return { eventType: "report_written", payload: (await readFile(file, "utf8")).split("\n").length - 1 };
      },
    });
    await using kit = await createTestScheduler({ handlers: [report], patience: "10s" });
    await kit.scheduler.scheduleTask({ taskType: "report", schedule: immediate() });
    await kit.settle();
    const [written] = await eventsOf(kit, "report_written");
    expect(written?.payload).toBe(20);
    await rm(directory, { recursive: true });
  });

  test("that sleep on the clock go on in their time, by ctx.sleep or by the clock itself", async () => {
    const woken: string[] = [];
    const sleepy = taskHandler({
      taskType: "job",
      execute: async (ctx: TaskContext, how: "ctx" | "clock") => {
        await (how === "ctx" ? ctx.sleep("90s") : kit.clock.sleep(90_000));
        woken.push(`${how} ${ctx.now().toISOString()}`);
      },
    });
    // With so much patience the test would time out if it were spent on sleepers.
    await using kit = await createTestScheduler({ handlers: [sleepy], patience: "1h" });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload: "ctx" });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: oneTime("2026-01-01T00:01:00Z"), payload: "clock" });
    await kit.advance("89s");
    expect(woken).toEqual([]);
    await kit.advance("1m");
    expect(woken).toEqual(["ctx 2026-01-01T00:01:30.000Z"]);
    await kit.advance("1s");
    expect(woken).toHaveLength(2);
  });

  test("that never settle cost the patience once, and not at every step", async () => {
    const stuck = taskHandler({ taskType: "stuck", timeout: "1d", execute: () => new Promise<undefined>(() => {}) });
    await using kit = await createTestScheduler({ handlers: [idle, stuck], patience: "1s" });
    await kit.scheduler.scheduleTask({ taskType: "stuck", schedule: immediate() });
    await kit.scheduler.scheduleTask({ taskId: "busy", taskType: "job", schedule: interval("1m") });
    // At a second for each step this would take two minutes, and the test would time out.
    await kit.advance("2h");
    expect((await kit.scheduler.getTask("busy"))?.runs).toBe(120);
  });

  test("are waited for once more when their signal has fired", async () => {
    const directory = await mkdtemp(join(tmpdir(), "azoth-kit-"));
    const file = join(directory, "tidied.txt");
    const tidy = taskHandler({
      taskType: "job",
      timeout: "1m",
      execute: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        for (let line = 0; line < 20; line++) await writeFile(file, `line ${line}\n`, { flag: "a" });
        await kit.db.transaction((tx) => tx.append({ eventType: "tidied" }));
      },
    });
    await using kit = await createTestScheduler({ handlers: [tidy], patience: "500ms" });
    await kit.scheduler.scheduleTask({ taskId: "slow", taskType: "job", schedule: immediate() });
    await kit.advance("1m");
    expect(await eventsOf(kit, "tidied")).toHaveLength(1);
    await rm(directory, { recursive: true });
  });

  test("may be instances of a class with private fields", async () => {
    class Counter {
      readonly taskType = "count";
      #count = 0;
      validate(payload: unknown) {
        return payload === this.#count;
      }
      execute() {
        return { eventType: "counted", payload: ++this.#count };
      }
    }
    await using kit = await createTestScheduler({ handlers: [new Counter()] });
    await kit.scheduler.scheduleTask({ taskType: "count", schedule: immediate(), payload: 0 });
    await kit.settle();
    await expect(
      kit.scheduler.scheduleTask({ taskType: "count", schedule: immediate(), payload: 0 }),
    ).rejects.toMatchObject({ code: "INVALID_PAYLOAD" });
    expect((await eventsOf(kit, "counted")).map(({ payload }) => payload)).toEqual([1]);
  });
});

describe("a crash", () => {
  test("records nothing, releases nothing, and lets no result of the dead reach the store", async () => {
    const work = deferred();
    const job = taskHandler({ taskType: "job", execute: () => work.promise });
    await using kit = await createTestScheduler({ handlers: [job], patience: 0 });
    await kit.scheduler.scheduleTask({ taskId: "victim", taskType: "job", schedule: immediate() });
    await kit.settle();
    const before = await kit.log();
    await kit.crash();
    work.resolve();
    await kit.advance("10h");
    expect(await kit.log()).toEqual(before);
    expect(await typesOf(kit, "victim")).toEqual(["TaskScheduled", "TaskStarted"]);
  });

  test("leaves a handler asleep on the clock asleep", async () => {
    let woken = false;
    const sleepy = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        await ctx.sleep("1m");
        woken = true;
      },
    });
    await using kit = await createTestScheduler({ handlers: [sleepy] });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
    await kit.settle();
    await kit.crash();
    await kit.advance("1d");
    expect(woken).toBe(false);
    expect(kit.clock.sleeperCount).toBe(0);
  });

  test("rolls back the transaction that was open, and frees the store for others", async () => {
    const inside = deferred();
    await using kit = await createTestScheduler({ handlers: [idle] });
    const transaction = kit.scheduler.transaction(async (tx) => {
      await tx.append({ eventType: "half-done" });
      inside.resolve();
      await new Promise(() => {});
    });
    const refused = expect(transaction).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await inside.promise;
    await kit.crash();
    await refused;
    await kit.db.transaction((tx) => tx.append({ eventType: "whole" }));
    expect(await eventsOf(kit, "half-done", "whole")).toHaveLength(1);
  });

  test("is followed by a restart that takes the tasks over when the claim time has passed", async () => {
    let healthy = false;
    const job = taskHandler({
      taskType: "job",
      execute: () => (healthy ? undefined : new Promise<undefined>(() => {})),
    });
    await using kit = await createTestScheduler({ handlers: [job], claimDuration: "30s", patience: 0 });
    await kit.scheduler.scheduleTask({ taskId: "victim", taskType: "job", schedule: immediate() });
    await kit.settle();
    await kit.crash();
    healthy = true;
    await kit.restart();
    await kit.advance("1m");
    expect(await typesOf(kit, "victim")).toEqual([
      "TaskScheduled",
      "TaskStarted",
      "TaskReleased",
      "TaskStarted",
      "TaskExecuted",
    ]);
  });
});

describe("stop and restart", () => {
  test("let time pass for handlers that run, and no longer than they need", async () => {
    const slow = taskHandler({ taskType: "job", execute: (ctx) => ctx.sleep("4s") });
    await using kit = await createTestScheduler({ handlers: [slow], gracePeriod: "10s" });
    await kit.scheduler.scheduleTask({ taskId: "slow", taskType: "job", schedule: immediate() });
    await kit.settle();
    await kit.stop();
    expect(kit.clock.now()).toBe(Date.parse("2026-01-01T00:00:04Z"));
    expect(await typesOf(kit, "slow")).toEqual(["TaskScheduled", "TaskStarted", "TaskExecuted"]);
    await kit.stop();
  });

  test("can bring a new version of a handler", async () => {
    const version = (number: number) =>
      taskHandler({ taskType: "job", execute: () => ({ eventType: "ran", payload: number }) });
    await using kit = await createTestScheduler({ handlers: [version(1)] });
    await kit.scheduler.scheduleTask({ taskType: "job", schedule: interval("1h") });
    await kit.advance("1h");
    await kit.restart({ handlers: [version(2)] });
    await kit.advance("1h");
    expect((await eventsOf(kit, "ran")).map(({ payload }) => payload)).toEqual([1, 2]);
    expect(await eventsOf(kit, "SchedulerStarted")).toHaveLength(2);
  });
});

describe("the store", () => {
  test("can lie in a directory, and outlives the kit there", async () => {
    const directory = await mkdtemp(join(tmpdir(), "azoth-kit-"));
    {
      await using kit = await createTestScheduler({ handlers: [idle], location: directory });
      await kit.scheduler.scheduleTask({ taskId: "kept", taskType: "job", schedule: interval("1h") });
    }
    {
      await using kit = await createTestScheduler({ handlers: [idle], location: directory });
      expect((await kit.scheduler.getTask("kept"))?.taskType).toBe("job");
    }
    await rm(directory, { recursive: true });
  });

  test("is shared by several schedulers, which hear at once of each other's commits", async () => {
    await using kit = await createTestScheduler({ externalTaskTypes: ["job"] });
    const second = await kit.addScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "theirs", taskType: "job", schedule: immediate() });
    await kit.settle();
    expect((await second.scheduler.getTask("theirs"))?.state).toBe("completed");
    expect(kit.clock.now()).toBe(Date.parse("2026-01-01T00:00:00Z"));
  });

  test("hears of others' commits by looking, if a noticeInterval is given", async () => {
    await using kit = await createTestScheduler({ externalTaskTypes: ["job"], noticeInterval: "50ms" });
    const second = await kit.addScheduler({ handlers: [idle] });
    await kit.scheduler.scheduleTask({ taskId: "theirs", taskType: "job", schedule: immediate() });
    await kit.settle();
    expect((await second.scheduler.getTask("theirs"))?.state).toBe("waiting");
    await kit.advance("50ms");
    expect((await second.scheduler.getTask("theirs"))?.state).toBe("completed");
  });

  test("can be made to fail", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    kit.failNextCommits(1);
    const request = { taskId: "one", taskType: "job", schedule: oneTime("2026-02-02T00:00:00Z") } as const;
    await expect(kit.scheduler.scheduleTask(request)).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(await kit.scheduler.getTask("one")).toBeNull();
    await kit.scheduler.scheduleTask(request);
    expect(await kit.log({ taskId: "one" })).toHaveLength(1);
  });

  test("can lose the answers to commits, which take effect", async () => {
    await using kit = await createTestScheduler({ handlers: [idle] });
    const lost = new AzothError("STORE_FAILED", "no answer");
    kit.failNextCommits(1, lost, { kept: true });
    const request = { taskId: "one", taskType: "job", schedule: oneTime("2026-02-02T00:00:00Z") } as const;
    await expect(kit.scheduler.scheduleTask(request)).rejects.toBe(lost);
    expect(kit.failedCommits).toBe(1);
    expect((await kit.scheduler.scheduleTask(request)).change).toBe("unchanged");
  });

  test("can be slow, which delays what the schedulers do, and not what the test asks for itself", async () => {
    await using kit = await createTestScheduler({ handlers: [idle], claimDuration: "10h" });
    kit.slowStorage("20s");
    const task = { taskId: "one", taskType: "job", schedule: immediate() } as const;
    await kit.db.transaction((tx) => tx.scheduleTask(task));
    // One look at what is due, and one commit.
    await kit.advance("39s");
    expect(await kit.log({ eventTypes: ["TaskStarted"] })).toHaveLength(0);
    await kit.advance("1s");
    expect(await kit.log({ eventTypes: ["TaskStarted"] })).toHaveLength(1);
    expect(await kit.log({ eventTypes: ["TaskExecuted"] })).toHaveLength(0);
    const asked = kit.scheduler.getTask("one");
    kit.slowStorage(0);
    await kit.settle();
    expect((await asked)?.state).toBe("running");
    expect((await kit.scheduler.getTask("one"))?.state).toBe("completed");
  });

  test("can be where a process dies: at each of its calls, and what was to be done is done by the next", async () => {
    let midway = 0;
    for (let call = 1; ; call++) {
      await using kit = await createTestScheduler({ handlers: [idle], claimDuration: "1m" });
      kit.crashAfter(call);
      await kit.db.transaction((tx) => tx.scheduleTask({ taskId: "one", taskType: "job", schedule: immediate() }));
      await kit.settle();
      const died = await kit.scheduler.getTask("one").then(
        () => false,
        (error: unknown) => isAzothError(error, "STORE_CLOSED"),
      );
      if (!died) break;
      if ((await kit.log({ eventTypes: ["TaskStarted"] })).length > 0) midway++;
      await kit.restart();
      await kit.advance("2m");
      expect((await kit.scheduler.getTask("one"))?.state).toBe("completed");
      expect(await kit.db.verify()).toMatchObject({ ok: true });
    }
    expect(midway).toBeGreaterThan(2);
    await using kit = await createTestScheduler();
    expect(() => kit.crashAfter(0)).toThrow("storeCalls must be a whole number from 1");
  });

  test("gets the same ids from the same seed", async () => {
    const idsOf = async (seed: number) => {
      await using kit = await createTestScheduler({ handlers: [idle], seed });
      return (await kit.scheduler.scheduleTask({ taskType: "job", schedule: interval("1h") })).taskId;
    };
    expect(await idsOf(5)).toBe(await idsOf(5));
    expect(await idsOf(5)).not.toBe(await idsOf(6));
  });
});

test("unknown options and things that are no handlers are refused as the scheduler refuses them", async () => {
  const unknown = { handlers: [], pollinterval: "1s" };
  await expect(createTestScheduler(unknown)).rejects.toMatchObject({ code: "INVALID_OPTION" });
  const misspelt = { taskType: "job", execute: () => {}, timeOut: "1s" };
  await expect(createTestScheduler({ handlers: [misspelt] })).rejects.toMatchObject({ code: "INVALID_HANDLER" });
  await expect(createTestScheduler({ handlers: [null as never] })).rejects.toMatchObject({ code: "INVALID_HANDLER" });
  await expect(createTestScheduler({ seed: 0.5 })).rejects.toMatchObject({ code: "INVALID_OPTION" });
});
