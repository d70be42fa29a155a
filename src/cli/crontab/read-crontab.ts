/** Reads crontabs from files: which form they have, whose they are, and what is wrong with them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { type Declared, WrongFile } from "../declared.ts";
import { escapeControls } from "../text.ts";
import type { Users } from "../users.ts";
import type { CrontabForm, CrontabJob, CrontabProblem } from "./crontab.ts";
import { type CrontabDefaults, crontabTasks } from "./crontab-tasks.ts";
import { parseCrontab } from "./parse-crontab.ts";

export interface ReadOptions extends Omit<CrontabDefaults, "user" | "userNamed"> {
  readonly users: Users;
  /** Undefined: it is seen from the place of the file, or from its lines. */
  readonly form: CrontabForm | undefined;
}

/** @throws WrongFile, or what the file system says */
export function readCrontab(file: string, options: ReadOptions): Declared {
  const { users } = options;
  const complaints: string[] = [];
  const notes: string[] = [];
  const jobs: CrontabJob[] = [];
  for (const part of partsOf(file)) {
    const text = readFileSync(part, "utf8");
    const form = options.form ?? formOf(part, text);
    const crontab = parseCrontab(text, form);
    const told = ({ line, column, message }: CrontabProblem) => escapeControls(`${part}:${line}:${column}: ${message}`);
    complaints.push(...[...crontab.problems, ...problemsWithUsers(crontab.jobs, users)].toSorted(byPlace).map(told));
    notes.push(...crontab.notes.map(told));
    jobs.push(...crontab.jobs);
  }
  if (complaints.length > 0) throw new WrongFile(complaints);
  const userNamed = (name: string) => users.find(name);
  const tasks = crontabTasks(jobs, { ...options, user: users.current, userNamed });
  return { tasks, handlers: [], eventHandlers: [], settings: { maxConcurrentTasks: 100 }, store: {}, notes };
}

/** Of a directory such as /etc/cron.d the files that cron reads: no backups, and nothing of a package manager. */
function partsOf(file: string): string[] {
  if (!statSync(file).isDirectory()) return [file];
  return readdirSync(file)
    .filter((name) => /^[\w-]+$/.test(name))
    .toSorted()
    .map((name) => path.join(file, name))
    .filter((part) => statSync(part).isFile());
}

/** The system's crontabs name a user before each command. */
function formOf(file: string, text: string): CrontabForm {
  const place = path.resolve(file);
  if (place === "/etc/crontab" || path.dirname(place) === "/etc/cron.d") return "system";
  // Some users are called like programs ("mail", "sync", "git"), but no program is called root.
  return parseCrontab(text, "system").jobs.some(({ user }) => user?.name === "root") ? "system" : "user";
}

function problemsWithUsers(jobs: readonly CrontabJob[], users: Users): CrontabProblem[] {
  return jobs.flatMap(({ line, user }) => {
    const message = user === undefined ? undefined : users.refusalOf(user.name);
    return user === undefined || message === undefined ? [] : [{ line, column: user.column, message }];
  });
}

function byPlace(one: CrontabProblem, other: CrontabProblem): number {
  return one.line - other.line || one.column - other.column;
}
