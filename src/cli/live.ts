/** The daemon's output as it runs: one line for each run and for each thing that kept one from happening. */
import type { LifecycleData, RecordedEvent, SystemEventData } from "../index.ts";
import type { Context } from "./context.ts";
import type { Output } from "./output.ts";
import { cut, escapeControls, padEnd } from "./text.ts";
import { dateTime, duration } from "./times.ts";

/** What is known beside the event itself. */
export interface Beside {
  /** When the task runs next, if it was just made to go on. */
  readonly nextRunAt?: Date | null;
}

/** Tasks' names are made to stand below each other up to here. */
const widestName = 24;

export class Live {
  readonly #output: Output;
  readonly #timeZone: string;

  constructor(output: Output, { timeZone }: Pick<Context, "timeZone">) {
    this.#output = output;
    this.#timeZone = timeZone;
  }

  async show(event: RecordedEvent, beside: Beside = {}): Promise<void> {
    const { recordedAt, taskId = "", executionId } = event;
    const at = { at: recordedAt, ...(event.taskId === undefined ? {} : { taskId }) };
    switch (event.eventType) {
      case "TaskExecuted":
        return await this.#run(event, event.payload as LifecycleData["TaskExecuted"], beside);
      case "OccurrencesSkipped": {
        const {
          because,
          count,
          atLeast = false,
          firstMs,
          lastMs,
        } = event.payload as LifecycleData["OccurrencesSkipped"];
        const span =
          count === 1 ? `that of ${this.#clock(firstMs)}` : `${this.#clock(firstMs)} to ${this.#clock(lastMs)}`;
        const first = new Date(firstMs);
        return await this.#remark(
          { event: "skipped", ...at, because, count, atLeast, first, last: new Date(lastMs) },
          `${taskId}: skipped ${atLeast ? "at least " : ""}${count} (${because}), ${span}`,
        );
      }
      case "TaskReleased": {
        const { because, detail } = event.payload as LifecycleData["TaskReleased"];
        if (because === "unstarted") return;
        return await this.#remark(
          { event: "released", ...at, executionId, because, detail },
          `${taskId}: runs again. ${detail}`,
        );
      }
      case "TaskSnoozed": {
        const { untilMs, reason = "" } = event.payload as LifecycleData["TaskSnoozed"];
        const until = new Date(untilMs);
        const said = `${taskId}: put off until ${this.#clock(untilMs)}${reason === "" ? "" : `: ${reason}`}`;
        return await this.#remark({ event: "snoozed", ...at, executionId, until, reason }, said);
      }
      case "SchedulerLost": {
        const { instance, lastHeardMs } = event.payload as SystemEventData["SchedulerLost"];
        const said = `instance ${instance} was last heard at ${this.#clock(lastHeardMs)}; what it ran runs again`;
        return await this.#remark({ event: "lost", ...at, instance, lastHeard: new Date(lastHeardMs) }, said);
      }
      default:
    }
  }

  /** A remark on the daemon itself. */
  async say(value: object, words: string): Promise<void> {
    await this.#output.answer(value, words);
  }

  async #run(event: RecordedEvent, data: LifecycleData["TaskExecuted"], { nextRunAt }: Beside): Promise<void> {
    const { recordedAt, taskId = "", executionId } = event;
    const { success, durationMs, next, retryAtMs, error } = data;
    const startedAt = new Date(recordedAt.getTime() - durationMs);
    const nextMs = next?.scheduledForMs ?? retryAtMs ?? nextRunAt?.getTime();
    const value = {
      event: "run",
      taskId,
      executionId,
      startedAt,
      endedAt: recordedAt,
      durationMs,
      outcome: success ? "succeeded" : "failed",
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      retry: retryAtMs !== undefined,
      nextRunAt: nextMs === undefined ? null : new Date(nextMs),
    };
    const { green, red, dim } = this.#output.colors;
    const then = retryAtMs === undefined ? "next" : "retry";
    const words = nextMs === undefined ? (success ? "done" : "disabled") : `${then} ${this.#near(nextMs, recordedAt)}`;
    const begin = `${this.#moment(startedAt)} → ${this.#time(recordedAt)} `;
    const name = padEnd(escapeControls(taskId), widestName);
    const rest = `${padEnd(duration(durationMs), 6)} ${name} ${words}${error === undefined ? "" : `  ${escapeControls(error.message)}`}`;
    const outcome = padEnd(success ? "ok" : "failed", 7);
    const room = this.#output.width - begin.length - outcome.length;
    const human = `${dim(begin)}${success ? green(outcome) : red(outcome)}${cut(rest, room)}`;
    await this.#output.answer(value, human);
  }

  async #remark<Value extends { readonly at: Date }>(value: Value, words: string): Promise<void> {
    const { yellow } = this.#output.colors;
    const line = `${this.#moment(value.at)} ${escapeControls(words)}`;
    await this.#output.answer(value, yellow(cut(line, this.#output.width)));
  }

  /** On a terminal the day is known. */
  #moment(at: Date): string {
    return this.#output.isTerminal ? this.#time(at) : dateTime(at, this.#timeZone);
  }

  #time(at: Date): string {
    return dateTime(at, this.#timeZone).slice(11);
  }

  #clock(ms: number): string {
    return dateTime(new Date(ms), this.#timeZone);
  }

  /** Without the day, if it is the same. */
  #near(ms: number, now: Date): string {
    const at = this.#clock(ms);
    return at.slice(0, 10) === dateTime(now, this.#timeZone).slice(0, 10) ? at.slice(11) : at;
  }
}
