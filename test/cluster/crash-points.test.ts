/** A process that dies in the middle of making a store, or of rebuilding one: the next open finds it whole. */
import { join } from "node:path";
import { AzothDb, immediate, Scheduler } from "azoth-scheduler";
import { expect } from "vitest";
import { Log } from "./log-checker.ts";
import type { DoomedConfig } from "./messages.ts";
import { type Stage, test } from "./stage.ts";

/** Steps that change what is on the disk; CLUSTER_ALL=1 dies before all others as well. */
const changing =
  /^(mkd|openSync|linkSync|fsyncSync|rmSync|--|CREATE|DROP|ALTER|INSERT|DELETE|COMMIT|close$|PRAGMA (user_version = |journal_mode|wal_))/;
const isPoint = (name: string) => process.env.CLUSTER_ALL === "1" || changing.test(name);

/** Processes at one time. */
const parallel = 3;

/** Runs the doomed process; resolves with what it acknowledged before its death. */
async function die(stage: Stage, config: DoomedConfig): Promise<{ readonly acknowledged: boolean }> {
  const child = stage.child("doomed", config);
  expect(await child.ended).toEqual({ code: null, signal: "SIGKILL" });
  return { acknowledged: child.all("acknowledged").length > 0 };
}

/** The names of the steps that a process takes which does not die. */
async function stepsOf(stage: Stage, config: DoomedConfig): Promise<readonly string[]> {
  const child = stage.child("doomed", config);
  const { steps } = await child.told("steps");
  expect(await child.ended).toEqual({ code: 0, signal: null });
  return steps;
}

test("killed before a step of making a store: what was acknowledged is there, and the rest can be made", async ({
  stage,
}) => {
  const directory = stage.directory();
  const steps = await stepsOf(stage, { location: join(directory, "whole"), action: "create" });
  expect(steps).toEqual(expect.arrayContaining(["mkdirSync", "linkSync", "fsyncSync", "BEGIN IMMEDIATE", "COMMIT"]));
  const points = steps.flatMap((name, index) => (isPoint(name) ? [index + 1] : []));
  let acknowledgements = 0;
  const takeOne = async () => {
    for (let crashAt = points.shift(); crashAt !== undefined; crashAt = points.shift()) {
      const location = join(directory, String(crashAt));
      const { acknowledged } = await die(stage, { location, action: "create", crashAt });
      if (acknowledged) acknowledgements++;
      const { db, scheduler } = await stage.desk(location);
      if (acknowledged) expect((await Log.of(db)).own("born")).toHaveLength(1);
      await scheduler.scheduleTask({ taskId: "task", taskType: "note", schedule: immediate(), payload: {} });
      expect(await db.verify()).toMatchObject({ ok: true, tasks: 1, difference: null });
      await db.close();
    }
  };
  await Promise.all(Array.from({ length: parallel }, takeOne));
  // It dies before its acknowledgement, and after it.
  expect(acknowledgements).toBeGreaterThan(0);
  expect(acknowledgements).toBeLessThan(steps.length / 2);
});

test("killed before a step of a rebuild: the state is what it was, and can be rebuilt", async ({ stage }) => {
  const location = stage.directory();
  const { db, scheduler } = await stage.desk(location);
  const tasks = Array.from({ length: 700 }, (_, number) => {
    return { taskId: `task-${number}`, taskType: "note", schedule: immediate(), payload: { pauseMs: number } };
  });
  await scheduler.scheduleTasks(tasks);
  await scheduler.cancelTask("task-3", "something that a replay must find");
  await db.close();
  const steps = await stepsOf(stage, { location, action: "rebuild" });
  expect(steps).toContain("ALTER TABLE azoth_tasks_rebuilt RENAME TO azoth_tasks");
  // The last of each kind: the copy is as full as it gets.
  const points = [...new Set(steps)].filter(isPoint).map((name) => steps.lastIndexOf(name) + 1);
  for (const crashAt of points) {
    await die(stage, { location, action: "rebuild", crashAt });
    await using db = await AzothDb.open(location);
    expect(await db.verify(), `killed before step ${crashAt}`).toMatchObject({
      ok: true,
      tasks: 700,
      difference: null,
    });
  }
  await using again = await AzothDb.open(location);
  expect(await again.rebuild()).toEqual({ tasks: 700, events: 701 });
  expect(await again.verify()).toMatchObject({ ok: true, tasks: 700, difference: null });
  expect(await new Scheduler(again).countTasks()).toMatchObject({ waiting: 699, cancelled: 1 });
});
