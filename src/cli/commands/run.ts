/** `run`: the daemon's command line. What it does is loaded when it is called: other commands need none of it. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { parseDuration } from "../../duration.ts";
import { messageOf } from "../../errors.ts";
import { action } from "../action.ts";
import type { Context } from "../context.ts";
import type { RunOptions } from "../run.ts";

export function addRun(program: Command, context: Context): void {
  program
    .command("run")
    .summary("run a crontab or a configuration")
    .description(
      "Run the jobs of crontabs, directories of crontabs, and configurations (.json, .ts, .js) until Ctrl-C, which waits for what runs; twice ends it. SIGHUP reads the files again.",
    )
    .argument("<files...>", "such as /etc/crontab, /etc/cron.d, jobs.json")
    .option("--check", "say what is wrong with the files, and end")
    .option("--dry-run", "show what would change in the store, and end")
    .addOption(
      new Option("--format <form>", "of the files, if it is not to be guessed").choices([
        "crontab",
        "system",
        "config",
      ]),
    )
    .option("--source <name>", "what the store knows the file by (default: its path)")
    .option("--cwd <directory>", "where the jobs of crontabs begin (default: their HOME)")
    .option("--preserve-env", "give the jobs of crontabs this process's environment as well")
    .addOption(
      new Option("--drain-time <duration>", "how long Ctrl-C waits for what runs (default: 1m)").argParser(
        parseDrainTime,
      ),
    )
    .action(
      action<RunOptions, readonly [files: readonly string[]]>(context, async (call) => {
        const { run } = await import("../run.ts");
        await run(call);
      }),
    );
}

function parseDrainTime(text: string): number {
  try {
    return parseDuration(text, { what: "--drain-time" });
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}
