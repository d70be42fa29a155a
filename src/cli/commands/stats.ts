/** `stats`: how many tasks are in each state. */
import type { Command } from "commander";
import { Scheduler } from "../../index.ts";
import { action } from "../action.ts";
import type { Context } from "../context.ts";
import { withStore } from "../store.ts";
import { printFacts } from "../table.ts";

export function addStats(program: Command, context: Context): void {
  program
    .command("stats")
    .summary("count tasks and events")
    .description("Count the tasks by state, and the events of the log.")
    .action(
      action(context, async (call) => {
        const { output } = call;
        await withStore(call, async (db) => {
          const tasks = await new Scheduler(db).countTasks();
          const lastPosition = await db.lastPosition();
          await output.answer({ tasks, lastPosition }, async () => {
            await printFacts(output, [
              ...Object.entries(tasks).map(([state, number]) => [state, String(number)] as const),
              ["last position", String(lastPosition)],
            ]);
          });
        });
      }),
    );
}
