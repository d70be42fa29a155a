/** From a configuration's tasks to requests. */
import { messageOf } from "../../errors.ts";
import { cron, immediate, interval, oneTime, type Schedule } from "../../index.ts";
import { type DeclaredTask, WrongFile } from "../declared.ts";
import type { HttpPayload } from "../handlers/http.ts";
import type { ShellPayload } from "../handlers/shell.ts";
import type { ConfigTask, ParsedConfig } from "./schema.ts";

/** @throws WrongFile with every task whose schedule cannot be kept */
export function configTasks({ tasks = {}, timeZone }: ParsedConfig, directory: string): DeclaredTask[] {
  const complaints: string[] = [];
  const declared: DeclaredTask[] = [];
  for (const [taskId, task] of Object.entries(tasks)) {
    try {
      declared.push(taskOf(taskId, task, { timeZone, directory }));
    } catch (error) {
      complaints.push(`tasks.${taskId}: ${messageOf(error)}`);
    }
  }
  if (complaints.length > 0) throw new WrongFile(complaints);
  return declared;
}

interface Place {
  readonly timeZone: string | undefined;
  /** That of the file: commands begin there. */
  readonly directory: string;
}

function taskOf(taskId: string, task: ConfigTask, { timeZone, directory }: Place): DeclaredTask {
  const { priority, maxRetries, retry, timeout, atStart = false, disableAfterRetries = false } = task;
  const wishes = { priority, maxRetries, retry, timeout };
  const given = Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined));
  const schedule = scheduleOf(task, timeZone);
  return { request: { taskId, schedule, ...workOf(task, directory), ...given }, atStart, disableAfterRetries };
}

function scheduleOf({ cron: expression, every, at, timeZone }: ConfigTask, ofFile = "UTC"): Schedule {
  if (timeZone !== undefined && expression === undefined)
    throw new Error("timeZone belongs to cron, which is not there.");
  if (expression !== undefined) return cron(expression, { timeZone: timeZone ?? ofFile });
  if (every !== undefined) return interval(every);
  return at === undefined ? immediate() : oneTime(at);
}

function workOf(
  { shell, http, taskType = "", payload }: ConfigTask,
  directory: string,
): { taskType: string; payload: unknown } {
  if (payload !== undefined && taskType === "") throw new Error("payload belongs to taskType, which is not there.");
  if (shell !== undefined) {
    const command: ShellPayload = typeof shell === "string" ? { command: shell } : shell;
    return { taskType: "shell", payload: { cwd: directory, ...command } };
  }
  if (http === undefined) return { taskType, payload: payload ?? null };
  const request: HttpPayload = typeof http === "string" ? { url: http } : http;
  return { taskType: "http", payload: request };
}
