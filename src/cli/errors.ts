/** What went wrong, as a person and as a program are told of it. A stack is shown only to those who ask. */
import { AzothError, errorCatalogue, isAzothError } from "../index.ts";
import { type ExitName, exitOf } from "./exit-codes.ts";
import { escapeControls } from "./text.ts";

/** An error of the command line itself. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: ExitName;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** Each of the things that are wrong, for programs; a person has been told of them. */
  readonly complaints: readonly string[];

  constructor(exit: ExitName, message: string, hint?: string, complaints: readonly string[] = []) {
    super(message);
    this.exit = exit;
    this.hint = hint;
    this.complaints = complaints;
  }
}

/** Thrown by a command that has said everything, and ends in another way than well. */
export class Ended extends Error {
  override readonly name = "Ended";
  readonly exit: ExitName;

  constructor(exit: ExitName) {
    super(exit);
    this.exit = exit;
  }
}

/** An error as it is told. */
export interface Told {
  readonly exit: ExitName;
  /** Of the library's errors: the code in docs/errors.md. */
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
  /** Absent if there is only the message. */
  readonly complaints?: readonly string[];
}

export function tell(error: unknown): Told {
  if (error instanceof CliError) {
    const { exit, message, hint, complaints } = error;
    return {
      exit,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(complaints.length === 0 ? {} : { complaints }),
    };
  }
  if (isAzothError(error)) {
    const [, mend] = errorCatalogue[error.code];
    const own = hints[error.code];
    // A message may end with the library's advice; the command line's own comes in its place, not after it.
    const message = own === undefined ? error.message : error.message.replace(` ${mend}`, "");
    return { exit: exitOf(error.code), code: error.code, message, hint: own ?? mend };
  }
  return { exit: "failed", message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

/** Where the command line has another way to mend it than a program. */
const hints: Partial<Record<AzothError["code"], string>> = {
  INVALID_LOCATION: "A store is a directory or a postgres:// URL, and a backup a file that does not exist yet.",
  STORE_NOT_FOUND: "Name another place with --store or AZOTH_STORE, or make a store with `azoth-scheduler init`.",
  STORE_OUTDATED: "Bring it up to date with `azoth-scheduler migrate`; make a backup first.",
  TASK_NOT_FOUND: "See `azoth-scheduler tasks list`.",
  TASK_FINISHED: "Run it once more with `azoth-scheduler tasks run-now`.",
  TASK_PAUSED: "Resume it first with `azoth-scheduler tasks resume`.",
  TASK_CANCELLED: "Schedule it again with `azoth-scheduler tasks schedule`.",
  DEAD_LETTER_NOT_FOUND: "See `azoth-scheduler dead-letters list`.",
};

/** The lines for a person; with the stack and its causes if `stack` is set. */
export function errorLines(error: unknown, { stack }: { readonly stack: boolean }): readonly string[] {
  const { code, message, hint } = tell(error);
  const lines = [`error: ${withoutPassword(message)}${code === undefined ? "" : ` (${code})`}`];
  if (hint !== undefined && !message.includes(hint)) lines.push(`  ${hint}`);
  if (stack) lines.push(...stackLines(error));
  return lines.map(escapeControls);
}

function stackLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = withoutPassword(error.stack ?? "").split("\n");
  return error.cause === undefined ? own : [...own, "caused by:", ...stackLines(error.cause)];
}

/** Hides the password of every URL in a text. */
export function withoutPassword(text: string): string {
  return text.replace(/(:\/\/[^\s:/?#@]*):[^\s/?#]*@/gu, "$1:***@").replace(/([?&]password=)[^\s&#]*/giu, "$1***");
}
