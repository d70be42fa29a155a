/**
 * User code that ends its process: by a kill, by taking all memory, by what rejects or throws where nobody waits. The
 * library keeps no process alive that Node would end; what ran there runs elsewhere, and what ends every process is given up.
 */
import { immediate } from "azoth-scheduler";
import { expect } from "vitest";
import type { Child, Ending } from "./child.ts";
import { expectWhole } from "./log-checker.ts";
import type { NotePayload, WorkerConfig } from "./messages.ts";
import { dismiss, schedule, test, untilDone } from "./stage.ts";

const claimDuration = "500ms";
const maxLostClaims = 2;

function config(location: string, name: string, further: Partial<WorkerConfig> = {}): WorkerConfig {
  const scheduler = { claimDuration, maxLostClaims };
  // Enough for the library, and soon gone.
  const nodeOptions = ["--max-old-space-size=40"];
  return { location, name, scheduler, taskTypes: ["poison", "hold"], nodeOptions, ...further };
}

interface Mishap {
  readonly by: NonNullable<NotePayload["by"]>;
  readonly ending: Ending;
  /** What Node has to say about it. */
  readonly says: string;
}

const mishaps: readonly Mishap[] = [
  { by: "kill", ending: { code: null, signal: "SIGKILL" }, says: "" },
  { by: "memory", ending: { code: null, signal: "SIGABRT" }, says: "heap out of memory" },
  { by: "rejection", ending: { code: 1, signal: null }, says: "a rejection that nobody awaits" },
  { by: "throw", ending: { code: 1, signal: null }, says: "a throw in a timer" },
];

async function expectDeath(victim: Child, { ending, says }: Mishap): Promise<void> {
  expect(await victim.ended).toEqual(ending);
  expect(victim.output).toContain(says);
  expect(victim.all("store-failed")).toEqual([]);
}

test.concurrent.for(mishaps)(
  "a task that ends every process that runs it ($by) is given up, and no other with it",
  async (mishap, { stage }) => {
    const location = stage.directory();
    const desk = await stage.desk(location);
    const first = stage.child("worker", config(location, "one"));
    await schedule(desk, "hold", "beside");
    await first.told("started", ({ taskId }) => taskId === "beside");
    await desk.scheduler.scheduleTask({
      taskId: "poison",
      taskType: "poison",
      schedule: immediate(),
      payload: { by: mishap.by },
      maxRetries: 1,
    });
    await expectDeath(first, mishap);
    await expectDeath(stage.child("worker", config(location, "two", { taskTypes: ["poison"] })), mishap);
    const survivor = await stage.worker(config(location, "three", { holds: false }));
    await untilDone(desk);
    await dismiss(survivor);

    expect(await desk.scheduler.getTask("beside")).toMatchObject({ state: "completed" });
    expect(await desk.scheduler.getTask("poison")).toMatchObject({ state: "disabled" });
    const log = await expectWhole(desk.db, { maxLostClaims });
    const released = log.all("TaskReleased", "poison").map(({ payload }) => payload);
    expect(released).toMatchObject([{ because: "claim-lost", detail: expect.stringContaining("(one)") as string }]);
    const ends = log.all("TaskExecuted", "poison").map(({ payload }) => payload);
    expect(ends).toMatchObject([{ success: false, then: "disabled", error: { code: "CLAIM_LOST" } }]);
    expect(log.all("SchedulerLost").map(({ payload }) => log.nameOf(payload.instance))).toEqual(["one", "two"]);
  },
);

test.concurrent.for(["rejection", "throw"] as const)(
  "where the application listens for what nobody caught (%s), the run goes on",
  async (by, { stage }) => {
    const location = stage.directory();
    const desk = await stage.desk(location);
    const worker = await stage.worker(config(location, "worker", { listens: true }));
    await schedule(desk, "poison", "poison", { by });
    await untilDone(desk);
    expect(worker.all("uncaught")).toHaveLength(1);
    await dismiss(worker);
    const log = await expectWhole(desk.db, { maxLostClaims });
    expect(log.all("TaskExecuted", "poison").map(({ payload }) => payload.success)).toEqual([true]);
  },
);

test.concurrent("a scheduler listens for nothing of the whole process", async ({ stage }) => {
  const worker = await stage.worker(config(stage.directory(), "worker"));
  const [{ names } = { names: [] }] = worker.all("listeners");
  // The worker's own, beside what Node itself listens for.
  expect(names.filter((name) => /^(SIG(?!WINCH)|uncaught|unhandled|rejection|beforeExit)/.test(name))).toEqual([
    "SIGTERM",
  ]);
  await dismiss(worker);
});
