/** Scheduling only: how fast tasks are taken in, by how many callers, while nothing runs them. */
import { openSystem } from "../systems/open-system.ts";
import { type Scenario, scheduleInBatches, secondsOf, shareOf } from "./scenario.ts";
import type { OpenSystem } from "../systems/system.ts";

export const scheduleBatches: Scenario = schedulingScenario({
  name: "schedule-batches",
  title: "Scheduling in batches",
  explanation: "One caller, `scheduleTasks` with 1,000 tasks a call, each call awaited.",
  tasksOf: (tasks) => tasks,
  schedule: scheduleInBatches,
});

export const scheduleCallers: Scenario = schedulingScenario({
  name: "schedule-32-callers",
  title: "Scheduling by 32 callers",
  explanation: "32 callers, as in a web server, each awaiting one `scheduleTask` after the other.",
  tasksOf: (tasks) => shareOf(tasks, 0.5, { least: 100, most: 20_000 }),
  schedule: (store, tasks) => byCallers(store, tasks, 32),
});

export const scheduleSingly: Scenario = schedulingScenario({
  name: "schedule-1-caller",
  title: "Scheduling by one caller",
  explanation: "One caller, awaiting one `scheduleTask` after the other: nothing to share a commit with.",
  tasksOf: (tasks) => shareOf(tasks, 0.1, { least: 50, most: 2_000 }),
  schedule: (store, tasks) => byCallers(store, tasks, 1),
});

interface Scheduling extends Pick<Scenario, "name" | "title" | "explanation"> {
  readonly tasksOf: (tasks: number) => number;
  readonly schedule: (store: OpenSystem, tasks: number) => Promise<void>;
}

function schedulingScenario({ tasksOf, schedule, ...words }: Scheduling): Scenario {
  return {
    ...words,
    contest: "by-store",
    metrics: { tasksPerSecond: { label: "tasks/s", compared: true } },
    async measure({ directory, system, tasks }) {
      const count = tasksOf(tasks);
      const store = await openSystem(directory, system);
      const seconds = await secondsOf(() => schedule(store, count));
      const { events } = await store.count();
      if (events !== count) throw new Error(`${events} events are in the log for ${count} scheduled tasks`);
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
