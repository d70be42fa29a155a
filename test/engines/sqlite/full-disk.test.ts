/** A disk that is full: nothing acknowledged is lost, the errors say so, and everything goes on once there is space. */
import { spawnSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { immediate } from "../../../src/schedule/immediate.ts";
import { Scheduler } from "../../../src/scheduler/scheduler.ts";
import { taskHandler } from "../../../src/scheduler/task-handler.ts";
import { AzothDb } from "../../../src/store/azoth-db.ts";
import { eventsOf, openStore, scratchDirectory, until } from "../../store/scratch-stores.ts";
import { startWorker } from "../store-worker.ts";

/** A small disk of its own, or undefined where none can be mounted. */
function smallDisk(megabytes: number): string | undefined {
  const directory = scratchDirectory();
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", directory]);
  if (status !== 0) return undefined;
  onTestFinished(() => void spawnSync("umount", ["-l", directory]));
  return directory;
}

/** Leaves no more than so many bytes free. */
function fill(disk: string, leaving: number): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, "ballast"), Buffer.alloc(Math.max(0, bavail * bsize - leaving)));
}

const free = (disk: string) => rmSync(join(disk, "ballast"));

async function expectAll(db: AzothDb, acknowledged: readonly string[]): Promise<void> {
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const events = await eventsOf(db);
  const scheduled = new Set(
    events.filter(({ eventType }) => eventType === "TaskScheduled").map(({ taskId }) => taskId),
  );
  expect(acknowledged.filter((id) => !scheduled.has(id))).toEqual([]);
}

describe("a full disk", () => {
  test("refuses what does not fit with STORE_FULL, and loses nothing of what did", async (context) => {
    const disk = smallDisk(8);
    if (disk === undefined) return context.skip("no file system can be mounted here");
    const db = await openStore(join(disk, "store"));
    const ran: string[] = [];
    const failures = new Set<string>();
    const work = taskHandler({
      taskType: "work",
      execute: (run) => {
        ran.push(run.taskId);
        return { eventType: "worked", payload: run.taskId };
      },
    });
    const scheduler = new Scheduler(db, {
      handlers: [work],
      pollInterval: "20ms",
      claimDuration: "1h",
      onSignal: (signal) => {
        if (signal.name === "store.failed" && "code" in signal.error) failures.add(signal.error.code);
      },
    });
    await scheduler.start();
    fill(disk, 900_000);
    const acknowledged: string[] = [];
    const refused: unknown[] = [];
    for (let index = 0; refused.length < 20; index++) {
      const taskId = `task-${index}`;
      await scheduler
        .scheduleTask({ taskId, taskType: "work", schedule: immediate(), payload: "x".repeat(2_000) })
        .then(
          () => acknowledged.push(taskId),
          (error: unknown) => refused.push(error),
        );
    }
    expect(acknowledged.length).toBeGreaterThan(5);
    for (const error of refused) expect(error).toMatchObject({ name: "AzothError", code: "STORE_FULL" });
    // What is there can be read, and has not suffered.
    expect(await db.lastPosition()).toBeGreaterThan(0);
    await expectAll(db, acknowledged);
    const refusals = [
      () => db.transaction((tx) => tx.append({ eventType: "big", payload: "x".repeat(500_000) })),
      () => db.backup(join(disk, "backup.db")),
      () => AzothDb.open(join(disk, "another")),
    ];
    for (const refusal of refusals) {
      await expect(refusal(), String(refusal)).rejects.toMatchObject({ name: "AzothError", code: "STORE_FULL" });
    }
    free(disk);
    await until(
      async () => (await scheduler.countTasks()).completed === acknowledged.length,
      "all tasks completed",
      20_000,
    );
    await scheduler.stop();
    expect(failures.size === 0 || (failures.size === 1 && failures.has("STORE_FULL"))).toBe(true);
    await expectAll(db, acknowledged);
    const worked = (await eventsOf(db, { eventTypes: ["worked"] })).map(({ taskId }) => taskId);
    expect(worked.toSorted()).toEqual(acknowledged.toSorted());
    await db.transaction((tx) => tx.append({ eventType: "big", payload: "x".repeat(500_000) }));
    await db.backup(join(disk, "backup.db"));
  });

  test("at the end of a scheduler does not stop it from stopping", async (context) => {
    const disk = smallDisk(8);
    if (disk === undefined) return context.skip("no file system can be mounted here");
    const db = await openStore(join(disk, "store"));
    const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
    const controller = new AbortController();
    const running = scheduler.run({ signal: controller.signal }).then(
      () => "stopped",
      (error: unknown) => (error as { code: string }).code,
    );
    await scheduler.scheduleTask({ taskType: "work", schedule: immediate() });
    fill(disk, 0);
    // Whatever room is left in the files is used up.
    for (let full = false; !full; ) {
      full = await scheduler.scheduleTask({ taskType: "work", schedule: immediate(), payload: "x".repeat(3_000) }).then(
        () => false,
        () => true,
      );
    }
    controller.abort();
    expect(["stopped", "STORE_FULL"]).toContain(await running);
    free(disk);
    await db.close();
    const again = await openStore(join(disk, "store"));
    expect(await again.verify()).toMatchObject({ ok: true });
  });

  test("of a process, by a limit on its files, loses nothing acknowledged", async (context) => {
    if (process.platform === "win32" || spawnSync("bash", ["-c", "ulimit -f 100"]).status !== 0) {
      return context.skip("no limit can be set here");
    }
    const location = scratchDirectory();
    // In blocks of 1,024 bytes; without the trap the system would end the process at the limit.
    const limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 600; exec "$@"', "limited"];
    const worker = await startWorker({ location, run: true }, limited);
    worker.tell({ command: "schedule", prefix: "task", count: 600, payload: "x".repeat(1_000) });
    await worker.hears("scheduled");
    const codes = new Set(worker.said("error").map(([error]) => (error as { code: string }).code));
    expect([...codes].filter((code) => code !== "STORE_FULL" && code !== "STORE_FAILED")).toEqual([]);
    expect(codes.size).toBeGreaterThan(0);
    expect(worker.said("error").every(([error]) => (error as { isAzoth: boolean }).isAzoth)).toBe(true);
    await worker.crash();
    const db = await openStore(location);
    expect(worker.acknowledged.length).toBeGreaterThan(10);
    await expectAll(db, worker.acknowledged as string[]);
  });
});
