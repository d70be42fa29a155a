/** `history`, `events`, `next`, `stats`: what a store has to tell. */
import { cron, taskHandler } from "azoth-scheduler";
import { ManualClock } from "azoth-scheduler/testing";
import { expect, test } from "vitest";
import { run, stageOf } from "../command-line.ts";

const start = "2026-03-02T10:00:00Z";
let fails = 0;
const mail = taskHandler({
  taskType: "mail",
  execute(_, to: string) {
    if (fails-- > 0) throw new Error(`no connection to ${to}`);
    return { eventType: "sent", payload: { to } };
  },
});

async function worked() {
  fails = 1;
  const on = await stageOf({ start, handlers: [mail] } as const);
  await on.kit.scheduler.scheduleTask({ taskId: "job", taskType: "mail", schedule: cron("7 * * * *"), payload: "ada" });
  await on.kit.advanceTo("2026-03-02T11:30:00Z");
  return on;
}

test("history", async () => {
  const { azoth, azothIn, json } = await worked();
  expect((await azoth("history", "job")).stdout).toMatchInlineSnapshot(`
    "STARTED                          OCCURRENCE  TRY  OUTCOME    TOOK  ERROR
    2026-03-02 11:07:00  23m ago     11:07:00      1  succeeded   0ms
    2026-03-02 10:08:00  1h 22m ago  10:07:00      2  succeeded   0ms
    2026-03-02 10:07:00  1h 23m ago  10:07:00      1  failed      0ms  no connection to ada
    "
  `);
  expect(await json("history", "job", "--limit", "1")).toMatchObject([{ outcome: "succeeded", attempt: 1 }]);
  const { stdout } = await azothIn({ columns: 80, env: { NO_COLOR: "1" } }, "history", "job");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect((await azoth("history", "job", "--limit", "1")).stderr).toContain("1 run shown, and there are more");
});

test("events: the latest in their order, by task, type and time", async () => {
  const { azoth, json } = await worked();
  const { stdout } = await azoth("events", "--task", "job");
  expect(stdout.replaceAll(/^(\S+ \S+) +\d+ {2}/gm, "$1  ")).toMatchInlineSnapshot(`
    "2026-03-02 10:00:00  TaskScheduled  job  scheduled; due 2026-03-02 10:07:00
    2026-03-02 10:07:00  TaskStarted  job  started the occurrence of 2026-03-02 10:07:00, attempt 1, on scheduler 1
    2026-03-02 10:07:00  TaskExecuted  job  failed after 0ms: no connection to ada; to be tried again at 2026-03-02 10:08:00
    2026-03-02 10:08:00  TaskStarted  job  started the occurrence of 2026-03-02 10:07:00, attempt 2, on scheduler 1
    2026-03-02 10:08:00  sent  job  {"to":"ada"}
    2026-03-02 10:08:00  TaskExecuted  job  succeeded after 0ms; next 2026-03-02 11:07:00
    2026-03-02 11:07:00  TaskStarted  job  started the occurrence of 2026-03-02 11:07:00, attempt 1, on scheduler 1
    2026-03-02 11:07:00  sent  job  {"to":"ada"}
    2026-03-02 11:07:00  TaskExecuted  job  succeeded after 0ms; next 2026-03-02 12:07:00
    "
  `);
  const types = async (...argv: string[]) => (await json("events", ...argv)).map(({ eventType }) => eventType);
  expect(await types("--type", "sent", "TaskExecuted", "--limit", "3")).toEqual([
    "TaskExecuted",
    "sent",
    "TaskExecuted",
  ]);
  expect(await types("--since", "11:00", "--task", "job")).toEqual(["TaskStarted", "sent", "TaskExecuted"]);
  expect(await types("--since", "30m", "--until", "23m", "--type", "sent")).toEqual([]);
  expect(await types("--task", "jib")).toEqual([]);
  expect(await azoth("events", "--since", "then")).toMatchObject({ code: 2, stdout: "" });
});

test("events --follow shows what comes, until it is told to stop", async () => {
  const { kit, azothIn } = await worked();
  const stop = new AbortController();
  const following = azothIn({ signal: stop.signal }, "--json", "events", "--follow", "--type", "sent");
  await kit.advance("2h");
  // It looks for the commits of others once in a while of the clock.
  await kit.advance("2s");
  stop.abort();
  const { code, stderr, objects } = await following;
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(objects.map(({ recordedAt }) => recordedAt)).toEqual([
    "2026-03-02T10:08:00.000Z",
    "2026-03-02T11:07:00.000Z",
    "2026-03-02T12:07:00.000Z",
    "2026-03-02T13:07:00.000Z",
  ]);
});

test("next marks what clock changes do", async () => {
  const next = async (...argv: string[]) => await run(["next", ...argv], { clock: new ManualClock(start) });
  expect(
    (await next("30 2 * * *", "--tz", "Europe/Rome", "--from", "2026-03-28", "--count", "3")).stdout,
  ).toMatchInlineSnapshot(`
    "TIME IN Europe/Rome             FROM NOW    CLOCK CHANGE
    Sat 2026-03-28 02:30:00 +01:00  in 25d 15h
    Sun 2026-03-29 03:00:00 +02:00  in 26d 15h  moved: its time does not exist
    Mon 2026-03-30 02:30:00 +02:00  in 27d 14h
    "
  `);
  expect(
    (await next("30 2 * * *", "--tz", "Europe/Rome", "--from", "2026-10-24", "--count", "3")).stdout,
  ).toMatchInlineSnapshot(`
    "TIME IN Europe/Rome             FROM NOW     CLOCK CHANGE
    Sat 2026-10-24 02:30:00 +02:00  in 235d 14h
    Sun 2026-10-25 02:30:00 +02:00  in 236d 14h  its time comes twice: the first
    Mon 2026-10-26 02:30:00 +01:00  in 237d 15h  offset +02:00 to +01:00
    "
  `);
  expect((await next("*/20 * * * *", "-n", "2")).stdout).toMatchInlineSnapshot(`
    "TIME IN UTC                     FROM NOW  CLOCK CHANGE
    Mon 2026-03-02 10:20:00 +00:00  in 20m
    Mon 2026-03-02 10:40:00 +00:00  in 40m
    "
  `);
  expect(await next("61 * * * *")).toMatchObject({ code: 2, stdout: "" });
  expect(await next("0 0 30 2 *")).toMatchObject({ code: 2, stdout: "" });
  expect(await next("@daily", "--tz", "Europe/Rum")).toMatchObject({ code: 2, stdout: "" });
  expect(await next("@daily", "--count", "0")).toMatchObject({ code: 2, stdout: "" });
});

test("stats", async () => {
  const { azoth, json } = await worked();
  expect(
    (await azoth("stats")).stdout
      .replace(/^(store|size) .*$/gm, "$1 …")
      .replace(/\d+ {6}.*, last heard/, "N, last heard"),
  ).toMatchInlineSnapshot(`
    "store …
    size …
    events      10
    tasks       1
      waiting   1
    schedulers  1
      N, last heard of 10m ago

    TYPE  TASKS  TO RUN
    mail      1       1
    "
  `);
  expect(await json("stats")).toMatchObject([
    { tasks: { waiting: 1 }, taskTypes: [{ taskType: "mail", tasks: 1, due: 1 }], schedulers: [{ silent: false }] },
  ]);
});
