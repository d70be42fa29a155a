/** Stores made, proved, made anew and put elsewhere by command; and what is refused changes nothing. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AzothDb, cron, immediate, taskHandler } from "azoth-scheduler";
import { ManualClock } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler, engineUnderTest, newLocation } from "../../engine-under-test.ts";
import { scratchDirectory } from "../../store/scratch-directory.ts";
import { changed, tamper } from "../../store/tampering.ts";
import { run } from "../command-line.ts";

const clock = new ManualClock("2026-01-01T00:00:00Z");
const work = taskHandler({ taskType: "work", execute: () => undefined });

/** A store in which one task has run. */
async function filled(): Promise<string> {
  const location = await newLocation({ shared: true });
  await using kit = await createTestScheduler({ handlers: [work], location });
  await kit.scheduler.scheduleTask({ taskId: "done", taskType: "work", schedule: immediate() });
  await kit.scheduler.scheduleTask({ taskId: "t", taskType: "work", schedule: cron("0 0 * * * *") });
  await kit.settle();
  await kit.stop();
  return location;
}

describe("init and migrate", () => {
  test("make a store once, and leave it as it is the second time", async () => {
    const store = await newLocation({ shared: true });
    for (const made of [true, false]) {
      const answer = await run(["init", "--json"], { clock, store });
      expect(answer.code).toBe(0);
      expect(answer.objects).toMatchObject([{ made }]);
    }
  });

  test("leave a store of this version alone", async () => {
    const store = await filled();
    const answer = await run(["migrate", "--json"], { clock, store });
    const [{ from, to } = {}] = answer.objects;
    expect([answer.code, from]).toEqual([0, to]);
  });

  test.runIf(engineUnderTest === "sqlite")("refuse a store of a newer version", async () => {
    const store = await filled();
    await tamper(store, "PRAGMA user_version = 999");
    const refused = await run(["migrate"], { clock, store });
    expect(refused).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("STORE_TOO_NEW") as string });
  });
});

describe("verify and rebuild", () => {
  test("find a row that was changed, and mend it from the log", async () => {
    const store = await filled();
    expect(await run(["verify"], { clock, store })).toMatchObject({ code: 0 });
    await tamper(store, changed("runs", "7", "done"));
    const found = await run(["verify", "--json"], { clock, store });
    expect(found.code).toBe(1);
    expect(found.objects).toMatchObject([{ ok: false, difference: { taskId: "done", replayed: 1, stored: 7 } }]);
    expect(await run(["rebuild"], { clock, store })).toMatchObject({ code: 0 });
    expect(await run(["verify"], { clock, store })).toMatchObject({ code: 0 });
  });

  test("that are ended by Ctrl-C leave all as it was", async () => {
    const store = await filled();
    await tamper(store, changed("runs", "7", "done"));
    const signal = AbortSignal.abort();
    expect(await run(["rebuild"], { clock, store, signal })).toMatchObject({ code: 130, stdout: "", stderr: "" });
    expect(await run(["verify"], { clock, store })).toMatchObject({ code: 1 });
  });

  test.each(["5", "x:y", `1:${"g".repeat(64)}`])("refuse the chain head %s", async (head) => {
    const store = await filled();
    const answer = await run(["verify", "--chain-head", head], { clock, store });
    expect(answer).toMatchObject({ code: 2, stderr: expect.stringContaining(JSON.stringify(head)) as string });
  });
});

describe("backup and restore", () => {
  test("bring a store back, to either engine", async () => {
    const store = await filled();
    const file = join(scratchDirectory(), "backup.db");
    expect(await run(["backup", file], { clock, store })).toMatchObject({ code: 0 });
    const target = await newLocation({ shared: true });
    const answer = await run(["restore", file, "--json"], { clock, store: target });
    expect([answer.code, answer.stderr]).toEqual([0, ""]);
    expect(answer.objects).toMatchObject([{ tasks: 2 }]);
    await using from = await AzothDb.open(store, { create: false });
    await using to = await AzothDb.open(target, { create: false });
    expect(await to.lastPosition()).toBe(await from.lastPosition());
    const again = await run(["restore", file], { clock, store: target });
    expect(again.code).toBe(4);
  });

  test("never overwrite, and the hint fits", async () => {
    const store = await filled();
    const directory = scratchDirectory();
    const file = join(directory, "mine");
    writeFileSync(file, "mine");
    const answer = await run(["backup", file], { clock, store });
    expect(answer).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("a backup a file that does not exist yet") as string,
    });
    expect(readFileSync(file, "utf8")).toBe("mine");
    const nowhere = await run(["backup", join(directory, "no", "b.db")], { clock, store });
    expect(nowhere).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("STORE_NOT_WRITABLE") as string,
    });
    expect(readdirSync(directory)).toEqual(["mine"]);
  });

  test("refuse garbage, and make no store of it", async () => {
    const directory = scratchDirectory();
    writeFileSync(join(directory, "garbage"), "no database at all".repeat(100));
    const store = join(directory, "store");
    const answer = await run(["restore", join(directory, "garbage")], { clock, store });
    expect(answer).toMatchObject({ code: 4, stderr: expect.stringContaining("STORE_NOT_AZOTH") as string });
    expect(existsSync(join(store, "azoth.db"))).toBe(false);
    const missing = await run(["restore", join(directory, "missing")], { clock, store });
    expect(missing.code).toBe(3);
  });
});

describe("copy", () => {
  test("brings all to another place; interrupted, it goes on when repeated", async () => {
    const store = await filled();
    const target = await newLocation({ shared: true });
    const signal = AbortSignal.abort();
    expect(await run(["copy", target], { clock, store, signal })).toMatchObject({ code: 130 });
    expect((await run(["copy", target, "--json"], { clock, store })).objects).toMatchObject([{ tasks: 2 }]);
    const again = await run(["copy", target], { clock, store });
    expect(again).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("COPY_REFUSED") as string });
    expect(await run(["verify"], { clock, store: target })).toMatchObject({ code: 0 });
  });
});
