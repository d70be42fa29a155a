/** `events`: the log, and following it. */
import type { Command } from "commander";
import type { LogFilter, RecordedEvent } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { eventText } from "../event-text.ts";
import { type LimitOptions, limitOf, limitOption } from "../options.ts";
import type { Output } from "../output.ts";
import { withStore } from "../store.ts";
import { count, cut, escapeControls, padStart } from "../text.ts";
import { dateTime } from "../times.ts";
import { pastInstantOf } from "../when.ts";

interface EventsOptions extends LimitOptions {
  readonly follow?: boolean;
  readonly task?: string;
  readonly type?: readonly string[];
  readonly since?: string;
  readonly until?: string;
}

export function addEvents(program: Command, context: Context): void {
  program
    .command("events")
    .summary("read the log, and follow it")
    .description("Read the log: the latest events, in their order. With --follow, go on with what comes, until Ctrl-C.")
    .option("-f, --follow", "go on with new events, also those of other processes")
    .option("--task <task>", "only events of this task")
    .option("--type <type...>", "only events of these types, such as TaskExecuted")
    .option("--since <instant>", "only events from then on: an ISO time, 03:07, or 2h for two hours ago")
    .option("--until <instant>", "only events before then")
    .addOption(limitOption("of the latest events"))
    .action(action<EventsOptions>(context, events));
}

/** So many events that are there already come before those that are followed, if nobody says. */
const beforeFollowing = 10;

async function events(call: Call<EventsOptions>): Promise<void> {
  const { options, output, context } = call;
  const { follow = false, task, type, since, until } = options;
  const filter: LogFilter = {
    ...(task === undefined ? {} : { taskId: task }),
    ...(type === undefined ? {} : { eventTypes: type }),
    ...(since === undefined ? {} : { since: new Date(pastInstantOf(since, "--since", context)) }),
    ...(until === undefined ? {} : { until: new Date(pastInstantOf(until, "--until", context)) }),
  };
  const limitNow = follow ? (since === undefined ? beforeFollowing : Number.POSITIVE_INFINITY) : limitOf(call);
  const limit = options.limit ?? limitNow;
  await withStore(call, async (db) => {
    const upTo = await db.lastPosition();
    const print = printer(output, context);
    let shown = 0;
    let after = 0;
    if (Number.isFinite(limit)) {
      const latest: RecordedEvent[] = [];
      for await (const event of db.readLog({ ...filter, latestFirst: true })) {
        context.signal.throwIfAborted();
        latest.push(event);
        if (latest.length > limit) break;
      }
      for (const event of latest.slice(0, limit).toReversed()) await print(event);
      shown = Math.min(latest.length, limit);
      after = latest[0]?.position ?? upTo;
      if (!follow && latest.length > limit) {
        await output.note(`The latest ${count(shown, "event")} shown, and there are more: see --limit and --since.`);
      }
    } else if (!follow) {
      for await (const event of db.readLog(filter)) {
        await print(event);
        shown++;
      }
    }
    if (!follow && shown === 0) await output.note("No such events.");
    if (!follow) return;
    for await (const event of db.subscribe({ ...filter, after, signal: context.signal })) await print(event);
    // A subscription ends quietly when it is told to; the command was interrupted.
    context.signal.throwIfAborted();
  });
}

function printer(output: Output, { timeZone }: Context): (event: RecordedEvent) => Promise<void> {
  const { dim, bold, red, yellow, green } = output.colors;
  let day = "";
  return async (event) => {
    if (output.json) return await output.object(event);
    const { position, eventType, recordedAt, taskId } = event;
    const [date = "", time = ""] = dateTime(recordedAt, timeZone).split(" ");
    if (date !== day && output.isTerminal) await output.line(dim(date));
    day = date;
    const paint =
      eventType.endsWith("Lost") || isFailure(event) ? red : eventType === "OccurrencesSkipped" ? yellow : green;
    const head = `${output.isTerminal ? time : `${date} ${time}`}  ${padStart(String(position), 6)}  `;
    const named = escapeControls(taskId === undefined ? eventType : `${eventType}  ${taskId}`);
    const text = eventText(event, (ms) => dateTime(new Date(ms), timeZone));
    const room = output.width - head.length - named.length - 2;
    if (room >= 30 || !output.isTerminal) {
      const tail = output.isTerminal ? cut(text, room) : text;
      const painted = taskId === undefined ? paint(eventType) : `${paint(eventType)}  ${bold(escapeControls(taskId))}`;
      await output.line(`${dim(head)}${painted}  ${tail}`.trimEnd());
      return;
    }
    await output.line(`${dim(head)}${paint(cut(named, output.width - head.length))}`);
    await output.line(`${" ".repeat(head.length)}${cut(text, output.width - head.length)}`);
  };
}

function isFailure({ eventType, payload }: RecordedEvent): boolean {
  return eventType === "TaskExecuted" && (payload as { success?: unknown }).success === false;
}
