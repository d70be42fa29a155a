/** The commands that see and change tasks, on each engine: for people, for programs, and refused. */
import { AzothDb, aesGcm, immediate, Scheduler, taskHandler } from "azoth-scheduler";
import { beforeEach, expect, test } from "vitest";
import { createTestScheduler, newLocation } from "../../engine-under-test.ts";
import { type Ran, run, type Surroundings } from "../command-line.ts";

let store: string;
beforeEach(async () => {
  store = await newLocation({ shared: true });
  await (await AzothDb.open(store)).close();
});

const azoth = (...argv: string[]): Promise<Ran> => run(["--store", store, ...argv]);
const shown = (surroundings: Surroundings, ...argv: string[]) => run(["--store", store, ...argv], surroundings);

test("schedules, shows, pauses, resumes, runs and cancels a task", async () => {
  const payload = '{"region":"eu"}';
  const scheduled = await azoth("tasks", "schedule", "report", "--type", "job", "--every", "1h", "--payload", payload);
  expect(scheduled.stdout).toMatch(/^Task report: scheduled\. Next run: 2026-03-01 1\d:00:00/);
  const again = await azoth("tasks", "schedule", "report", "--type", "job", "--every", "1h", "--payload", payload);
  expect(again.stdout).toContain("Task report: unchanged.");
  const facts = await azoth("tasks", "show", "report");
  expect(facts.stdout).toMatch(/^failures +0 in a row; disabled at 3$/m);
  expect(facts.stdout).toMatch(/^payload +\{"region":"eu"\}$/m);
  expect((await azoth("tasks", "list", "--json")).objects).toMatchObject([{ taskId: "report", state: "waiting" }]);
  expect((await azoth("tasks", "pause", "report", "--reason", "a test")).stdout).toContain("Task report: paused.");
  expect((await azoth("tasks", "run-now", "report")).code).toBe(4);
  expect((await azoth("tasks", "resume", "report")).stdout).toContain("Task report: resumed.");
  expect((await azoth("tasks", "run-now", "report")).stdout).toContain("Task report: asked to run.");
  expect((await azoth("tasks", "cancel", "report", "--json")).objects).toMatchObject([{ state: "cancelled" }]);
  expect((await azoth("tasks", "cancel", "report")).stdout).toBe(
    "Task report: nothing changed, it is cancelled already.\n",
  );
  expect((await azoth("events", "--task", "report", "--type", "TaskPaused")).stdout).toContain("paused: a test");
});

test("tells of runs, how long they took, and why they failed", async () => {
  const handler = taskHandler({
    taskType: "job",
    maxRetries: 1,
    execute: () => {
      throw new Error("oh \u001b[31mno");
    },
  });
  await using kit = await createTestScheduler({ location: store, handlers: [handler] });
  await kit.scheduler.scheduleTask({ taskId: "bad", taskType: "job", schedule: immediate() });
  await kit.settle();
  const executed = await azoth("events", "--type", "TaskExecuted");
  expect(executed.stdout).toContain("failed after 0ms: oh \\u{1b}[31mno; no attempts are left, so it was disabled");
  expect((await azoth("history", "bad")).stdout).toContain("oh \\u{1b}[31mno");
  expect((await azoth("history", "bad", "--json")).objects).toMatchObject([{ outcome: "failed", attempt: 1 }]);
  expect((await azoth("stats", "--json")).objects).toMatchObject([{ tasks: { disabled: 1 } }]);
  expect((await azoth("stats")).stdout).toMatch(/^ {2}disabled +1$/m);
});

test.each([
  [["tasks", "show"]],
  [["tasks", "cancel"]],
  [["tasks", "pause"]],
  [["tasks", "resume"]],
  [["tasks", "run-now"]],
  [["history"]],
])("says in the same words that there is no such task: %j", async (words) => {
  const { code, stderr, stdout } = await azoth(...words, "nope");
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  expect(stderr).toBe('error: There is no task "nope". (TASK_NOT_FOUND)\n  See `azoth-scheduler tasks list`.\n');
});

test("cuts long lists on a terminal, to its width, and nowhere else", async () => {
  const db = await AzothDb.open(store);
  const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
  for (let number = 0; number < 51; number++) {
    const taskId = `${"長い名前".repeat(12)}-${number}`;
    await scheduler.scheduleTask({ taskId, taskType: "job", schedule: immediate() });
  }
  await db.close();
  const cut = await shown({ columns: 80, env: { NO_COLOR: "1" } }, "tasks", "list");
  expect(cut.lines).toHaveLength(1 + 50);
  for (const line of cut.lines) expect(line.replace(/[長い名前]/gu, "xx").length).toBeLessThanOrEqual(80);
  expect(cut.stderr).toBe("50 tasks shown, and there are more: see --limit.\n");
  expect((await azoth("tasks", "list")).lines).toHaveLength(1 + 51);
  expect((await shown({ columns: 80 }, "tasks", "list", "--json")).objects).toHaveLength(51);
});

test("writes no clear text into an encrypted store", async () => {
  const payloadCodec = aesGcm({ keys: [{ id: "k", key: new Uint8Array(32) }] });
  const db = await AzothDb.open(store, { payloadCodec });
  const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
  await scheduler.scheduleTask({ taskId: "secret", taskType: "job", schedule: immediate(), payload: "hush" });
  const before = await db.lastPosition();
  for (const argv of [
    ["tasks", "schedule", "more", "--type", "job", "--now", "--payload", '"hush"'],
    ["tasks", "pause", "secret", "--reason", "hush"],
    ["tasks", "cancel", "secret", "--reason", "hush"],
    ["dead-letters", "drop", "1", "--reason", "hush"],
  ]) {
    const { code, stderr } = await azoth(...argv);
    expect(code, argv.join(" ")).toBe(4);
    expect(stderr).toContain("The payloads of this store are encrypted");
  }
  expect(await db.lastPosition()).toBe(before);
  await db.close();
  expect((await azoth("tasks", "show", "secret")).stdout).toMatch(/^payload +\(sealed\)$/m);
  expect((await azoth("tasks", "pause", "secret")).code).toBe(0);
});
