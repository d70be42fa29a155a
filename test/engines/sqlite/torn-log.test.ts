/**
 * A write-ahead log that ends anywhere, as after a power cut: every commit that was acknowledged before the cut is
 * there, the one that was cut is gone as a whole, and the log proves the state.
 */
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seededRandom } from "../../../src/random.ts";
import { immediate } from "../../../src/schedule/immediate.ts";
import { Scheduler } from "../../../src/scheduler/scheduler.ts";
import { eventsOf, openStore, scratchDirectory, until } from "../../store/scratch-stores.ts";
import { startWorker } from "../store-worker.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000_007);
const cuts = Number(process.env["AZOTH_CUTS"] ?? 40);

/** What a process that was killed under load has left, and what it had acknowledged when its log had which size. */
async function killedStore(random: () => number) {
  const location = scratchDirectory();
  const worker = await startWorker({ location, run: true });
  worker.tell({ command: "schedule", prefix: "task", count: 1_000_000, inFlight: 4 });
  worker.tell({ command: "append", count: 1_000_000, eventType: "noted" });
  const enough = 60 + Math.floor(random() * 60);
  await until(() => worker.said("ack").length >= enough, `${enough} acknowledged`);
  await worker.crash();
  expect(worker.said("crashed")).toEqual([]);
  const acknowledged = worker.said("ack") as [id: string | number, logSize: number][];
  return { file: join(location, "azoth.db"), acknowledged };
}

async function expectWhole(directory: string, acknowledged: readonly (string | number)[]): Promise<void> {
  const db = await openStore(directory);
  expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  const events = await eventsOf(db);
  expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => index + 1));
  const noted = new Set(events.filter(({ eventType }) => eventType === "noted").map(({ position }) => position));
  const scheduled = new Set(
    events.filter(({ eventType }) => eventType === "TaskScheduled").map(({ taskId }) => taskId),
  );
  const lost = acknowledged.filter((id) => (typeof id === "number" ? !noted.has(id) : !scheduled.has(id)));
  expect(lost).toEqual([]);
  // It can be written to again.
  const scheduler = new Scheduler(db, { externalTaskTypes: ["work"] });
  await scheduler.scheduleTask({ taskId: "after", taskType: "work", schedule: immediate() });
  expect(await db.verify()).toMatchObject({ ok: true });
  await db.close();
}

test(`the log cut at ${cuts} places (seed ${seed})`, { timeout: 30_000 + cuts * 500 }, async () => {
  const random = seededRandom(seed);
  const { file, acknowledged } = await killedStore(random);
  const log = `${file}-wal`;
  expect(existsSync(log)).toBe(true);
  const { size } = statSync(log);
  expect(size).toBeLessThan(16_000_000);
  const places = [size, size - 1, 0, 1, 31, 32, 33, 56, 32 + 24 + 4_096, 32 + 24 + 4_095, 32 + 24 + 4_097];
  while (places.length < cuts) places.push(Math.floor(random() * size));
  for (const place of places) {
    const directory = scratchDirectory();
    copyFileSync(file, join(directory, "azoth.db"));
    copyFileSync(log, join(directory, "azoth.db-wal"));
    truncateSync(join(directory, "azoth.db-wal"), place);
    const before = acknowledged.filter(([, logSize]) => logSize <= place).map(([id]) => id);
    await expectWhole(directory, before);
  }
});

test(`the log damaged at ${cuts} places (seed ${seed})`, { timeout: 30_000 + cuts * 500 }, async () => {
  const random = seededRandom(seed + 1);
  const { file, acknowledged } = await killedStore(random);
  const bytes = readFileSync(`${file}-wal`);
  for (let each = 0; each < cuts; each++) {
    const directory = scratchDirectory();
    const place = Math.floor(random() * bytes.length);
    const damaged = Buffer.from(bytes);
    damaged[place] = (damaged[place] ?? 0) ^ (1 << Math.floor(random() * 8));
    copyFileSync(file, join(directory, "azoth.db"));
    writeFileSync(join(directory, "azoth.db-wal"), damaged);
    // Frames before the damage count; the damaged one and all after it do not. The header is checked only in part.
    const before = acknowledged.filter(([, logSize]) => logSize <= place).map(([id]) => id);
    await expectWhole(directory, place < 32 ? [] : before);
  }
});

test(`the file alone, without its log, is the store of the last checkpoint (seed ${seed})`, async () => {
  const { file } = await killedStore(seededRandom(seed + 2));
  const directory = scratchDirectory();
  copyFileSync(file, join(directory, "azoth.db"));
  await expectWhole(directory, []);
});

test(`the whole remains are taken up where they ended (seed ${seed})`, async () => {
  const { file, acknowledged } = await killedStore(seededRandom(seed + 3));
  await expectWhole(
    join(file, ".."),
    acknowledged.map(([id]) => id),
  );
});
