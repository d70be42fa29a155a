/** `explain`: why a task ran, or did not. */
import type { Command } from "commander";
import { Scheduler, type TaskInfo } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { eventText } from "../event-text.ts";
import { crewAt, gatherEvidence } from "../explain/evidence.ts";
import { explain } from "../explain/explain.ts";
import type { Explanation } from "../explain/standing.ts";
import { withStore } from "../store.ts";
import { scheduleText } from "../task-text.ts";
import { escapeControls, padStart, wrap } from "../text.ts";
import { dateTime, relative } from "../times.ts";
import { pastInstantOf } from "../when.ts";
import { noTask } from "./tasks.ts";

interface ExplainOptions {
  readonly at?: string;
}

export function addExplain(program: Command, context: Context): void {
  program
    .command("explain")
    .summary("say why a task ran, or did not")
    .description(
      "Say in plain sentences why a task ran, or did not, at an instant, and show the events that decided it. Without --at, it is about the occurrence that waits or runs, or else the latest one.",
    )
    .argument("<task>", "id of the task")
    .option(
      "--at <instant>",
      "the time it was, or should have been, due: an ISO time, 03:07 for the latest such time, or 2h for two hours ago",
    )
    .action(action<ExplainOptions, readonly [taskId: string]>(context, run));
}

async function run(call: Call<ExplainOptions, readonly [taskId: string]>): Promise<void> {
  const { output, options, args, context } = call;
  const { timeZone, clock } = context;
  const [taskId] = args;
  await withStore(call, async (db) => {
    const task = await new Scheduler(db).getTask(taskId);
    if (task === null) throw noTask(taskId);
    const nowMs = clock.now();
    const atMs = options.at === undefined ? presentOccurrence(task) : pastInstantOf(options.at, "--at", context);
    const windowMs = options.at === undefined || atMs % 1_000 !== 0 ? 1 : atMs % 60_000 === 0 ? 60_000 : 1_000;
    // A run that is asked for now begins at once: what came about up to now belongs to the question.
    const evidence = await gatherEvidence(db, taskId, atMs);
    const crew = await crewAt(db, task.taskType, Math.min(atMs + windowMs - 1, nowMs));
    const time = (ms: number) => dateTime(new Date(ms), timeZone);
    const found = explain({ taskId, atMs, windowMs, nowMs }, evidence, crew, time);
    await output.answer(asJson(taskId, atMs, found), async () => await tell(call, task, found));
  });
}

/** What is most worth asking about: the run in progress, else what is overdue or was last. */
function presentOccurrence({ execution, lastScheduledFor, nextRunAt, scheduledFor, createdAt }: TaskInfo): number {
  return (
    execution?.scheduledFor ??
    overdue(scheduledFor, nextRunAt) ??
    lastScheduledFor ??
    scheduledFor ??
    createdAt
  ).getTime();
}

/** A pending occurrence that has failed, or waits in vain, says more than the last one that ran. */
function overdue(scheduledFor: Date | null, nextRunAt: Date | null): Date | undefined {
  if (scheduledFor === null || nextRunAt === null) return undefined;
  return scheduledFor.getTime() < nextRunAt.getTime() ? scheduledFor : undefined;
}

function asJson(taskId: string, atMs: number, { verdict, occurrenceMs, sentences, events }: Explanation): object {
  return {
    taskId,
    at: new Date(atMs),
    verdict,
    occurrence: occurrenceMs === undefined ? null : new Date(occurrenceMs),
    sentences,
    events: inOrder(events).map(({ event }) => event),
  };
}

function inOrder(events: Explanation["events"]): Explanation["events"] {
  const byPosition = new Map(events.map((told) => [told.position, told]));
  return [...byPosition.values()].toSorted((a, b) => a.position - b.position);
}

async function tell(
  { output, context }: Call,
  task: TaskInfo,
  { occurrenceMs, sentences, events }: Explanation,
): Promise<void> {
  const { timeZone, clock } = context;
  const { bold, dim } = output.colors;
  const time = (ms: number) => dateTime(new Date(ms), timeZone);
  const about =
    occurrenceMs === undefined
      ? ""
      : `, occurrence of ${time(occurrenceMs)} (${relative(new Date(occurrenceMs), clock.now())})`;
  await output.line(bold(`${escapeControls(task.taskId)}${about}`));
  await output.line(dim(`${scheduleText(task.schedule, timeZone)}; times in ${timeZone}`));
  await output.line();
  for (const sentence of sentences) {
    for (const line of wrap(escapeControls(sentence), output.width)) await output.line(line);
  }
  if (events.length > 0) await output.line(`\n${bold("The events that decided it")}`);
  for (const { position, event } of inOrder(events)) {
    const head = `${padStart(String(position), 8)}  ${dateTime(event.recordedAt, timeZone)}  `;
    const [first = "", ...more] = wrap(eventText(event, time), output.width - head.length);
    await output.line(`${dim(head)}${first}`);
    for (const line of more) await output.line(`${" ".repeat(head.length)}${line}`);
  }
  const { state, nextRunAt } = task;
  const next =
    nextRunAt === null ? "" : `, next run ${time(nextRunAt.getTime())} (${relative(nextRunAt, clock.now())})`;
  await output.line(`\nNow: ${state}${next}.`);
}
