/**
 * One program and everything that it starts, in a process group of its own: what ends it, ends all of it. TERM first,
 * and KILL for what is left when the grace is over.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../../index.ts";
import { OutputTail } from "./output-tail.ts";

export interface ProgramOptions {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly input: string | undefined;
  readonly maxOutputBytes: number;
  readonly identity?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface ProgramEnd {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: OutputTail;
  readonly stderr: OutputTail;
}

/** After the end of the program, for what it left behind and holds its output open. */
const lingerMs = 200;

export class ProcessGroup {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  /** Resolves when the program has ended, and rejects if it could not be started. */
  readonly ended: Promise<ProgramEnd>;
  #isOver = false;

  constructor(program: ProgramOptions, clock: Clock) {
    this.#clock = clock;
    const { file, args, env, cwd, input, identity, maxOutputBytes } = program;
    const stdout = new OutputTail(maxOutputBytes);
    const stderr = new OutputTail(maxOutputBytes);
    this.#child = spawn(file, args, {
      cwd,
      env,
      detached: true,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...identity,
    });
    const child = this.#child;
    child.stdout?.on("data", (chunk: Buffer) => stdout.add(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.add(chunk));
    // A program need not read what it is given.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (exitCode, signal) => void this.#settle(() => resolve({ exitCode, signal, stdout, stderr })));
    });
    this.ended.catch(() => {});
  }

  /** Ends the group: TERM, and KILL for what is left after `graceMs`. Resolves when nothing of it is left. */
  async end(graceMs: number): Promise<void> {
    this.#signal("SIGTERM");
    const stepMs = 20;
    for (let waitedMs = 0; waitedMs < graceMs && this.#lives(); waitedMs += stepMs) await this.#clock.sleep(stepMs);
    if (this.#lives()) this.#signal("SIGKILL");
    await this.ended.catch(() => {});
  }

  /** What it wrote last is still in the pipes; a child that it left in the background may hold them for ever. */
  async #settle(resolve: () => void): Promise<void> {
    const closed = new AbortController();
    if (this.#child.stdout?.closed === true && this.#child.stderr?.closed === true) closed.abort();
    else this.#child.once("close", () => closed.abort());
    await this.#clock.sleep(lingerMs, closed.signal);
    this.#isOver = true;
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    resolve();
  }

  /** True while any process of the group is there, also if the first one has ended. */
  #lives(): boolean {
    return this.#signal(0);
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child;
    if (pid === undefined) return false;
    try {
      return process.kill(-pid, signal);
    } catch (error) {
      // EPERM: somebody is there. macOS says so of zombies, too.
      return (error as NodeJS.ErrnoException).code === "EPERM" && !this.#isOver;
    }
  }
}
