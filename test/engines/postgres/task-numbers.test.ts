/** Numbers for new tasks are drawn at once for all callers of one commit, and none stays unused. */
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

    for (const drawn of [1_033, 1_065]) {
      await Promise.all(Array.from({ length: 32 }, () => scheduler.scheduleTask(task)));
      expect(await lastDrawn()).toBe(drawn);
    }
    await Promise.all(Array.from({ length: 3 }, () => scheduler.scheduleTask({ ...task, taskId: "named" })));
    expect(await lastDrawn()).toBe(1_066);
    const { rows } = await client.query<{ count: string }>("SELECT count(DISTINCT seq) FROM azoth_tasks");
    expect(rows).toEqual([{ count: "1066" }]);
  }),
);
