/** After close every door says so. */
import { AzothDb, Scheduler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { newLocation } from "../engine-under-test.ts";
import { drain, errorOf, handlers, schedule } from "./doors.ts";

describe("after close", () => {
  test("every door says so, and none hangs", async () => {
    const closed = await AzothDb.open(await newLocation());
    const over = new Scheduler(closed, { handlers });
    await over.scheduleTask({ taskId: "a", taskType: "plain", schedule });
    const leaked = closed.readLog();
    await closed.close();
    await closed.close();
    const doors: Readonly<Record<string, () => unknown>> = {
      transaction: () => closed.transaction(() => 5),
      query: () => closed.query("SELECT 1"),
      readLog: () => drain(closed.readLog()),
      leaked: () => drain(leaked),
      subscribe: () => drain(closed.subscribe()),
      lastPosition: () => closed.lastPosition(),
      rebuild: () => closed.rebuild(),
      verify: () => closed.verify(),
      backup: () => closed.backup("./never-made.db"),
      scheduleTask: () => over.scheduleTask({ taskType: "plain", schedule }),
      scheduleTasks: () => over.scheduleTasks([{ taskType: "plain", schedule }]),
      cancelTask: () => over.cancelTask("a", "why"),
      pauseTask: () => over.pauseTask("a"),
      resumeTask: () => over.resumeTask("a"),
      runTaskNow: () => over.runTaskNow("a"),
      getTask: () => over.getTask("a"),
      listTasks: () => over.listTasks(),
      history: () => over.history("a"),
      countTasks: () => over.countTasks(),
      ofScheduler: () => over.transaction(() => 5),
      run: () => over.run(),
      start: () => over.start(),
      list: () => over.eventHandlers.list(),
      deadLetters: () => over.eventHandlers.deadLetters(),
      replayDeadLetter: () => over.eventHandlers.replayDeadLetter(1),
      dropDeadLetter: () => over.eventHandlers.dropDeadLetter(1, "why"),
    };
    for (const [door, act] of Object.entries(doors)) {
      const error = await errorOf(act);
      expect([door, error.code]).toEqual([door, "STORE_CLOSED"]);
      expect(error.message).toContain("Open it again");
    }
    await over.stop();
    expect(closed.location).not.toBe("");
  });
});
