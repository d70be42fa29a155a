/** Starts the compiled examples as processes of their own, as a user does. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class ExampleProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #watchers = new Set<() => void>();
  output = "";

  constructor(name: string, { args = [], env = {} }: RunOptions = {}) {
    const file = `${root}.build/examples/${name}.js`;
    if (!existsSync(file)) throw new Error(`${file} is missing: npm test compiles the examples before it runs vitest.`);
    this.#child = spawn(process.execPath, [file, ...args], { env: { ...process.env, NO_COLOR: "1", ...env } });
    const take = (chunk: Buffer) => {
      this.output += chunk.toString();
      for (const watcher of this.#watchers) watcher();
    };
    this.#child.stdout?.on("data", take);
    this.#child.stderr?.on("data", take);
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code) => resolve(code));
    });
  }

  /** Resolves when the output satisfies the condition; rejects if the process ends before. */
  async until(condition: (output: string) => boolean): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      const look = () => {
        if (!condition(this.output)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
    const ended = this.#ended.then((code) => {
      throw new Error(`The example ended with ${code} before its time:\n${this.output}`);
    });
    ended.catch(() => {});
    await Promise.race([seen, ended]);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code; null if a signal ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }
}
