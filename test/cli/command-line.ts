/** The command line inside of the test's own process: in UTC, in a time of the test's, and with what it printed and how it ended. */
import type { AnyTaskHandler, Clock } from "azoth-scheduler";
import { ManualClock, type TestScheduler, type TestSchedulerOptions } from "azoth-scheduler/testing";
import { onTestFinished } from "vitest";
import type { OutputStream } from "../../src/cli/context.ts";
import { runProgram } from "../../src/cli/program.ts";
import { createTestScheduler, newLocation } from "../engine-under-test.ts";

export const now = "2026-03-01T12:00:00Z";

export interface Surroundings {
  /** Default: one that stands at {@link now}. */
  readonly clock?: Clock;
  /** What AZOTH_STORE names. */
  readonly store?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The columns of the terminal that it writes to; without them it is no terminal. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Told of each text on standard error, as it comes. */
  readonly onError?: (text: string) => void;
}

export interface Ran {
  /** The exit code. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of standard output. */
  readonly lines: readonly string[];
  /** The lines of standard output as the objects that they are. */
  readonly objects: readonly Record<string, unknown>[];
}

export async function run(argv: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const { clock, store, env, cwd = "/", columns, signal, onError } = surroundings;
  const [stdout, stderr] = [new Recorded(columns), new Recorded(columns, onError)];
  const code = await runProgram(argv, {
    stdout,
    stderr,
    env: { ...(store === undefined ? {} : { AZOTH_STORE: store, NO_COLOR: "1" }), ...env },
    cwd,
    clock: clock ?? new ManualClock(now),
    timeZone: "UTC",
    signal: signal ?? new AbortController().signal,
  });
  const lines = stdout.text.split("\n").slice(0, -1);
  return {
    code,
    stdout: stdout.text,
    stderr: stderr.text,
    lines,
    get objects() {
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

class Recorded implements OutputStream {
  readonly columns: number | undefined;
  readonly isTTY: boolean;
  readonly #onText: (text: string) => void;
  text = "";

  constructor(columns: number | undefined, onText: (text: string) => void = () => {}) {
    this.columns = columns;
    this.isTTY = columns !== undefined;
    this.#onText = onText;
  }

  write(text: string): boolean {
    this.text += text;
    this.#onText(text);
    return true;
  }

  once(): void {}
  off(): void {}
}

export interface Stage<Handlers extends readonly AnyTaskHandler[]> {
  readonly kit: TestScheduler<Handlers>;
  /** Calls a command on the kit's store, at the kit's time. */
  readonly azoth: (...argv: string[]) => Promise<Ran>;
  readonly azothIn: (surroundings: Surroundings, ...argv: string[]) => Promise<Ran>;
  /** The objects of a command that has to end well. */
  readonly json: (...argv: string[]) => Promise<readonly Record<string, unknown>[]>;
}

/** A test scheduler, and the command line beside it. */
export async function stageOf<const Handlers extends readonly AnyTaskHandler[]>(
  options: TestSchedulerOptions<Handlers>,
): Promise<Stage<Handlers>> {
  const store = await newLocation({ shared: true });
  const kit = await createTestScheduler<Handlers>({ ...options, location: store });
  onTestFinished(() => kit[Symbol.asyncDispose]());
  const azothIn = async (surroundings: Surroundings, ...argv: string[]) =>
    await run(argv, { clock: kit.clock, store, ...surroundings });
  const azoth = async (...argv: string[]) => await azothIn({}, ...argv);
  const json = async (...argv: string[]) => {
    const { code, stderr, objects } = await azoth("--json", ...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}`);
    return objects;
  };
  return { kit, azoth, azothIn, json };
}
