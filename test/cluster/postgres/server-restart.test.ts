/** The server is stopped, or dies, under load, and comes back: nobody has to be started anew, and nothing is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ownServer } from "../../engines/postgres/scope.ts";
import { canStartServers } from "../../postgres/databases.ts";
import type { PostgresServer } from "../../postgres/server.ts";
import { until } from "../stage.ts";
import { expectSound, Ledger, settle } from "./checker.ts";
import { Cluster, dismissNodes, inOwnSchema } from "./cluster.ts";
import type { NodeProcess } from "./messages.ts";

/** Failed rounds of a node's loops. Beside them, each result that could not be recorded is told of. */
const failuresOf = (node: NodeProcess) => node.all("store-failed").filter(({ what }) => what !== "a handler's writes");

/** Long enough for a node to try again several times. */
const downMs = 1_000;

const endings: readonly (readonly [how: string, end: (server: PostgresServer) => Promise<void>])[] = [
  ["stopped", (server) => server.stop("fast")],
  ["stopped at once", (server) => server.stop("immediate")],
  ["killed", (server) => server.kill()],
];

test.skipIf(!canStartServers())(
  "a server that is stopped or killed under load comes back to nodes that go on, and lose nothing",
  async () => {
    const server = await ownServer();
    const cluster = await Cluster.on(inOwnSchema(server.url));
    const names = ["one", "two"];
    const nodes = await Promise.all(
      names.map((name, number) => {
        const scheduler = { claimDuration: "2s", maxConcurrentTasks: 20, maxLostClaims: 1_000 };
        return cluster.node({ name, scheduler, load: { seed: number }, tally: true });
      }),
    );
    const acknowledged = () => nodes.map((node) => node.all("acknowledged").length);
    const taken = async () => {
      const rows = await cluster.desk.db.query("SELECT process, count(*) AS count FROM notes GROUP BY process");
      return names.map((name) => Number(rows.find(({ process }) => process === name)?.count ?? 0));
    };
    const moreThan = (before: readonly number[], now: readonly number[]) =>
      now.every((count, index) => count > (before[index] ?? 0) + 20);

    for (const [how, end] of endings) {
      const before = [acknowledged(), await taken()] as const;
      const underLoad = async () => moreThan(before[0], acknowledged()) && moreThan(before[1], await taken());
      await until(underLoad, "both nodes schedule and record");
      const failures = nodes.map((node) => failuresOf(node).length);
      await end(server);
      await sleep(downMs);
      // Every loop tries again with growing pauses, and not without end; a commit in doubt asks in silence what became of it.
      for (const [index, node] of nodes.entries()) {
        const further = failuresOf(node).length - (failures[index] ?? 0);
        expect(further, how).toBeLessThan(50);
      }
      await server.start();
    }
    const before = [acknowledged(), await taken()] as const;
    const underLoad = async () => moreThan(before[0], acknowledged()) && moreThan(before[1], await taken());
    await until(underLoad, "both nodes schedule and record after all of it");
    await settle(cluster, nodes);
    await dismissNodes(...nodes);

    const ledger = new Ledger();
    for (const node of nodes) ledger.takeFrom(node);
    const log = await expectSound(cluster);
    ledger.expectKeptIn(log);
    const { acknowledged: kept, doubtful, rejected } = ledger;
    console.log(
      `${kept.size} keys acknowledged, ${doubtful.size} doubtful, ${rejected.size} rejected; ${log.events.length} events`,
    );
  },
);
