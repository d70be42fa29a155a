/** From the lines of a crontab to tasks of type `shell`, in the environment that cron gives them. */
import { createHash } from "node:crypto";
import path from "node:path";
import { cron, immediate } from "../../index.ts";
import type { DeclaredTask } from "../declared.ts";
import type { ShellPayload } from "../handlers/shell.ts";
import type { User } from "../users.ts";
import { atStart, type CrontabJob } from "./crontab.ts";

export interface CrontabDefaults {
  /** The zone of schedules under no CRON_TZ: cron's is the machine's. */
  readonly timeZone: string;
  /** Who runs the lines that name nobody. */
  readonly user: User;
  readonly userNamed: (name: string) => User | undefined;
  /** Where commands begin. Default: in HOME, as in cron. */
  readonly cwd: string | undefined;
  /** True if commands get the daemon's own environment as well. */
  readonly preserveEnv: boolean;
  /** TZ of the daemon: commands and schedules must not disagree. */
  readonly tz: string | undefined;
}

/** The longest time that a task can have: cron knows none. */
const noTimeout = "365d";
/** What cron gives. */
const plainPath = "/usr/bin:/bin";

export function crontabTasks(jobs: readonly CrontabJob[], defaults: CrontabDefaults): DeclaredTask[] {
  // What was named in a comment is not given to another line; lines that are the same are numbered.
  const taken = new Set(jobs.flatMap(({ wishes: { id } }) => (id === undefined ? [] : [id])));
  return jobs.map((job) => {
    if (job.wishes.id !== undefined) return taskOf(job, job.wishes.id, defaults);
    const base = idOf(job);
    let id = base;
    for (let count = 2; taken.has(id); count++) id = `${base}-${count}`;
    taken.add(id);
    return taskOf(job, id, defaults);
  });
}

function taskOf(job: CrontabJob, taskId: string, defaults: CrontabDefaults): DeclaredTask {
  const { expression, timeZone = defaults.timeZone, wishes } = job;
  const isAtStart = expression === atStart;
  return {
    request: {
      taskId,
      taskType: "shell",
      schedule: isAtStart ? immediate() : cron(expression, { timeZone }),
      payload: payloadOf(job, defaults),
      maxRetries: wishes.attempts ?? 1,
      timeout: wishes.timeoutMs ?? noTimeout,
    },
    atStart: isAtStart,
    disableAfterRetries: false,
  };
}

function payloadOf({ command, input, environment, user }: CrontabJob, defaults: CrontabDefaults): ShellPayload {
  const account = (user === undefined ? undefined : defaults.userNamed(user.name)) ?? defaults.user;
  const env: Record<string, string> = {
    SHELL: "/bin/sh",
    HOME: account.home,
    ...(defaults.preserveEnv ? {} : { PATH: plainPath }),
    ...(defaults.tz === undefined ? {} : { TZ: defaults.tz }),
    ...environment,
    // Who one is cannot be set.
    LOGNAME: account.name,
    USER: account.name,
  };
  return {
    command,
    shell: env["SHELL"] ?? "/bin/sh",
    cwd: defaults.cwd ?? env["HOME"] ?? "/",
    env,
    inheritEnv: defaults.preserveEnv,
    ...(input === undefined ? {} : { stdin: input }),
    ...(user === undefined ? {} : { user: user.name }),
  };
}

/** From what a line does and when: its place in the file and the comments around it do not matter. */
function idOf({ expression, timeZone = "", user, command, input = "" }: CrontabJob): string {
  const text = JSON.stringify([expression, timeZone, user?.name ?? "", command, input]);
  return `${nameOf(command)}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}

/** What only prepares, or asks whether to go on. */
const preparations = /^(?:\[|\[\[|:|cd|command|export|if|set|sleep|test|true|umask|ulimit|which)$/;

/** What stands before a program. */
const prefixes = /^(?:\w+=.*|!|do|else|exec|nohup|then|time)$/;

/** The name of the program that a command line is about, as well as can be seen without being a shell. */
function nameOf(command: string): string {
  const parts = command
    .split(/&&|\|\||[;|&]/)
    .map((part) =>
      part
        .replaceAll(/[{}()]|\d*[<>].*$/g, " ")
        .trim()
        .split(/\s+/),
    )
    .map((words) =>
      words.slice(
        Math.max(
          0,
          words.findIndex((word) => !prefixes.test(word)),
        ),
      ),
    )
    .filter(([program = ""]) => program !== "");
  const words = parts.find(([program = ""]) => !preparations.test(program)) ?? parts[0] ?? [];
  const [program = ""] = words;
  // run-parts says nothing, and its directory all.
  const said = path.basename(program) === "run-parts" ? (words.at(-1) ?? program) : program;
  const name = path
    .basename(said)
    .replaceAll(/[^\w.-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return name === "" ? "job" : name.slice(0, 40);
}
