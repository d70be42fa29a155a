/** How far the clocks are apart is told from the instants between which the database was asked, and from no others. */
import pg from "pg";
import { expect, test } from "vitest";
import type { PgDriver, PgQuery } from "../../../src/engines/postgres/driver.ts";
import { openPostgres } from "../../../src/engines/postgres/postgres-engine.ts";
import { append, newEvent } from "../../contract/subject.ts";
import { atEnd, inScope, ownUrl } from "./scope.ts";

const options = { durability: "full", busyTimeoutMs: 5_000, transactionTimeoutMs: 5_000, maxConnections: 6 } as const;
const heldMs = 200;

/** As `pg`, on a machine that leaves the process alone for a while after each question for the time: the answer is there before. */
function interrupted(): PgDriver {
  class Client extends pg.Client {
    constructor(config: object) {
      super(config);
      const send: unknown = this.query;
      const query = (...given: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(send as () => unknown, this, given);
        if ((given[0] as PgQuery).text.includes("clock_timestamp")) hold();
        return answer;
      };
      Object.defineProperty(this, "query", { value: query });
    }
  }
  class Pool extends pg.Pool {
    constructor(config: object) {
      super({ ...config, Client } as never);
    }
  }
  return { Client, Pool } as unknown as PgDriver;
}

function hold(): void {
  const untilMs = performance.now() + heldMs;
  while (performance.now() < untilMs);
}

test.concurrent(
  "a process that was interrupted after it asked does not take its own clock for wrong",
  inScope(async () => {
    const engine = await openPostgres(ownUrl(), { ...options, driver: interrupted() });
    atEnd(() => engine.close());
    for (let round = 0; round < 3; round++) {
      await append(engine, [newEvent("a")]);
      expect(engine.clockOffsetMs()).toBe(0);
    }
  }),
);
