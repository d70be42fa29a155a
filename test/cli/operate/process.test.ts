/** The built command between other processes: a reader that goes, a full disk, a scheduler that writes, Ctrl-C. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AzothDb, immediate, Scheduler } from "azoth-scheduler";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { scratchDirectory } from "../../store/scratch-directory.ts";

const main = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
let store: string;
let db: AzothDb;
beforeEach(async () => {
  store = scratchDirectory();
  db = await AzothDb.open(store);
  await db.transaction(async (tx) => {
    for (let number = 0; number < 5_000; number++) await tx.append({ eventType: "counted", payload: number });
  });
  return async () => await db.close();
});

const shell = (command: string) => {
  const env = { ...process.env, AZOTH_STORE: store, NO_COLOR: "1" };
  const text = `azoth() { "${process.execPath}" "${main}" "$@"; }; set -o pipefail; ${command}`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", text], { env, encoding: "utf8" });
  return { status, stdout, stderr };
};

test("ends quietly when nobody reads any more", () => {
  const { status, stdout, stderr } = shell("azoth events --json | head -1");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({ position: 1 });
});

test.skipIf(!existsSync("/dev/full"))("says that its output cannot be written", () => {
  const { status, stderr } = shell("azoth events > /dev/full");
  expect(stderr).toMatch(/^error: The output cannot be written: ENOSPC.*\n$/);
  expect(status).toBe(1);
});

test("follows what a scheduler writes, until Ctrl-C", async () => {
  const child = spawn(process.execPath, [main, "events", "--follow", "--json", "--store", store]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  const ended = new Promise((resolve) => child.once("close", resolve));
  await expect.poll(() => stdout.split("\n").length - 1, { timeout: 15_000, interval: 20 }).toBe(10);
  await new Scheduler(db, { externalTaskTypes: ["job"] }).scheduleTask({
    taskId: "seen",
    taskType: "job",
    schedule: immediate(),
  });
  await expect.poll(() => stdout, { timeout: 15_000, interval: 20 }).toContain('"taskId":"seen"');
  child.kill("SIGINT");
  expect(await ended).toBe(130);
});
