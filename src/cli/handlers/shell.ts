/**
 * The task type `shell`: a command line for a shell, or a program with its arguments. Texts are never joined to a
 * command: a command line goes to the shell as it was written, as one argument, and arguments go to the program as they are.
 */
import { z } from "zod";
import { parseDuration } from "../../duration.ts";
import { messageOf } from "../../errors.ts";
import { type AnyTaskHandler, type TaskContext, type TaskEvent, taskHandler } from "../../index.ts";
import { duration } from "./duration-field.ts";
import type { OutputTail } from "./output-tail.ts";
import { ProcessGroup, type ProgramEnd, type ProgramOptions } from "./process-group.ts";
import { RunFailed } from "./run-failed.ts";
import { Secrets } from "./secrets.ts";
import type { Surroundings } from "./surroundings.ts";

const text = z.string().refine((value) => !value.includes("\0"), "has a zero byte");

export const shellPayload = z.strictObject({
  command: z
    .union([text.min(1), z.array(text).min(1)])
    .meta({ description: "A command line for the shell, or a program with its arguments, which no shell sees." }),
  shell: text.min(1).optional().meta({ description: 'What reads a command line, with "-c". Default: "/bin/sh".' }),
  cwd: text.min(1).optional().meta({ description: "The directory that it runs in. Default: that of the daemon." }),
  env: z
    .record(z.string().regex(/^[A-Za-z_]\w*$/, "is no name of a variable"), text)
    .optional()
    .meta({ description: 'Variables. "env:NAME" takes the daemon\'s own at run time, and is stored as written.' }),
  inheritEnv: z
    .boolean()
    .optional()
    .meta({ description: "Whether it gets the daemon's environment as well, but for AZOTH_*. Default: true." }),
  stdin: z.string().optional().meta({ description: "What it reads. Default: nothing." }),
  user: z.string().min(1).optional().meta({ description: "Who it runs as; only root can run as others." }),
  maxOutputBytes: z
    .int()
    .min(0)
    .max(262_144)
    .optional()
    .meta({ description: "How much of the end of each output is kept. Default: 65536." }),
  killAfter: duration({ maxMs: 10_000 })
    .optional()
    .meta({ description: "The time from TERM to KILL, when its time is up or it is cancelled. Default: 5s." }),
});

export type ShellPayload = z.infer<typeof shellPayload>;

const defaults = { shell: "/bin/sh", maxOutputBytes: 65_536, killAfterMs: 5_000 };
/** A scheduler that stops gives its handlers a second. */
const killAfterAtShutdownMs = 800;
/** How much of what went wrong is in the message of a failure. */
const quotedOutput = 1_500;

/** What a finished command leaves in the log. */
export interface CommandFinished {
  readonly exitCode: 0;
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes that are missing at the beginning of each; absent if none. */
  readonly stdoutCutBytes?: number;
  readonly stderrCutBytes?: number;
}

export function shellHandler(surroundings: Surroundings): AnyTaskHandler {
  return taskHandler({
    taskType: "shell",
    payload: shellPayload,
    execute: (context, payload) => runCommand(context, payload, surroundings),
  });
}

async function runCommand(
  context: TaskContext,
  payload: ShellPayload,
  surroundings: Surroundings,
): Promise<TaskEvent<"command_finished", CommandFinished>> {
  const secrets = new Secrets(surroundings.env);
  const { signal } = context;
  signal.throwIfAborted();
  const group = start(payload, secrets, surroundings);
  const { killAfter = defaults.killAfterMs } = payload;
  const killAfterMs = parseDuration(killAfter, { what: "killAfter" });
  let ending: Promise<void> | undefined;
  const end = () => {
    const shutdown = (signal.reason as { code?: string }).code === "SHUTTING_DOWN";
    ending = group.end(shutdown ? Math.min(killAfterMs, killAfterAtShutdownMs) : killAfterMs);
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    const ended = await group.ended;
    if (ended.exitCode !== 0) signal.throwIfAborted();
    return finished(ended, secrets);
  } catch (error) {
    throw explained(error, payload);
  } finally {
    signal.removeEventListener("abort", end);
    // The program may have obeyed, and something that it started not.
    await ending;
  }
}

function start(payload: ShellPayload, secrets: Secrets, surroundings: Surroundings): ProcessGroup {
  try {
    return new ProcessGroup(programOf(payload, secrets, surroundings), surroundings.clock);
  } catch (error) {
    throw explained(error, payload);
  }
}

function programOf(payload: ShellPayload, secrets: Secrets, { env, cwd, identityOf }: Surroundings): ProgramOptions {
  const { command, shell = defaults.shell, maxOutputBytes = defaults.maxOutputBytes } = payload;
  const [file = "", ...args] = typeof command === "string" ? [shell, "-c", command] : command;
  const inherited = payload.inheritEnv === false ? {} : withoutOurs(env);
  return {
    file,
    args,
    env: { ...inherited, ...secrets.resolveAll(payload.env ?? {}) },
    cwd: payload.cwd ?? cwd,
    input: payload.stdin,
    maxOutputBytes,
    identity: payload.user === undefined ? undefined : identityOf(payload.user),
  };
}

/** The store's URL may have a password. */
function withoutOurs(env: Surroundings["env"]): Record<string, string> {
  const kept = Object.entries(env).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined && !entry[0].startsWith("AZOTH_");
  });
  return Object.fromEntries(kept);
}

function finished(
  { exitCode, signal, stdout, stderr }: ProgramEnd,
  secrets: Secrets,
): TaskEvent<"command_finished", CommandFinished> {
  if (exitCode !== 0) {
    const how = exitCode === null ? `It was ended by ${signal ?? "a signal"}` : `Exit code ${exitCode}`;
    const output = [stderr, stdout].map((tail) => secrets.hide(tail.text).trimEnd()).find((shown) => shown !== "");
    throw new RunFailed("CommandFailed", output === undefined ? `${how}, without output.` : `${how}: ${endOf(output)}`);
  }
  const cut = (name: string, { cutBytes }: OutputTail) => (cutBytes === 0 ? {} : { [`${name}CutBytes`]: cutBytes });
  return {
    eventType: "command_finished",
    payload: {
      exitCode,
      stdout: secrets.hide(stdout.text),
      stderr: secrets.hide(stderr.text),
      ...cut("stdout", stdout),
      ...cut("stderr", stderr),
    },
  };
}

function endOf(output: string): string {
  return output.length <= quotedOutput ? output : `…${output.slice(-quotedOutput)}`;
}

/** Why a program could not be started, without the internals of this one. */
function explained(error: unknown, { command, shell = defaults.shell, cwd }: ShellPayload): unknown {
  const { code, syscall = "" } = error as NodeJS.ErrnoException;
  if (!syscall.startsWith("spawn")) return error;
  const file = typeof command === "string" ? shell : command[0];
  const where = cwd === undefined ? "" : `, or the directory ${cwd} is not there`;
  if (code === "ENOENT") return new RunFailed("CommandFailed", `The program ${file} is not there${where}.`);
  if (code === "EACCES") return new RunFailed("CommandFailed", `The program ${file} may not be executed${where}.`);
  return new RunFailed("CommandFailed", `The program ${file} could not be started: ${messageOf(error)}.`);
}
