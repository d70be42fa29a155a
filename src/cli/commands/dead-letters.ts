/** `dead-letters`: events that an event handler could not handle. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { type AnyEventHandler, type DeadLetter, Scheduler } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { type LimitOptions, limitOf, limitOption, parseCount } from "../options.ts";
import { refuseClearText, withStore } from "../store.ts";
import { Table } from "../table.ts";
import { count, escapeControls } from "../text.ts";
import { relative } from "../times.ts";
import { byOperator } from "./operator.ts";

interface ListOptions extends LimitOptions {
  readonly handler?: string;
}

export function addDeadLetters(program: Command, context: Context): void {
  const letters = program
    .command("dead-letters")
    .summary("see, replay and drop events that no handler could handle")
    .description("Events that an event handler could not handle, put aside until somebody replays or drops them.");
  letters
    .command("list")
    .summary("list dead letters, oldest first")
    .description("List dead letters, oldest first.")
    .option("--handler <name>", "only those of this event handler")
    .addOption(limitOption("dead letters"))
    .action(action<ListOptions>(context, list));
  letters
    .command("replay")
    .summary("let the event handler handle it again")
    .description(
      "Handle the event of a dead letter again, here and now, and remove the letter. The code of the event handler is needed for it: --handlers names the module that has it. If it fails again, the letter stays.",
    )
    .argument("<id>", "number of the dead letter", parseCount)
    .requiredOption("--handlers <file>", "JavaScript module that exports event handlers, one by one or in an array")
    .action(action<{ handlers: string }, readonly [id: number]>(context, replay));
  letters
    .command("drop")
    .summary("decide that it needs no handling")
    .description("Remove a dead letter. The log keeps the event, and the reason.")
    .argument("<id>", "number of the dead letter", parseCount)
    .option("--reason <text>", "why, for the log (default: who did it)")
    .action(action<{ reason?: string }, readonly [id: number]>(context, drop));
}

const pageSize = 500;

async function list(call: Call<ListOptions>): Promise<void> {
  const { output, options, context } = call;
  const now = context.clock.now();
  const limit = limitOf(call);
  const table = new Table<DeadLetter>(output, [
    { title: "ID", cell: ({ id }) => String(id), align: "right" },
    { title: "HANDLER", cell: ({ handler }) => escapeControls(handler), shrinksTo: 10 },
    { title: "EVENT", cell: ({ position }) => String(position), align: "right" },
    { title: "TRIES", cell: ({ attempts }) => String(attempts), align: "right" },
    { title: "PUT ASIDE", cell: ({ recordedAt }) => relative(recordedAt, now) },
    { title: "ERROR", cell: ({ error }) => escapeControls(error), shrinksTo: 20 },
  ]);
  await withStore(call, async (db) => {
    const { eventHandlers } = new Scheduler(db);
    const { handler } = options;
    let shown = 0;
    let after = 0;
    for (;;) {
      // One more than is shown tells whether there are more.
      const wanted = Math.min(pageSize, limit - shown);
      const page = await eventHandlers.deadLetters({
        after,
        limit: wanted + 1,
        ...(handler === undefined ? {} : { handler }),
      });
      const letters = page.slice(0, wanted);
      if (!output.json) {
        if (letters.length > 0) await table.print(letters);
      } else for (const letter of letters) await output.object(letter);
      shown += letters.length;
      after = letters.at(-1)?.id ?? after;
      if (shown === 0) await output.note("No dead letters.");
      if (page.length <= wanted) return;
      if (shown >= limit) {
        await output.note(`${count(shown, "dead letter")} shown, and there are more: see --limit.`);
        return;
      }
    }
  });
}

async function replay(call: Call<{ handlers: string }, readonly [id: number]>): Promise<void> {
  const { output, options, args, context } = call;
  const eventHandlers = await loadHandlers(options.handlers, context.cwd);
  await withStore(call, async (db) => {
    await new Scheduler(db, { eventHandlers }).eventHandlers.replayDeadLetter(args[0]);
    await output.answer({ deadLetter: args[0], replayed: true }, `Dead letter ${args[0]}: handled.`);
  });
}

async function drop(call: Call<{ reason?: string }, readonly [id: number]>): Promise<void> {
  const { output, context, options, args } = call;
  await withStore(call, async (db) => {
    if (options.reason !== undefined) await refuseClearText(db, "--reason");
    await new Scheduler(db).eventHandlers.dropDeadLetter(args[0], options.reason ?? byOperator(context));
    await output.answer({ deadLetter: args[0], dropped: true }, `Dead letter ${args[0]}: dropped.`);
  });
}

/** All event handlers that a module exports. @throws CliError */
async function loadHandlers(file: string, cwd: string): Promise<readonly AnyEventHandler[]> {
  const place = path.resolve(cwd, file);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(place).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(missing ? "notFound" : "failed", `The module ${place} cannot be loaded: ${message}`);
  }
  const exported = Object.values(module).flatMap((value: unknown) =>
    Array.isArray(value) ? (value as unknown[]) : [value],
  );
  const handlers = new Set(exported.filter(isEventHandler));
  if (handlers.size > 0) return [...handlers];
  throw new CliError("usage", `The module ${place} exports no event handler.`, "Export what eventHandler() returns.");
}

function isEventHandler(value: unknown): value is AnyEventHandler {
  const { name, handle, eventTypes } = (value ?? {}) as { name?: unknown; handle?: unknown; eventTypes?: unknown };
  return typeof name === "string" && typeof handle === "function" && Array.isArray(eventTypes);
}
