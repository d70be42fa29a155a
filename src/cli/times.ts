/** Instants, lengths of time and sizes as people read them. */

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-CA", {
      timeZone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      fractionalSecondDigits: 3,
      hourCycle: "h23",
      timeZoneName: "longOffset",
      weekday: "short",
    });
    formats.set(timeZone, format);
  }
  return format;
}

interface Parts {
  readonly date: string;
  readonly time: string;
  readonly fraction: string;
  readonly weekday: string;
  /** "+01:00". */
  readonly offset: string;
}

function partsOf(instant: Date, timeZone: string): Parts {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  ) as Record<Intl.DateTimeFormatPartTypes, string>;
  const { year, month, day, hour, minute, second, weekday, timeZoneName } = parts;
  return {
    date: `${year}-${month}-${day}`,
    time: `${hour}:${minute}:${second}`,
    fraction: (parts as Record<string, string>)["fractionalSecond"] ?? "000",
    weekday,
    offset: timeZoneName.replace("GMT", "") || "+00:00",
  };
}

/** "2026-03-29 02:30:00", in a zone. */
export function dateTime(instant: Date, timeZone: string): string {
  const { date, time } = partsOf(instant, timeZone);
  return `${date} ${time}`;
}

/** "2026-03-29 02:30:00.125 +01:00": nothing is left out. */
export function preciseTime(instant: Date, timeZone: string): string {
  const { date, time, fraction, offset } = partsOf(instant, timeZone);
  return `${date} ${time}${fraction === "000" ? "" : `.${fraction}`} ${offset}`;
}

/** "Sun 2026-03-29 02:30:00 +01:00". */
export function dayTime(instant: Date, timeZone: string): string {
  const { date, time, weekday, offset } = partsOf(instant, timeZone);
  return `${weekday} ${date} ${time} ${offset}`;
}

/** "+01:00": that of a zone at an instant. */
export function offsetAt(instant: Date, timeZone: string): string {
  return partsOf(instant, timeZone).offset;
}

const units = [
  ["y", 365 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** "250ms", "1.5s", "42s", "3m 20s", "2d 4h": the two largest units. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 10_000 && ms % 1_000 !== 0) return `${(ms / 1_000).toFixed(1)}s`;
  const at = units.findIndex(([, size]) => ms >= size);
  const [name, size] = units[at] ?? units[4];
  const whole = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1]);
  return rest === 0 || next === undefined ? `${whole}${name}` : `${whole}${name} ${rest}${next[0]}`;
}

/** "in 5m", "3h 2m ago", "now". */
export function relative(instant: Date, now: number): string {
  const ms = instant.getTime() - now;
  if (Math.abs(ms) < 1_000) return "now";
  return ms > 0 ? `in ${duration(ms)}` : `${duration(-ms)} ago`;
}

/** "512 B", "1.4 MB". */
export function bytesText(bytes: number): string {
  const names = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes < 1_000 ? 0 : Math.min(names.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** step;
  return `${step === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${names[step]}`;
}
