/** Why a task ran, or did not: a verdict and its reasons in sentences, and the events that decided. Pure. */
import { nextOccurrences, type Schedule, upcomingOccurrences } from "../../index.ts";
import type { TimeText } from "../event-text.ts";
import { count } from "../text.ts";
import { duration } from "../times.ts";
import type { Crew, Evidence, Told } from "./evidence.ts";
import { aboutOccurrence } from "./occurrence.ts";
import {
  endsRun,
  type Explanation,
  hindrances,
  isOf,
  nominalTimes,
  type Of,
  type Question,
  type Standing,
  standingAt,
} from "./standing.ts";

/** @param crew who was there to run it, when it was due */
export function explain(question: Question, { before, after }: Evidence, crew: Crew, time: TimeText): Explanation {
  const all = [...before, ...after];
  const standing = standingAt(before);
  if (standing.definition === undefined) {
    const first = after.find(isOf("TaskScheduled"));
    const sentences = [
      first === undefined
        ? "The log has no definition of the task from before then."
        : `The task was not there yet: it was first scheduled at ${time(first.atMs)}.`,
    ];
    return { verdict: "not-scheduled", sentences, events: first === undefined ? [] : [first] };
  }
  const occurrenceMs = occurrenceIn(question, all, standing);
  const clock = clockSentences(all, time);
  if (occurrenceMs === undefined) {
    const told = notDue(question, standing, all, time);
    return { ...told, sentences: [...told.sentences, ...clock] };
  }
  const told = aboutOccurrence({ question, occurrenceMs, all, standing, crew, time });
  return { ...told, occurrenceMs, sentences: [...told.sentences, ...clock] };
}

/** The schedule with the anchor that it had: an interval counts from there. */
function scheduleOf(definition: Of<"TaskScheduled">): Schedule {
  // Readers of the log get the definition's parts beside the others.
  const { schedule, anchorMs } = definition.data as unknown as { schedule: Schedule; anchorMs?: number };
  return schedule.kind === "interval"
    ? { ...schedule, anchorMs: schedule.anchorMs ?? anchorMs ?? definition.atMs }
    : schedule;
}

/** The occurrence that was meant: one that the log speaks of, else one of the schedule that held then. */
function occurrenceIn(
  { atMs, windowMs }: Question,
  all: readonly Told[],
  { definition }: Standing,
): number | undefined {
  const within = (ms: number) => ms >= atMs && ms < atMs + windowMs;
  // What was to be, and came not, is in the log as well: see the skipped ones, and what was planned.
  const started = all
    .filter((told) => told.type === "TaskStarted")
    .flatMap(nominalTimes)
    .find(within);
  if (started !== undefined) return started;
  const known = all
    .flatMap(nominalTimes)
    .filter(within)
    .toSorted((a, b) => a - b)[0];
  if (known !== undefined || definition === undefined) return known;
  const schedule = scheduleOf(definition);
  if (schedule.kind !== "cron" && schedule.kind !== "interval") return undefined;
  const [next] = nextOccurrences(schedule, { after: new Date(atMs - 1) });
  return next !== undefined && within(next.getTime()) ? next.getTime() : undefined;
}

function notDue(
  { atMs, nowMs, windowMs }: Question,
  standing: Standing,
  all: readonly Told[],
  time: TimeText,
): Explanation {
  const { definition } = standing;
  if (definition === undefined) return { verdict: "not-scheduled", sentences: [], events: [] };
  const events: Told[] = [definition];
  const sentences = [`It was not due at ${time(atMs)}.`];
  const schedule = scheduleOf(definition);
  if (schedule.kind === "cron" || schedule.kind === "interval") {
    const what =
      schedule.kind === "cron"
        ? `${schedule.expression} (${schedule.timeZone})`
        : `every ${duration(schedule.everyMs)}`;
    const [next] = upcomingOccurrences(schedule, { after: new Date(atMs) });
    const lost =
      next?.dropped === undefined
        ? ""
        : `; ${count(next.dropped, "occurrence")} before it do not exist, because of a gap of the clock`;
    const moved = next?.dst === "gap" ? ", to which a gap of the clock moves it" : "";
    sentences.push(
      `Its schedule, ${what}, has its next occurrence after that at ${next === undefined ? "no time" : time(next.at.getTime())}${moved}${lost}.`,
    );
  } else sentences.push(`It was to run once, for ${time(definition.data.next.scheduledForMs)}.`);
  sentences.push(...hindrances(standing, time, events));
  const run = all.filter(isOf("TaskStarted")).findLast(({ atMs: startedMs }) => startedMs < atMs + windowMs);
  if (run !== undefined) {
    const end = all.find((told) => told.executionId === run.executionId && endsRun(told));
    events.push(run, ...(end === undefined ? [] : [end]));
    const until = end === undefined ? (nowMs > atMs ? ", and has not ended" : "") : `, until ${time(end.atMs)}`;
    sentences.push(`Its run before that was for ${time(run.data.scheduledForMs)}: from ${time(run.atMs)}${until}.`);
  }
  return { verdict: "not-due", sentences, events };
}

/** Where the log's own times go backwards, a clock was set back. */
function clockSentences(all: readonly Told[], time: TimeText): string[] {
  const sentences: string[] = [];
  for (const [index, told] of all.entries()) {
    const before = all[index - 1];
    if (before === undefined || before.atMs - told.atMs < 1_000) continue;
    sentences.push(
      `The clock was set back by ${duration(before.atMs - told.atMs)} or more between events ${before.position} and ${told.position}, to ${time(told.atMs)}.`,
    );
  }
  return sentences;
}
