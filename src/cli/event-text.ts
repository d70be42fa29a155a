/** Events in plain words. */
import type { LifecycleData, RecordedEvent, SystemEventData } from "../index.ts";
import { valueText } from "./output.ts";
import { count, escapeControls } from "./text.ts";
import { duration } from "./times.ts";

type Data = LifecycleData & SystemEventData;
type Tellers = { readonly [Type in keyof Data]: (data: Data[Type], time: TimeText) => string };

/** How an instant in a sentence is written. */
export type TimeText = (ms: number) => string;

/** What happened, in words without the task's id; escaped for a terminal. */
export function eventText(event: RecordedEvent, time: TimeText): string {
  const tell = (tellers as unknown as Readonly<Record<string, (data: never, time: TimeText) => string>>)[
    event.eventType
  ];
  return escapeControls(
    !Object.hasOwn(tellers, event.eventType) || tell === undefined
      ? valueText(event.payload)
      : tell(event.payload as never, time),
  );
}

const schedulerOf = (instance: number) => `scheduler ${instance}`;
/** A text of the user's may be sealed. */
const words = (text: unknown) => (typeof text === "string" ? text : valueText(text));
const because = (reason: unknown) => (reason === undefined ? "" : `: ${words(reason)}`);

function planned(
  { scheduledForMs, dst, dropped }: { scheduledForMs: number; dst?: string; dropped?: number },
  time: TimeText,
): string {
  const moved =
    dst === "gap" ? ", moved out of a gap of the clock" : dst === "overlap" ? ", the first of two passes" : "";
  return `${time(scheduledForMs)}${moved}${dropped === undefined ? "" : `, after ${dropped} that a gap swallowed`}`;
}

const causes: Readonly<Record<LifecycleData["OccurrencesSkipped"]["because"], string>> = {
  missed: "missed, because the run before came late",
  running: "the task was still running",
  retrying: "a retry was pending",
  paused: "the task was paused",
  disabled: "the task was disabled",
  replaced: "another schedule took its place",
};

const tellers: Tellers = {
  TaskScheduled: ({ because, revision, next }, time) => {
    const how = { new: "scheduled", replaced: `replaced by definition ${revision}`, revived: "scheduled again" }[
      because
    ];
    return `${how}; due ${planned(next, time)}`;
  },
  TaskClaimed: ({ scheduledForMs, instance }, time) =>
    `claimed by ${schedulerOf(instance)} for the occurrence of ${time(scheduledForMs)}`,
  TaskStarted: ({ scheduledForMs, attempt, instance }, time) =>
    `started the occurrence of ${time(scheduledForMs)}, attempt ${attempt}, on ${schedulerOf(instance)}`,
  TaskExecuted: (data, time) => {
    const how = `${data.success ? "succeeded" : "failed"} after ${duration(data.durationMs)}`;
    return `${how}${data.success ? "" : because(data.error?.message)}; ${afterwards(data, time)}`;
  },
  TaskSnoozed: ({ untilMs, reason }, time) => `put off until ${time(untilMs)} by its handler${because(reason)}`,
  TaskReleased: ({ because: cause, instance, detail }) => {
    const how = {
      shutdown: `given back by ${schedulerOf(instance)}, which stopped`,
      "claim-lost": `taken from ${schedulerOf(instance)}, which fell silent`,
      unstarted: `given back by ${schedulerOf(instance)}, which had no slot for it`,
    }[cause];
    return `${how} (${words(detail)})`;
  },
  TaskCancelled: ({ reason, wasRunning }) => `cancelled${wasRunning ? " while it ran" : ""}${because(reason)}`,
  TaskPaused: ({ reason }) => `paused${because(reason)}`,
  TaskResumed: ({ runAtMs }, time) => `resumed${runAtMs === undefined ? "" : `; due ${time(runAtMs)}`}`,
  TaskRunRequested: ({ runAtMs }, time) => `somebody asked for a run at ${time(runAtMs)}`,
  TaskResultRefused: ({ because: cause, success }) =>
    `a late ${success ? "success" : "failure"} was not recorded: ${cause === "cancelled" ? "the task was cancelled" : "the run had lost its claim"}`,
  TaskHandlerSettled: ({ how, afterSignalMs }) =>
    how === "settled"
      ? `its handler ended ${duration(afterSignalMs)} after the signal to stop`
      : `its handler ignored the signal to stop for ${duration(afterSignalMs)} and was given up`,
  OccurrencesSkipped: ({ because: cause, count: number, atLeast, firstMs, lastMs }, time) => {
    const which = firstMs === lastMs ? time(firstMs) : `${time(firstMs)} to ${time(lastMs)}`;
    return `skipped ${atLeast === true ? "at least " : ""}${count(number, "occurrence")}, ${which}: ${causes[cause]}`;
  },
  SchedulerStarted: ({ instance, name, taskTypes }) =>
    `${schedulerOf(instance)} started: ${name}; handles ${taskTypes.join(", ") || "no task types"}`,
  SchedulerStopped: ({ instance, released }) =>
    `${schedulerOf(instance)} stopped${released === 0 ? "" : `, and gave back ${count(released, "task")}`}`,
  SchedulerLost: ({ instance, lastHeardMs, by }, time) =>
    `${schedulerOf(instance)} fell silent at ${time(lastHeardMs)}; ${schedulerOf(by)} took over`,
  EventHandlerStopped: ({ handler, position, error }) => `${handler} stopped before event ${position}${because(error)}`,
  EventHandlerResumed: ({ handler }) => `${handler} goes on`,
  EventSkipped: ({ handler, position, error }) => `${handler} passed over event ${position}${because(error)}`,
  EventDeadLettered: ({ handler, position, error }) => `${handler} put event ${position} aside${because(error)}`,
  DeadLetterReplayed: ({ deadLetter, handler }) => `${handler} handled dead letter ${deadLetter} after all`,
  DeadLetterDropped: ({ deadLetter, handler, reason }) =>
    `dead letter ${deadLetter} of ${handler} dropped${because(reason)}`,
};

function afterwards({ then, next, retryAtMs }: LifecycleData["TaskExecuted"], time: TimeText): string {
  switch (then) {
    case "next":
      return next === undefined ? "next" : `next ${planned(next, time)}`;
    case "retry":
      return retryAtMs === undefined ? "to be tried again" : `to be tried again at ${time(retryAtMs)}`;
    case "completed":
      return "that was the last occurrence";
    case "disabled":
      return "no attempts are left, so it was disabled";
    case "superseded":
      return "another definition had replaced the one that ran";
  }
}
