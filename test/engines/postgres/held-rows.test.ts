/** Rows that a transaction of the user's own holds: who waits for them, and who goes on. */
import { immediate, interval, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { coreOf } from "../../../src/store/azoth-db.ts";
import { eventsOf, until } from "../../store/scratch-stores.ts";
import { backendsOf, begin, connect, openDb, withName } from "./clients.ts";
import { atEnd, eachInScope, inScope, ownUrl } from "./scope.ts";

const later = oneTime("2100-01-01T00:00:00Z");
const task = (taskId: string) => ({ taskId, taskType: "job", schedule: later });

/** Whoever waits for a held task does not give up before a busy machine has come to the end of the test. */
const patient = { busyTimeout: "1m" } as const;

/** Two stores on one database, each with a scheduler that is not running. */
async function twoSchedulers() {
  const url = ownUrl();
  const [db, otherDb] = [await openDb(withName(url, "one"), patient), await openDb(withName(url, "two"), patient)];
  const options = { externalTaskTypes: ["job"] };
  return { url, db, scheduler: new Scheduler(db, options), otherDb, other: new Scheduler(otherDb, options) };
}

/** A scheduler at work until the end of the test. */
async function start(scheduler: Scheduler): Promise<void> {
  await scheduler.start();
  atEnd(() => scheduler.stop());
}

/** A promise, and what resolves it. */
function promise(): readonly [Promise<undefined>, () => void] {
  let settle = () => {};
  const settled = new Promise<undefined>((resolve) => {
    settle = () => resolve(undefined);
  });
  return [settled, settle];
}

/** A handler that goes on until it is released. */
function heldHandler() {
  const [released, release] = promise();
  return { held: taskHandler({ taskType: "held", execute: () => released }), release };
}

/** Resolves when a connection of this name waits for a lock that another transaction holds. */
async function untilWaits(url: string, name: string): Promise<void> {
  const client = await connect(url);
  const waits = async () => (await backendsOf(client, url, name)).some(({ waitsFor }) => waitsFor === "Lock");
  await until(waits, `${name} waits for a lock`);
}

describe("a task that an open transaction has changed", () => {
  test.concurrent.for([
    ["COMMIT", "cancelled"],
    ["ROLLBACK", "waiting"],
  ] as const)(
    "keeps nobody from other tasks, and whoever wants it waits and sees the outcome (%s)",
    eachInScope(async ([end, state]) => {
      const { url, scheduler, other } = await twoSchedulers();
      await scheduler.scheduleTasks([task("held"), task("free")]);
      const client = await begin(url);
      await scheduler.joinTransaction(client).cancelTask("held", "called off");

      let waiting = true;
      const paused = other.pauseTask("held").then(
        (info) => info.state,
        (error: unknown) => (error as { code: string }).code,
      );
      void paused.then(() => {
        waiting = false;
      });
      for (const each of [scheduler, other]) {
        await each.pauseTask("free");
        await each.resumeTask("free");
        await each.scheduleTask({ taskType: "job", schedule: later });
        expect(await each.getTask("held")).toMatchObject({ state: "waiting" });
      }
      expect(waiting).toBe(true);
      await client.query(end);
      expect(await paused).toBe(end === "COMMIT" ? "TASK_CANCELLED" : "paused");
      expect(await scheduler.getTask("held")).toMatchObject({ state: state === "waiting" ? "paused" : state });
    }),
  );

  test.concurrent(
    "is recorded after its end if it ran, and the loop goes on meanwhile",
    inScope(async () => {
      const url = ownUrl();
      const db = await openDb(url);
      const { held, release } = heldHandler();
      const job = taskHandler({ taskType: "job", execute: () => undefined });
      const scheduler = new Scheduler(db, { handlers: [held, job] });
      await start(scheduler);
      await scheduler.scheduleTask({ taskId: "held", taskType: "held", schedule: immediate() });
      await until(async () => (await scheduler.getTask("held"))?.state === "running", "it runs");
      const client = await begin(url);
      expect(await scheduler.joinTransaction(client).getTask("held")).toMatchObject({ state: "running" });
      release();

      const ids = Array.from({ length: 100 }, (_, number) => `job-${number}`);
      for (const taskId of ids) await scheduler.scheduleTask({ taskId, taskType: "job", schedule: immediate() });
      await until(async () => (await scheduler.countTasks()).completed === ids.length, "the others have run");
      expect(await scheduler.getTask("held")).toMatchObject({ state: "running" });
      await client.query("COMMIT");
      await until(async () => (await scheduler.getTask("held"))?.state === "completed", "it is recorded");
      expect(await eventsOf(db, { eventTypes: ["TaskResultRefused", "TaskReleased"] })).toEqual([]);
    }),
  );

  test.concurrent(
    "refuses the result of its run if that transaction has cancelled it",
    inScope(async () => {
      const url = ownUrl();
      const db = await openDb(url);
      const { held, release } = heldHandler();
      const scheduler = new Scheduler(db, { handlers: [held] });
      await start(scheduler);
      await scheduler.scheduleTask({ taskId: "held", taskType: "held", schedule: immediate() });
      await until(async () => (await scheduler.getTask("held"))?.state === "running", "it runs");
      const client = await begin(url);
      await scheduler.joinTransaction(client).cancelTask("held", "called off");
      release();
      await client.query("COMMIT");
      const refusals = () => eventsOf(db, { eventTypes: ["TaskResultRefused"] });
      await until(async () => (await refusals()).length > 0, "its result is refused");
      expect((await refusals()).map(({ payload }) => payload)).toMatchObject([{ because: "cancelled", success: true }]);
      expect(await scheduler.getTask("held")).toMatchObject({ state: "cancelled" });
    }),
  );

  test.concurrent(
    "does not run before that transaction has ended, and then runs at once",
    inScope(async () => {
      const url = ownUrl();
      const db = await openDb(url);
      const ran: string[] = [];
      const job = taskHandler({ taskType: "job", execute: ({ taskId }) => void ran.push(taskId) });
      const scheduler = new Scheduler(db, { handlers: [job], pollInterval: "10m" });
      await scheduler.scheduleTask({ taskId: "held", taskType: "job", schedule: immediate() });
      const client = await begin(url);
      await scheduler.joinTransaction(client).getTask("held");
      await start(scheduler);
      await scheduler.scheduleTask({ taskId: "free", taskType: "job", schedule: immediate() });
      await until(() => ran.includes("free"), "the other runs");
      expect(ran).toEqual(["free"]);
      await client.query("ROLLBACK");
      // A rollback tells nobody: it is looked for.
      await until(() => ran.includes("held"), "it runs");
    }),
  );
});

test.concurrent(
  "a task that was claimed ahead, and is held when it starts, is recorded with its writes, or neither",
  inScope(async () => {
    const url = ownUrl();
    const db = await openDb(url);
    await db.transaction((tx) => tx.execute("CREATE TABLE done (execution text)"));
    const quick = taskHandler({ taskType: "quick", execute: () => undefined });
    const [released, release] = promise();
    const [finished, finish] = promise();
    const client = await connect(url);
    let heldId: string | undefined;
    let calls = 0;
    const gate = taskHandler({
      taskType: "gate",
      execute: async ({ taskId }) => {
        await client.query("BEGIN");
        const sql = "SELECT run_instance IS NOT NULL AS claimed FROM azoth_tasks WHERE id = $1 FOR UPDATE";
        const jobId = taskId.replace("gate", "job");
        const { rows } = await client.query<{ claimed: boolean }>(sql, [jobId]);
        if (rows[0]?.claimed !== true) return void (await client.query("ROLLBACK"));
        heldId = jobId;
        await released;
      },
    });
    const job = taskHandler({
      taskType: "job",
      execute: async (ctx) => {
        if (ctx.taskId !== heldId) return;
        calls++;
        await finished;
        ctx.transaction.execute("INSERT INTO done VALUES (?)", [ctx.executionId]);
      },
    });
    const scheduler = new Scheduler(db, { handlers: [quick, gate, job], maxConcurrentTasks: 1 });
    await start(scheduler);
    // So many that end so quickly, that the two after them are claimed along with them: mostly, so it is tried again.
    const tasks = Array.from({ length: 300 }, () => ({ taskType: "quick", schedule: immediate() }) as const);
    for (let round = 0; heldId === undefined; round++) {
      const [gateId, jobId] = [`gate-${round}`, `job-${round}`];
      await scheduler.scheduleTasks([
        ...tasks,
        { taskId: gateId, taskType: "gate", schedule: immediate() },
        { taskId: jobId, taskType: "job", schedule: immediate() },
      ]);
      const hasEnded = async () => (await scheduler.getTask(jobId))?.state === "completed";
      await until(async () => heldId === jobId || (await hasEnded()), "it is held, or has run");
    }
    const [heldJob, heldGate] = [heldId, heldId.replace("job", "gate")];
    release();
    await until(() => calls === 1, "its handler is called");
    await until(async () => (await scheduler.getTask(heldGate))?.state === "completed", "a turn was taken meanwhile");
    finish();
    await client.query("COMMIT");
    await until(async () => (await scheduler.getTask(heldJob))?.state === "completed", "it is recorded");
    const events = await eventsOf(db, { taskId: heldJob });
    const successes = events.filter(({ eventType }) => eventType === "TaskExecuted");
    const rows = await db.query("SELECT execution FROM done");
    expect(rows).toEqual(successes.map(({ executionId }) => ({ execution: executionId })));
    expect(events.map(({ eventType }) => eventType)).not.toContain("TaskResultRefused");
  }),
);

describe("a new task", () => {
  test.concurrent.for([
    ["COMMIT", "unchanged"],
    ["ROLLBACK", "new"],
  ] as const)(
    "of an id that an open transaction schedules waits for its end (%s)",
    eachInScope(async ([end, change]) => {
      const { url, db, scheduler, other } = await twoSchedulers();
      const client = await begin(url);
      await scheduler.joinTransaction(client).scheduleTask(task("new"));
      const scheduled = other.scheduleTask(task("new"));
      const outcome = scheduled.then(
        (value) => value,
        (error: unknown) => error,
      );
      // Longer than a group commit waits for anything, with all its tries.
      await untilWaits(url, "two");
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      await other.scheduleTask(task("beside"));
      await client.query(end);
      expect(await outcome).toMatchObject({ taskId: "new", change });
      expect(await eventsOf(db, { taskId: "new" })).toHaveLength(1);
    }),
  );

  test.concurrent(
    "scheduled by two open transactions is the first one's; the second waits, and finds it",
    inScope(async () => {
      const { url, db, scheduler, other } = await twoSchedulers();
      const [first, second] = [await begin(url), await begin(url, "second")];
      await scheduler.joinTransaction(first).scheduleTask(task("new"));
      const joined = other.joinTransaction(second);
      const again = joined.scheduleTask(task("new"));
      await untilWaits(url, "second");
      await first.query("COMMIT");
      expect(await again).toMatchObject({ taskId: "new", change: "unchanged" });
      await second.query("COMMIT");
      expect(await eventsOf(db, { taskId: "new" })).toHaveLength(1);
      expect(await db.verify()).toMatchObject({ ok: true });
    }),
  );
});

test.concurrent(
  "of two transactions of users that wait for each other, one is told, and the other goes on",
  inScope(async () => {
    const { url, db, scheduler } = await twoSchedulers();
    await scheduler.scheduleTasks([task("a"), task("b")]);
    const clients = [await begin(url), await begin(url)];
    const joined = clients.map((client) => scheduler.joinTransaction(client));
    await joined[0]?.cancelTask("a", "by the first");
    await joined[1]?.cancelTask("b", "by the second");
    const outcomes = await Promise.all(
      [
        [0, "b"],
        [1, "a"],
      ].map(async ([index, taskId]) => {
        const [transaction, client] = [joined[index as number], clients[index as number]];
        try {
          await transaction?.cancelTask(taskId as string, "crosswise");
          await client?.query("COMMIT");
          return "committed";
        } catch (error) {
          await client?.query("ROLLBACK");
          return (error as { code: string }).code;
        }
      }),
    );
    expect(outcomes.toSorted()).toEqual(["STORE_BUSY", "committed"]);
    expect(await scheduler.countTasks()).toMatchObject({ cancelled: 2 });
    expect(await db.verify()).toMatchObject({ ok: true });
  }),
);

test.concurrent(
  "a unit of a group commit that meets a held row does not take the others with it",
  inScope(async () => {
    const url = ownUrl();
    const core = coreOf(await openDb(url));
    const instance = await core.queue.submit({
      run: (work) => work.engine.addInstance({ name: "one", nowMs: 0, claimMs: 1_000 }),
    });
    const client = await begin(url);
    await client.query("SELECT * FROM azoth_instances FOR UPDATE");
    // Submitted in one tick: they ride in one commit.
    const beat = core.queue.submit({ run: (work) => work.engine.heartbeat(instance, 1) });
    const beside = core.queue.submit({
      run: async (work) => work.append({ type: "beside", task: null, run: null, data: "null", meta: null }),
    });
    await beside;
    await client.query("COMMIT");
    expect(await beat).toBe(true);
  }),
);

test.concurrent(
  "however many commands wait for held tasks, everybody else goes on",
  inScope(async () => {
    const url = ownUrl();
    const db = await openDb(url, { ...patient, maxConnections: 6 });
    await db.transaction((tx) => tx.execute("CREATE TABLE done (task text)"));
    const job = taskHandler({
      taskType: "job",
      execute: (ctx) => {
        ctx.transaction.execute("INSERT INTO done VALUES (?)", [ctx.taskId]);
      },
    });
    const scheduler = new Scheduler(db, { handlers: [job] });
    const ids = Array.from({ length: 20 }, (_, number) => `held-${number}`);
    await scheduler.scheduleTasks(ids.map((taskId) => ({ taskId, taskType: "job", schedule: interval("1d") })));
    const client = await begin(url);
    await client.query("SELECT 1 FROM azoth_tasks FOR UPDATE");
    const cancelled = Promise.all(ids.map((taskId) => scheduler.cancelTask(taskId, "waits")));
    await start(scheduler);
    await scheduler.scheduleTask({ taskId: "free", taskType: "job", schedule: immediate() });
    await until(async () => (await scheduler.getTask("free"))?.state === "completed", "the free one has run");
    expect(await db.query("SELECT task FROM done")).toEqual([{ task: "free" }]);
    expect((await scheduler.listTasks({ state: "completed" })).tasks).toHaveLength(1);
    await db.transaction((tx) => tx.append({ eventType: "beside" }));
    await client.query("COMMIT");
    await cancelled;
  }),
);
