/** Every limit of the library by name, with its default. A limit that is exceeded is an error with a code, never a truncation. */

/** The longest payload of a task or event, in bytes of JSON. Defaults to 1 MiB. */
export const defaultMaxPayloadBytes = 1_048_576;

/** The most bytes of writes that callers have begun and that are not committed yet. Defaults to 256 MiB. */
export const defaultMaxQueuedBytes = 268_435_456;

/** About what a call that waits to be written takes in memory, and each task or event in it, beside its payload. */
export const queuedCallBytes = 1_024;
export const queuedTaskBytes = 512;

/** The most bytes, counted in the same way, that one transaction or run of a handler may schedule and write: 64 MiB. */
export const maxTransactionBytes = 67_108_864;

/** The longest task id, task type, event type or handler name, in characters. */
export const maxNameLength = 255;

/** The longest reason or recorded error text, in characters; longer texts are cut and end in "…". */
export const maxTextLength = 2_000;

/** The most tasks in one `scheduleTasks` call. */
export const maxTasksPerCall = 10_000;

/** The most items on one page of a listing. */
export const maxPageSize = 1_000;

/** Characters of payloads with which a page of tasks ends, however few they are. */
export const taskPageCharacters = 8_388_608;

/** Items on one page of a listing where none is asked for. */
export const defaultPageSize = 100;

/** The most skipped occurrences that are counted one by one; beyond it the event says "at least". */
export const maxCountedOccurrences = 1_000;

/** Cuts a text to {@link maxTextLength}, or another limit; never through the middle of a character. */
export function boundedText(text: string, limit: number = maxTextLength): string {
  if (text.length <= limit) return text;
  const kept = text.slice(0, limit - 1);
  return `${/[\ud800-\udbff]$/.test(kept) ? kept.slice(0, -1) : kept}…`;
}
