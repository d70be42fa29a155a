/** The built command, as a user runs it: killed and started again, told to stop once and twice, told to read its file again. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AzothDb, Scheduler } from "azoth-scheduler";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
let directory: string;
let daemons: Daemon[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "azoth-daemon-"));
});
afterEach(async () => {
  for (const daemon of daemons) daemon.kill("SIGKILL");
  await Promise.all(daemons.map((daemon) => daemon.ended));
  daemons = [];
  rmSync(directory, { recursive: true, force: true });
});

class Daemon {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  stdout = "";
  stderr = "";

  constructor(args: readonly string[]) {
    const env = { ...process.env, AZOTH_STORE: join(directory, "store"), NO_COLOR: "1", TZ: "UTC" };
    this.#child = spawn(process.execPath, [join(root, "dist/cli/main.js"), "run", ...args], {
      cwd: directory,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => this.#child.once("close", (code) => resolve(code)));
    daemons.push(this);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** What it printed as lines of JSON. */
  get lines(): Record<string, unknown>[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async until(event: string, of: Record<string, unknown> = {}): Promise<void> {
    const isThere = () =>
      this.lines.some(
        (line) => line["event"] === event && Object.entries(of).every(([key, value]) => line[key] === value),
      );
    await expect
      .poll(isThere, { timeout: 15_000, interval: 20, message: `${event}: ${this.stdout}${this.stderr}` })
      .toBe(true);
  }
}

const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
const read = (name: string) => readFileSync(join(directory, name), "utf8");
const run = (...args: string[]) => new Daemon(["--json", "--cwd", ".", ...args]);

async function withStore<T>(work: (scheduler: Scheduler, db: AzothDb) => Promise<T>): Promise<T> {
  await using db = await AzothDb.open(join(directory, "store"));
  return await work(new Scheduler(db), db);
}

test("killed and started again, it loses nothing, tells what was missed, and runs again what was cut off", async () => {
  write(
    "tab",
    "# azoth: id=tick\n* * * * * * echo x >> ticks\n# azoth: id=long\n@daily echo $$ >> longs; exec sleep 30\n",
  );
  write("settings.json", '{"settings": {"claimDuration": "1s"}}');
  const first = run("tab", "settings.json");
  await first.until("run", { taskId: "tick", outcome: "succeeded" });
  await withStore((scheduler) => scheduler.runTaskNow("long"));
  await expect.poll(() => existsSync(join(directory, "longs"))).toBe(true);
  first.kill("SIGKILL");
  expect(await first.ended).toBeNull();
  const orphan = Number(read("longs"));
  const before = await withStore((_, db) => db.lastPosition());
  const secondsDown = 2_100;
  await new Promise((resolve) => setTimeout(resolve, secondsDown));

  const second = run("tab", "settings.json");
  await second.until("started");
  expect(second.lines[0]).toMatchObject({ changes: [] });
  await second.until("skipped", { taskId: "tick", because: "missed" });
  await second.until("lost");
  await second.until("released", { taskId: "long", because: "claim-lost" });
  await expect.poll(() => read("longs").trim().split("\n").length).toBe(2);
  second.kill("SIGTERM");
  await expect.poll(() => second.lines.some(({ event }) => event === "stopping")).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 400));
  second.kill("SIGTERM");
  expect(await second.ended).toBe(130);
  expect(second.lines.at(-1)).toMatchObject({ event: "stopped" });
  // It left with its job ended and given back; the orphan of the killed one is nobody's.
  const running = Number(read("longs").trim().split("\n")[1]);
  expect(() => process.kill(running, 0)).toThrow("ESRCH");
  process.kill(orphan);

  await withStore(async (scheduler, db) => {
    expect(await db.verify()).toMatchObject({ ok: true });
    expect(await scheduler.getTask("long")).toMatchObject({ state: "waiting", enabled: true });
    const successes: unknown[] = [];
    for await (const { payload } of db.readLog({ taskId: "tick", eventTypes: ["TaskExecuted"] })) {
      if ((payload as { success: boolean }).success) successes.push(payload);
    }
    const ticks = read("ticks").trim().split("\n").length;
    // At least once: what was cut off by the kill may have run twice.
    expect(ticks - successes.length).toBeGreaterThanOrEqual(0);
    expect(ticks - successes.length).toBeLessThanOrEqual(1);
    expect(await db.lastPosition()).toBeGreaterThan(before);
  });
});

test("one signal waits for what runs; a failing job goes on with its next occurrence", async () => {
  write(
    "tab",
    "# azoth: id=slow\n@reboot touch begun; sleep 1; echo done > ended\n# azoth: id=bad\n* * * * * * exit 7\n",
  );
  const daemon = run("tab");
  await daemon.until("run", { taskId: "bad", outcome: "failed" });
  await expect.poll(() => existsSync(join(directory, "begun"))).toBe(true);
  daemon.kill("SIGINT");
  expect(await daemon.ended).toBe(0);
  expect(read("ended")).toBe("done\n");
  expect(daemon.lines.filter(({ taskId }) => taskId === "slow")).toMatchObject([
    { event: "run", outcome: "succeeded" },
  ]);
  const bad = daemon.lines.find(({ taskId }) => taskId === "bad");
  expect(bad).toMatchObject({ error: { message: "Exit code 7, without output." }, retry: false });
  expect(Date.parse(String(bad?.["nextRunAt"]))).toBeGreaterThan(Date.parse(String(bad?.["endedAt"])));

  const again = run("tab");
  await again.until("run", { taskId: "slow" });
  again.kill("SIGTERM");
  expect(await again.ended).toBe(0);
});

