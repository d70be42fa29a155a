/** The commands together: `azoth-scheduler` as it is parsed, documented and completed. */
import { Command, CommanderError } from "commander";
import type { GlobalOptions } from "./action.ts";
import { addBackup } from "./commands/backup.ts";
import { addCompletion } from "./commands/completion.ts";
import { addDeadLetters } from "./commands/dead-letters.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvents } from "./commands/events.ts";
import { addExplain } from "./commands/explain.ts";
import { addHistory } from "./commands/history.ts";
import { addMaintenance } from "./commands/maintain.ts";
import { addNext } from "./commands/next.ts";
import { addRun } from "./commands/run.ts";
import { addStats } from "./commands/stats.ts";
import { addTasks } from "./commands/tasks.ts";
import type { Context } from "./context.ts";
import { CliError, Ended, errorLines, tell, withoutPassword } from "./errors.ts";
import { type ExitName, exitCodes } from "./exit-codes.ts";
import { colorsOf, jsonLine, wantsColors } from "./output.ts";
import { defaultStore, storeVariable } from "./store.ts";

/** Adds a command, or a group of them, to the program. */
export type AddCommand = (program: Command, context: Context) => void;

/** In the order of the help. */
const commands: readonly AddCommand[] = [
  addRun,
  addTasks,
  addHistory,
  addExplain,
  addEvents,
  addNext,
  addStats,
  addDeadLetters,
  addMaintenance,
  addBackup,
  addDoctor,
  addCompletion,
];

export const programName = "azoth-scheduler";

/** Narrower than this, the help cannot be read. */
const narrowest = 40;

export function buildProgram(context: Context): Command {
  const { stdout, stderr, env } = context;
  const program = new Command(programName)
    .description("A durable task scheduler: run a crontab with history and retries, and look into any store.")
    .option(
      "-s, --store <location>",
      `directory or postgres:// URL of the store (default: ${storeVariable} of the environment, else ${defaultStore})`,
    )
    .option("--json", "one JSON object a line, for programs")
    .option("--verbose", "with an error, show where it came from")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .showSuggestionAfterError()
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => colorsOf(stdout, env).bold(title),
    });
  program.addHelpText("after", () => footer);
  for (const add of commands) add(program, context);
  eachCommand(program, (command) => {
    const refuse = (error: CommanderError) => {
      throw error.exitCode === 0 || error.code === "commander.help" ? error : new WrongUsage(error, command);
    };
    command.exitOverride(refuse).configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: () => {},
      getOutHelpWidth: () => Math.max(narrowest, stdout.columns ?? 80),
      getErrHelpWidth: () => Math.max(narrowest, stderr.columns ?? 80),
      getOutHasColors: () => wantsColors(stdout, env),
      getErrHasColors: () => wantsColors(stderr, env),
    });
  });
  return program;
}

const footer = `
Times are in this machine's time zone (TZ=UTC for another), in --json in UTC.
Exit codes: ${Object.values(exitCodes)
  .map(({ code }) => code)
  .join(", ")}; docs/cli.md tells what they mean.`;

/** Every command of the program, itself first. */
export function eachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) eachCommand(child, visit);
}

/** Runs a command line, without the program's own name, and resolves with the exit code. It never rejects. */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  const program = buildProgram(context);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCodes.ok.code;
  } catch (error) {
    return exitCodes[report(error, program, context)].code;
  }
}

function report(error: unknown, program: Command, context: Context): ExitName {
  if (error instanceof Ended) return error.exit;
  // Ctrl-C, or nobody reads any more: whatever it led to is no news.
  if (context.signal.aborted) return "interrupted";
  const { json = false, verbose = false } = program.opts<GlobalOptions>();
  if (error instanceof CommanderError && error.exitCode === 0) return "ok";
  // Commander has shown the help instead of a message: of a group without its command, for one.
  if (error instanceof CommanderError) return "usage";
  const told = tell(error);
  if (json) {
    const { exit: _, ...facts } = told;
    context.stderr.write(`${jsonLine({ error: { ...facts, message: withoutPassword(told.message) } })}\n`);
    return told.exit;
  }
  const { red, dim } = colorsOf(context.stderr, context.env);
  const [first = "", ...rest] = errorLines(error, { stack: verbose });
  context.stderr.write([red(first), ...rest.map((line) => dim(line)), ""].join("\n"));
  return told.exit;
}

/** A command line that could not be understood, in commander's words without its own head. */
class WrongUsage extends CliError {
  constructor({ message }: CommanderError, command: Command) {
    super("usage", message.replace(/^error: /, "").replaceAll("\n", " "), `See \`${pathOf(command)} --help\`.`);
  }
}

/** "azoth-scheduler tasks list". */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
