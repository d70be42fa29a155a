/** What became of one occurrence of a task, and why. Pure. */
import type { TimeText } from "../event-text.ts";
import { count } from "../text.ts";
import { duration } from "../times.ts";
import type { Crew, Told } from "./evidence.ts";
import {
  endsRun,
  type Explanation,
  hindrances,
  isOf,
  nominalTimes,
  type Of,
  type Question,
  type Standing,
  textOf,
  type Verdict,
} from "./standing.ts";

/** A start that comes no later than this is on time. */
const punctualMs = 5_000;

export interface Occasion {
  readonly question: Question;
  readonly occurrenceMs: number;
  readonly all: readonly Told[];
  readonly standing: Standing;
  readonly crew: Crew;
  readonly time: TimeText;
}

export function aboutOccurrence(occasion: Occasion): Explanation {
  const { occurrenceMs, all, time } = occasion;
  const events: Told[] = [];
  const sentences: string[] = [];
  const planned = all.find((told) => nominalTimes(told).includes(occurrenceMs));
  if (planned !== undefined && planned.type !== "TaskStarted" && planned.type !== "TaskClaimed") {
    events.push(planned);
    const change = plannedOf(planned)?.dst;
    if (change === "gap")
      sentences.push(
        `Its local time did not exist that day: the clock was put forward, and ${time(occurrenceMs)} was the first instant after the gap.`,
      );
    if (change === "overlap")
      sentences.push("Its local time came twice that day, because the clock was put back: the first was chosen.");
    const dropped = plannedOf(planned)?.dropped;
    if (dropped !== undefined)
      sentences.push(`${count(dropped, "occurrence")} before it fell into a gap of the clock and did not exist.`);
    if (planned.type === "TaskRunRequested") sentences.push(`Somebody asked for this run at ${time(planned.atMs)}.`);
  }
  const starts = all.filter(isOf("TaskStarted")).filter(({ data }) => data.scheduledForMs === occurrenceMs);
  const [first] = starts;
  if (first === undefined) return notStarted(occasion, sentences, events);
  if (first.atMs - occurrenceMs > punctualMs) sentences.push(...lateness(occasion, first, events));
  return tellRuns(occasion, starts, sentences, events);
}

function plannedOf(told: Told) {
  return told.type === "TaskScheduled" || told.type === "TaskExecuted" || told.type === "TaskResumed"
    ? told.data.next
    : undefined;
}

/** The runs of the occurrence, one after the other, with what became of each. */
function tellRuns(
  { all, occurrenceMs, time }: Occasion,
  starts: readonly Of<"TaskStarted">[],
  sentences: string[],
  events: Told[],
): Explanation {
  let verdict: Verdict = "running";
  for (const [index, start] of starts.entries()) {
    const own = all.filter((told) => told.executionId === start.executionId);
    events.push(...own);
    const { attempt, instance } = start.data;
    const late = start.atMs - occurrenceMs > punctualMs;
    sentences.push(
      `${attempt === 1 ? "It started" : `Attempt ${attempt} started`}${starts[index - 1]?.data.attempt === attempt ? " again" : ""} at ${time(start.atMs)} on scheduler ${instance}.`,
    );
    const end = own.find(endsRun);
    verdict = "running";
    if (end === undefined) sentences.push("That run has not ended.");
    else if (end.type === "TaskExecuted") {
      const { success, durationMs, error, then, retryAtMs } = end.data;
      verdict = success ? (starts.length > 1 || late ? "ran-late" : "ran") : "failed";
      if (success) sentences.push(`It succeeded after ${duration(durationMs)}.`);
      else sentences.push(`It failed after ${duration(durationMs)}: ${textOf(error?.message)}.`);
      if (then === "retry" && retryAtMs !== undefined)
        sentences.push(`It was to be tried again at ${time(retryAtMs)}.`);
      if (then === "disabled") sentences.push(...disabledSince(end, all, time, events));
      if (then === "superseded") sentences.push("Another definition had replaced the one that ran.");
    } else if (end.type === "TaskSnoozed") {
      verdict = "waiting";
      const why = end.data.reason === undefined ? "" : `: ${textOf(end.data.reason)}`;
      sentences.push(`Its handler put it off until ${time(end.data.untilMs)}${why}.`);
    } else if (end.type === "TaskReleased") {
      verdict = "waiting";
      const how = {
        shutdown: "the scheduler stopped, and gave it back",
        "claim-lost": "the scheduler fell silent, as after a crash, and another one took the task over",
        unstarted: "the scheduler had no slot for it, and gave it back",
      }[end.data.because];
      sentences.push(`That run ended without an outcome at ${time(end.atMs)}: ${how}.`);
    } else {
      verdict = "not-run";
      sentences.push(`It was cancelled while it ran, at ${time(end.atMs)}.`);
    }
    if (own.some(({ type }) => type === "TaskResultRefused")) {
      sentences.push("What the handler returned after that was not recorded.");
    }
  }
  const headline = {
    ran: "It ran on time.",
    "ran-late": "It ran, but late.",
    failed: "It ran, and failed.",
    running: "It is running.",
    waiting: "It started, and has to run again.",
    "not-run": "It started, and was cancelled.",
  }[verdict as "ran"];
  return { verdict, sentences: [headline, ...sentences], events };
}

