/** Question and answer, and where a task stood at an instant. */
import type { TimeText } from "../event-text.ts";
import type { Told } from "./evidence.ts";

export interface Question {
  readonly taskId: string;
  readonly atMs: number;
  /** What was meant: a whole minute means any second of it. */
  readonly windowMs: number;
  readonly nowMs: number;
}

export type Verdict =
  | "not-scheduled"
  | "not-due"
  | "ran"
  | "ran-late"
  | "failed"
  | "running"
  | "waiting"
  | "skipped"
  | "not-run";

export interface Explanation {
  readonly verdict: Verdict;
  /** The nominal time that it is about, if there is one. */
  readonly occurrenceMs?: number;
  readonly sentences: readonly string[];
  readonly events: readonly Told[];
}

export type Of<Type extends Told["type"]> = Extract<Told, { type: Type }>;

export const isOf =
  <Type extends Told["type"]>(type: Type) =>
  (told: Told): told is Of<Type> =>
    told.type === type;

/** What held at the instant. */
export interface Standing {
  readonly definition: Of<"TaskScheduled"> | undefined;
  readonly paused: Of<"TaskPaused"> | undefined;
  readonly cancelled: Of<"TaskCancelled"> | undefined;
  readonly disabled: Of<"TaskExecuted"> | undefined;
}

export function standingAt(before: readonly Told[]): Standing {
  let definition: Standing["definition"];
  let paused: Standing["paused"];
  let cancelled: Standing["cancelled"];
  let disabled: Standing["disabled"];
  for (const told of before) {
    switch (told.type) {
      case "TaskScheduled":
        if (told.data.because === "revived") paused = undefined;
        [definition, cancelled, disabled] = [told, undefined, undefined];
        break;
      case "TaskPaused":
        paused = told;
        break;
      case "TaskResumed":
        [paused, disabled] = [undefined, undefined];
        break;
      case "TaskRunRequested":
        disabled = undefined;
        break;
      case "TaskCancelled":
        cancelled = told;
        break;
      case "TaskExecuted":
        disabled = told.data.then === "disabled" ? told : undefined;
        break;
      default:
    }
  }
  return { definition, paused, cancelled, disabled };
}

/** Nominal times that events speak of. */
export function nominalTimes(told: Told): number[] {
  switch (told.type) {
    case "TaskClaimed":
    case "TaskStarted":
    case "TaskRunRequested":
      return [told.data.scheduledForMs];
    case "TaskScheduled":
      return [told.data.next.scheduledForMs];
    case "TaskExecuted":
    case "TaskResumed":
      return told.data.next === undefined ? [] : [told.data.next.scheduledForMs];
    default:
      return [];
  }
}

export function endsRun({ type }: Told): boolean {
  return type === "TaskExecuted" || type === "TaskSnoozed" || type === "TaskReleased" || type === "TaskCancelled";
}

/** What kept the task from starting, as it stood. */
export function hindrances({ paused, cancelled, disabled }: Standing, time: TimeText, events: Told[]): string[] {
  const sentences: string[] = [];
  if (cancelled !== undefined) {
    events.push(cancelled);
    sentences.push(`It had been cancelled at ${time(cancelled.atMs)}: ${textOf(cancelled.data.reason)}.`);
  }
  if (paused !== undefined) {
    events.push(paused);
    const why = paused.data.reason === undefined ? "" : `: ${textOf(paused.data.reason)}`;
    sentences.push(`It was paused since ${time(paused.atMs)}${why}.`);
  }
  if (disabled !== undefined) {
    events.push(disabled);
    const why = disabled.data.error === undefined ? "" : `: ${textOf(disabled.data.error.message)}`;
    sentences.push(`It was disabled since ${time(disabled.atMs)}, after its last attempt had failed${why}.`);
  }
  return sentences;
}

/** Sealed texts stay so. */
export function textOf(text: unknown): string {
  return typeof text === "string" ? text.replace(/\.$/, "") : "(sealed)";
}
