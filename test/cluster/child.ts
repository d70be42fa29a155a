/** A child process of a test: its orders, its messages, its end. Make it with a Stage, so that it ends with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Message, MessageOf, Order } from "./messages.ts";

/** For whatever another process must do; long, because machines are slow and busy. */
export const patienceMs = 25_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child<Told extends { readonly is: string } = Message, Ordered extends object = Order> {
  /** Everything that it has told, in order. */
  readonly messages: Told[] = [];
  /** Whatever else it has printed. */
  output = "";
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #ending: Ending | undefined;

  /** @param driver the name of a file in `drivers/` */
  constructor(driver: string, config: object, nodeOptions: readonly string[] = []) {
    if (!existsSync(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))) {
      throw new Error("dist is missing: npm test builds it before it runs vitest.");
    }
    const file = fileURLToPath(new URL(`drivers/${driver}.mjs`, import.meta.url));
    const program = [...nodeOptions, file, JSON.stringify(config)];
    this.#process = spawn(process.execPath, program, { stdio: "pipe" });
    this.ended = new Promise((resolve, reject) => {
      this.#process.once("error", reject);
      this.#process.once("close", (code, signal) => {
        this.#ending = { code, signal };
        for (const look of this.#watchers) look();
        resolve(this.#ending);
      });
    });
    if (this.#process.stdout !== null) createInterface(this.#process.stdout).on("line", (line) => this.#take(line));
    this.#process.stderr?.on("data", (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    // Writing to a process that was killed meanwhile is no failure of the test.
    this.#process.stdin?.on("error", () => {});
  }

  get pid(): number {
    return this.#process.pid ?? Number.NaN;
  }

  order(order: Ordered): void {
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it as `kill -9` does; resolves when it is gone and all that it has told was taken in. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  all<Name extends Told["is"]>(name: Name): MessageOf<Name, Told>[] {
    return this.messages.filter((message): message is MessageOf<Name, Told> => message.is === name);
  }

  /** Resolves with the first message of this name that satisfies the condition, which may have come already. */
  async told<Name extends Told["is"]>(
    name: Name,
    condition: (message: MessageOf<Name, Told>) => boolean = () => true,
  ): Promise<MessageOf<Name, Told>> {
    return await this.until(() => this.all(name).find(condition), `tell of "${name}"`);
  }

  /** Resolves with the next message of this name. */
  async next<Name extends Told["is"]>(name: Name): Promise<MessageOf<Name, Told>> {
    const seen = this.all(name).length;
    return await this.until(() => this.all(name)[seen], `tell of "${name}" again`);
  }

  /** Resolves with what `look` finds in the messages; rejects if the process ends before, or its time is up. */
  until<Found>(look: () => Found | undefined, what: string): Promise<Found> {
    return new Promise((resolve, reject) => {
      const refuse = (why: string) => {
        done();
        reject(new Error(`The process was to ${what}, and ${why}. It told:\n${this.#transcript()}`));
      };
      const watch = () => {
        const found = look();
        if (found !== undefined) {
          done();
          resolve(found);
        } else if (this.#ending !== undefined) {
          refuse(`ended with ${this.#ending.code ?? this.#ending.signal}`);
        }
      };
      const timer = setTimeout(() => refuse(`did not within ${patienceMs} ms`), patienceMs);
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
      };
      this.#watchers.add(watch);
      watch();
    });
  }

  #take(line: string): void {
    const message = parse<Told>(line);
    if (message === undefined) this.output += `${line}\n`;
    else this.messages.push(message);
    for (const look of this.#watchers) look();
  }

  #transcript(): string {
    const told = this.messages.slice(-20).map((message) => JSON.stringify(message));
    return [...told, this.output.slice(-2_000)].join("\n");
  }
}

function parse<Told>(line: string): Told | undefined {
  try {
    return JSON.parse(line) as Told;
  } catch {
    // Half a line, of a process that was killed while it wrote; or an error of Node's.
    return undefined;
  }
}
