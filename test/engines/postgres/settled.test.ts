/**
 * Readers of a log that many write to at once: every committed event, once, in the order of positions, whatever is
 * committed late, rolled back, prepared or lost with the server; and nobody waits for them.
 *
 *     ROUNDS=50 SEED=7 npx vitest run --project postgres test/engines/postgres/settled.test.ts
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AzothDb,
  eventHandler,
  immediate,
  isAzothError,
  oneTime,
  type RecordedEvent,
  Scheduler,
  taskHandler,
} from "azoth-scheduler";
import { type Random, seededRandom } from "azoth-scheduler/testing";
import type { Client } from "pg";
import { describe, expect, test } from "vitest";
import type { Connections } from "../../../src/engines/postgres/connections.ts";
import type { Place } from "../../../src/engines/postgres/place.ts";
import { SettledLog } from "../../../src/engines/postgres/settled.ts";
import { canStartServers } from "../../postgres/databases.ts";
import { eventsOf, until, valueOf } from "../../store/scratch-stores.ts";
import { begin, connect, openDb } from "./clients.ts";
import { atEnd, eachInScope, inScope, ownServer, ownUrl } from "./scope.ts";

const rounds = Number(process.env.ROUNDS ?? 3);
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
console.log(`SEED=${seed}`);

/** Longer than any of these readers takes to see what it may see. */
const atOnceMs = 2_000;

/** Reads a log as a user does, who begins again where the connection was lost. */
class Follower {
  readonly seen: RecordedEvent[] = [];
  readonly #ending = new AbortController();
  readonly #following: Promise<void>;

  constructor(db: AzothDb) {
    this.#following = this.#follow(db);
    atEnd(() => this.end());
  }

  get positions(): number[] {
    return this.seen.map(({ position }) => position);
  }

  /** What was appended as `{ eventType: "mark", payload }`. */
  get marks(): unknown[] {
    return this.seen.filter(({ eventType }) => eventType === "mark").map(({ payload }) => payload);
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#following;
  }

  async #follow(db: AzothDb): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        for await (const event of db.subscribe({ after: this.positions.at(-1) ?? 0, signal })) this.seen.push(event);
      } catch (error) {
        if (!isAzothError(error, "STORE_UNREACHABLE")) throw error;
        await sleep(20);
      }
    }
  }
}

const mark = (payload: unknown) => ({ eventType: "mark", payload });
const marksOf = async (db: AzothDb) => (await eventsOf(db, { eventTypes: ["mark"] })).map(({ payload }) => payload);
/** What is committed, whatever readers may see of it. */
const committed = async (client: Client) => {
  const { rows } = await client.query<{ position: string }>("SELECT position FROM azoth_events ORDER BY position");
  return rows.map(({ position }) => Number(position));
};

/** Keeps everything that it handles, in its order, in a table of its own. */
function ledger(eventTypes: readonly string[]) {
  return eventHandler({
    name: "ledger",
    eventTypes: [...eventTypes],
    handle: (event, tx) => tx.execute("INSERT INTO ledger (position) VALUES (?)", [event.position]),
  });
}

const ledgerTable = "CREATE TABLE ledger (number bigint GENERATED ALWAYS AS IDENTITY, position bigint)";
const ledgerOf = async (db: AzothDb) =>
  (await db.query("SELECT position FROM ledger ORDER BY number")).map(({ position }) => position);

/** Resolves with whether it was committed. */
async function writeAtRandom(
  client: Client,
  scheduler: Scheduler,
  random: Random,
  key: string,
): Promise<readonly string[]> {
  const joined = scheduler.joinTransaction(client);
  const keys: string[] = [];
  await client.query("BEGIN");
  try {
    const steps = 1 + Math.floor(random() * 4);
    for (let step = 0; step < steps; step++) {
      const isUndone = random() < 0.25;
      if (isUndone) await client.query("SAVEPOINT own");
      if (random() < 0.5) await joined.append(mark(`${key}.${step}`));
      else {
        // One of few tasks that all change, each time to something else.
        const taskId = `shared-${Math.floor(random() * 12)}`;
        await joined.scheduleTask({
          taskId,
          taskType: "job",
          schedule: oneTime("2100-01-01T00:00:00Z"),
          payload: `${key}.${step}`,
        });
      }
      if (random() < 0.5) await sleep(random() * 15);
      if (isUndone) await client.query("ROLLBACK TO SAVEPOINT own");
      else keys.push(`${key}.${step}`);
    }
    if (random() < 0.3) throw new Error("it rolls back");
    await client.query("COMMIT");
    return keys;
  } catch (error) {
    await client.query("ROLLBACK");
    // Two of them that want each other's tasks: one is told.
    if (!isAzothError(error, "STORE_BUSY") && !(error instanceof Error && error.message === "it rolls back"))
      throw error;
    return [];
  }
}

