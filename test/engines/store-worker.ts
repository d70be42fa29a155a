/** Processes that use a store: started, told what to do, listened to, and killed. They need the built package. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { AzothDbOptions } from "../../src/store/azoth-db.ts";

export interface WorkerOptions {
  readonly location: string;
  readonly db?: Pick<AzothDbOptions, "durability" | "busyTimeout" | "noticeInterval" | "hashChain">;
  /** Starts the scheduler. */
  readonly run?: boolean;
  /** The user and group to go on as, once everything is loaded. */
  readonly uid?: number;
}

/** One line that a worker printed: what, and facts. */
export type Line = readonly [what: string, ...facts: unknown[]];

export type Command =
  | {
      readonly command: "schedule";
      readonly prefix: string;
      readonly count: number;
      readonly payload?: unknown;
      readonly inFlight?: number;
    }
  | { readonly command: "append"; readonly count: number; readonly eventType: string }
  | { readonly command: "follow"; readonly after: number; readonly until: number }
  | { readonly command: "rebuild" | "stop" };

const script = fileURLToPath(new URL("store-worker.mjs", import.meta.url));

export class StoreWorker {
  /** Everything that it has printed. */
  readonly lines: Line[] = [];
  /** What it printed to standard error. */
  complaints = "";
  /** Resolves with its exit code or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  /** @param through a command that starts it: ["bash", "-c", …] gets the program and its arguments as "$@" */
  constructor(options: WorkerOptions, through: readonly string[] = []) {
    const program = [process.execPath, script, JSON.stringify(options)];
    const [file, ...rest] = [...through, ...program];
    this.#child = spawn(String(file), rest, { stdio: "pipe" });
    this.#child.stdin?.on("error", () => {});
    this.#child.stderr?.on("data", (text: Buffer) => {
      this.complaints += text.toString();
    });
    const { stdout } = this.#child;
    if (stdout !== null) {
      createInterface({ input: stdout }).on("line", (line) => {
        // The last line of a killed process may be torn.
        if (!line.startsWith("[") || !line.endsWith("]")) return;
        this.lines.push(JSON.parse(line) as Line);
        this.#wake();
      });
    }
    this.ended = new Promise((resolve) => {
      // All that was printed has been read by then.
      this.#child.once("close", (code, signal) => {
        this.#hasEnded = true;
        this.#wake();
        resolve(code ?? signal ?? "unknown");
      });
    });
    onTestFinished(async () => {
      this.kill("SIGKILL");
      await this.ended;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  tell(command: Command): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** What it printed of one kind: the facts of each line. */
  said(what: string): (readonly unknown[])[] {
    return this.lines.filter(([kind]) => kind === what).map(([, ...facts]) => facts);
  }

  /** The ids or positions that it has acknowledged. */
  get acknowledged(): unknown[] {
    return this.said("ack").map(([id]) => id);
  }

  /** Resolves with the facts of the first line of a kind that fits. */
  async hears(
    what: string,
    fits: (...facts: readonly unknown[]) => boolean = () => true,
    deadlineMs: number = 20_000,
  ): Promise<readonly unknown[]> {
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      const found = this.said(what).find((facts) => fits(...facts));
      if (found !== undefined) return found;
      const crash = this.said("crashed")[0];
      if (crash !== undefined) throw new Error(`The worker crashed: ${String(crash[0])}`);
      if (this.#hasEnded) throw new Error(`The worker ended before it said ${what}: ${this.#story()}`);
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`The worker did not say ${what} within ${deadlineMs} ms: ${this.#story()}`);
      await this.#change(leftMs);
    }
  }

  kill(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    if (!this.#hasEnded) this.#child.kill(signal);
  }

  /** Ends it at once, as a power cut would end the process, and waits until it is gone. */
  async crash(): Promise<void> {
    this.kill("SIGKILL");
    await this.ended;
  }

  /** Lets it stop in an orderly way. */
  async stop(): Promise<void> {
    this.tell({ command: "stop" });
    const code = await this.ended;
    if (code !== 0) throw new Error(`The worker ended with ${code}: ${this.#story()}`);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => wake(), ms);
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  #story(): string {
    return `${JSON.stringify(this.lines.slice(-10))} ${this.complaints.slice(-2_000)}`;
  }
}

/** A worker that has opened its store, and runs its scheduler if it was asked to. */
export async function startWorker(options: WorkerOptions, through?: readonly string[]): Promise<StoreWorker> {
  const worker = new StoreWorker(options, through);
  await worker.hears("ready");
  return worker;
}
