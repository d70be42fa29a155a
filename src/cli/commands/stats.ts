/** `stats`: how much there is of everything. */
import type { Command } from "commander";
import { type AzothDb, Scheduler } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { withStore } from "../store.ts";
import { printFacts, Table } from "../table.ts";
import { paintState, taskStates } from "../task-text.ts";
import { escapeControls } from "../text.ts";
import { bytesText, relative } from "../times.ts";

export function addStats(program: Command, context: Context): void {
  program
    .command("stats")
    .summary("count tasks, events, schedulers")
    .description(
      "Count tasks by state and type, and events; list schedulers and event handlers; tell the size of the store.",
    )
    .action(action(context, stats));
}

interface TypeCount {
  readonly taskType: string;
  readonly tasks: number;
  readonly due: number;
}

async function stats(call: Call): Promise<void> {
  const { output, context } = call;
  await withStore(call, async (db) => {
    const scheduler = new Scheduler(db);
    const [status, tasks, taskTypes, eventHandlers, [events]] = await Promise.all([
      db.status(),
      scheduler.countTasks(),
      countTypes(db),
      scheduler.eventHandlers.list(),
      db.query("SELECT count(*) AS number FROM azoth_events"),
    ]);
    const eventCount = Number(events?.["number"] ?? 0);
    const { instances, ...store } = status;
    await output.answer(
      { ...store, events: eventCount, tasks, taskTypes, schedulers: instances, eventHandlers },
      async () => {
        const { colors } = output;
        const now = context.clock.now();
        await printFacts(output, [
          ["store", escapeControls(status.location)],
          ["size", `${bytesText(status.bytes)}, schema version ${status.schemaVersion}`],
          ["events", eventCount.toLocaleString("en-US")],
          ["tasks", taskStates.reduce((sum, state) => sum + tasks[state], 0).toLocaleString("en-US")],
          ...taskStates
            .filter((state) => tasks[state] > 0)
            .map((state) => [`  ${state}`, paintState(colors, state)(tasks[state].toLocaleString("en-US"))] as const),
          ["schedulers", instances.length === 0 ? "none is running" : String(instances.length)],
          ...instances.map(
            ({ instance, name, lastHeardAt, silent }) =>
              [
                `  ${instance}`,
                `${escapeControls(name)}, last heard of ${relative(lastHeardAt, now)}${silent ? colors.red(" (silent)") : ""}`,
              ] as const,
          ),
        ]);
        if (taskTypes.length > 0) {
          await output.line();
          const table = new Table<TypeCount>(output, [
            { title: "TYPE", cell: ({ taskType }) => escapeControls(taskType), shrinksTo: 12 },
            { title: "TASKS", cell: ({ tasks }) => tasks.toLocaleString("en-US"), align: "right" },
            { title: "TO RUN", cell: ({ due }) => due.toLocaleString("en-US"), align: "right" },
          ]);
          await table.print(taskTypes);
        }
        if (eventHandlers.length === 0) return;
        await output.line();
        const table = new Table<(typeof eventHandlers)[number]>(output, [
          { title: "EVENT HANDLER", cell: ({ name }) => escapeControls(name), shrinksTo: 12 },
          { title: "STATUS", cell: ({ status }) => status },
          { title: "HANDLED UP TO", cell: ({ position }) => `${position} of ${status.lastPosition}` },
          { title: "ERROR", cell: ({ error }) => escapeControls(error ?? ""), shrinksTo: 10 },
        ]);
        await table.print(eventHandlers);
      },
    );
  });
}

async function countTypes(db: AzothDb): Promise<TypeCount[]> {
  const rows = await db.query(
    `SELECT n.name AS name, count(*) AS tasks, count(t.due_at_ms) AS due FROM azoth_tasks t
     JOIN azoth_names n ON n.id = t.type GROUP BY n.name ORDER BY n.name`,
  );
  return rows.map(({ name, tasks, due }) => ({ taskType: String(name), tasks: Number(tasks), due: Number(due) }));
}
