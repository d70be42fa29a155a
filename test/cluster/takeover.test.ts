/**
 * What becomes of the tasks of a process that dies, or that falls silent and comes back. Claims are short here, and no
 * test measures how short: machines stall, and a living process that was taken for dead must cost nothing either.
 */
import { expect } from "vitest";
import type { Child } from "./child.ts";
import { expectWhole, Log } from "./log-checker.ts";
import type { WorkerConfig } from "./messages.ts";
import { type Desk, dismiss, schedule, test, until, untilDone } from "./stage.ts";

const claimDuration = "900ms";

function config(location: string, name: string, further: Partial<WorkerConfig> = {}): WorkerConfig {
  return { location, name, scheduler: { claimDuration }, taskTypes: ["note", "hold", "block"], ...further };
}

async function untilCompleted({ scheduler }: Desk, taskId: string): Promise<void> {
  await until(async () => (await scheduler.getTask(taskId))?.state === "completed", `${taskId} is completed`);
}

/** The instance number under which a scheduler of this name was first known. */
function instanceOf(log: Log, name: string): number {
  const started = log.all("SchedulerStarted").find(({ payload }) => payload.name === name);
  if (started === undefined) throw new Error(`No scheduler was named ${name}.`);
  return started.payload.instance;
}

/** Of each task: one success, by the named scheduler, as the same occurrence and attempt as the run that was lost. */
function expectTakenOver(log: Log, taskIds: readonly string[], from: string, by: string): void {
  for (const taskId of taskIds) {
    const [lost, ...later] = log.all("TaskStarted", taskId).map(({ payload }) => payload);
    expect(log.nameOf(lost?.instance ?? 0)).toBe(from);
    for (const { attempt, scheduledForMs } of later) {
      expect({ attempt, scheduledForMs }).toEqual({ attempt: 1, scheduledForMs: lost?.scheduledForMs });
    }
    const [released] = log.all("TaskReleased", taskId).map(({ payload }) => payload);
    expect(released).toMatchObject({ because: "claim-lost", instance: lost?.instance });
    expect(released?.detail).toContain(`Instance ${lost?.instance} (${from}) was last heard at `);
    const successes = log.all("TaskExecuted", taskId).filter(({ payload }) => payload.success);
    expect(successes).toHaveLength(1);
    const winner = later.find((_, index) => successes[0]?.executionId?.endsWith(`.${index + 2}`));
    expect(log.nameOf(winner?.instance ?? 0)).toBe(by);
  }
}

test.concurrent("what a killed process ran is run by another within the claim time, and the log says why", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const doomed = await stage.worker(config(location, "doomed"));
  const held = ["one", "two", "three"];
  for (const taskId of held) await schedule(desk, "hold", taskId);
  for (const taskId of held) await doomed.told("started", (started) => started.taskId === taskId);
  const heir = await stage.worker(config(location, "heir", { holds: false }));
  await doomed.kill();
  await untilDone(desk);
  await dismiss(heir);

  const log = await expectWhole(desk.db);
  expectTakenOver(log, held, "doomed", "heir");
  expect(log.all("SchedulerLost").map(({ payload }) => payload)).toContainEqual({
    instance: instanceOf(log, "doomed"),
    lastHeardMs: expect.any(Number) as number,
    by: instanceOf(log, "heir"),
  });
  expect(await desk.db.query("SELECT * FROM azoth_instances")).toEqual([]);
});

test.concurrent("a process started anew takes over from the one that was killed before it", async ({ stage }) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const first = await stage.worker(config(location, "first"));
  await schedule(desk, "hold", "task");
  await first.told("started");
  await first.kill();
  await stage.worker(config(location, "second", { holds: false }));
  await untilDone(desk);
  expectTakenOver(await expectWhole(desk.db), ["task"], "first", "second");
});

/** Suspends a process outside of its commits: in one, it would keep the store's write lock, and stop everybody. */
async function suspend(child: Child, { db }: Desk): Promise<void> {
  await until(async () => {
    child.signal("SIGSTOP");
    const isFree = await db.transaction(() => true).catch(() => false);
    if (!isFree) child.signal("SIGCONT");
    return isFree;
  }, "the process is suspended between two commits");
}

