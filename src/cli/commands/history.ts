/** `history`: the runs of a task. */
import type { Command } from "commander";
import { type Execution, Scheduler } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { type LimitOptions, limitOf, limitOption } from "../options.ts";
import { withStore } from "../store.ts";
import { Table } from "../table.ts";
import { paintOutcome } from "../task-text.ts";
import { count, escapeControls } from "../text.ts";
import { dateTime, duration, relative } from "../times.ts";

export function addHistory(program: Command, context: Context): void {
  program
    .command("history")
    .summary("list the runs of a task")
    .description("List the runs of a task, latest first: for which occurrence, how they ended, and why they failed.")
    .argument("<task>", "id of the task")
    .addOption(limitOption("runs"))
    .action(action<LimitOptions, readonly [taskId: string]>(context, history));
}

const pageSize = 500;

async function history(call: Call<LimitOptions, readonly [taskId: string]>): Promise<void> {
  const { output, context, args } = call;
  const { timeZone } = context;
  const now = context.clock.now();
  const limit = limitOf(call);
  const table = new Table<Execution>(output, [
    { title: "STARTED", cell: ({ startedAt }) => dateTime(startedAt, timeZone) },
    { title: "", cell: ({ startedAt }) => relative(startedAt, now) },
    { title: "OCCURRENCE", cell: (execution) => occurrenceText(execution, timeZone) },
    { title: "TRY", cell: ({ attempt }) => String(attempt), align: "right" },
    {
      title: "OUTCOME",
      cell: ({ outcome }) => outcome,
      paint: (text, { outcome }) => paintOutcome(output.colors, outcome)(text),
    },
    {
      title: "TOOK",
      cell: ({ startedAt, endedAt }) => (endedAt === null ? "" : duration(endedAt.getTime() - startedAt.getTime())),
      align: "right",
    },
    {
      title: "ERROR",
      cell: ({ error }) => (error === null ? "" : escapeControls(String(error.message))),
      shrinksTo: 10,
    },
  ]);
  await withStore(call, async (db) => {
    const scheduler = new Scheduler(db);
    let shown = 0;
    let cursor: string | null | undefined;
    while (cursor !== null && shown < limit) {
      const page = await scheduler.history(args[0], {
        limit: Math.min(pageSize, limit - shown),
        ...(cursor === undefined ? {} : { cursor }),
      });
      shown += page.executions.length;
      cursor = page.nextCursor;
      if (!output.json) {
        if (page.executions.length > 0) await table.print(page.executions);
      } else for (const execution of page.executions) await output.object(execution);
    }
    if (shown === 0) await output.note("It has not run yet. See `azoth-scheduler explain`.");
    else if (cursor !== null) await output.note(`${count(shown, "run")} shown, and there are more: see --limit.`);
  });
}

/** Mostly a run starts when it should: then only the time of day is worth the room. */
function occurrenceText({ scheduledFor, startedAt }: Execution, timeZone: string): string {
  const [day, time = ""] = dateTime(scheduledFor, timeZone).split(" ");
  return dateTime(startedAt, timeZone).startsWith(day ?? "") ? time : `${day} ${time}`;
}
