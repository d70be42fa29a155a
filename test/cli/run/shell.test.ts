/** The task type `shell` with real processes: what becomes of output and exit codes, and that nothing of a command survives its end. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzothDb, immediate, type RecordedEvent, Scheduler } from "azoth-scheduler";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { OutputTail } from "../../../src/cli/handlers/output-tail.ts";
import { RunFailed } from "../../../src/cli/handlers/run-failed.ts";
import { shellHandler, type ShellPayload } from "../../../src/cli/handlers/shell.ts";

let directory: string;
let db: AzothDb;
let scheduler: Scheduler;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "azoth-shell-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(async () => {
  db = await AzothDb.open(":memory:");
  seenTo = 0;
  const identityOf = (user: string) => {
    if (user !== "me") throw new RunFailed("CommandFailed", `there is no ${user}`);
    return undefined;
  };
  const env = { PATH: process.env["PATH"], TOKEN: "s3cr3t-value", AZOTH_STORE: "postgres://x:y@z/" };
  const surroundings = { clock: db.clock, env, cwd: directory, identityOf };
  scheduler = new Scheduler(db, { handlers: [shellHandler(surroundings)] });
  await scheduler.start();
});
afterEach(async () => {
  await scheduler.stop({ gracePeriod: 0 });
  await db.close();
});

/** How much of the log has been looked at. */
let seenTo = 0;

/** The log from there up to the next event of the type. */
async function until(eventType: string): Promise<RecordedEvent[]> {
  const seen: RecordedEvent[] = [];
  for await (const event of db.subscribe({ after: seenTo })) {
    seen.push(event);
    seenTo = event.position;
    if (event.eventType === eventType) break;
  }
  return seen;
}

interface Ran {
  /** What the handler returned; absent if it failed. */
  readonly output: Record<string, unknown> | undefined;
  readonly success: boolean;
  readonly code: string | undefined;
  readonly message: string;
}

async function run(payload: ShellPayload, options: { readonly timeout?: string } = {}): Promise<Ran> {
  await scheduler.scheduleTask({ taskType: "shell", schedule: immediate(), payload, maxRetries: 1, ...options });
  const events = await until("TaskExecuted");
  const end = events.at(-1)?.payload as { success: boolean; error?: { code: string; message: string; stack?: string } };
  expect(end.error?.stack).toBeUndefined();
  const finished = events.find(({ eventType }) => eventType === "command_finished");
  return {
    output: finished?.payload as Ran["output"],
    success: end.success,
    code: end.error?.code,
    message: end.error?.message ?? "",
  };
}

