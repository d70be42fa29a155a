/**
 * When a schedule occurs, found by trying every instant: slow, and sharing nothing with the evaluator that it is
 * held against. Knows what the scripts use: minutes that are multiples of five, hours, and either
 * days of the month or days of the week.
 */

/** A schedule as it stands in the payload of TaskScheduled. */
export type LoggedSchedule =
  | { readonly kind: "interval"; readonly everyMs: number; readonly anchorMs?: number }
  | { readonly kind: "cron"; readonly expression: string; readonly timeZone: string }
  | { readonly kind: "one-time"; readonly atMs: number }
  | { readonly kind: "immediate" };

const stepMs = 5 * 60_000;
const minuteMs = 60_000;
/** No zone moves its clocks by more, but for whole days; those are in no script. */
const longestShiftMs = 3 * 3_600_000;

/** The instants in (afterMs, untilMs] at which the schedule occurs. `anchorMs` is an interval's, unless it has one of its own. */
export function occurrencesIn(schedule: LoggedSchedule, anchorMs: number, afterMs: number, untilMs: number): number[] {
  if (schedule.kind === "interval")
    return multiplesIn(schedule.everyMs, schedule.anchorMs ?? anchorMs, afterMs, untilMs);
  if (schedule.kind === "cron") return cronIn(schedule.expression, schedule.timeZone, afterMs, untilMs);
  return [];
}

function multiplesIn(everyMs: number, anchorMs: number, afterMs: number, untilMs: number): number[] {
  const found: number[] = [];
  // The anchor is the first of them.
  const first = Math.max(0, Math.floor((afterMs - anchorMs) / everyMs) + 1);
  for (let at = anchorMs + first * everyMs; at <= untilMs; at += everyMs) found.push(at);
  return found;
}

function cronIn(expression: string, timeZone: string, afterMs: number, untilMs: number): number[] {
  const [, minutes = "*", hours = "*", days = "*", , weekdays = "*"] = expression.split(" ");
  const isFixed = !/[*/]/.test(minutes + hours);
  const matches = (localMs: number) => {
    const minute = Math.floor(localMs / minuteMs) % 60;
    const hour = Math.floor(localMs / (60 * minuteMs)) % 24;
    if (!allows(minutes, minute) || !allows(hours, hour)) return false;
    if (days === "*" && weekdays === "*") return true;
    const date = new Date(localMs);
    return allows(days, date.getUTCDate()) && allows(weekdays, date.getUTCDay());
  };
  const found: number[] = [];
  for (let at = (Math.floor(afterMs / stepMs) + 1) * stepMs; at <= untilMs; at += stepMs) {
    const localMs = at + offsetMs(timeZone, at);
    const skippedMs = offsetMs(timeZone, at) - offsetMs(timeZone, at - stepMs);
    if (isFixed && skippedMs > 0) {
      // The first instant after a gap stands for what was in it.
      let inGap = false;
      for (let gone = localMs - skippedMs; gone <= localMs; gone += stepMs) inGap ||= matches(gone);
      if (inGap) found.push(at);
    } else if (matches(localMs) && !(isFixed && isSecondPass(timeZone, at))) {
      found.push(at);
    }
  }
  return found;
}

function allows(field: string, value: number): boolean {
  if (field === "*") return true;
  const [range = "", step] = field.split("/");
  if (step !== undefined) return range === "*" && value % Number(step) === 0;
  return range.split(",").some((each) => Number(each) === value);
}

/** True if the local time of this instant has been shown before, and clocks were set back since. */
function isSecondPass(timeZone: string, at: number): boolean {
  const now = offsetMs(timeZone, at);
  for (let before = at - stepMs; before >= at - longestShiftMs; before -= stepMs) {
    if (before + offsetMs(timeZone, before) >= at + now) return true;
  }
  return false;
}

const formats = new Map<string, Intl.DateTimeFormat>();
/** By zone and quarter of an hour, in which no zone changes twice. */
const offsets = new Map<string, number>();

function offsetMs(timeZone: string, at: number): number {
  if (timeZone === "UTC") return 0;
  const quarter = Math.floor(at / (15 * minuteMs));
  const key = `${timeZone} ${quarter}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
    formats.set(timeZone, format);
  }
  const name = format.formatToParts(quarter * 15 * minuteMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign = "+", hours = "0", minutes = "0"] = /GMT([+-])(\d+):(\d+)/.exec(name) ?? [];
  const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minuteMs;
  if (offsets.size > 500_000) offsets.clear();
  offsets.set(key, offset);
  return offset;
}
