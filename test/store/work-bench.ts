/** A unit of work on a transaction that only writes down what it is told: what reaches an engine, when, and in which pieces. */
import type { EngineTransaction, NewEvent, TaskChange } from "../../src/store/engine.ts";
import { Sealing } from "../../src/store/sealing.ts";
import { Work } from "../../src/store/work.ts";
import type { Pace } from "../../src/pace.ts";
import type { TaskCommand } from "../../src/tasks/command.ts";
import type { TaskState } from "../../src/tasks/task-state.ts";
import { definition } from "../tasks/story.ts";

export const nowMs: number = Date.UTC(2026, 0, 1);

export interface WorkBench {
  readonly work: Work;
  /** What the engine was told to write, in order: pieces of events, and pieces of changed tasks. */
  readonly written: { readonly events: readonly NewEvent[]; readonly changes: readonly TaskChange[] }[];
  /** What was asked of the engine: ids and internal numbers. */
  readonly asked: (string | number)[];
  /** How often the work paused. */
  readonly pauses: { count: number };
}

export interface BenchOptions {
  /** What the store holds. */
  readonly stored?: readonly TaskState[];
  /** Ids and internal numbers of tasks that another transaction holds. */
  readonly held?: readonly (string | number)[];
  /** Whether each look at the pace says that it is time for a pause. */
  readonly spent?: boolean;
}

export function workBench({ stored = [], held = [], spent = false }: BenchOptions = {}): WorkBench {
  const written: WorkBench["written"] = [];
  const asked: (string | number)[] = [];
  const pauses = { count: 0 };
  let drawn = 0;
  let position = 0;
  const lock = async (keys: readonly (string | number)[], keyOf: (state: TaskState) => string | number) => {
    asked.push(...keys);
    const free = keys.filter((key) => !held.includes(key));
    return {
      tasks: stored.filter((state) => free.includes(keyOf(state))),
      held: keys.filter((key) => held.includes(key)),
    };
  };
  const engine: Partial<EngineTransaction> = {
    lockTasks: async (ids) => (await lock(ids, ({ taskId }) => taskId)) as { tasks: TaskState[]; held: string[] },
    lockTasksBySeq: async (seqs) => (await lock(seqs, ({ seq }) => seq)) as { tasks: TaskState[]; held: number[] },
    lockDueTasks: async ({ limit }) => stored.slice(0, limit),
    holdInstance: async () => true,
    drawTaskSeqs: async (count) => Array.from({ length: count }, () => ++drawn),
    append: async (events) => {
      written.push({ events, changes: [] });
      return events.map(() => ++position);
    },
    post: async (events) => void written.push({ events, changes: [] }),
    saveTasks: async (changes) => void written.push({ events: [], changes }),
    nested: async (act) => await act(),
  };
  const pace: Pick<Pace, "isSpent" | "pause"> = {
    isSpent: spent,
    pause: async () => void pauses.count++,
  };
  const outside = { context: { nowMs, tzdata: "test" }, draw: () => 0, sealing: new Sealing(undefined) };
  return { work: new Work(engine as EngineTransaction, outside, pace as Pace), written, asked, pauses };
}

/** Schedules a task that is due at once. */
export const scheduling = (taskId: string, priority = 0): TaskCommand => ({
  kind: "schedule",
  taskId,
  taskType: "work",
  definition: definition({ kind: "immediate" }, { priority }),
  payload: "null",
});

/** The types of events that were written, piece by piece. */
export const typesIn = (written: WorkBench["written"]): string[][] =>
  written.map(({ events }) => events.map(({ type }) => type)).filter((types) => types.length > 0);

/** The changes of tasks that were written, piece by piece, as "id: phase before > phase after". */
export const changesIn = (written: WorkBench["written"]): string[][] =>
  written
    .map(({ changes }) =>
      changes.map(({ before, after }) => `${after.taskId}: ${before?.phase ?? "nothing"} > ${after.phase}`),
    )
    .filter((changes) => changes.length > 0);

/** A task as it is stored after these commands. */
export async function storedTask(taskId: string, ...commands: TaskCommand[]): Promise<TaskState> {
  const { work } = workBench();
  await work.reserveSeqs(1);
  let { state } = work.dispatch(null, scheduling(taskId));
  for (const command of commands) state = work.dispatch(state, command).state;
  return state;
}