/** What came of the task after its last attempt: who has let it go on already needs no advice to. */
function disabledSince(end: Of<"TaskExecuted">, all: readonly Told[], time: TimeText, events: Told[]): string[] {
  const disabled = "No attempts were left, so the task was disabled.";
  const change = all.find(({ type, position }) => position > end.position && type in afterwards);
  if (change === undefined) return [disabled, "`azoth-scheduler tasks resume` lets it go on."];
  events.push(change);
  return [disabled, `It was ${afterwards[change.type as keyof typeof afterwards]} at ${time(change.atMs)}.`];
}

const afterwards = {
  TaskResumed: "resumed",
  TaskRunRequested: "asked to run again",
  TaskScheduled: "scheduled anew",
  TaskCancelled: "cancelled",
} as const;

/** Why a start came late: nobody was there, a pause, or no slot. */
function lateness(
  { crew, occurrenceMs, standing, all, time }: Occasion,
  first: Of<"TaskStarted">,
  events: Told[],
): string[] {
  const late = `It started ${duration(first.atMs - occurrenceMs)} late.`;
  if (standing.paused !== undefined) return [late, ...hindrances(standing, time, events)];
  const retry = all.findLast((told) => told.type === "TaskExecuted" && told.position < first.position);
  if (first.data.attempt > 1 && retry !== undefined) return [late, "It was an attempt after a failure."];
  if (!crew.handled) return [late, ...crewSentences(crew, time)];
  const before = all.filter(isOf("TaskStarted")).findLast(({ position }) => position < first.position);
  const end =
    before === undefined ? undefined : all.find((told) => told.executionId === before.executionId && endsRun(told));
  if (before !== undefined && before.atMs <= occurrenceMs && end !== undefined && end.atMs > occurrenceMs) {
    events.push(before, end);
    return [late, `The run before it lasted until ${time(end.atMs)}.`];
  }
  return [late, "A scheduler was there: its slots were taken, or it could not reach the store."];
}

function crewSentences({ running, endedAtMs, begunAtMs, others }: Crew, time: TimeText): string[] {
  const since = begunAtMs === undefined ? "then, nor since" : `then, until ${time(begunAtMs)}`;
  const between = begunAtMs === undefined ? "on" : `until ${time(begunAtMs)}`;
  const when = endedAtMs === undefined ? since : `from ${time(endedAtMs)} ${between}`;
  if (running) return [`Schedulers were running, but none had a handler for its type ${when}.`];
  return [`No scheduler ${others ? "with a handler for its type " : ""}was running ${when}.`];
}

