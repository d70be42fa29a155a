/** Group commit: callers that wait at one moment share a commit, and neither their results nor their errors. */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { AzothError } from "../../src/errors.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { coreOf } from "../../src/store/azoth-db.ts";
import { engineUnderTest } from "../engine-under-test.ts";
import { eventsOf, openStore } from "./scratch-stores.ts";

const request = (taskId: string, payload: unknown = null) => ({
  taskId,
  taskType: "work",
  schedule: immediate(),
  payload,
});
const ids = Array.from({ length: 32 }, (_, index) => `task-${index}`);

const outside = AsyncLocalStorage.snapshot() as <T>(act: () => T) => T;

/** A store that counts its commits. */
async function countingStore() {
  const db = await openStore();
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  await scheduler.scheduleTask(request("first"));
  const { engine } = coreOf(db);
  const write = engine.write.bind(engine);
  const commits = { count: 0, failNext: false };
  vi.spyOn(engine, "write").mockImplementation(async (work, mode) => {
    const written = await write(async (transaction) => {
      const result = await work(transaction);
      if (!commits.failNext) return result;
      commits.failNext = false;
      throw new AzothError("STORE_FULL", "The test made this commit fail.");
    }, mode);
    commits.count++;
    return written;
  });
  return { db, scheduler, commits };
}

describe("32 concurrent callers", () => {
  test("share one commit", async () => {
    const { db, scheduler, commits } = await countingStore();
    const scheduled = await Promise.all(ids.map((id) => scheduler.scheduleTask(request(id))));
    expect(scheduled.map(({ taskId, change }) => `${taskId} ${change}`)).toEqual(ids.map((id) => `${id} new`));
    expect(commits.count).toBe(1);
    const events = await eventsOf(db);
    expect(events.slice(1).map(({ taskId }) => taskId)).toEqual(ids);
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 33 });
  });

  test("are answered one by one: the refused do not harm the others", async () => {
    const { db, scheduler, commits } = await countingStore();
    const settled = await Promise.allSettled(
      ids.map((id, index) => {
        if (index % 4 === 1) return scheduler.cancelTask(`nobody-${id}`, "because");
        if (index % 4 === 2) return scheduler.runTaskNow("cancelled meanwhile");
        if (index === 3) return scheduler.cancelTask("first", "because");
        if (index % 4 === 3) return scheduler.resumeTask("first");
        return scheduler.scheduleTask(request(id));
      }),
    );
    for (const [index, each] of settled.entries()) {
      const code = index % 4 === 3 ? "TASK_CANCELLED" : "TASK_NOT_FOUND";
      if (index % 4 === 0 || index === 3) expect(each.status, String(index)).toBe("fulfilled");
      else expect(each, String(index)).toMatchObject({ status: "rejected", reason: { name: "AzothError", code } });
    }
    expect(commits.count).toBe(1);
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 8, cancelled: 1 });
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 9, events: 10 });
  });

  test("who speak of the same task see each other's effects in their order", async () => {
    const { db, scheduler, commits } = await countingStore();
    const settled = await Promise.allSettled([
      scheduler.pauseTask("first", "1"),
      scheduler.pauseTask("first", "again: changes nothing"),
      scheduler.runTaskNow("first"),
      scheduler.resumeTask("first"),
      scheduler.resumeTask("first"),
      scheduler.runTaskNow("first"),
      scheduler.cancelTask("first", "2"),
      scheduler.resumeTask("first"),
      scheduler.cancelTask("first", "again: changes nothing"),
    ]);
    const refused = settled.map((each, index) => [
      index,
      each.status === "rejected" ? (each.reason as { code: string }).code : null,
    ]);
    expect(refused.filter(([, code]) => code !== null)).toEqual([
      [2, "TASK_PAUSED"],
      [7, "TASK_CANCELLED"],
    ]);
    expect(commits.count).toBe(1);
    expect((await eventsOf(db, { taskId: "first" })).map(({ eventType }) => eventType)).toEqual([
      "TaskScheduled",
      "TaskPaused",
      "TaskResumed",
      "TaskRunRequested",
      "TaskCancelled",
    ]);
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("who define the same task: the last definition stands, and the log has each", async () => {
    const { db, scheduler } = await countingStore();
    const payloads = ["a", "b", "b", "c", "c", "a"];
    const scheduled = await Promise.all(payloads.map((payload) => scheduler.scheduleTask(request("t", payload))));
    expect(scheduled.map(({ change }) => change)).toEqual([
      "new",
      "replaced",
      "unchanged",
      "replaced",
      "unchanged",
      "replaced",
    ]);
    const logged = (await eventsOf(db, { taskId: "t" })).map(({ payload }) => (payload as { payload: string }).payload);
    expect(logged).toEqual(["a", "b", "c", "a"]);
    expect(await scheduler.getTask("t")).toMatchObject({ payload: "a", revision: 4 });
    expect(await db.verify()).toMatchObject({ ok: true });
  });

  test("are all rejected if their commit fails, and none has left anything", async () => {
    const { db, scheduler, commits } = await countingStore();
    const before = await db.lastPosition();
    commits.failNext = true;
    const settled = await Promise.allSettled(ids.map((id) => scheduler.scheduleTask(request(id))));
    for (const each of settled) {
      expect(each).toMatchObject({ status: "rejected", reason: { name: "AzothError", code: "STORE_FULL" } });
    }
    expect(await db.lastPosition()).toBe(before);
    expect(await scheduler.getTask(ids[0] ?? "")).toBeNull();
    // And the store goes on.
    await Promise.all(ids.map((id) => scheduler.scheduleTask(request(id))));
    expect(await db.verify()).toMatchObject({ ok: true, tasks: 33 });
  });

  test("beside users' transactions: those have commits of their own", async () => {
    const { db, commits } = await countingStore();
    const { queue } = coreOf(db);
    const order: string[] = [];
    const submit = (name: string, exclusive: boolean) =>
      queue.submit({ exclusive, run: async () => void order.push(`${name}${commits.count}`) });
    await Promise.all([
      submit("a", false),
      submit("b", false),
      submit("one", true),
      submit("c", false),
      submit("two", true),
      submit("three", true),
      submit("d", false),
    ]);
    if (engineUnderTest === "sqlite") {
      // One writer: in the order of asking.
      expect(order).toEqual(["a0", "b0", "one1", "c2", "two3", "three4", "d5"]);
      expect(commits.count).toBe(6);
    } else {
      // Beside each other.
      expect(order.map((entry) => entry.replace(/\d/, "")).toSorted()).toEqual([
        "a",
        "b",
        "c",
        "d",
        "one",
        "three",
        "two",
      ]);
      expect(commits.count).toBe(4);
    }
  });
});