test(`many writers with delayed commits and rollbacks: two nodes see each event once and in order (SEED=${seed})`, {
  timeout: 60_000 + rounds * 10_000,
}, async () => {
  const url = ownUrl();
  const dbs = [await openDb(url), await openDb(url)];
  const [db, other] = dbs as [AzothDb, AzothDb];
  await db.transaction((tx) => tx.execute(ledgerTable));
  const client = await connect(url);
  const followers = dbs.map((each) => new Follower(each));
  const schedulers = dbs.map((each) => {
    return new Scheduler(each, { externalTaskTypes: ["job"], eventHandlers: [ledger(["mark", "TaskScheduled"])] });
  });
  for (const scheduler of schedulers) {
    await scheduler.start();
    atEnd(() => scheduler.stop());
  }
  const writers = await Promise.all(
    Array.from({ length: 8 }, async (_, number) => {
      const [own, scheduler] = [await connect(url), schedulers[number % 2] as Scheduler];
      return { own, scheduler, random: seededRandom(seed * 100 + number), number };
    }),
  );
  const expected: string[] = [];
  await Promise.all(
    writers.map(async ({ own, scheduler, random, number }) => {
      for (let round = 0; round < rounds * 10; round++) {
        expected.push(...(await writeAtRandom(own, scheduler, random, `${number}.${round}`)));
      }
    }),
  );
  // Beside them, the store's own commits.
  expect(expected.length).toBeGreaterThan(rounds * 10);
  const last = (await committed(client)).at(-1) ?? 0;
  await until(() => followers.every(({ positions }) => (positions.at(-1) ?? 0) >= last), "the followers are there");
  const positions = await committed(client);
  for (const follower of followers) {
    await until(() => follower.seen.length >= positions.length, "it has seen all");
    expect(follower.positions).toEqual(positions);
    const payloads = follower.seen
      .filter(({ eventType }) => eventType === "mark")
      .map(({ payload }) => payload as string);
    const scheduled = follower.seen.filter(({ eventType }) => eventType === "TaskScheduled");
    const values = scheduled.map(({ payload }) => (payload as { payload: string }).payload);
    expect([...payloads, ...values].toSorted()).toEqual(expected.toSorted());
    // The revisions of a task are in their order, so its events are.
    for (const taskId of new Set(scheduled.map((event) => event.taskId))) {
      const ofTask = scheduled.filter((event) => event.taskId === taskId);
      expect(ofTask.map(({ payload }) => (payload as { revision: number }).revision)).toEqual(
        ofTask.map((_, i) => i + 1),
      );
    }
  }
  const handled = followers[0]?.seen.filter(({ eventType }) => ["mark", "TaskScheduled"].includes(eventType)) ?? [];
  await until(async () => (await ledgerOf(other)).length >= handled.length, "the event handlers have come to the end");
  expect(await ledgerOf(other)).toEqual(handled.map(({ position }) => position));
  expect(await db.verify()).toMatchObject({ ok: true });
});

