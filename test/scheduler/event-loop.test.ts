/** Much work at once leaves everything else in the process its turns. */
import { AzothDb, immediate, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { newLocation } from "../engine-under-test.ts";

/** Counts the turns of the event loop until `end` is called. */
function countTurns(): { readonly end: () => number } {
  let turns = 0;
  let next: NodeJS.Immediate;
  const count = () => {
    turns++;
    next = setImmediate(count);
  };
  next = setImmediate(count);
  return {
    end: () => {
      clearImmediate(next);
      return turns;
    },
  };
}

/** Holds the event loop, as handlers that compute do. */
function compute(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

async function openDb(eventLoopBudget: string): Promise<AzothDb> {
  return await AzothDb.open(await newLocation(), { eventLoopBudget });
}

const plain = (count: number) =>
  Array.from({ length: count }, () => ({ taskType: "job", schedule: immediate() }) as const);

describe("the event loop goes on", () => {
  test("while a large call is scheduled", async () => {
    await using db = await openDb("1ms");
    const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
    // Reads of one turn each, such as a schema's: without them the turns of the store itself would be counted.
    const before = countTurns();
    await scheduler.scheduleTasks(plain(1));
    const least = before.end();
    const turns = countTurns();
    await scheduler.scheduleTasks(plain(10_000));
    expect(turns.end()).toBeGreaterThan(least + 20);
  });

  test("while handlers that compute come one after the other", async () => {
    await using db = await openDb("2ms");
    const longest = { runs: 0 };
    let runsOfTurn = 0;
    let ran = 0;
    let end = () => {};
    const allRan = new Promise<void>((resolve) => {
      end = resolve;
    });
    const handler = taskHandler({
      taskType: "job",
      execute: () => {
        if (runsOfTurn === 0) setImmediate(() => (runsOfTurn = 0));
        longest.runs = Math.max(longest.runs, ++runsOfTurn);
        compute(0.2);
        if (++ran === 1_000) end();
      },
    });
    const scheduler = new Scheduler(db, { handlers: [handler], maxConcurrentTasks: 4 });
    await scheduler.scheduleTasks(plain(1_000));
    await scheduler.start();
    await allRan;
    await scheduler.stop();
    // Ten of them fill the budget; claimed ahead are up to 250. What holds is that they do not all run in one turn.
    expect(longest.runs).toBeLessThan(40);
  });

  test("or a budget that is none is refused", async () => {
    await expect(openDb("0ms")).rejects.toMatchObject({ code: "INVALID_DURATION" });
    await expect(openDb("soon")).rejects.toMatchObject({ code: "INVALID_DURATION" });
  });
});