if (engineUnderTest === "postgres") {
  test("a user's transaction that goes on keeps nobody from sharing", async () => {
    const { db, scheduler, commits } = await countingStore();
    const answered = await db.transaction(async (tx) => {
      await tx.cancelTask("first", "because");
      const before = commits.count;
      // In no callback: a write that is begun in here is taken for one of the transaction's own.
      const scheduled = await outside(() => Promise.all(ids.map((id) => scheduler.scheduleTask(request(id)))));
      expect(commits.count).toBe(before + 1);
      return scheduled.length;
    });
    expect(answered).toBe(32);
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 32, cancelled: 1 });
    expect(await db.verify()).toMatchObject({ ok: true });
  });
}

describe("a long queue", () => {
  test("is written in commits of bounded size, and everything gets through", async () => {
    const { db, scheduler, commits } = await countingStore();
    const many = Array.from({ length: 2_000 }, (_, index) => `many-${index}`);
    let turns = 0;
    let writing = true;
    const count = () => {
      turns++;
      if (writing) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(many.map((id) => scheduler.scheduleTask(request(id))));
    writing = false;
    expect(commits.count).toBeGreaterThanOrEqual(4);
    expect(commits.count).toBeLessThan(20);
    // The event loop had its turns between the commits.
    expect(turns).toBeGreaterThanOrEqual(commits.count - 1);
    expect(await db.lastPosition()).toBe(2_001);
  });

  test("goes on although one who waits in it throws something odd", async () => {
    const { db } = await countingStore();
    const { queue } = coreOf(db);
    // eslint-disable-next-line typescript/prefer-promise-reject-errors -- Users' callbacks reject with anything.
    const odd = db.transaction(() => Promise.reject(undefined));
    const after = queue.submit({ run: async () => "after" });
    await expect(odd).rejects.toBeUndefined();
    expect(await after).toBe("after");
  });
});