describe("what is committed behind a transaction that has appended and is open", () => {
  test.concurrent.for([
    ["COMMIT", ["early", "late"]],
    ["ROLLBACK", ["late"]],
  ] as const)(
    "is held back until its end, and then read (%s)",
    eachInScope(async ([end, seen]) => {
      const url = ownUrl();
      const db = await openDb(url);
      const follower = new Follower(await openDb(url));
      const scheduler = new Scheduler(db);
      await db.transaction((tx) => tx.append(mark("before")));
      const client = await begin(url);
      const position = await scheduler.joinTransaction(client).append(mark("early"));
      const late = await db.transaction((tx) => tx.append(mark("late")));
      expect(late).toBeGreaterThan(position);
      for (let look = 0; look < 20; look++) {
        expect(await marksOf(db)).toEqual(["before"]);
        expect(await db.lastPosition()).toBeLessThan(position);
      }
      expect(follower.marks).toEqual(["before"]);
      await client.query(end);
      await until(() => follower.marks.length === seen.length + 1, "the follower goes on", atOnceMs);
      expect(follower.marks).toEqual(["before", ...seen]);
      expect(await marksOf(db)).toEqual(["before", ...seen]);
      expect(await db.lastPosition()).toBe(late);
    }),
  );

  test.concurrent(
    "is held back through its savepoints, of which those rolled back leave holes",
    inScope(async () => {
      const url = ownUrl();
      const db = await openDb(url);
      const follower = new Follower(db);
      const client = await begin(url);
      const joined = new Scheduler(db).joinTransaction(client);
      await client.query("SAVEPOINT one");
      await joined.append(mark("undone"));
      await client.query("ROLLBACK TO SAVEPOINT one");
      await db.transaction((tx) => tx.append(mark("between")));
      await joined.append(mark("kept"));
      await client.query("SAVEPOINT two");
      await joined.append(mark("undone too"));
      await db.transaction((tx) => tx.append(mark("late")));
      for (let look = 0; look < 5; look++) expect(await marksOf(db)).not.toContain("late");
      await client.query("ROLLBACK TO SAVEPOINT two");
      await client.query("COMMIT");
      await until(() => follower.marks.includes("late"), "the follower goes on", atOnceMs);
      expect(follower.marks).toEqual(["between", "kept", "late"]);
    }),
  );

  test.concurrent(
    "is held back when that one is prepared, and until it is committed",
    inScope(async () => {
      const url = ownUrl();
      const db = await openDb(url);
      const follower = new Follower(await openDb(url));
      await db.transaction((tx) => tx.append(mark("before")));
      // By hand: a joined transaction sends a notice, and PostgreSQL prepares none that has.
      const client = await begin(url);
      await client.query(
        "INSERT INTO azoth_events (type, at_ms, data) SELECT type, at_ms, '\"prepared\"' FROM azoth_events WHERE data::text = '\"before\"'",
      );
      await db.transaction((tx) => tx.append(mark("late")));
      for (let look = 0; look < 5; look++) expect(await marksOf(db)).toEqual(["before"]);
      const name = `azoth-${new URL(url).searchParams.get("schema")}`;
      await client.query(`PREPARE TRANSACTION '${name}'`);
      for (let look = 0; look < 5; look++) expect(await marksOf(db)).toEqual(["before"]);
      await db.transaction((tx) => tx.append(mark("later")));
      for (let look = 0; look < 5; look++) expect(await marksOf(db)).toEqual(["before"]);
      await client.query(`COMMIT PREPARED '${name}'`);
      await until(() => follower.marks.length >= 4, "the follower goes on", atOnceMs);
      expect(follower.marks).toEqual(["before", "prepared", "late", "later"]);
    }),
  );

  test("delays neither commands, nor claims, nor the recording of two nodes; readers go on right after it", async () => {
    const url = ownUrl();
    const dbs = [await openDb(url), await openDb(url)];
    const [db] = dbs as [AzothDb];
    const ran = new Map<string, number>();
    const schedulers = dbs.map((each, number) => {
      const execute = () => {
        ran.set(`${number}`, (ran.get(`${number}`) ?? 0) + 1);
        return { eventType: "done" };
      };
      return new Scheduler(each, { handlers: [taskHandler({ taskType: "job", execute })], maxConcurrentTasks: 5 });
    });
    for (const scheduler of schedulers) {
      await scheduler.start();
      atEnd(() => scheduler.stop());
    }
    const follower = new Follower(db);
    const client = await begin(url);
    await new Scheduler(db).joinTransaction(client).append(mark("held"));
    const openedAtMs = performance.now();
    const total = 300;
    for (let number = 0; number < total; number++) {
      await schedulers[number % 2]?.scheduleTask({ taskType: "job", schedule: immediate() });
    }
    await until(async () => (await schedulers[0]?.countTasks())?.completed === total, "all tasks have run", 20_000);
    const beside = performance.now() - openedAtMs;
    await sleep(Math.max(0, 3_000 - beside));
    expect(follower.marks).toEqual([]);
    expect([...ran.values()].reduce((sum, count) => sum + count, 0)).toBe(total);
    expect(ran.size).toBe(2);
    await client.query("COMMIT");
    const closedAtMs = performance.now();
    const last = await valueOf(db, "SELECT max(position) FROM azoth_events");
    await until(() => follower.positions.at(-1) === last, "the follower is there", atOnceMs);
    const behindMs = performance.now() - closedAtMs;
    expect(follower.marks).toEqual(["held"]);
    expect(follower.seen.filter(({ eventType }) => eventType === "done")).toHaveLength(total);
    console.log(
      `${total} tasks in ${Math.round(beside)} ms beside it; readers were there ${Math.round(behindMs)} ms after it`,
    );
  });
});

