/** Progress bars: on standard error, on a terminal, and only for what takes longer than a second. */
import type { Call } from "./action.ts";
import type { Context } from "./context.ts";
import { isTerminal } from "./output.ts";
import { cut } from "./text.ts";
import { duration } from "./times.ts";

/** What ends sooner needs no bar. */
const patienceMs = 1_000;
/** More often, nobody can see it. */
const everyMs = 100;
const barWidth = 24;
const lineWidth = 80;

export class Progress {
  readonly #context: Context;
  readonly #startedAtMs: number;
  readonly #on: boolean;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #shown = false;

  constructor(context: Context, options: { readonly on: boolean }) {
    this.#context = context;
    this.#on = options.on && isTerminal(context.stderr);
    this.#startedAtMs = context.clock.now();
  }

  /** @param total 0 if nobody knows: then the time that passed is shown */
  show(label: string, done: number, total: number): void {
    if (!this.#on) return;
    const now = this.#context.clock.now();
    if (now - this.#startedAtMs < patienceMs || now - this.#shownAtMs < everyMs) return;
    this.#shownAtMs = now;
    this.#shown = true;
    const part = total === 0 ? 0 : Math.min(1, done / total);
    const filled = Math.round(part * barWidth);
    const bar =
      total === 0 ? "" : `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}] ${Math.floor(part * 100)}%  `;
    const counted = total === 0 ? "" : `${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}  `;
    const text = `${label}  ${bar}${counted}${duration(now - this.#startedAtMs)}`;
    const width = this.#context.stderr.columns ?? lineWidth;
    this.#context.stderr.write(`\r\u001b[2K${cut(text, width - 1)}`);
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#shown) this.#context.stderr.write("\r\u001b[2K");
    this.#shown = false;
  }
}

/** Runs `work` with a progress bar, which goes with its end. */
export async function withProgress<Result>(call: Call, work: (progress: Progress) => Promise<Result>): Promise<Result> {
  const progress = new Progress(call.context, { on: !call.output.json });
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}

/** Shows that time passes while `work` goes on, which does not tell how far it has come. */
export async function whileWaiting<Result>(call: Call, label: string, work: Promise<Result>): Promise<Result> {
  return await withProgress(call, async (progress) => {
    const done = new AbortController();
    const ticking = (async () => {
      while (!done.signal.aborted) {
        await call.context.clock.sleep(2 * everyMs, done.signal);
        if (!done.signal.aborted) progress.show(label, 0, 0);
      }
    })();
    try {
      return await work;
    } finally {
      done.abort();
      await ticking;
    }
  });
}
