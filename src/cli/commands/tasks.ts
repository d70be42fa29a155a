/** `tasks`: seeing tasks. What changes them is in `tasks-change.ts`. */
import { type Command, Option } from "commander";
import { AzothError, Scheduler, type TaskInfo, type TaskStateName } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { type LimitOptions, limitOf, limitOption } from "../options.ts";
import { valueText } from "../output.ts";
import { withStore } from "../store.ts";
import { printFacts, Table } from "../table.ts";
import { paintState, scheduleText, taskStates } from "../task-text.ts";
import { count, escapeControls } from "../text.ts";
import { dateTime, duration, preciseTime, relative } from "../times.ts";
import { instantOf } from "../when.ts";
import { addTaskChanges } from "./tasks-change.ts";

export function addTasks(program: Command, context: Context): void {
  const tasks = program.command("tasks").summary("see and change tasks").description("See and change tasks.");
  tasks
    .command("list")
    .summary("list tasks, oldest first")
    .description("List tasks, oldest first.")
    .addOption(new Option("--state <state...>", "only tasks in these states").choices(taskStates))
    .option("--type <type>", "only tasks of this type")
    .option("--prefix <text>", "only tasks whose id begins with this")
    .option("--due-before <instant>", "only waiting tasks that are due before this: an ISO time, now, or 2h")
    .addOption(limitOption("tasks"))
    .action(action<ListOptions>(context, list));
  tasks
    .command("show")
    .summary("show all about one task")
    .description("Show a task: its definition, where it stands, and its payload.")
    .argument("<task>", "id of the task")
    .action(action<object, readonly [taskId: string]>(context, show));
  addTaskChanges(tasks, context);
}

interface ListOptions extends LimitOptions {
  readonly state?: readonly TaskStateName[];
  readonly type?: string;
  readonly prefix?: string;
  readonly dueBefore?: string;
}

/** Tasks that are read, and printed, at one time. */
const pageSize = 500;

async function list(call: Call<ListOptions>): Promise<void> {
  const { output, options, context } = call;
  const now = context.clock.now();
  const limit = limitOf(call);
  const { state, type, prefix, dueBefore } = options;
  const filter = {
    ...(state === undefined ? {} : { state }),
    ...(type === undefined ? {} : { taskType: type }),
    ...(prefix === undefined ? {} : { idPrefix: prefix }),
    ...(dueBefore === undefined ? {} : { dueUntil: new Date(instantOf(dueBefore, "--due-before", context)) }),
  };
  const table = new Table<TaskInfo>(output, [
    { title: "TASK", cell: ({ taskId }) => escapeControls(taskId), shrinksTo: 12 },
    { title: "TYPE", cell: ({ taskType }) => escapeControls(taskType), shrinksTo: 8 },
    { title: "STATE", cell: (task) => task.state, paint: (text, task) => paintState(output.colors, task.state)(text) },
    { title: "NEXT RUN", cell: ({ nextRunAt: at }) => (at === null ? "-" : dateTime(at, context.timeZone)) },
    { title: "", cell: ({ nextRunAt: at }) => (at === null ? "" : relative(at, now)) },
  ]);
  await withStore(call, async (db) => {
    const scheduler = new Scheduler(db);
    let shown = 0;
    let cursor: string | null | undefined;
    while (cursor !== null && shown < limit) {
      const page = await scheduler.listTasks({
        ...filter,
        limit: Math.min(pageSize, limit - shown),
        ...(cursor === undefined ? {} : { cursor }),
      });
      shown += page.tasks.length;
      cursor = page.nextCursor;
      if (!output.json) {
        if (page.tasks.length > 0) await table.print(page.tasks);
      } else for (const task of page.tasks) await output.object(task);
    }
    if (shown === 0) await output.note("No tasks.");
    else if (cursor !== null) await output.note(`${count(shown, "task")} shown, and there are more: see --limit.`);
  });
}

async function show(call: Call<object, readonly [taskId: string]>): Promise<void> {
  const { output, args, context } = call;
  const [taskId] = args;
  await withStore(call, async (db) => {
    const task = await new Scheduler(db).getTask(taskId);
    if (task === null) throw noTask(taskId);
    await output.answer(task, async () => await printFacts(output, factsOf(task, context, output.colors)));
  });
}

export function noTask(taskId: string): AzothError {
  return new AzothError("TASK_NOT_FOUND", `There is no task ${JSON.stringify(taskId)}.`);
}

function factsOf(task: TaskInfo, { timeZone, clock }: Context, colors: Parameters<typeof paintState>[0]) {
  const now = clock.now();
  const when = (at: Date | null) => (at === null ? "-" : `${preciseTime(at, timeZone)}  (${relative(at, now)})`);
  const { execution, retry } = task;
  const running =
    execution === null
      ? []
      : [
          ["run", `${execution.executionId}, attempt ${execution.attempt}, by instance ${execution.instance}`] as const,
          ["started", when(execution.startedAt)] as const,
        ];
  const delay = `${duration(retry.baseMs)}, then × ${retry.factor}, at most ${duration(retry.capMs)}`;
  return [
    ["task", escapeControls(task.taskId)],
    ["type", escapeControls(task.taskType)],
    ["state", paintState(colors, task.state)(task.state)],
    ["schedule", scheduleText(task.schedule, timeZone)],
    ["next run", when(task.nextRunAt)],
    ["occurrence of", when(task.scheduledFor)],
    ...running,
    ["last run of", when(task.lastScheduledFor)],
    ["runs", String(task.runs)],
    ["failures", `${task.retryCount} in a row; disabled at ${task.maxRetries}`],
    ["retry after", delay],
    ["timeout", duration(task.timeoutMs)],
    ["priority", String(task.priority)],
    ["revision", String(task.revision)],
    ["created", when(task.createdAt)],
    ["updated", when(task.updatedAt)],
    ["payload", valueText(task.payload)],
  ] as const;
}