test.concurrent(
  "transactions that never touched the log delay no reader, however long they are",
  inScope(async () => {
    const url = ownUrl();
    const db = await openDb(url);
    const follower = new Follower(await openDb(url));
    const [writer, reader, task] = [await begin(url), await begin(url), await begin(url)];
    await writer.query("CREATE TABLE own (a integer); INSERT INTO own VALUES (1)");
    await reader.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM azoth_events");
    const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
    await scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: oneTime("2100-01-01T00:00:00Z") });
    // One that has read and locked, and written nothing yet.
    await scheduler.joinTransaction(task).getTask("task");
    for (let number = 0; number < 5; number++) {
      await db.transaction((tx) => tx.append(mark(number)));
      await until(() => follower.marks.length === number + 1, "it is read", atOnceMs);
    }
    // A rolled-back one leaves a hole that holds nobody.
    await db
      .transaction((tx) => tx.append(mark("undone")).then(() => Promise.reject(new Error("undone"))))
      .catch(() => {});
    await db.transaction((tx) => tx.append(mark("after")));
    await until(() => follower.marks.includes("after"), "it is read", atOnceMs);
    for (const client of [writer, reader, task]) await client.query("ROLLBACK");
  }),
);

test.concurrent(
  "a joined transaction cannot be prepared: it is refused, and leaves nothing",
  inScope(async () => {
    const url = ownUrl();
    const db = await openDb(url);
    const client = await begin(url);
    await new Scheduler(db).joinTransaction(client).append(mark("never"));
    await expect(client.query("PREPARE TRANSACTION 'azoth-refused'")).rejects.toMatchObject({ code: "0A000" });
    await db.transaction((tx) => tx.append(mark("after")));
    expect(await marksOf(db)).toEqual(["after"]);
  }),
);

test.concurrent(
  "two looks at once are taken one after the other: a late answer is no news",
  inScope(async () => {
    const answers: (() => void)[] = [];
    const looks = [
      { position: 5, holders: ["1/1"] },
      { position: 7, holders: ["2/2"] },
    ];
    const connections = {
      async use(_: unknown, work: (session: unknown) => Promise<number>): Promise<number> {
        const look = looks.shift();
        // The first one's answer comes last, if the second does not wait for it.
        const answered = looks.length === 1 ? new Promise<void>((resolve) => answers.push(resolve)) : Promise.resolve();
        const rows = async (text: string) => {
          await answered;
          if (text.includes("pg_locks")) return look?.holders.map((holder) => [holder]);
          return text.includes("max(position)") ? [[look?.position, "today"]] : [];
        };
        return await work({ life: "one", rows });
      },
    };
    const place = { quotedSchema: '"azoth"' };
    const settled = new SettledLog(connections as unknown as Connections, place as Place);
    const reached = [settled.reaches(10), settled.reaches(10)];
    await sleep(10);
    for (const answer of answers) answer();
    // The second transaction is open: at 7 it may still fill what is behind.
    expect(Math.max(...(await Promise.all(reached)))).toBe(5);
  }),
);

