/**
 * Rows that no version of this library wrote: each reader is answered or told in an error of ours, which does not repeat what is
 * in the row; `verify` says that the store is not whole; and nothing hangs or ends the process.
 */
import { AzothDb, immediate, isAzothError, oneTime, Scheduler, taskHandler } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import { openStore, scratchDirectory, until } from "../store/scratch-stores.ts";
import { changed, tamper } from "../store/tampering.ts";
import { drain, harmlessLine } from "./doors.ts";

const secret = "secret-value";
const largest = "9223372036854775807";
const third = (change: string) => `UPDATE azoth_events SET ${change} WHERE position = 2`;

/** What was done to the row of one task or its event, and whether a scheduler still runs the other task beside it. */
// biome-ignore format: a table, one row to a line.
const rows: readonly (readonly [what: string, sql: string, runs: boolean])[] = [
  ["a definition that is no JSON", changed("definition", `'{broken ${secret}'`, "bad"), false],
  ["a definition that is null", changed("definition", "'null'", "bad"), false],
  ["a schedule of an unknown kind", changed("definition", `'{"schedule":{"kind":"${secret}"}}'`, "bad"), true],
  ["a timeout that is a text", changed("definition", `'{"timeoutMs":"${secret}"}'`, "bad"), true],
  ["a payload that is no JSON", changed("payload", `'{broken ${secret}'`, "bad"), true],
  ["a payload that is very deep", changed("payload", `replace(hex(zeroblob(5000)), '0', '[')`, "bad"), true],
  ["an unknown phase", changed("phase", "99", "bad"), true],
  ["an unknown type", changed("type", "9999", "bad"), true],
  ["instants beyond all dates", changed("created_at_ms", "8640000000000001", "bad"), true],
  ["instants beyond all numbers", changed("run_at_ms", largest, "bad"), true],
  ["an event that is no JSON", third(`data = '{broken ${secret}'`), true],
  ["an event that is another JSON", third(`data = '["${secret}"]'`), true],
  ["an event of an unknown type", third("type = 9999"), true],
  ["an event of an instant beyond all numbers", third(`at_ms = ${largest}`), true],
  ["an event of no task that there is", third("task = 9999"), true],
];

describe("a store with", () => {
  test.each(rows)("%s", async (_, sql, runs) => {
    const location = scratchDirectory();
    const laterMs = Date.now() + 150;
    {
      await using db = await AzothDb.open(location);
      const scheduler = new Scheduler(db, { externalTaskTypes: ["job"] });
      await scheduler.scheduleTask({ taskId: "good", taskType: "job", schedule: oneTime(new Date(laterMs)) });
      await scheduler.scheduleTask({ taskId: "bad", taskType: "job", schedule: immediate(), payload: 5 });
    }
    await tamper(location, sql);
    const db = await openStore(location);
    const errors: unknown[] = [];
    const ran: string[] = [];
    const job = taskHandler({ taskType: "job", execute: ({ taskId }) => void ran.push(taskId) });
    await using scheduler = new Scheduler(db, {
      handlers: [job],
      gracePeriod: 0,
      onSignal: (signal) => void (signal.name === "store.failed" && errors.push(signal.error)),
    });
    for (const read of [
      () => scheduler.listTasks(),
      () => scheduler.getTask("bad"),
      () => scheduler.history("bad"),
      () => scheduler.countTasks(),
      () => drain(db.readLog()),
      () => drain(db.readLog({ taskId: "bad" })),
    ]) {
      await Promise.resolve(read()).catch((error: unknown) => errors.push(error));
    }
    expect(await db.verify()).toMatchObject({ ok: false });
    await scheduler.start();
    if (runs) await until(() => ran.includes("good"), "the other task has run");
    else {
      await until(() => errors.some((error) => isAzothError(error, "STORE_CORRUPT")), "the damage is told");
      await db.rebuild();
      await until(() => ran.includes("good") && ran.includes("bad"), "both have run, as the log has them");
    }
    await scheduler.stop();
    for (const error of errors) {
      expect(isAzothError(error, "STORE_CORRUPT"), String(error)).toBe(true);
      expect((error as Error).message).toMatch(harmlessLine);
      expect((error as Error).message).not.toContain(secret);
    }
  });
});
