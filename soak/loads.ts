/** The loads of a soak. Each takes a fresh place for its store, and tells its figures and what it found broken. */
import { AzothDb, immediate, interval, isAzothError, Scheduler, taskHandler } from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";
import { type Figures, MemoryWatch, Stopwatch } from "./figures.ts";

export interface Outcome {
  readonly figures: Figures;
  readonly violations: readonly string[];
}

const tasksPerCall = 1_000;
const samplesOfMemory = 20;

/** Fails unless the store is whole, and as many tasks are completed as were scheduled. */
async function wholeness(db: AzothDb, completed: number, expected: number): Promise<string[]> {
  const { ok, difference } = await db.verify();
  return [
    ...(ok ? [] : [`verify: ${JSON.stringify(difference)}`]),
    ...(completed === expected ? [] : [`${completed} tasks of ${expected} are completed`]),
  ];
}

async function untilAll(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** So many tasks, or for so long, through one store, scheduled while others run; what waits is bounded. */
export async function manyTasks(location: string, bound: { tasks?: number; ms?: number }): Promise<Outcome> {
  const { tasks: most = Number.POSITIVE_INFINITY, ms: longest = Number.POSITIVE_INFINITY } = bound;
  const mostWaiting = 5 * tasksPerCall;
  const db = await AzothDb.open(location);
  const memory = new MemoryWatch();
  const runs = new Uint8Array(Number.isFinite(most) ? most : 0);
  let ran = 0;
  let scheduled = 0;
  let onRoom = () => {};
  const job = taskHandler({
    taskType: "job",
    execute: (_, index: number) => {
      if (index < runs.length) runs[index] = (runs[index] ?? 0) + 1;
      ran++;
      if (scheduled - ran < mostWaiting) onRoom();
    },
  });
  const scheduler = new Scheduler(db, { handlers: [job], maxConcurrentTasks: 100 });
  const watch = new Stopwatch();
  await scheduler.start();
  const share = (part: number) => Math.max((scheduled / most) * part, (watch.ms / longest) * part);
  for (let samples = 0; scheduled < most && watch.ms < longest; ) {
    const count = Math.min(tasksPerCall, most - scheduled);
    const requests = Array.from({ length: count }, (_, index) => {
      return { taskType: "job", schedule: immediate(), payload: scheduled + index } as const;
    });
    scheduled += count;
    await scheduler.scheduleTasks(requests);
    if (scheduled - ran >= mostWaiting) await new Promise<void>((resolve) => (onRoom = resolve));
    if (share(samplesOfMemory) > samples) {
      samples++;
      memory.sample(ran);
    }
  }
  await untilAll(() => ran === scheduled);
  await scheduler.stop();
  const figures = { tasks: scheduled, ...watch.stop(scheduled), ...memory.figures };
  const { completed } = await scheduler.countTasks();
  const twice = runs.filter((count) => count !== 1).length;
  const violations = await wholeness(db, completed, scheduled);
  if (twice > 0) violations.push(`${twice} tasks did not run exactly once`);
  await db.close();
  return { figures, violations: [...violations, ...memory.violations()] };
}

/** Tasks that recur at the same second, in virtual time, with a stop in between for longer than their interval. */
export async function sameSecond(
  location: string,
  { tasks, occurrences }: { tasks: number; occurrences: number },
): Promise<Outcome> {
  const runs = new Map<string, number[]>();
  const job = taskHandler({
    taskType: "job",
    execute: ({ taskId, scheduledFor }) => {
      const times = runs.get(taskId) ?? [];
      runs.set(taskId, times);
      times.push(scheduledFor.getTime());
    },
  });
  const kit = await createTestScheduler({ location, handlers: [job], patience: 0, maxRounds: 10_000 + 20 * tasks });
  const startMs = kit.clock.now();
  const hourMs = 3_600_000;
  const ids = Array.from({ length: tasks }, (_, index) => `task ${index}`);
  for (let from = 0; from < tasks; from += tasksPerCall) {
    const schedule = interval("1h", { anchor: startMs });
    await kit.scheduler.scheduleTasks(
      ids.slice(from, from + tasksPerCall).map((taskId) => ({ taskId, taskType: "job", schedule }) as const),
    );
  }
  const watch = new Stopwatch();
  await kit.advance(occurrences * hourMs);
  // Two are missed, and a third falls due as it comes back: the first of them runs late, and stands for the others.
  await kit.stop();
  await kit.advance(3 * hourMs);
  await kit.restart();
  await kit.settle();
  const perTask = occurrences + 1;
  const figures = { tasks, occurrences: perTask, ...watch.stop(tasks * perTask) };
  const expected = Array.from({ length: perTask }, (_, index) => startMs + (index + 1) * hourMs).join();
  const wrong = ids.filter((taskId) => runs.get(taskId)?.join() !== expected);
  const nextMs = startMs + (occurrences + 4) * hourMs;
  let misplaced = 0;
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page = await kit.scheduler.listTasks({ limit: 1_000, ...(cursor === "" ? {} : { cursor }) });
    misplaced += page.tasks.filter(({ nextRunAt }) => nextRunAt?.getTime() !== nextMs).length;
    cursor = page.nextCursor;
  }
  const { ok } = await kit.db.verify();
  await kit[Symbol.asyncDispose]();
  return {
    figures,
    violations: [
      ...(wrong.length === 0
        ? []
        : [
            `${wrong.length} tasks did not run once for each occurrence, such as ${wrong[0]}: ${runs.get(wrong[0] ?? "")?.join()}`,
          ]),
      ...(misplaced === 0 ? [] : [`${misplaced} tasks have another next occurrence than the next hour`]),
      ...(ok ? [] : ["verify fails"]),
    ],
  };
}

