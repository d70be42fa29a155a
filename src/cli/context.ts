/** What the command line has of the world: streams, environment, time. A test passes its own. */
import type { Clock } from "../index.ts";

/** A stream to write to: standard output, or standard error. */
export interface OutputStream {
  /** False if the stream wants no more before it says "drain". */
  write(text: string): boolean;
  once(event: "drain" | "close" | "error", listener: () => void): unknown;
  off(event: "drain" | "close" | "error", listener: () => void): unknown;
  /** True for a terminal. */
  readonly isTTY?: boolean | undefined;
  /** Of a terminal: how many characters a line has. */
  readonly columns?: number | undefined;
}

export interface Context {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The directory that relative paths begin at. */
  readonly cwd: string;
  readonly clock: Clock;
  /** The IANA zone that instants are shown in. */
  readonly timeZone: string;
  /** Aborts when the command is to end early: Ctrl-C, or nobody reads its output any more. */
  readonly signal: AbortSignal;
}
