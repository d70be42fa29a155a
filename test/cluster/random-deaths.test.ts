/**
 * Whatever happens to its processes, at whatever moment: nothing acknowledged is lost, and each occurrence is
 * recorded once. A seed draws the moments and the load; a machine has its own pace, so it does not draw all.
 *
 *     CLUSTER_ROUNDS=200 CLUSTER_WORKERS=2 SEED=7 npx vitest run test/cluster/random-deaths.test.ts
 */
import { join } from "node:path";
import { expect } from "vitest";
import { type Random, seededRandom } from "../../src/random.ts";
import type { Child } from "./child.ts";
import { finish, Promises } from "./load-checker.ts";
import type { Log } from "./log-checker.ts";
import type { WorkerConfig } from "./messages.ts";
import { dismiss, type Stage, test } from "./stage.ts";

const rounds = Number(process.env.CLUSTER_ROUNDS ?? 8);
/** Processes under load at one time, of which each round kills one. */
const workers = Number(process.env.CLUSTER_WORKERS ?? 1);
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const timeout = 60_000 + rounds * 10_000;
console.log(`SEED=${seed}`);

const claimMs = 300;
/** A process is killed at most this long after its scheduler was at work. */
const longestLifeMs = 500;
/** Commands of one process, at the most: of several, those that are not killed go on meanwhile. */
const commands = 1_000;

function config(location: string, name: string): WorkerConfig {
  const scheduler = { claimDuration: `${claimMs}ms`, maxConcurrentTasks: 20, maxLostClaims: 1_000 };
  return { location, name, scheduler, taskTypes: ["note"], tally: true };
}

/** Workers under load, each with a name and a seed of its own. */
class Staff {
  readonly workers: Child[] = [];
  readonly #stage: Stage;
  readonly #location: string;
  #hired = 0;

  constructor(stage: Stage, location: string) {
    this.#stage = stage;
    this.#location = location;
  }

  async fill(count: number): Promise<void> {
    const missing = Math.max(0, count - this.workers.length);
    this.workers.push(...(await Promise.all(Array.from({ length: missing }, () => this.#hire()))));
  }

  #hire(): Promise<Child> {
    const number = this.#hired++;
    const load = { seed: seed + number, commands };
    return this.#stage.worker({ ...config(this.#location, `worker-${number}`), load });
  }

  /** Takes one of them out. */
  draw(random: Random): Child {
    const [worker] = this.workers.splice(Math.floor(random() * this.workers.length), 1);
    if (worker === undefined) throw new Error("There is nobody.");
    return worker;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function report(what: string, { acknowledged }: Promises, log: Log): void {
  const [events, lost, refused] = [
    log.events.length,
    log.all("TaskReleased").length,
    log.all("TaskResultRefused").length,
  ];
  console.log(
    `${what}: ${acknowledged.size} tasks acknowledged, ${events} events, ${lost} claims lost, ${refused} results refused`,
  );
}

test(`${rounds} kills under load (SEED=${seed})`, { timeout }, async ({ stage }) => {
  const random = seededRandom(seed);
  const location = stage.directory();
  const promises = new Promises();
  const staff = new Staff(stage, location);
  for (let round = 0; round < rounds; round++) {
    await staff.fill(workers);
    await sleep(random() * longestLifeMs);
    const victim = staff.draw(random);
    await victim.kill();
    promises.takeFrom(victim);

    const { db } = await stage.desk(location);
    expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    await promises.expectKeptIn(db);
    await db.close();
  }
  for (const worker of staff.workers) {
    await worker.kill();
    promises.takeFrom(worker);
  }
  report(`${rounds} kills`, promises, await finish(stage, config(location, "last"), promises));
});

test(`${rounds} misfortunes of three processes (SEED=${seed})`, { timeout }, async ({ stage }) => {
  const random = seededRandom(seed + 1);
  const location = stage.directory();
  const promises = new Promises();
  const staff = new Staff(stage, location);
  const { db } = await stage.desk(location);
  const misfortunes: readonly ((worker: Child) => Promise<void>)[] = [
    async (worker) => {
      await worker.kill();
    },
    async (worker) => {
      await dismiss(worker);
    },
    // For longer than its claim, or not; perhaps in the middle of a commit.
    async (worker) => {
      worker.signal("SIGSTOP");
      await sleep(random() * 3 * claimMs);
      worker.signal("SIGCONT");
      staff.workers.push(worker);
    },
    async (worker) => {
      staff.workers.push(worker);
      await db.transaction(() => sleep(random() * 2 * claimMs));
    },
    async (worker) => {
      staff.workers.push(worker);
      await db.rebuild();
    },
    async (worker) => {
      staff.workers.push(worker);
      expect(await db.verify()).toMatchObject({ ok: true, difference: null });
    },
    async (worker) => {
      staff.workers.push(worker);
      const copy = join(stage.directory(), "copy.db");
      await db.backup(copy);
      const { db: copied } = await stage.desk(copy);
      expect(await copied.verify()).toMatchObject({ ok: true, difference: null });
      await copied.close();
    },
  ];
  for (let count = 0; count < rounds; count++) {
    await staff.fill(3);
    await sleep(random() * 200);
    const worker = staff.draw(random);
    await misfortunes[Math.floor(random() * misfortunes.length)]?.(worker);
    if (!staff.workers.includes(worker)) promises.takeFrom(worker);
  }
  await dismiss(...staff.workers);
  for (const worker of staff.workers) promises.takeFrom(worker);
  report(`${rounds} misfortunes`, promises, await finish(stage, config(location, "last"), promises));
});