test("SIGHUP reads the file again; a wrong one changes nothing", async () => {
  write("tab", "# azoth: id=a\n@daily a\n# azoth: id=b\n@daily b\n");
  const daemon = run("tab");
  await daemon.until("started");
  write("tab", "61 * * * * x\n");
  daemon.kill("SIGHUP");
  await daemon.until("reload-refused");
  expect(daemon.lines.at(-1)).toMatchObject({ complaints: [expect.stringContaining("tab:1:1: ")] });
  write("tab", "# azoth: id=a\n@daily changed\n# azoth: id=c\n@daily c\n# azoth: id=d\n@reboot touch never\n");
  daemon.kill("SIGHUP");
  await daemon.until("reloaded");
  const changes = daemon.lines.find(({ event }) => event === "reloaded")?.["changes"] as {
    taskId: string;
    change: string;
  }[];
  expect(changes.map(({ taskId, change }) => `${taskId} ${change}`)).toEqual([
    "a replaced",
    "c new",
    "d later",
    "b cancelled",
  ]);
  daemon.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
  expect(existsSync(join(directory, "never"))).toBe(false);
  await withStore(async (scheduler, db) => {
    expect(await scheduler.getTask("b")).toMatchObject({ state: "cancelled" });
    const declared: unknown[] = [];
    for await (const { payload } of db.readLog({ eventTypes: ["tasks_declared"] }))
      declared.push((payload as { taskIds: unknown }).taskIds);
    expect(declared).toEqual([
      ["a", "b"],
      ["a", "c", "d"],
    ]);
  });
});

describe("without running", () => {
  test("--check and --dry-run make no store and say what is so", async () => {
    write("tab", "# azoth: id=a\n@daily a\n");
    const dry = new Daemon(["--json", "--dry-run", "tab"]);
    expect(await dry.ended).toBe(0);
    expect(dry.lines).toMatchObject([{ taskId: "a", change: "new" }]);
    const check = new Daemon(["--check", "tab"]);
    expect(await check.ended).toBe(0);
    expect(check.stdout).toBe("Fine: 1 task.\n");
    expect(existsSync(join(directory, "store"))).toBe(false);
  });

  test("--dry-run on a store shows what would change, and leaves it as it was", async () => {
    write("tab", "# azoth: id=a\n@daily a\n# azoth: id=b\n@daily b\n");
    const daemon = run("tab");
    await daemon.until("started");
    daemon.kill("SIGTERM");
    expect(await daemon.ended).toBe(0);
    const before = await withStore((_, db) => db.lastPosition());
    write("tab", "# azoth: id=a\n@daily changed\n");
    const dry = new Daemon(["--cwd", ".", "--dry-run", "tab"]);
    expect(await dry.ended).toBe(0);
    expect(dry.stdout).toMatch(
      /^replaced +a +next .*\ncancelled +b\nWould be 1 task: 1 replaced, 1 cancelled\. Nothing was changed\.\n$/,
    );
    expect(await withStore((_, db) => db.lastPosition())).toBe(before);
  });

  test("wrong files end with 2 and every mistake; files that are not there with 3; another's tasks with 4", async () => {
    write("tab", "61 * * * * a\n");
    write("other.json", '{"tasks": {"a": {"every": "5 minutes", "shell": "x"}}}');
    const wrong = new Daemon(["tab", "other.json"]);
    expect(await wrong.ended).toBe(2);
    expect(wrong.stderr).toMatch(
      /^tab:1:1: .*\nother\.json: tasks\.a\.every: .*\nerror: 2 mistakes; nothing was started or changed\./,
    );
    expect(await new Daemon(["nowhere"]).ended).toBe(3);
    write("one", "# azoth: id=a\n@daily a\n");
    write("two", "# azoth: id=a\n@daily a\n");
    const one = run("one");
    await one.until("started");
    one.kill("SIGTERM");
    await one.ended;
    const two = run("two");
    expect(await two.ended).toBe(4);
    expect(two.stderr).toContain("is declared by");
    expect(await new Daemon(["--check", "one", "two"]).ended).toBe(2);
  });
});

test("a configuration in TypeScript brings its own handlers", async () => {
  const config = `import { taskHandler } from ${JSON.stringify(join(root, "dist/index.js"))};
    const greet = taskHandler({ taskType: "greet", execute: (_: unknown, { name }: { name: string }) => ({ eventType: "greeted", payload: name }) });
    export default { handlers: [greet], tasks: { a: { atStart: true, taskType: "greet", payload: { name: "world" as string } } } };`;
  write("azoth.config.ts", config);
  const daemon = run("azoth.config.ts");
  await daemon.until("run", { taskId: "a", outcome: "succeeded" });
  daemon.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
  const greeted = await withStore(async (_, db) => {
    const events: unknown[] = [];
    for await (const event of db.readLog({ eventTypes: ["greeted"] })) events.push(event);
    return events;
  });
  expect(greeted).toMatchObject([{ payload: "world", taskId: "a" }]);
});
