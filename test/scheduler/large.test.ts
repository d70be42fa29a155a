/** Tasks with long payloads, and with long histories: what is read of them comes in bounded pieces. */
import { immediate, interval, taskHandler } from "azoth-scheduler";
import { expect, test, vi } from "vitest";
import { coreOf } from "../../src/store/azoth-db.ts";
import { taskPageCharacters } from "../../src/limits.ts";
import { createTestScheduler } from "../engine-under-test.ts";
import { idle } from "./support.ts";

test("due tasks whose payloads do not fit into one text of the database run all the same", async () => {
  const payload = '"'.repeat(3_000_000);
  const seen: number[] = [];
  const job = taskHandler({ taskType: "job", execute: (_, text: string) => void seen.push(text.length) });
  const handlers = [job];
  await using kit = await createTestScheduler({ handlers, maxConcurrentTasks: 20, maxPayloadBytes: 10_000_000 });
  const taken: number[] = [];
  const { engine } = coreOf(kit.db);
  const write = engine.write.bind(engine);
  vi.spyOn(engine, "write").mockImplementation(async (work, mode) => {
    return await write(async (transaction) => {
      const lock = transaction.lockDueTasks.bind(transaction);
      transaction.lockDueTasks = async (query) => {
        const due = await lock(query);
        taken.push(due.reduce((sum, task) => sum + task.payload.length, 0));
        return due;
      };
      return await work(transaction);
    }, mode);
  });
  const taskIds = ["a", "b", "c", "d", "e"];
  for (const taskId of taskIds) {
    await kit.scheduler.scheduleTask({ taskId, taskType: "job", schedule: immediate(), payload });
  }
  await kit.settle();
  expect(seen).toEqual(taskIds.map(() => payload.length));
  if (engine.kind === "sqlite") expect(Math.max(...taken)).toBeLessThan(taskPageCharacters + 2 * payload.length + 2);

  const listed: string[] = [];
  let cursor: string | undefined;
  const lengths: number[] = [];
  do {
    const { tasks, nextCursor } = await kit.scheduler.listTasks(cursor === undefined ? {} : { cursor });
    listed.push(...tasks.map(({ taskId }) => taskId));
    lengths.push(tasks.length);
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(listed).toEqual(taskIds);
  // Each is twice as long in JSON.
  expect(lengths).toEqual([2, 2, 1]);
});

test("a page of a task's history reads no more of its log than it tells", async () => {
  const noting = taskHandler({
    taskType: "noting",
    execute: ({ transaction }) => {
      for (let index = 0; index < 2_000; index++) transaction.append({ eventType: "noted" });
    },
  });
  await using kit = await createTestScheduler({ handlers: [noting, idle] });
  await kit.scheduler.scheduleTask({ taskId: "task", taskType: "noting", schedule: interval("1m") });
  await kit.advance("5m");
  expect(await kit.log({ taskId: "task", eventTypes: ["noted"] })).toHaveLength(10_000);
  const { engine } = coreOf(kit.db);
  const read = vi.spyOn(engine.reads, "readEvents");
  const { executions, nextCursor } = await kit.scheduler.history("task", { limit: 2 });
  expect(executions.map(({ scheduledFor, outcome }) => [scheduledFor.getUTCMinutes(), outcome])).toEqual([
    [5, "succeeded"],
    [4, "succeeded"],
  ]);
  const rest = await kit.scheduler.history("task", { limit: 3, cursor: nextCursor ?? "" });
  expect(rest.executions.map(({ scheduledFor }) => scheduledFor.getUTCMinutes())).toEqual([3, 2, 1]);
  expect(rest.nextCursor).toBeNull();
  const pages = await Promise.all(
    read.mock.results.map(({ value }) => value as ReturnType<typeof engine.reads.readEvents>),
  );
  expect(pages.reduce((sum, { events }) => sum + events.length, 0)).toBeLessThan(20);
  expect(pages.length).toBeLessThan(8);
});
