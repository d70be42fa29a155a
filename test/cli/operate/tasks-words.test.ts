/** `tasks …` in the words that a person reads. */
import { cron, interval, oneTime, taskHandler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { stageOf } from "../command-line.ts";

const start = "2026-03-02T10:00:00Z";
const mail = taskHandler({
  taskType: "mail",
  execute(_, { to }: { to: string }) {
    if (to === "") throw new Error("no connection");
  },
});

const staged = async () => await stageOf({ start, handlers: [mail] } as const);

test("list: a table, filters, and one object a line", async () => {
  const { kit, azoth, json } = await staged();
  expect(await azoth("tasks", "list")).toMatchObject({ code: 0, stdout: "", stderr: "No tasks.\n" });
  const task = { taskType: "mail", payload: { to: "ada" } } as const;
  await kit.scheduler.scheduleTask({ ...task, taskId: "nightly", schedule: cron("30 2 * * *") });
  await kit.scheduler.scheduleTask({ ...task, taskId: "often", schedule: interval("5m") });
  await kit.scheduler.scheduleTask({ ...task, taskId: "once", schedule: oneTime("2026-03-02T10:00:01Z") });
  await kit.advance("10s");
  await kit.scheduler.pauseTask("often");
  expect((await azoth("tasks", "list")).stdout).toMatchInlineSnapshot(`
    "TASK     TYPE  STATE      NEXT RUN
    nightly  mail  waiting    2026-03-03 02:30:00  in 16h 29m
    often    mail  paused     -
    once     mail  completed  -
    "
  `);
  const ids = async (...argv: string[]) => (await json("tasks", "list", ...argv)).map(({ taskId }) => taskId);
  expect(await ids("--state", "paused", "completed")).toEqual(["often", "once"]);
  expect(await ids("--prefix", "o")).toEqual(["often", "once"]);
  expect(await ids("--type", "mail", "--limit", "1")).toEqual(["nightly"]);
  expect(await ids("--type", "male")).toEqual([]);
  expect(await ids("--due-before", "1d")).toEqual(["nightly"]);
  expect(await ids("--due-before", "now")).toEqual([]);
});

test("show", async () => {
  const { kit, azoth, json } = await staged();
  await kit.scheduler.scheduleTask({
    taskId: "job",
    taskType: "mail",
    schedule: cron("7 * * * *"),
    payload: { to: "" },
  });
  await kit.advanceTo("2026-03-02T10:07:10Z");
  expect((await azoth("tasks", "show", "job")).stdout).toMatchInlineSnapshot(`
    "task           job
    type           mail
    state          waiting
    schedule       7 * * * * (UTC)
    next run       2026-03-02 10:08:00 +00:00  (in 50s)
    occurrence of  2026-03-02 10:07:00 +00:00  (10s ago)
    last run of    2026-03-02 10:07:00 +00:00  (10s ago)
    runs           1
    failures       1 in a row; disabled at 3
    retry after    1m, then × 2, at most 1d
    timeout        5m
    priority       0
    revision       1
    created        2026-03-02 10:00:00 +00:00  (7m 10s ago)
    updated        2026-03-02 10:07:00 +00:00  (10s ago)
    payload        {"to":""}
    "
  `);
  expect(await json("tasks", "show", "job")).toMatchObject([
    { taskId: "job", state: "waiting", retryCount: 1, nextRunAt: "2026-03-02T10:08:00.000Z", payload: { to: "" } },
  ]);
});

test("schedule: each form of when, and what changed", async () => {
  const { kit, azoth } = await staged();
  const schedule = async (...argv: string[]) => (await azoth("tasks", "schedule", ...argv)).stdout;
  expect(
    await schedule("a", "--type", "mail", "--cron", "30 2 * * *", "--tz", "Europe/Rome", "--payload", '{"to":"ada"}'),
  ).toMatchInlineSnapshot(`
    "Task a: scheduled. Next run: 2026-03-03 01:30:00 (in 15h 30m).
    "
  `);
  expect(
    await schedule("a", "--type", "mail", "--cron", "30 2 * * *", "--tz", "Europe/Rome", "--payload", '{"to":"ada"}'),
  ).toMatchInlineSnapshot(`
    "Task a: unchanged. Next run: 2026-03-03 01:30:00 (in 15h 30m).
    "
  `);
  expect(await schedule("a", "--type", "mail", "--every", "90s", "--payload", '{"to":"ada"}')).toMatchInlineSnapshot(`
    "Task a: replaced. Next run: 2026-03-02 10:01:30 (in 1m 30s).
    "
  `);
  expect(
    await schedule("b", "--type", "mail", "--at", "2h", "--payload", '{"to":"ada"}', "--priority", "-3"),
  ).toMatchInlineSnapshot(`
    "Task b: scheduled. Next run: 2026-03-02 12:00:00 (in 2h).
    "
  `);
  expect(
    await schedule("c", "--type", "mail", "--now", "--payload", '{"to":""}', "--max-retries", "1", "--timeout", "10s"),
  ).toMatchInlineSnapshot(`
    "Task c: scheduled. Next run: 2026-03-02 10:00:00 (now).
    "
  `);
  // It looks for the commits of others once in a while.
  await kit.advance("1h");
  expect(await kit.scheduler.getTask("b")).toMatchObject({ priority: -3 });
  expect(await kit.scheduler.getTask("c")).toMatchObject({ state: "disabled", maxRetries: 1, timeoutMs: 10_000 });
  expect(await schedule("--type", "mail", "--every", "5m")).toMatch(/^Task [\w-]{20,}: scheduled\. /);
});

test("cancel, pause, resume, run-now: what they did, and what was so already", async () => {
  const { kit, azothIn, json } = await staged();
  await kit.scheduler.scheduleTask({
    taskId: "job",
    taskType: "mail",
    schedule: cron("7 * * * *"),
    payload: { to: "ada" },
  });
  const change = async (...argv: string[]) => {
    const { stdout, stderr } = await azothIn({ env: { USER: "ada" } }, "tasks", ...argv);
    return stdout + stderr;
  };
  expect(await change("pause", "job")).toMatchInlineSnapshot(`
    "Task job: paused.
    "
  `);
  expect(await change("pause", "job")).toMatchInlineSnapshot(`
    "Task job: nothing changed, it is paused already.
    "
  `);
  expect(await change("run-now", "job")).toMatchInlineSnapshot(`
    "error: Task "job" is paused; resume it first. (TASK_PAUSED)
      Resume it first with \`azoth-scheduler tasks resume\`.
    "
  `);
  expect(await change("resume", "job")).toMatchInlineSnapshot(`
    "Task job: resumed. Next run: 2026-03-02 10:07:00 (in 7m).
    "
  `);
  expect(await change("run-now", "job")).toMatchInlineSnapshot(`
    "Task job: asked to run. Next run: 2026-03-02 10:00:00 (now).
    "
  `);
  await kit.settle();
  expect(await change("cancel", "job", "--reason", "no longer wanted")).toMatchInlineSnapshot(`
    "Task job: cancelled.
    "
  `);
  expect(await change("cancel", "job")).toMatchInlineSnapshot(`
    "Task job: nothing changed, it is cancelled already.
    "
  `);
  expect(await change("resume", "job")).toMatchInlineSnapshot(`
    "error: Task "job" was cancelled and cannot be resumed. (TASK_CANCELLED)
      Schedule it again with \`azoth-scheduler tasks schedule\`.
    "
  `);
  const told = await json("events", "--task", "job", "--type", "TaskPaused", "TaskCancelled");
  expect(told.map(({ payload }) => (payload as { reason: string }).reason)).toEqual([
    "by ada on the command line",
    "no longer wanted",
  ]);
});

test("ids and errors are shown as they are, but for what a terminal would obey", async () => {
  const { kit, azoth, json } = await staged();
  const taskId = "naïve 'job' \u{1F980}; $(rm)";
  await kit.scheduler.scheduleTask({
    taskId,
    taskType: "mail",
    schedule: interval("1h"),
    payload: { to: "\u001b[31mred" },
  });
  expect((await azoth("tasks", "list")).stdout).toContain(taskId);
  const { stdout } = await azoth("tasks", "show", taskId);
  expect(stdout).not.toContain("\u001b");
  expect(stdout).toContain("u001b[31mred");
  expect(await json("tasks", "show", taskId)).toMatchObject([{ payload: { to: "\u001b[31mred" } }]);
});
