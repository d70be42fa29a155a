/** What a command prints: lines and tables for people, or one JSON object a line for programs. */
import { createColors } from "picocolors";
import { Sealed } from "../index.ts";
import type { Context, OutputStream } from "./context.ts";
import { escapeControls } from "./text.ts";

export type Colors = ReturnType<typeof createColors>;

/** A line's length where nobody says. */
const defaultWidth = 80;

export function isTerminal(stream: OutputStream): boolean {
  return stream.isTTY === true;
}

/** Colours are for terminals; FORCE_COLOR wants them anywhere, and NO_COLOR nowhere: https://no-color.org */
export function wantsColors(stream: OutputStream, env: Context["env"]): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: terminal } = env;
  if (force !== undefined && force !== "") return force !== "0" && force !== "false";
  if (no !== undefined && no !== "") return false;
  return isTerminal(stream) && terminal !== "dumb";
}

export function colorsOf(stream: OutputStream, env: Context["env"]): Colors {
  return createColors(wantsColors(stream, env));
}

export class Output {
  /** True if the answer is for a program. */
  readonly json: boolean;
  readonly colors: Colors;
  /** True if a person looks at it as it comes. */
  readonly isTerminal: boolean;
  /** The length of a line on a terminal; what is piped is never cut. */
  readonly width: number;
  readonly #context: Context;

  constructor(context: Context, options: { readonly json: boolean }) {
    this.#context = context;
    this.json = options.json;
    this.colors = colorsOf(context.stdout, context.env);
    this.isTerminal = isTerminal(context.stdout);
    this.width = this.isTerminal ? (context.stdout.columns ?? defaultWidth) : Number.POSITIVE_INFINITY;
  }

  /** One line of text, which may have colours; what comes from the store must be escaped already. */
  async line(text = ""): Promise<void> {
    await write(this.#context, this.#context.stdout, `${text}\n`);
  }

  /** One object for programs. */
  async object(value: object): Promise<void> {
    await this.line(jsonLine(value));
  }

  /** A remark for a person, beside the answer: it goes to standard error. */
  async note(text: string): Promise<void> {
    if (this.json) return;
    await write(this.#context, this.#context.stderr, `${text}\n`);
  }

  /** The answer in both forms: `value` for programs, `human` for people. */
  async answer(value: object, human: string | (() => Promise<void>)): Promise<void> {
    if (this.json) await this.object(value);
    else if (typeof human === "string") await this.line(human);
    else await human();
  }
}

/** Waits where the reader is slow, so that a long listing never piles up in memory. */
async function write({ signal }: Context, stream: OutputStream, text: string): Promise<void> {
  signal.throwIfAborted();
  if (stream.write(text)) return;
  await new Promise<void>((resolve) => {
    const events = ["drain", "close", "error"] as const;
    const go = () => {
      for (const event of events) stream.off(event, go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    for (const event of events) stream.once(event, go);
    signal.addEventListener("abort", go, { once: true });
  });
}

/**
 * One line of JSON: dates as ISO texts, bigints as decimal texts, bytes in base64. Control characters that JSON leaves
 * as they are, are written out as well, because the line may come to stand on a terminal.
 */
export function jsonLine(value: object): string {
  return JSON.stringify(value, replace).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    // In JSON a character beyond the first plane is written in two halves.
    return [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`)
      .join("");
  });
}

function replace(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key];
  if (raw instanceof Sealed) return { sealed: true };
  if (raw instanceof Uint8Array) return Buffer.from(raw).toString("base64");
  return typeof value === "bigint" ? value.toString() : value;
}

/** A user's value on one line, for people. */
export function valueText(value: unknown): string {
  if (value instanceof Sealed) return "(sealed)";
  if (value === undefined) return "";
  if (typeof value === "bigint") return value.toString();
  return escapeControls(typeof value === "object" && value !== null ? jsonLine(value) : JSON.stringify(value));
}
