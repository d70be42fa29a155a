/** Bad input in the middle of a transaction: refused, and nothing of the transaction stays. */
import type { Transaction } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { engineUnderTest } from "../engine-under-test.ts";
import { Doors, errorOf, idle, request, schedule, wrong } from "./doors.ts";

const doors = new Doors();
const isSqlite = engineUnderTest === "sqlite";

describe("a transaction", () => {
  const within = (callback: (transaction: Transaction) => unknown) => () => doors.db.transaction(callback);
  const append = (event: unknown) => within((transaction) => transaction.append(wrong(event)));
  // biome-ignore format: a table, one row to a line.
  doors.refuses([
    ["without a callback", "INVALID_OPTION", () => doors.db.transaction(wrong(undefined)), "callback", "undefined"],
    ["with a statement for a callback", "INVALID_OPTION", () => doors.db.transaction(wrong("SELECT 1")), '"SELECT 1"'],
    ["of a scheduler without a callback", "INVALID_OPTION", () => doors.scheduler.transaction(wrong({})), "an object"],
    ["with an event that is none", "INVALID_EVENT", append("noted"), '"noted"', "eventType"],
    ["with an event that is nothing", "INVALID_EVENT", append(undefined), "undefined"],
    ["with an event without a type", "INVALID_EVENT", append({ payload: 1 }), "eventType", "undefined"],
    ["with an event of an empty type", "INVALID_EVENT", append({ eventType: "" }), '""', "1 to 255"],
    ["with an event of a long type", "INVALID_EVENT", append({ eventType: "x".repeat(300) }), "300"],
    ["with an event of garbage for a type", "INVALID_EVENT", append({ eventType: { a: 1 } }), "an object"],
    ["with an event of two lines for a type", "INVALID_EVENT", append({ eventType: "a\nb" }), "\\n"],
    ["with a lifecycle event", "RESERVED_EVENT_TYPE", append({ eventType: "TaskExecuted" }), '"TaskExecuted"', "another name"],
    ["with a system event", "RESERVED_EVENT_TYPE", append({ eventType: "SchedulerLost" }), '"SchedulerLost"'],
    ["with an event's payload that is no JSON", "PAYLOAD_NOT_JSON", append({ eventType: "noted", payload: { a: idle } }), '"noted"', "at a", "a function"],
    ["with an event's payload that is too large", "PAYLOAD_TOO_LARGE", append({ eventType: "noted", payload: "x".repeat(999) }), "1001", "1000"],
    ["with an unknown task type", "UNKNOWN_TASK_TYPE", within((tx) => tx.scheduleTask(request({ taskType: "fax" }))), '"fax"'],
    ["with a bad task", "INVALID_PAYLOAD", within((tx) => tx.scheduleTask(request({ taskType: "false" }))), '"false"'],
    ["with broken SQL", "INVALID_SQL", within((tx) => tx.execute("SELEKT 1")), "SELEKT", "syntax"],
    ["with two statements", "INVALID_SQL", within((tx) => tx.execute("SELECT 1; SELECT 2")), "one by one"],
    ["with SQL that is no text", "INVALID_SQL", within((tx) => tx.execute(wrong(5))), "5"],
    ["with SQL on several lines", "INVALID_SQL", within((tx) => tx.query('SELECT *\nFROM "no\nwhere"')), isSqlite ? "no such table" : "does not exist"],
    ["with parameters that are none", "INVALID_SQL", within((tx) => tx.execute("SELECT ?", wrong("a"))), '"a"', "array"],
    ["with a Date for a parameter", "INVALID_SQL", within((tx) => tx.execute("SELECT ?", [wrong(new Date(0))])), "Parameter 1", "ISO"],
    ["with a NUL in a parameter", "INVALID_SQL", within((tx) => tx.execute("SELECT ?, ?", [1, "a\0b"])), "Parameter 2", "a\\u0000b", "NUL"],
    ["with half a character in a parameter", "INVALID_SQL", within((tx) => tx.query("SELECT ?", ["a\ud800"])), "Parameter 1", "a\\ud800"],
    ["with a NUL in its SQL", "INVALID_SQL", within((tx) => tx.execute("DELETE FROM notes\0 WHERE 1 = 2")), "NUL", "DELETE FROM notes\\u0000"],
    ["with a table of the store's", "INVALID_SQL", within((tx) => tx.execute("DELETE FROM azoth_tasks")), "azoth_"],
    ["that is committed by hand", "INVALID_SQL", within((tx) => tx.execute("COMMIT")), "COMMIT"],
    ["with a query that writes, outside of it", "INVALID_SQL", () => doors.db.query("CREATE TABLE a (b INTEGER)"), "transaction"],
    ["with a query that is no text", "INVALID_SQL", () => doors.db.query(wrong(undefined)), "undefined"],
    [
      "that is used after its end",
      "TRANSACTION_CLOSED",
      async () => {
        const leaked = await doors.db.transaction((transaction) => ({ transaction }));
        await leaked.transaction.append({ eventType: "late" });
      },
      "callback",
    ],
  ]);

  test("keeps nothing of what went before the refusal", async () => {
    const error = await errorOf(
      within(async (transaction) => {
        await transaction.append({ eventType: "noted" });
        await transaction.execute("CREATE TABLE leftover (a INTEGER)");
        await transaction.scheduleTask({ taskType: "plain", schedule });
        await transaction.append({ eventType: "TaskExecuted" });
      }),
    );
    expect(error.code).toBe("RESERVED_EVENT_TYPE");
    await doors.expectNothingWritten();
    const tables = isSqlite ? "SELECT name FROM sqlite_master" : "SELECT relname AS name FROM pg_class";
    expect(await doors.db.query(`SELECT * FROM (${tables}) AS tables WHERE name = 'leftover'`)).toEqual([]);
  });

  test("passes on what its callback throws, whatever it is", async () => {
    const mine = new Error("mine");
    for (const thrown of [mine, "text", undefined, Symbol("s")]) {
      await expect(doors.db.transaction(() => Promise.reject(thrown as Error))).rejects.toBe(thrown);
    }
    await doors.expectNothingWritten();
  });
});