/** True while there is such a process, and it is no zombie. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("a command", () => {
  test("that succeeds leaves its exit code and output in the log", async () => {
    const { output } = await run({ command: "echo out; echo err >&2" });
    expect(output).toEqual({ exitCode: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("that fails says so with its exit code and the end of what it wrote", async () => {
    expect(await run({ command: "echo fine; echo no such luck >&2; exit 3" })).toMatchObject({
      success: false,
      code: "HANDLER_FAILED",
      message: "Exit code 3: no such luck",
    });
    expect((await run({ command: "kill -9 $$" })).message).toBe("It was ended by SIGKILL, without output.");
  });

  test("line goes to the shell as it is; arguments go to the program as they are", async () => {
    const hostile = `$(touch ${join(directory, "never")}) "; rm -rf / '`;
    expect((await run({ command: ["printf", "%s|", hostile, "b c"] })).output).toMatchObject({
      stdout: `${hostile}|b c|`,
    });
    expect(existsSync(join(directory, "never"))).toBe(false);
    expect((await run({ command: `printf '%s' "a  b" | cat` })).output).toMatchObject({ stdout: "a  b" });
    expect((await run({ command: "$0", shell: "/bin/echo" })).output).toMatchObject({ stdout: "-c $0\n" });
  });

  test("reads its input, in its directory, with its environment and not ours", async () => {
    const payload = { command: "cat; pwd; echo $A$AZOTH_STORE", stdin: "in\n", cwd: "/", env: { A: "a" } };
    expect((await run(payload)).output).toMatchObject({ stdout: "in\n/\na\n" });
    const bare = await run({ command: "/usr/bin/env", env: { A: "a" }, inheritEnv: false });
    expect(String(bare.output?.["stdout"]).split("\n")).not.toContain(expect.stringMatching(/^TOKEN=/));
    expect(bare.output).toMatchObject({ stdout: expect.stringContaining("A=a\n") as string });
    // Who does not read its input is not in the way.
    expect(await run({ command: "true", stdin: "x".repeat(1_000_000) })).toMatchObject({ success: true });
  });

  test("that cannot be started says why", async () => {
    const messages = [
      (await run({ command: ["./not-there"] })).message,
      (await run({ command: "x", shell: "/etc/passwd" })).message,
      (await run({ command: "true", cwd: "/not/there" })).message,
      (await run({ command: "true", user: "somebody" })).message,
    ];
    expect(messages).toEqual([
      "The program ./not-there is not there.",
      "The program /etc/passwd may not be executed.",
      "The program /bin/sh is not there, or the directory /not/there is not there.",
      "there is no somebody",
    ]);
    expect((await run({ command: "definitely-not-a-command" })).message).toMatch(/^Exit code 127: .*not found/);
  });

  test("that leaves something in the background has ended when it has ended", async () => {
    const started = Date.now();
    const { output } = await run({ command: "sleep 30 & echo $!" });
    expect(Date.now() - started).toBeLessThan(10_000);
    process.kill(Number(output?.["stdout"]));
  });
});

describe("the output", () => {
  test("is kept up to its limit: the end, and how much was cut", async () => {
    const { output } = await run({ command: "seq 1 20000; printf 'ä%.0s' $(seq 10) >&2", maxOutputBytes: 15 });
    const total = Number((await run({ command: "seq 1 20000 | wc -c" })).output?.["stdout"]);
    expect(output).toEqual({
      exitCode: 0,
      stdout: "98\n19999\n20000\n",
      stderr: "äääääää",
      stdoutCutBytes: total - 15,
      stderrCutBytes: 6,
    });
  });

  test("tail is the same however it comes in pieces", () => {
    const text = Buffer.from("é€😀".repeat(50_000));
    for (const size of [1_000, 7_001, text.length]) {
      const tail = new OutputTail(100);
      for (let at = 0; at < text.length; at += size) tail.add(text.subarray(at, at + size));
      expect(tail.text).toBe(text.subarray(text.length - 99).toString());
      expect(tail.cutBytes).toBe(text.length - 99);
    }
  });
});

describe("secrets", () => {
  test("are looked up when it runs, and are nowhere in the log", async () => {
    const { output } = await run({
      command: 'test "${#T}" = 12 && echo "it is $T $U"',
      env: { T: "env:TOKEN", U: "<${env:TOKEN}>" },
    });
    expect(output).toMatchObject({ stdout: "it is [env:TOKEN] <[env:TOKEN]>\n" });
    expect((await run({ command: "echo $T >&2; exit 1", env: { T: "env:TOKEN" } })).message).toBe(
      "Exit code 1: [env:TOKEN]",
    );
    for await (const event of db.readLog()) expect(JSON.stringify(event.payload)).not.toContain("s3cr3t");
  });

  test("that are not set fail the run with their names", async () => {
    expect((await run({ command: "true", env: { T: "env:MISSING" } })).message).toContain("MISSING is not set");
  });
});

describe("the end of its time", () => {
  const family = (trap: string) =>
    `${trap} sleep 60 & echo $! > ${join(directory, "child")}; echo $$ > ${join(directory, "parent")}; wait; wait; sleep 60`;
  const pids = () => ["parent", "child"].map((name) => Number(readFileSync(join(directory, name), "utf8")));

  test("ends what a command started as well, first by TERM", async () => {
    const { code } = await run({ command: family("") }, { timeout: "500ms" });
    expect(code).toBe("TASK_TIMED_OUT");
    await expect.poll(() => pids().map(lives)).toEqual([false, false]);
  });

  test("and by KILL what does not heed it", async () => {
    const deaf = `sh -c 'trap "" TERM; echo $$ > ${join(directory, "child")}; while :; do sleep 0.1; done' & ${family('trap "" TERM;').replace(/echo \$!.*?;/, "")}`;
    await run({ command: deaf, killAfter: "300ms" }, { timeout: "500ms" });
    await until("TaskHandlerSettled");
    expect(pids().map(lives)).toEqual([false, false]);
  });

  test("comes with a cancellation, and with the end of the daemon, which runs it again", async () => {
    await scheduler.scheduleTask({
      taskId: "a",
      taskType: "shell",
      schedule: immediate(),
      payload: { command: family("") },
    });
    await expect.poll(() => existsSync(join(directory, "parent")) && lives(pids()[0] ?? 0)).toBe(true);
    await scheduler.cancelTask("a", "enough");
    await expect.poll(() => pids().map(lives)).toEqual([false, false]);
    await scheduler.scheduleTask({
      taskId: "b",
      taskType: "shell",
      schedule: immediate(),
      payload: { command: family("") },
    });
    await until("TaskCancelled");
    await expect.poll(() => pids().map(lives)).toEqual([true, true]);
    await scheduler.stop({ gracePeriod: 0 });
    expect(pids().map(lives)).toEqual([false, false]);
    expect((await until("TaskReleased")).at(-1)?.payload).toMatchObject({ because: "shutdown" });
  });
});
