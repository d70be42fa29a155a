/** Numbers for new tasks are drawn ahead for the callers of one commit, and few stay unused. */
import { oneTime, Scheduler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { connect, openDb } from "./clients.ts";
import { inScope, ownUrl } from "./scope.ts";

const task = { taskType: "job", schedule: oneTime("2100-01-01T00:00:00Z") };

test.concurrent(
  "as many numbers are drawn as callers ask for, and no more for one that comes after many",
  inScope(async () => {
    const url = ownUrl();
    const scheduler = new Scheduler(await openDb(url), { externalTaskTypes: ["job"] });
    const client = await connect(url);
    const lastDrawn = async () =>
      Number((await client.query<{ last: string }>("SELECT last_value AS last FROM azoth_task_seq")).rows[0]?.last);

    await scheduler.scheduleTasks(Array.from({ length: 1_000 }, () => task));
    expect(await lastDrawn()).toBe(1_000);
    await scheduler.scheduleTask(task);
    expect(await lastDrawn()).toBe(1_001);

    // Nobody knows of the first group how many they are: it may draw twice what it needs.
    const group = () => Promise.all(Array.from({ length: 32 }, () => scheduler.scheduleTask(task)));
    await group();
    const first = await lastDrawn();
    expect(first).toBeLessThanOrEqual(1_001 + 64);
    await group();
    expect(await lastDrawn()).toBe(first + 32);
    const { rows } = await client.query<{ count: string }>("SELECT count(DISTINCT seq) FROM azoth_tasks");
    expect(rows).toEqual([{ count: "1065" }]);
  }),
);
