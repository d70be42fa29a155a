/** `tasks schedule`, `cancel`, `pause`, `resume`, `run-now`: also while a scheduler works on the store. */
import { type Command, Option } from "commander";
import {
  type AzothDb,
  cron,
  immediate,
  interval,
  oneTime,
  type Schedule,
  Scheduler,
  type TaskInfo,
} from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { parseJson, parseNumber, parseSigned } from "../options.ts";
import { refuseClearText, withStore } from "../store.ts";
import { escapeControls } from "../text.ts";
import { dateTime, relative } from "../times.ts";
import { instantOf } from "../when.ts";
import { byOperator } from "./operator.ts";

interface ScheduleOptions {
  readonly type: string;
  readonly cron?: string;
  readonly tz?: string;
  readonly every?: string;
  readonly at?: string;
  readonly now?: boolean;
  readonly payload?: unknown;
  readonly priority?: number;
  readonly maxRetries?: number;
  readonly timeout?: string;
}

export function addTaskChanges(tasks: Command, context: Context): void {
  tasks
    .command("schedule")
    .summary("schedule a task, or replace its definition")
    .description(
      "Schedule a task. Under an id that is there already the same definition changes nothing, and another one replaces it. The payload is checked by the handler when it runs; what is not given here has the library's defaults, not the handler's.",
    )
    .argument("[task]", "id of the task (default: a new one)")
    .requiredOption("--type <type>", "which handler runs it")
    .option("--cron <expression>", 'when: a cron expression, in quotes: "30 2 * * *"')
    .option("--tz <zone>", "time zone of --cron (default: this machine's)")
    .option("--every <duration>", "when: again and again, as 90s or 5m")
    .option("--at <instant>", "when: once, at an ISO time, or 2h from now")
    .option("--now", "when: once, at once")
    .addOption(new Option("--payload <json>", "what the handler gets (default: null)").argParser(parseJson))
    .addOption(new Option("--priority <n>", "higher runs first (default: 0)").argParser(parseSigned))
    .addOption(new Option("--max-retries <n>", "attempts before it is disabled (default: 3)").argParser(parseNumber))
    .option("--timeout <duration>", "how long an attempt may take (default: 5m)")
    .action(action<ScheduleOptions, readonly [taskId: string | undefined]>(context, schedule));
  const change = (name: string, summary: string, text: string) =>
    tasks.command(name).summary(summary).description(text).argument("<task>", "id of the task");
  change("cancel", "end a task", "End a task in whatever state. If it is running, its handler gets the signal to stop.")
    .option("--reason <text>", "why, for the log (default: who did it)")
    .action(
      action<{ reason?: string }, readonly [string]>(context, (call) =>
        command(call, "cancelled", (scheduler, taskId) =>
          scheduler.cancelTask(taskId, call.options.reason ?? byOperator(context)),
        ),
      ),
    );
  change(
    "pause",
    "keep a task from starting",
    "Keep a task from starting until it is resumed. A run in progress goes on.",
  )
    .option("--reason <text>", "why, for the log (default: who did it)")
    .action(
      action<{ reason?: string }, readonly [string]>(context, (call) =>
        command(call, "paused", (scheduler, taskId) =>
          scheduler.pauseTask(taskId, call.options.reason ?? byOperator(context)),
        ),
      ),
    );
  change(
    "resume",
    "let a paused or disabled task go on",
    "Let a paused task go on, or a disabled one with a fresh retry count. Occurrences that fell into a pause are skipped, and recorded.",
  ).action(
    action<object, readonly [string]>(context, (call) =>
      command(call, "resumed", (scheduler, taskId) => scheduler.resumeTask(taskId)),
    ),
  );
  change(
    "run-now",
    "run a task now",
    "Run a task now: a waiting retry or one-off earlier than planned, a recurring task once more, an ended one again.",
  ).action(
    action<object, readonly [string]>(context, (call) =>
      command(call, "asked to run", (scheduler, taskId) => scheduler.runTaskNow(taskId)),
    ),
  );
}

async function schedule(call: Call<ScheduleOptions, readonly [taskId: string | undefined]>): Promise<void> {
  const { options, output, context, args } = call;
  const { type, payload, priority, maxRetries, timeout } = options;
  const [taskId] = args;
  const request = {
    ...(taskId === undefined ? {} : { taskId }),
    taskType: type,
    schedule: scheduleOf(options, context),
    ...(payload === undefined ? {} : { payload }),
    ...(priority === undefined ? {} : { priority }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(timeout === undefined ? {} : { timeout }),
  };
  await withStore(call, async (db) => {
    if (payload !== undefined) await refuseClearText(db, "--payload");
    const scheduled = await new Scheduler(db, { externalTaskTypes: [type] }).scheduleTask(request);
    const words = { new: "scheduled", replaced: "replaced", revived: "scheduled again", unchanged: "unchanged" };
    await output.answer(scheduled, told(scheduled.taskId, words[scheduled.change], scheduled.nextRunAt, context));
  });
}

function scheduleOf({ cron: expression, tz, every, at, now }: ScheduleOptions, context: Context): Schedule {
  const given = [expression, every, at, now].filter((value) => value !== undefined);
  if (given.length !== 1) {
    const message = given.length === 0 ? "It is not said when." : "It is said more than once when.";
    throw new CliError("usage", message, "Give one of --cron, --every, --at and --now.");
  }
  if (tz !== undefined && expression === undefined) throw new CliError("usage", "--tz goes with --cron only.");
  if (expression !== undefined) return cron(expression, { timeZone: tz ?? context.timeZone });
  if (every !== undefined) return interval(every);
  return at === undefined ? immediate() : oneTime(new Date(instantOf(at, "--at", context)));
}

/** The log tells whether a command did anything: what is so already makes no event. */
async function lastEventOf(db: AzothDb, taskId: string): Promise<number | undefined> {
  for await (const { position } of db.readLog({ taskId, latestFirst: true })) return position;
  return undefined;
}

async function command(
  call: Call<{ reason?: string }, readonly [taskId: string]>,
  word: string,
  run: (scheduler: Scheduler, taskId: string) => Promise<TaskInfo>,
): Promise<void> {
  const { output, context, args, options } = call;
  await withStore(call, async (db) => {
    if (options.reason !== undefined) await refuseClearText(db, "--reason");
    const before = await lastEventOf(db, args[0]);
    const task = await run(new Scheduler(db), args[0]);
    const changed = (await lastEventOf(db, args[0])) !== before;
    const what = changed ? word : `nothing changed, it is ${task.state} already`;
    await output.answer(task, told(task.taskId, what, task.nextRunAt, context));
  });
}

/** "Task nightly-report paused. Next run …" */
function told(taskId: string, word: string, nextRunAt: Date | null, { timeZone, clock }: Context): string {
  const next =
    nextRunAt === null ? "" : ` Next run: ${dateTime(nextRunAt, timeZone)} (${relative(nextRunAt, clock.now())}).`;
  return `Task ${escapeControls(taskId)}: ${word}.${next}`;
}
