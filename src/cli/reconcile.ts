/**
 * Makes the store's tasks those that a file declares, in one transaction. What a file declared last is an event of its
 * own (`tasks_declared`), so that only its own tasks are cancelled when they are no longer in it.
 */
import { quote, within } from "../errors.ts";
import type { AzothDb, Scheduler, ScheduledTask, TaskInfo, Transaction } from "../index.ts";
import type { DeclaredTask } from "./declared.ts";

export const tasksDeclared = "tasks_declared";

/** What a file declared last, by the name of the file. */
export type Declarations = ReadonlyMap<string, readonly string[]>;

export interface Plan {
  /** In the order of the file. */
  readonly taskIds: readonly string[];
  /** Declared by this file before, and not any more. */
  readonly cancel: readonly string[];
  /** Declared by another file. Such a plan is not to be carried out. */
  readonly conflicts: readonly { readonly taskId: string; readonly source: string }[];
  /** True if the file declares other tasks than before. */
  readonly changes: boolean;
}

/** Pure: what has to happen for the store to have what `source` declares. */
export function plan(source: string, taskIds: readonly string[], declarations: Declarations): Plan {
  const declared = new Set(taskIds);
  const before = declarations.get(source) ?? [];
  const conflicts = [...declarations]
    .filter(([other]) => other !== source)
    .flatMap(([other, ids]) => ids.filter((id) => declared.has(id)).map((taskId) => ({ taskId, source: other })));
  const cancel = before.filter((id) => !declared.has(id));
  return { taskIds, cancel, conflicts, changes: cancel.length > 0 || before.length !== declared.size };
}

export type Change = ScheduledTask["change"] | "cancelled" | "later";

export interface Changed {
  readonly taskId: string;
  /** "later": it runs at the next start of the daemon, and not because the file was read again. */
  readonly change: Change;
  readonly nextRunAt: Date | null;
}

export async function readDeclarations(db: AzothDb): Promise<Declarations> {
  const declarations = new Map<string, readonly string[]>();
  for await (const { payload } of db.readLog({ eventTypes: [tasksDeclared] })) {
    const { source, taskIds } = payload as { source: string; taskIds: readonly string[] };
    declarations.set(source, taskIds);
  }
  return declarations;
}

export interface Reconciling {
  readonly scheduler: Scheduler;
  readonly source: string;
  readonly tasks: readonly DeclaredTask[];
  readonly plan: Plan;
  /** True if the file is read again while the daemon runs. */
  readonly again: boolean;
  /** True to find out what would change, and change nothing. */
  readonly dryRun: boolean;
}

/** All of it, or nothing if one task is refused. @throws AzothError */
export async function reconcile(options: Reconciling): Promise<Changed[]> {
  const changed: Changed[] = [];
  const undo = new Error("nothing is to be changed");
  const { scheduler, source, tasks, plan, again, dryRun } = options;
  const running = scheduler.transaction(async (transaction) => {
    for (const { request, atStart } of tasks) {
      const { taskId } = request;
      if (atStart && again && isOver(await transaction.getTask(taskId))) {
        changed.push({ taskId, change: "later", nextRunAt: null });
      } else changed.push(await schedule(transaction, request));
    }
    for (const taskId of plan.cancel) {
      const task = await transaction.getTask(taskId);
      if (task === null || task.state === "cancelled") continue;
      await transaction.cancelTask(taskId, `It is no longer in ${source}.`);
      changed.push({ taskId, change: "cancelled", nextRunAt: null });
    }
    if (plan.changes)
      await transaction.append({ eventType: tasksDeclared, payload: { source, taskIds: plan.taskIds } });
    if (dryRun) throw undo;
  });
  await running.catch((error: unknown) => {
    if (error !== undo) throw error;
  });
  return changed;
}

async function schedule(transaction: Transaction, request: DeclaredTask["request"]): Promise<ScheduledTask> {
  try {
    return await transaction.scheduleTask(request);
  } catch (error) {
    throw within(`The task ${quote(request.taskId)}`, error);
  }
}

/** There is nothing of it that waits or runs. */
function isOver(task: TaskInfo | null): boolean {
  return task === null || task.state === "cancelled";
}
