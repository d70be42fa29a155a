/**
 * Whatever happens to the nodes of a database and to their connections, at whatever moment: nothing acknowledged is
 * lost, and each occurrence is recorded once. A seed draws the misfortunes and the load; a machine has its own pace, so
 * it does not draw all.
 *
 *     ROUNDS=500 SEED=7 npx vitest run --project postgres test/cluster/postgres/cluster.test.ts
 */
import { setTimeout as sleep } from "node:timers/promises";
import { immediate, isAzothError, type RecordedEvent } from "azoth-scheduler";
import { type Random, seededRandom } from "azoth-scheduler/testing";
import { expect, test } from "vitest";
import { connect } from "../../engines/postgres/clients.ts";
import { atEnd, ownUrl } from "../../engines/postgres/scope.ts";
import { until } from "../stage.ts";
import { expectSound, Ledger, settle } from "./checker.ts";
import { Cluster, dismissNodes } from "./cluster.ts";
import type { NodeOptions } from "./cluster.ts";
import type { NodeProcess, NodeTaskType } from "./messages.ts";

const rounds = Number(process.env.ROUNDS ?? 20);
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
console.log(`SEED=${seed}`);

const claimMs = 600;
/** The places of nodes; each has types of its own that it takes. */
const places: readonly (readonly NodeTaskType[])[] = [
  ["note", "red"],
  ["note", "blue"],
  ["note", "red", "blue"],
];

interface Member {
  readonly place: number;
  readonly options: NodeOptions;
  readonly node: NodeProcess;
}

/** The nodes at work, one at each place. */
class Staff {
  readonly ledger = new Ledger();
  readonly #cluster: Cluster;
  readonly #random: Random;
  #members: Member[] = [];
  #hired = 0;

  constructor(cluster: Cluster, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
  }

  get nodes(): readonly NodeProcess[] {
    return this.#members.map(({ node }) => node);
  }

  get names(): readonly string[] {
    return this.#members.map(({ options }) => options.name);
  }

  async fill(): Promise<void> {
    const missing = [...places.keys()].filter((place) => this.#members.every((member) => member.place !== place));
    this.#members.push(...(await Promise.all(missing.map((place) => this.#hire(place)))));
  }

  draw(): Member {
    const member = this.#members[Math.floor(this.#random() * this.#members.length)];
    if (member === undefined) throw new Error("There is nobody.");
    return member;
  }

  /** Takes note of one who has ended. */
  dismissed({ node, place }: Member): void {
    this.ledger.takeFrom(node);
    this.#members = this.#members.filter((member) => member.place !== place);
  }

  async #hire(place: number): Promise<Member> {
    const number = this.#hired++;
    const options: NodeOptions = {
      name: `node-${number}`,
      taskTypes: places[place] ?? [],
      scheduler: { claimDuration: `${claimMs}ms`, maxConcurrentTasks: 20, maxLostClaims: 1_000 },
      load: { seed: seed + number },
      tally: true,
    };
    return { place, options, node: await this.#cluster.node(options) };
  }
}

/** What befalls the cluster; each returns when it is over. */
function misfortunesOf(cluster: Cluster, staff: Staff, random: Random): readonly (() => Promise<void>)[] {
  const { db, scheduler } = cluster.desk;
  let transactions = 0;
  const kill = async () => {
    const victim = staff.draw();
    await victim.node.kill();
    staff.dismissed(victim);
  };
  const dismiss = async () => {
    const member = staff.draw();
    await dismissNodes(member.node);
    staff.dismissed(member);
  };
  // For longer than its claim, or not; perhaps in the middle of a commit.
  const suspend = async () => {
    const { node } = staff.draw();
    node.signal("SIGSTOP");
    await sleep(random() * 3 * claimMs);
    node.signal("SIGCONT");
  };
  const loseOneConnection = async () => {
    const pids = await cluster.backends(staff.draw().options.name);
    await cluster.terminate(pids.slice(0, 1 + Math.floor(random() * 2)));
  };
  const loseAllConnections = async () => {
    for (const name of staff.names) await cluster.terminate(await cluster.backends(name));
  };
  // With an event and a task in it, and with the rows of tasks that wait, are claimed or run.
  const holdTransaction = async () => {
    const client = await connect(cluster.url);
    const key = `joined-${transactions++}`;
    await client.query("BEGIN");
    const joined = scheduler.joinTransaction(client);
    await joined.append({ eventType: "joined", payload: { key } });
    await joined.scheduleTask({ taskId: key, taskType: "note", schedule: immediate(), payload: { key } });
    const { rows } = await client.query<{ id: string }>("SELECT id FROM azoth_tasks WHERE phase IN (0, 1, 5) LIMIT 5");
    for (const { id } of rows) await joined.getTask(id);
    await sleep(random() * claimMs);
    await client.query(random() < 0.5 ? "COMMIT" : "ROLLBACK");
    await client.end();
  };
  const rebuild = async () => {
    await db.rebuild();
  };
  const verify = async () => {
    expect(await db.verify()).toMatchObject({ ok: true, difference: null });
  };
  const often = [kill, loseOneConnection, loseAllConnections, holdTransaction];
  return [...often, ...often, dismiss, suspend, rebuild, verify];
}

/** Follows the log as a user does, who begins again where the connection was lost. */
function follow({ desk: { db } }: Cluster): { readonly seen: RecordedEvent[]; end(): Promise<void> } {
  const seen: RecordedEvent[] = [];
  const ending = new AbortController();
  const following = (async () => {
    while (!ending.signal.aborted) {
      try {
        for await (const event of db.subscribe({ after: seen.at(-1)?.position ?? 0, signal: ending.signal }))
          seen.push(event);
      } catch (error) {
        if (!isAzothError(error, "STORE_UNREACHABLE")) throw error;
        await sleep(50);
      }
    }
  })();
  const end = async () => {
    ending.abort();
    await following;
  };
  atEnd(end);
  return { seen, end };
}

test(`${rounds} misfortunes of three nodes under load (SEED=${seed})`, {
  timeout: 120_000 + rounds * 5_000,
}, async () => {
  const random = seededRandom(seed);
  const cluster = await Cluster.on(ownUrl());
  const staff = new Staff(cluster, random);
  const follower = follow(cluster);
  const misfortunes = misfortunesOf(cluster, staff, random);
  for (let round = 0; round < rounds; round++) {
    await staff.fill();
    await sleep(random() * 400);
    await misfortunes[Math.floor(random() * misfortunes.length)]?.();
  }
  await staff.fill();
  await settle(cluster, staff.nodes);
  const instances = async () => await cluster.desk.db.query("SELECT name FROM azoth_instances");
  await until(async () => (await instances()).length === places.length, "whoever was killed is missed");
  await dismissNodes(...staff.nodes);
  for (const node of staff.nodes) staff.ledger.takeFrom(node);

  const log = await expectSound(cluster);
  staff.ledger.expectKeptIn(log);
  await until(async () => follower.seen.length >= log.events.length, "the subscription has come to the end");
  await follower.end();
  expect(follower.seen.map(({ position }) => position)).toEqual(log.events.map(({ position }) => position));
  expect(await instances()).toEqual([]);
  const { acknowledged, doubtful, rejected } = staff.ledger;
  console.log(
    `${acknowledged.size} keys acknowledged, ${doubtful.size} doubtful, ${rejected.size} rejected; ${log.events.length} events, ` +
      `${log.all("TaskReleased").length} claims lost, ${log.all("TaskResultRefused").length} results refused`,
  );
});
