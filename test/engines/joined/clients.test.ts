/** Which clients can be joined, and what the others are told. */
import { AzothDb, oneTime, Scheduler } from "azoth-scheduler";
import type { Client } from "pg";
import { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { JoinedClient } from "./libraries.ts";
import { never, openShop, refusal, rejectionOf } from "./support.ts";

const later = { taskType: "job", schedule: oneTime(never) } as const;

/** All that can be done in a joined transaction, with a known id. */
const verbs = (scheduler: Scheduler, client: JoinedClient) => {
  const joined = scheduler.joinTransaction(client);
  return [
    () => joined.scheduleTask({ ...later, taskId: "task" }),
    () => joined.scheduleTask(later),
    () => joined.append({ eventType: "mine" }),
    () => joined.cancelTask("known", "no reason"),
    () => joined.getTask("known"),
  ];
};

describe("without an open transaction", () => {
  test.each(["a client", "a client that pipelines", "a pool"])("%s is refused, and nothing is torn", async (kind) => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask({ ...later, taskId: "known" });
    const before = await shop.log();
    let client: JoinedClient;
    if (kind === "a pool") {
      const pool = new Pool({ connectionString: shop.url, max: 3 });
      onTestFinished(() => pool.end());
      client = pool;
    } else {
      client = await shop.connect({ pipeline: kind !== "a client" });
    }
    for (const verb of verbs(shop.scheduler, client)) {
      const error = await rejectionOf(verb());
      expect(error.code).toBe("INVALID_OPTION");
      expect(error.message).toMatch(/no transaction open/);
    }
    expect(await shop.log()).toEqual(before);
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("a client is refused again when its transaction has ended", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    const joined = shop.scheduler.joinTransaction(client);
    for (const end of ["COMMIT", "ROLLBACK"]) {
      await client.query("BEGIN");
      await joined.scheduleTask({ ...later, taskId: end });
      await client.query(end);
      expect(await refusal(joined.scheduleTask({ ...later, taskId: "too late" }))).toBe("INVALID_OPTION");
    }
    expect((await shop.log()).map(({ taskId }) => taskId)).toEqual(["COMMIT"]);
  });
});

describe("a client that is not usable", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a URL", "postgres://localhost/shop"],
    ["a function", () => {}],
    ["something without query", {}],
    ["a query that is no function", { query: "SELECT 1" }],
  ])("is refused at once: %s", async (_, client) => {
    const shop = await openShop();
    const error = await rejectionOf((async () => shop.scheduler.joinTransaction(client as never))());
    expect(error.code).toBe("INVALID_OPTION");
    expect(error.message).toContain("query(text, values)");
  });

  test.each<[string, (client: Client) => JoinedClient]>([
    ["nothing at all", () => ({ query: async () => undefined as never })],
    [
      "only rows",
      (client) => ({ query: async (text, values) => (await client.query<object>(text, values)).rows as never }),
    ],
    [
      "parsed rows",
      (client) => ({
        query: async (text, values) => {
          const { rows } = await client.query<Record<string, string>>(text, values);
          return { rows: rows.map(({ line = "" }) => ({ line: JSON.parse(line) as unknown })) };
        },
      }),
    ],
    [
      "no rows",
      (client) => ({
        query: async (text, values) => {
          const { rows } = await client.query<object>(text, values);
          return { rows: rows.map(() => ({})) };
        },
      }),
    ],
  ])("is told what was expected of it, and leaves nothing behind: its query resolves with %s", async (_, make) => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    const joined = shop.scheduler.joinTransaction(make(client));
    const error = await rejectionOf(joined.scheduleTask({ ...later, taskId: "task" }));
    expect(error.code).toBe("INVALID_OPTION");
    expect(error.message).toContain("{ rows }");
    await client.query("COMMIT");
    expect(await shop.log()).toEqual([]);
  });

  test("was ended", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.end();
    expect(await refusal(shop.scheduler.joinTransaction(client).getTask("task"))).toBe("STORE_UNREACHABLE");
  });

  test("loses its connection, and with it the transaction", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    const joined = shop.scheduler.joinTransaction(client);
    await joined.scheduleTask({ ...later, taskId: "lost" });
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await (await shop.connect()).query("SELECT pg_terminate_backend($1, 5000)", [rows[0]?.pid]);
    for (const taskId of ["one more", "and another"]) {
      expect(await refusal(joined.scheduleTask({ ...later, taskId }))).toBe("STORE_UNREACHABLE");
    }
    expect(await shop.log()).toEqual([]);
  });

  test("has a transaction that failed before", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    await expect(client.query("SELECT 1/0")).rejects.toThrow();
    const error = await rejectionOf(shop.scheduler.joinTransaction(client).getTask("task"));
    expect(error.code).toBe("STORE_FAILED");
    expect(error.message).toContain("transaction is aborted");
    await client.query("ROLLBACK");
  });

  test("is connected to another database, or one without the store's schema", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    const away = await AzothDb.open(shop.url, { schema: `${shop.schema}_away` });
    const scheduler = new Scheduler(away, { externalTaskTypes: ["job"] });
    await client.query(`DROP SCHEMA ${shop.schema}_away CASCADE; BEGIN`);
    const error = await rejectionOf(scheduler.joinTransaction(client).scheduleTask({ ...later, taskId: "task" }));
    expect(error.code).toBe("INVALID_OPTION");
    expect(error.message).toContain("not connected to the database of the store");
    await client.query("COMMIT");
    await away.close();
  });

  test("has a query that throws whatever it likes", async () => {
    const shop = await openShop();
    const query = (): never => {
      throw "no such thing"; // oxlint-disable-line typescript/only-throw-error
    };
    expect(await refusal(shop.scheduler.joinTransaction({ query }).getTask("task"))).toBe("STORE_FAILED");
  });
});

