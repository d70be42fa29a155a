/** Statements whose plans the server keeps, and poolers, whose connections to the server change from one to the next. */
import pg from "pg";
import { expect, test } from "vitest";
import type { PgConfig, PgDriver, PgQuery } from "../../../src/engines/postgres/driver.ts";
import { openPostgres } from "../../../src/engines/postgres/postgres-engine.ts";
import { atEnd, inScope, ownUrl } from "./scope.ts";

const options = { durability: "full", busyTimeoutMs: 5_000, transactionTimeoutMs: 5_000, maxConnections: 6 } as const;

/** As `pg`, with the names of the statements that it was given; behind a pooler, which has a key of its own for each client. */
function observed(pooled: boolean): { driver: PgDriver; names: Set<string> } {
  const names = new Set<string>();
  class Client extends pg.Client {
    constructor(config: PgConfig) {
      super(config);
      if (pooled) Object.defineProperty(this, "processID", { get: () => 1, set: () => {} });
      const send: unknown = this.query;
      const query = (...given: unknown[]): unknown => {
        const { name } = given[0] as PgQuery;
        if (name !== undefined) names.add(name);
        return Reflect.apply(send as () => unknown, this, given);
      };
      Object.defineProperty(this, "query", { value: query });
    }
  }
  class Pool extends pg.Pool {
    constructor(config: object) {
      super({ ...config, Client } as never);
    }
  }
  return { driver: { Client, Pool } as unknown as PgDriver, names };
}

async function write(driver: PgDriver): Promise<void> {
  const engine = await openPostgres(ownUrl(), { ...options, driver });
  atEnd(() => engine.close());
  for (let round = 0; round < 10; round++) {
    await engine.write(async (transaction) => {
      await transaction.drawTaskSeqs(1);
      await transaction.post([{ type: "mine", atMs: 1, task: null, run: null, data: "{}", meta: null }]);
    });
  }
}

test.concurrent(
  "are named on connections of our own, and not behind a pooler",
  inScope(async () => {
    const [direct, pooled] = [observed(false), observed(true)];
    await write(direct.driver);
    await write(pooled.driver);
    expect(direct.names.size).toBeGreaterThan(2);
    expect(pooled.names.size).toBe(0);
  }),
);