test.concurrent("a process suspended for longer than its claim has its results refused, and goes on as a new instance", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location, { busyTimeout: "500ms" });
  const zombie = await stage.worker(config(location, "zombie", { taskTypes: ["hold", "solo"] }));
  await schedule(desk, "hold", "heeding");
  await schedule(desk, "hold", "stubborn", { stubborn: true });
  for (const taskId of ["heeding", "stubborn"]) await zombie.told("started", (told) => told.taskId === taskId);
  await stage.worker(config(location, "heir", { taskTypes: ["hold"], holds: false }));

  await suspend(zombie, desk);
  await schedule(desk, "solo", "early");
  for (const taskId of ["heeding", "stubborn"]) await untilCompleted(desk, taskId);
  zombie.signal("SIGCONT");

  expect(await zombie.told("aborted", ({ taskId }) => taskId === "heeding")).toMatchObject({ code: "CLAIM_LOST" });
  expect(await zombie.told("aborted", ({ taskId }) => taskId === "stubborn")).toMatchObject({ code: "CLAIM_LOST" });
  expect(await zombie.told("blocked")).toMatchObject({ claimMs: 900 });
  // It comes back with a result, an event and a row, and all of them are too late.
  zombie.order({ do: "release" });
  await zombie.told("declared-dead");
  await schedule(desk, "solo", "late");
  await untilDone(desk);
  await until(async () => (await Log.of(desk.db)).all("TaskResultRefused").length === 2, "both results are refused");

  const log = await expectWhole(desk.db);
  expectTakenOver(log, ["heeding", "stubborn"], "zombie", "heir");
  const instance = instanceOf(log, "zombie");
  const refusal = { because: "claim-lost", instance };
  expect(log.all("TaskResultRefused", "heeding")[0]?.payload).toEqual({ ...refusal, success: false });
  expect(log.all("TaskResultRefused", "stubborn")[0]?.payload).toEqual({ ...refusal, success: true });
  for (const taskId of ["early", "late"]) {
    const starts = log.all("TaskStarted", taskId).map(({ payload }) => payload);
    expect(starts.map(({ instance }) => log.nameOf(instance))).toEqual(["zombie"]);
    // Nothing is claimed in the name of an instance that is gone: nobody would notice if it were lost.
    expect(starts[0]?.instance).toBeGreaterThan(instance);
    expect(log.all("TaskExecuted", taskId).map(({ payload }) => payload.success)).toEqual([true]);
  }
});

test.concurrent("while user code blocks the event loop for longer than the claim, no result is recorded twice", async ({
  stage,
}) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const blocked = await stage.worker(config(location, "blocked"));
  const tasks = ["blocking", "beside", "held"];
  await schedule(desk, "block", "blocking", { blockMs: 4_000 });
  await schedule(desk, "hold", "beside", { stubborn: true });
  await schedule(desk, "hold", "held");
  for (const taskId of tasks) await blocked.told("started", (told) => told.taskId === taskId);
  await stage.worker(config(location, "heir", { holds: false }));
  blocked.order({ do: "release" });
  await untilDone(desk);
  await until(async () => (await Log.of(desk.db)).all("TaskResultRefused").length === 3, "its results are refused");
  await blocked.told("declared-dead");
  // From the release on it stood still, and says so: all of it but one look's interval.
  expect(await blocked.told("blocked", ({ blockedMs }) => blockedMs > 3_500)).toMatchObject({ claimMs: 900 });

  const log = await expectWhole(desk.db);
  expectTakenOver(log, tasks, "blocked", "heir");
  const refusals = log.all("TaskResultRefused").map(({ taskId = "", payload }) => [taskId, payload.success] as const);
  expect(Object.fromEntries(refusals)).toEqual({ beside: true, blocking: true, held: false });
});

test.concurrent("a long transaction in a third process makes nobody take the living for dead", async ({ stage }) => {
  const location = stage.directory();
  const desk = await stage.desk(location);
  const claimMs = 900;
  const scheduler = { claimDuration: `${claimMs}ms` };
  const workers = [
    await stage.worker(config(location, "one", { scheduler })),
    await stage.worker(config(location, "two", { scheduler })),
  ];
  for (const taskId of ["a", "b", "c", "d", "e", "f"]) await schedule(desk, "hold", taskId);
  await until(async () => (await desk.scheduler.countTasks()).running === 6, "all of them run");
  await desk.db.transaction(() => new Promise((resolve) => setTimeout(resolve, 3 * claimMs)));
  const endedAtMs = Date.now();
  const beats = async () => await desk.db.query("SELECT id, heartbeat_at_ms AS at FROM azoth_instances");
  await until(async () => {
    const seen = await beats();
    return seen.length === workers.length && seen.every(({ at }) => Number(at) > endedAtMs + claimMs / 2);
  }, "both have shown that they live");
  // Whoever is lost had its time for a sign of life: on a machine that stalls, that may happen.
  for (const { recordedAt } of (await Log.of(desk.db)).all("SchedulerLost")) {
    expect(recordedAt.getTime()).toBeGreaterThan(endedAtMs + claimMs / 4);
  }
});
