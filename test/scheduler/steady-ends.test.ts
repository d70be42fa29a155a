/** Runs that end one after the other keep the loop busy with recording; what falls due meanwhile starts all the same. */
import { immediate, taskHandler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { createTestScheduler } from "../engine-under-test.ts";
import { type Deferred, deferred } from "./support.ts";

test("a task that falls due does not wait for the last of them", async () => {
  const gates: Deferred<void>[] = Array.from({ length: 10 }, () => deferred());
  const order: string[] = [];
  const gated = taskHandler({
    taskType: "gated",
    execute: async (_, gate: number) => {
      await gates[gate]?.promise;
      order.push(`end ${gate}`);
    },
  });
  const prompt = taskHandler({ taskType: "prompt", execute: () => void order.push("prompt") });
  await using kit = await createTestScheduler({
    handlers: [gated, prompt],
    maxConcurrentTasks: 12,
    // As soon as one end is recorded, the next run ends: there is always something to record.
    onSignal: ({ name }) => {
      if (name === "task.succeeded") gates[order.filter((what) => what.startsWith("end")).length]?.resolve();
    },
  });
  const tasks = gates.map((_, gate) => ({ taskType: "gated", schedule: immediate(), payload: gate }) as const);
  await kit.scheduler.scheduleTasks(tasks);
  await kit.settle();
  gates[0]?.resolve();
  await kit.scheduler.scheduleTask({ taskType: "prompt", schedule: immediate() });
  await kit.settle();
  expect(order).toHaveLength(11);
  expect(order.indexOf("prompt")).toBeLessThan(8);
});
