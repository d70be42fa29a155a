/** Scheduling only: how fast tasks are taken in, by how many callers, while nothing runs them. */
import { openSystem } from "../systems/open-system.ts";
import type { OpenSystem, SystemName } from "../systems/system.ts";
import { allQueues, postgresQueues, type Scenario, scheduleInBatches, secondsOf, shareOf } from "./scenario.ts";

export const scheduleBatches: Scenario = schedulingScenario({
  name: "schedule-batches",
  title: "Scheduling in batches",
  explanation: "One caller, `scheduleTasks` with 1,000 tasks a call, each call awaited.",
  systems: allQueues,
  targets: [
    { engine: "sqlite", metric: "tasksPerSecond", against: ["plainjob"], atLeast: 0.8 },
    { engine: "postgres", metric: "tasksPerSecond", against: postgresQueues, atLeast: 2 },
  ],
  tasksOf: (tasks) => tasks,
  schedule: scheduleInBatches,
});

/** The bare statements do nothing for calls of one task. */
const callersQueues = allQueues.filter((name) => name !== "bare-statements");

export const scheduleCallers: Scenario = schedulingScenario({
  name: "schedule-32-callers",
  title: "Scheduling by 32 callers",
  explanation: "32 callers, as in a web server, each awaiting one `scheduleTask` after the other.",
  systems: callersQueues,
  targets: [
    { engine: "sqlite", metric: "tasksPerSecond", against: ["plainjob"], atLeast: 2 },
    { engine: "postgres", metric: "tasksPerSecond", against: postgresQueues, atLeast: 10 },
  ],
  tasksOf: (tasks) => shareOf(tasks, 0.5, { least: 100, most: 20_000 }),
  schedule: (store, tasks) => byCallers(store, tasks, 32),
});

const oneInserts = ["one-insert-sqlite", "one-insert-postgres"] as const satisfies readonly SystemName[];

export const scheduleSingly: Scenario = schedulingScenario({
  name: "schedule-1-caller",
  title: "Scheduling by one caller",
  explanation: "One caller, awaiting one `scheduleTask` after the other: nothing to share a commit with.",
  systems: [...callersQueues, ...oneInserts],
  targets: [
    { engine: "sqlite", metric: "tasksPerSecond", against: ["one-insert-sqlite"], atLeast: 1 / 1.3 },
    { engine: "postgres", metric: "tasksPerSecond", against: ["one-insert-postgres"], atLeast: 1 / 1.3 },
  ],
  tasksOf: (tasks) => shareOf(tasks, 0.1, { least: 50, most: 2_000 }),
  schedule: (store, tasks) => byCallers(store, tasks, 1),
});

interface Scheduling extends Pick<Scenario, "name" | "title" | "explanation" | "systems" | "targets"> {
  readonly tasksOf: (tasks: number) => number;
  readonly schedule: (store: OpenSystem, tasks: number) => Promise<void>;
}

function schedulingScenario({ tasksOf, schedule, ...facts }: Scheduling): Scenario {
  return {
    ...facts,
    metrics: { tasksPerSecond: "tasks/s" },
    async measure(stage) {
      const count = tasksOf(stage.tasks);
      const store = await openSystem(stage.system, stage);
      const seconds = await secondsOf(() => schedule(store, count));
      const { tasks } = await store.count();
      if (tasks !== count) throw new Error(`${tasks} tasks are in the store, and ${count} were scheduled`);
      await store.close();
      return { tasksPerSecond: count / seconds };
    },
  };
}

async function byCallers(store: OpenSystem, tasks: number, callers: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < tasks) await store.schedule([{ number: next++ }]);
  };
  await Promise.all(Array.from({ length: callers }, caller));
}