/** A task that schedules ten others, which do the same, to a bound. */
export async function fanOut(location: string, { depth }: { depth: number }): Promise<Outcome> {
  const children = 10;
  const expected = (children ** (depth + 1) - 1) / (children - 1);
  const db = await AzothDb.open(location);
  const memory = new MemoryWatch();
  let ran = 0;
  const fan = taskHandler({
    taskType: "fan",
    execute: ({ transaction }, left: number) => {
      if (ran++ % Math.ceil(expected / samplesOfMemory) === 0) memory.sample(ran);
      const scheduling = left > 0 ? children : 0;
      for (let child = 0; child < scheduling; child++) {
        void transaction.scheduleTask({ taskType: "fan", schedule: immediate(), payload: left - 1 });
      }
    },
  });
  const scheduler = new Scheduler(db, { handlers: [fan], maxConcurrentTasks: 50 });
  const watch = new Stopwatch();
  await scheduler.start();
  await scheduler.scheduleTask({ taskType: "fan", schedule: immediate(), payload: depth });
  let completed = 0;
  for (let waiting = 1; waiting > 0; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const counts = await scheduler.countTasks();
    completed = counts.completed;
    waiting = counts.waiting + counts.running + counts.claimed;
  }
  await scheduler.stop();
  const figures = { tasks: expected, ...watch.stop(expected), ...memory.figures };
  const violations = [...(await wholeness(db, completed, expected)), ...memory.violations()];
  if (ran !== expected) violations.push(`${ran} runs of ${expected} tasks`);
  await db.close();
  return { figures, violations };
}

/** Calls that nobody awaits, many more than the store keeps waiting. */
export async function flood(
  location: string,
  { calls, maxQueuedBytes }: { calls: number; maxQueuedBytes: number },
): Promise<Outcome> {
  const db = await AzothDb.open(location, { maxQueuedBytes });
  const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
  const violations: string[] = [];
  const watch = new Stopwatch();
  let taken = 0;
  let refused = 0;
  const pending = Array.from({ length: calls }, async (_, payload) => {
    try {
      await scheduler.scheduleTask({ taskType: "job", schedule: immediate(), payload });
      taken++;
    } catch (error) {
      if (isAzothError(error, "STORE_OVERLOADED")) refused++;
      else violations.push(String(error));
    }
  });
  await Promise.all(pending);
  const figures = { calls, taken, refused, ...watch.stop(taken) };
  await scheduler.scheduleTask({ taskType: "job", schedule: immediate() });
  const { waiting } = await scheduler.countTasks();
  if (waiting !== taken + 1) violations.push(`${waiting} tasks are stored, and ${taken + 1} were acknowledged`);
  if (refused === 0) violations.push("nothing was refused");
  await db.close();
  return { figures, violations };
}

/** So long in virtual time: tasks of every second. */
export async function virtualTime(
  location: string,
  { tasks, minutes }: { tasks: number; minutes: number },
): Promise<Outcome> {
  let ran = 0;
  const job = taskHandler({ taskType: "job", execute: () => void ran++ });
  const kit = await createTestScheduler({ location, handlers: [job], patience: 0, pollInterval: "1s" });
  const schedule = interval("1s");
  await kit.scheduler.scheduleTasks(Array.from({ length: tasks }, () => ({ taskType: "job", schedule }) as const));
  const memory = new MemoryWatch();
  const watch = new Stopwatch();
  for (let sample = 0; sample < samplesOfMemory; sample++) {
    await kit.advance((minutes * 60_000) / samplesOfMemory);
    memory.sample(ran);
  }
  const expected = tasks * minutes * 60;
  const figures = { runs: ran, ...watch.stop(ran), ...memory.figures };
  const { ok } = await kit.db.verify();
  await kit[Symbol.asyncDispose]();
  return {
    figures,
    violations: [
      ...memory.violations(),
      ...(ran === expected ? [] : [`${ran} runs of ${expected}`]),
      ...(ok ? [] : ["verify fails"]),
    ],
  };
}