function notStarted(
  { question, occurrenceMs, all, standing, crew, time }: Occasion,
  sentences: string[],
  events: Told[],
): Explanation {
  const skip = all
    .filter(isOf("OccurrencesSkipped"))
    .find(({ data }) => data.firstMs <= occurrenceMs && occurrenceMs <= data.lastMs);
  if (skip !== undefined)
    return skipped({ question, occurrenceMs, all, standing, crew, time }, skip, sentences, events);
  const isToCome = occurrenceMs > question.nowMs;
  const notRun = isToCome ? "It is not to run, as things are." : "It did not run.";
  const blocked = hindrances(standing, time, events);
  if (blocked.length > 0) return { verdict: "not-run", sentences: [notRun, ...sentences, ...blocked], events };
  // A change of the task that came after it was planned last, be it before it was due or after.
  const planned = all.findLast((told) => nominalTimes(told).includes(occurrenceMs));
  const ended = all.find(
    (told) =>
      (told.type === "TaskCancelled" ||
        told.type === "TaskPaused" ||
        (told.type === "TaskScheduled" && told.data.because === "replaced")) &&
      (planned === undefined ? told.atMs > question.atMs : told.position > planned.position),
  );
  if (isToCome && ended === undefined) {
    return {
      verdict: "waiting",
      sentences: [`It is due at ${time(occurrenceMs)}, which is still to come.`, ...sentences],
      events,
    };
  }
  const crewSays = crew.handled ? [] : crewSentences(crew, time);
  if (ended !== undefined) {
    events.push(ended);
    const how = { TaskCancelled: "cancelled", TaskPaused: "paused", TaskScheduled: "replaced" }[
      ended.type as "TaskPaused"
    ];
    return {
      verdict: "not-run",
      sentences: [
        notRun,
        ...sentences,
        ...(isToCome ? [] : crewSays),
        `Before it could start, the task was ${how} at ${time(ended.atMs)}.`,
      ],
      events,
    };
  }
  const running = all.filter(isOf("TaskStarted")).findLast(({ atMs }) => atMs <= occurrenceMs);
  const end =
    running === undefined ? undefined : all.find((told) => told.executionId === running.executionId && endsRun(told));
  if (running !== undefined && end === undefined) {
    events.push(running);
    return {
      verdict: "not-run",
      sentences: [
        "It did not run.",
        ...sentences,
        `The run for ${time(running.data.scheduledForMs)} was still going on, and has not ended since; a task never runs twice at the same time.`,
      ],
      events,
    };
  }
  const waiting = crew.handled
    ? ["A scheduler was there; it has not got to it yet, or its slots are taken."]
    : crewSays;
  return { verdict: "waiting", sentences: ["It has not run yet.", ...sentences, ...waiting], events };
}

/** Passed over: the event says why, and what stood in its way is beside it. */
function skipped(
  { all, standing, crew, time }: Occasion,
  skip: Of<"OccurrencesSkipped">,
  sentences: string[],
  events: Told[],
): Explanation {
  const { because, count: number, firstMs, lastMs, atLeast } = skip.data;
  const which =
    number === 1
      ? ""
      : `It was one of ${atLeast === true ? "at least " : ""}${count(number, "occurrence")} skipped, from ${time(firstMs)} to ${time(lastMs)}.`;
  const run = all.filter(isOf("TaskStarted")).findLast(({ position }) => position < skip.position);
  if (run !== undefined && because !== "paused") events.push(run);
  const of = run === undefined ? "" : ` of ${time(run.data.scheduledForMs)}`;
  const why = {
    missed: `The occurrence${of} ran late, and stood for all that were missed by then.`,
    running: `The run${of} was still going on, and a task never runs twice at the same time.`,
    retrying: `The occurrence${of} had failed and was being tried again.`,
    paused: "The task was paused.",
    disabled: "The task was disabled.",
    replaced: "Another schedule took its place before it could run.",
  }[because];
  events.push(skip);
  const more = because === "missed" && !crew.handled ? crewSentences(crew, time) : hindrances(standing, time, events);
  // A pause, or an end of attempts, says for itself since when.
  const told = (because === "paused" || because === "disabled") && more.length > 0;
  const said = [...(told ? [] : [why]), ...more, ...(which === "" ? [] : [which])];
  return {
    verdict: "skipped",
    sentences: ["It did not run: the occurrence was skipped.", ...sentences, ...said],
    events,
  };
}
