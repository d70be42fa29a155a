/** What can be done to tasks inside of a unit of work; shared by the facade, transactions and event handlers. */
import { AzothError, quote } from "../errors.ts";
import type { IdGenerator } from "../ids.ts";
import { boundedText, queuedCallBytes, queuedTaskBytes } from "../limits.ts";
import type { TaskCommand } from "../tasks/command.ts";
import type { AdmittedTask } from "../tasks/request.ts";
import { dueAtMs } from "../tasks/task-state.ts";
import { type TaskInfo, taskInfo } from "./task-info.ts";
import type { Work } from "./work.ts";

/** What became of a `scheduleTask`. */
export interface ScheduledTask {
  readonly taskId: string;
  /** "unchanged" if the same definition was there already; "revived" if it had been cancelled. */
  readonly change: "new" | "replaced" | "revived" | "unchanged";
  /** When it will run; null if it is paused, running or ended. */
  readonly nextRunAt: Date | null;
}

export async function scheduleInWork(work: Work, ids: IdGenerator, admitted: AdmittedTask): Promise<ScheduledTask> {
  const [scheduled] = await scheduleAllInWork(work, ids, [admitted]);
  if (scheduled === undefined) throw new TypeError("nothing was scheduled");
  return scheduled;
}

/** Schedules tasks in their order. */
export async function scheduleAllInWork(
  work: Work,
  ids: IdGenerator,
  admitted: readonly AdmittedTask[],
): Promise<ScheduledTask[]> {
  await work.preload(givenIds(admitted));
  const isNew = ({ taskId }: AdmittedTask) => taskId === undefined || work.loaded(taskId) === null;
  await work.reserveSeqs(admitted.filter(isNew).length);
  const scheduled: ScheduledTask[] = [];
  for (const task of admitted) {
    scheduled.push(schedule(work, ids, task));
    if (work.pace.isSpent) await work.pace.pause();
  }
  return scheduled;
}

/** The ids that callers gave, without those that are to be generated. */
export function givenIds(admitted: readonly AdmittedTask[]): string[] {
  return admitted.map(({ taskId }) => taskId).filter((id) => id !== undefined);
}

/** About how much memory a call that schedules these takes while it waits. */
export function queuedBytesOf(admitted: readonly AdmittedTask[]): number {
  return admitted.reduce((sum, { payload }) => sum + queuedTaskBytes + payload.length, queuedCallBytes);
}

function schedule(work: Work, ids: IdGenerator, admitted: AdmittedTask): ScheduledTask {
  const { taskType, definition, payload } = admitted;
  const before = admitted.taskId === undefined ? null : work.loaded(admitted.taskId);
  const taskId = admitted.taskId ?? ids.next(work.context.nowMs);
  const stored = work.sealing.sealPayload(taskId, payload, before?.payload);
  const { state, events } = work.dispatch(before, { kind: "schedule", taskId, taskType, definition, ...stored });
  const scheduled = events.find((event) => event.type === "TaskScheduled");
  const due = dueAtMs(state);
  const change = scheduled === undefined ? "unchanged" : scheduled.data.because;
  return { taskId, change, nextRunAt: due === null ? null : new Date(due) };
}

/** @throws AzothError TASK_NOT_FOUND, or that the command does not fit the task's state */
export async function commandInWork(work: Work, taskId: string, command: TaskCommand): Promise<TaskInfo> {
  const state = await work.task(taskId);
  if (state === null) {
    throw new AzothError("TASK_NOT_FOUND", `There is no task ${quote(taskId)}. Check the id, or list the tasks.`, {
      details: { taskId },
    });
  }
  return taskInfo(work.dispatch(state, command).state, work.sealing);
}

/** @throws AzothError INVALID_TASK */
export function parseReason(reason: unknown, what: string): string {
  if (typeof reason !== "string") {
    throw new AzothError(
      "INVALID_TASK",
      `${what} must be a string that says why, such as "superseded", and is ${quote(reason)}.`,
    );
  }
  return boundedText(reason);
}