describe("calls", () => {
  test("that are made at once are carried out one after the other", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    const tasks = Array.from({ length: 20 }, (_, index) => ({ ...later, taskId: `task-${index % 10}` }));
    const scheduled = await Promise.all(tasks.map((task) => shop.scheduler.joinTransaction(client).scheduleTask(task)));
    const changes = scheduled.map(({ change }) => change);
    expect(changes.filter((change) => change === "new")).toHaveLength(10);
    expect(changes.filter((change) => change === "unchanged")).toHaveLength(10);
    await client.query("COMMIT");
    expect(await shop.scheduler.countTasks()).toMatchObject({ waiting: 10 });
  });

  test("that fail undo nothing of the others", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    await client.query("BEGIN");
    const joined = shop.scheduler.joinTransaction(client);
    const outcomes = await Promise.allSettled([
      joined.scheduleTask({ ...later, taskId: "first" }),
      joined.cancelTask("unknown", "no reason"),
      joined.scheduleTask({ ...later, taskId: "second" }),
      joined.cancelTask("first", "superseded"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    await client.query("COMMIT");
    expect((await shop.log()).map(({ eventType, taskId }) => [eventType, taskId])).toEqual([
      ["TaskScheduled", "first"],
      ["TaskScheduled", "second"],
      ["TaskCancelled", "first"],
    ]);
  });

  test("in great numbers, in many transactions, and all with new types", async () => {
    const shop = await openShop();
    const types = Array.from({ length: 12 }, (_, index) => `new type ${index}`);
    const scheduler = new Scheduler(shop.db, { externalTaskTypes: types });
    const clients = await Promise.all(types.map(() => shop.connect()));
    await Promise.all(
      clients.map(async (client, index) => {
        await client.query("BEGIN");
        const joined = scheduler.joinTransaction(client);
        // More than the 64 savepoints that PostgreSQL keeps at hand for a transaction.
        for (let call = 0; call < 80; call++) {
          const taskType = types[(index + call) % types.length] ?? "";
          await joined.scheduleTask({ taskType, schedule: oneTime(never) });
          if (call % 10 === 0) await joined.append({ eventType: `new event ${call}` });
        }
      }),
    );
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 0 });
    await Promise.all(clients.map((client, index) => client.query(index % 2 === 0 ? "COMMIT" : "ROLLBACK")));
    expect(await scheduler.countTasks()).toMatchObject({ waiting: 6 * 80 });
    expect(await shop.log()).toHaveLength(6 * (80 + 8));
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("leave no savepoint of theirs behind", async () => {
    const shop = await openShop();
    const client = await shop.connect();
    const names: string[] = [];
    const watched = {
      query: (text: string, values: unknown[]) => {
        names.push(...(/^(?:RELEASE )?SAVEPOINT (\w+)$/.exec(text)?.slice(1) ?? []));
        return client.query<object>(text, values);
      },
    };
    await client.query("BEGIN");
    const joined = shop.scheduler.joinTransaction(watched);
    await joined.scheduleTask({ ...later, taskId: "task" });
    await expect(joined.cancelTask("unknown", "no reason")).rejects.toThrow();
    expect(names).toHaveLength(4);
    for (const name of names) {
      await client.query("SAVEPOINT probe");
      await expect(client.query(`RELEASE SAVEPOINT ${name}`)).rejects.toThrow(/does not exist/);
      await client.query("ROLLBACK TO SAVEPOINT probe");
    }
    await client.query("COMMIT");
    expect(await shop.scheduler.getTask("task")).not.toBeNull();
  });
});

test("what is sent is text, number or null, with placeholders that any builder can count", async () => {
  const shop = await openShop();
  const client = await shop.connect();
  const sent: { text: string; values: unknown[]; rows: readonly object[] }[] = [];
  const watched = {
    query: async (text: string, values: unknown[]) => {
      const { rows } = await client.query<object>(text, values);
      sent.push({ text, values, rows });
      return { rows };
    },
  };
  await shop.scheduler.scheduleTask({ ...later, taskId: "known" });
  await client.query("BEGIN");
  for (const verb of verbs(shop.scheduler, watched)) await verb();
  await shop.scheduler.joinTransaction(watched).scheduleTask({ ...later, taskId: "known", priority: 5 });
  await client.query("COMMIT");
  for (const { text, values, rows } of sent) {
    const numbers = [...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
    expect(new Set(numbers)).toEqual(new Set(values.map((_, index) => index + 1)));
    // No dollar quotes, no dollar in a text or a name; no question mark; no colon but in casts.
    expect(text.replaceAll(/\$\d+/g, "")).not.toMatch(/[$?\\]/);
    expect(text.replaceAll("::", "")).not.toContain(":");
    for (const value of values) expect(value === null || ["string", "number"].includes(typeof value)).toBe(true);
    for (const row of rows) expect(Object.values(row)).toEqual([expect.any(String)]);
  }
  expect(sent.length).toBeGreaterThan(20);
});

test("a store in SQLite has no transactions to join", async () => {
  const shop = await openShop();
  const client = await shop.connect();
  await using db = await AzothDb.open(":memory:");
  const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
  expect(() => scheduler.joinTransaction(client)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
});

test("a store that was closed cannot be joined", async () => {
  const shop = await openShop();
  const client = await shop.connect();
  await shop.db.close();
  expect(() => shop.scheduler.joinTransaction(client)).toThrow(expect.objectContaining({ code: "STORE_CLOSED" }));
});
