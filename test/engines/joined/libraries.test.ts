/** Tasks and events commit or vanish with the user's own transaction, whatever library holds it. */
import { immediate, oneTime } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { type Library, libraries } from "./libraries.ts";
import { never, openShop, refusal } from "./support.ts";

const later = { taskType: "job", schedule: oneTime(never) } as const;

/** Thrown by a user to roll back. */
class SecondThoughts extends Error {}

describe.each<Library>(libraries)("$name", ({ transaction }) => {
  test("commits the task, the event and the user's row together", async () => {
    const shop = await openShop();
    const { position, scheduled } = await transaction(shop.url, async ({ client, insert }) => {
      await insert("1");
      const joined = shop.scheduler.joinTransaction(client);
      const scheduled = await joined.scheduleTask({ ...later, taskId: "confirm-1", payload: { order: 1 } });
      const position = await joined.append({ eventType: "order_placed", payload: { order: 1 } });
      await insert("2");
      return { scheduled, position };
    });
    expect(scheduled).toEqual({ taskId: "confirm-1", change: "new", nextRunAt: never });
    expect(await shop.notes()).toEqual(["1", "2"]);
    expect(await shop.scheduler.getTask("confirm-1")).toMatchObject({ state: "waiting", payload: { order: 1 } });
    const log = await shop.log();
    expect(log.map(({ eventType, taskId }) => [eventType, taskId])).toEqual([
      ["TaskScheduled", "confirm-1"],
      ["order_placed", undefined],
    ]);
    expect(log[1]).toMatchObject({ position, payload: { order: 1 } });
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("lets all of it vanish on rollback, and the id is free again", async () => {
    const shop = await openShop();
    await shop.scheduler.scheduleTask({ ...later, taskId: "old" });
    const before = await shop.log();
    const place = async (change: string, end: () => void) =>
      await transaction(shop.url, async ({ client, insert }) => {
        await insert("1");
        const joined = shop.scheduler.joinTransaction(client);
        expect(await joined.scheduleTask({ ...later, taskId: "confirm-1" })).toMatchObject({ change });
        await joined.append({ eventType: "order_placed" });
        expect(await joined.cancelTask("old", "superseded")).toMatchObject({ state: "cancelled" });
        end();
      });
    const rolledBack = place("new", () => {
      throw new SecondThoughts();
    });
    await expect(rolledBack).rejects.toThrow(SecondThoughts);
    expect(await shop.notes()).toEqual([]);
    expect(await shop.log()).toEqual(before);
    expect(await shop.scheduler.getTask("confirm-1")).toBeNull();
    expect(await shop.scheduler.getTask("old")).toMatchObject({ state: "waiting" });

    await place("new", () => {});
    expect(await shop.notes()).toEqual(["1"]);
    expect(await shop.scheduler.getTask("old")).toMatchObject({ state: "cancelled" });
    expect((await shop.log()).slice(before.length).map(({ eventType, taskId }) => [eventType, taskId])).toEqual([
      ["TaskScheduled", "confirm-1"],
      ["order_placed", undefined],
      ["TaskCancelled", "old"],
    ]);
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("shows what it did to itself alone until it commits; nothing runs before, and at once after", async () => {
    const shop = await openShop();
    const { scheduler } = shop;
    await scheduler.start();
    await transaction(shop.url, async ({ client, insert }) => {
      await insert("1");
      const joined = scheduler.joinTransaction(client);
      await joined.scheduleTask({ taskId: "confirm-1", taskType: "job", schedule: immediate() });
      expect(await joined.getTask("confirm-1")).toMatchObject({ taskId: "confirm-1", state: "waiting" });
      expect(await joined.getTask("unknown")).toBeNull();
      expect(await scheduler.getTask("confirm-1")).toBeNull();
      expect(await shop.notes()).toEqual([]);
      // The scheduler is at work, and looks at what is due.
      await scheduler.scheduleTask({ taskId: "other", taskType: "job", schedule: immediate() });
      await shop.ran("other");
      expect(shop.runs.map(({ taskId }) => taskId)).toEqual(["other"]);
    });
    const committedAtMs = Date.now();
    const { atMs } = await shop.ran("confirm-1");
    // A few milliseconds; the machine may be busy, but it is far from the 30 s of the poll interval.
    expect(atMs - committedAtMs).toBeLessThan(10_000);
  });

  test("takes payloads of every kind unharmed", async () => {
    const shop = await openShop();
    const payloads: Record<string, unknown> = {
      text: "größer 漢字 🦄 \u0000 \u2028 \u001f",
      quotes: `'single' "double" \`back\` \\ \\\\ \\' \\" \n\r\t`,
      placeholders: "$1 $2 $10 ? ?? \\? :name ::text :name: %s %(a)s {1,NULL} {}",
      statements: "'; DROP TABLE orders; --",
      nested: [[], [[1, [2, [null]]]], [{ deep: [{ "a'b": ["$1", '"'] }] }], {}],
      keys: { $1: "?", "": 1, "a b": { "?": "$2" }, __proto: null },
      date: new Date("2026-03-01T12:00:00.123Z"),
      bigint: 123_456_789_012_345_678_901_234_567_890n,
      numbers: [0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE],
      bytes: Uint8Array.from({ length: 256 }, (_, index) => index),
      jsonInText: '{"a":"[1,2]"}',
      null: null,
      big: "x$1?'\"\\".repeat(500_000 / 8),
    };
    const ids = Object.keys(payloads).map((kind) => `it's "${kind}" $1 ? \\`);
    await transaction(shop.url, async ({ client }) => {
      const joined = shop.scheduler.joinTransaction(client);
      for (const [index, payload] of Object.values(payloads).entries()) {
        const taskId = ids[index] ?? "";
        await joined.scheduleTask({ taskId, taskType: "job", schedule: immediate(), payload });
        expect((await joined.getTask(taskId))?.payload).toEqual(payload);
      }
      await joined.append({ eventType: "all", payload: payloads });
    });
    const all = (await shop.log()).find(({ eventType }) => eventType === "all");
    expect(all?.payload).toEqual(payloads);
    await shop.scheduler.start();
    for (const [index, payload] of Object.values(payloads).entries()) {
      expect((await shop.ran(ids[index] ?? "")).payload).toEqual(payload);
    }
  });

  test("refuses what is invalid before it sends anything", async () => {
    const shop = await openShop();
    await transaction(shop.url, async ({ client, insert }) => {
      const sent: string[] = [];
      const watched = {
        query: (text: string, values: unknown[]) => {
          sent.push(text);
          return client.query(text, values);
        },
      };
      const joined = shop.scheduler.joinTransaction(watched);
      const cyclic: unknown[] = [];
      cyclic.push(cyclic);
      const refused: [string, () => Promise<unknown>][] = [
        ["UNKNOWN_TASK_TYPE", () => joined.scheduleTask({ ...later, taskType: "fax" })],
        ["INVALID_TASK", () => joined.scheduleTask({ ...later, prioritty: 1 } as never)],
        ["INVALID_TASK_ID", () => joined.scheduleTask({ ...later, taskId: "" })],
        ["INVALID_PAYLOAD", () => joined.scheduleTask({ ...later, taskType: "strict", payload: { to: 5 } })],
        ["PAYLOAD_NOT_JSON", () => joined.scheduleTask({ ...later, payload: cyclic })],
        ["PAYLOAD_TOO_LARGE", () => joined.append({ eventType: "big", payload: "x".repeat(2 ** 21) })],
        ["RESERVED_EVENT_TYPE", () => joined.append({ eventType: "TaskScheduled" })],
        ["INVALID_EVENT", () => joined.append({ eventType: "" })],
        ["INVALID_TASK_ID", () => joined.cancelTask("\n", "no reason")],
        ["INVALID_TASK", () => joined.cancelTask("task", undefined as never)],
        ["INVALID_TASK_ID", () => joined.getTask(7 as never)],
      ];
      for (const [code, call] of refused) expect(await refusal(call())).toBe(code);
      expect(sent).toEqual([]);
      await insert("usable");
      expect(await refusal(joined.cancelTask("unknown", "no reason"))).toBe("TASK_NOT_FOUND");
      await joined.scheduleTask({ ...later, taskId: "valid" });
      await insert("to the end");
    });
    expect(await shop.notes()).toEqual(["usable", "to the end"]);
    expect(await shop.scheduler.getTask("valid")).not.toBeNull();
    expect((await shop.log()).map(({ eventType }) => eventType)).toEqual(["TaskScheduled"]);
  });

  test("tells what PostgreSQL refused, and undoes the half of it that was done", async () => {
    const shop = await openShop();
    // A rule that the user might well have added to watch the store.
    await (await shop.connect()).query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no such task here' USING ERRCODE = '40001'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON ${shop.schema}.azoth_tasks
        FOR EACH ROW WHEN (NEW.id = 'unwanted') EXECUTE FUNCTION refuse();
    `);
    await transaction(shop.url, async ({ client, insert }) => {
      const joined = shop.scheduler.joinTransaction(client);
      await insert("before");
      expect(await refusal(joined.scheduleTask({ ...later, taskId: "unwanted" }))).toBe("STORE_BUSY");
      await insert("after");
    });
    // The user chose to commit all the same: the event of the task that was not stored went with it.
    expect(await shop.notes()).toEqual(["before", "after"]);
    expect(await shop.log()).toEqual([]);
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });

  test("lets the user's own savepoints undo a task", async () => {
    const shop = await openShop();
    await transaction(shop.url, async ({ client, execute }) => {
      const joined = shop.scheduler.joinTransaction(client);
      await joined.scheduleTask({ ...later, taskId: "kept" });
      await execute("SAVEPOINT mine");
      await joined.scheduleTask({ ...later, taskId: "undone" });
      await joined.cancelTask("kept", "undone as well");
      await execute("ROLLBACK TO SAVEPOINT mine");
      expect(await joined.getTask("undone")).toBeNull();
      expect(await joined.getTask("kept")).toMatchObject({ state: "waiting" });
      expect(await joined.scheduleTask({ ...later, taskId: "undone" })).toMatchObject({ change: "new" });
      await execute("ROLLBACK TO SAVEPOINT mine");
      await execute("RELEASE SAVEPOINT mine");
      await joined.scheduleTask({ ...later, taskId: "last" });
    });
    expect((await shop.log()).map(({ eventType, taskId }) => [eventType, taskId])).toEqual([
      ["TaskScheduled", "kept"],
      ["TaskScheduled", "last"],
    ]);
    expect(await shop.scheduler.getTask("undone")).toBeNull();
    expect(await shop.db.verify()).toMatchObject({ ok: true });
  });
});