describe.skipIf(!canStartServers())("a server that crashes", () => {
  const inSchema = (url: string) => {
    const own = new URL(url);
    own.searchParams.set("options", "-c search_path=azoth");
    return own.href;
  };

  test.concurrent(
    "and leaps over positions when it is back, is followed without loss",
    inScope(async () => {
      const server = await ownServer();
      const url = inSchema(server.url);
      const [db, other] = [await openDb(url), await openDb(url)];
      const follower = new Follower(other);
      const kept: string[] = [];
      for (const [round, end] of (["kill", "immediate", "fast"] as const).entries()) {
        for (let number = 0; number < 5; number++) {
          await db.transaction((tx) => tx.append(mark(`${round}.${number}`)));
          kept.push(`${round}.${number}`);
        }
        const client = await begin(url);
        await new Scheduler(db).joinTransaction(client).append(mark("lost"));
        if (end === "kill") await server.kill();
        else await server.stop(end);
        await server.start();
      }
      await db.transaction((tx) => tx.append(mark("end")));
      await until(() => follower.marks.includes("end"), "the follower is there");
      expect(follower.marks).toEqual([...kept, "end"]);
      const client = await connect(url);
      expect(follower.positions).toEqual(await committed(client));
      // A crash forgets how many numbers of a reserve were drawn, and passes over all of it.
      expect(Math.max(...follower.positions)).toBeGreaterThan(follower.positions.length + 3);
    }),
  );

  test.concurrent(
    "while a transaction is prepared, holds readers until that one ends",
    inScope(async () => {
      const server = await ownServer();
      const url = inSchema(server.url);
      const db = await openDb(url);
      await db.transaction((tx) => tx.append(mark("before")));
      const client = await begin(url);
      await client.query(
        "INSERT INTO azoth_events (type, at_ms, data) SELECT type, at_ms, '\"prepared\"' FROM azoth_events",
      );
      await db.transaction((tx) => tx.append(mark("late")));
      expect(await marksOf(db)).toEqual(["before"]);
      await client.query("PREPARE TRANSACTION 'azoth'");
      expect(await marksOf(db)).toEqual(["before"]);
      await server.stop("fast");
      await server.start();
      for (let look = 0; look < 3; look++) expect(await marksOf(db)).toEqual(["before"]);
      await (await connect(url)).query("COMMIT PREPARED 'azoth'");
      expect(await marksOf(db)).toEqual(["before", "prepared", "late"]);
    }),
  );

  test.concurrent(
    "and gives out positions again that it had given out, has no reader that believes them to be settled",
    inScope(async () => {
      const server = await ownServer({ settings: { wal_writer_delay: "10s" } });
      const url = inSchema(server.url);
      const db = await openDb(url);
      const client = await connect(url);
      const sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'";
      const pid = (await client.query<{ pid: number }>(sql)).rows[0]?.pid ?? Number.NaN;
      // Only what is committed reaches the disk now.
      process.kill(pid, "SIGSTOP");
      const scheduler = new Scheduler(db);
      const appended = async (by: Client, payload: string) => await scheduler.joinTransaction(by).append(mark(payload));
      const logged = async () => {
        const { rows } = await client.query<{ reserve: string }>(
          "SELECT log_cnt AS reserve FROM azoth_events_position_seq",
        );
        return Number(rows[0]?.reserve);
      };
      // To the end of the reserve that is on the disk.
      let before = 0;
      do {
        before = await db.transaction((tx) => tx.append(mark("before")));
      } while ((await logged()) > 0);
      await client.query("BEGIN");
      const lost = await appended(client, "rolled back");
      for (let number = 0; number < 5; number++) await appended(client, "rolled back");
      await client.query("ROLLBACK");
      expect(await db.lastPosition()).toBe(before);
      await server.kill();
      await server.start();
      const late = await begin(url);
      const again = await appended(late, "late");
      expect(again).toBe(lost);
      const beside = await db.transaction((tx) => tx.append(mark("beside")));
      expect(beside).toBeGreaterThan(again);
      expect(await db.lastPosition()).toBe(before);
      expect(await marksOf(db)).not.toContain("beside");
      await late.query("COMMIT");
      expect((await marksOf(db)).slice(-2)).toEqual(["late", "beside"]);
    }),
  );
});
