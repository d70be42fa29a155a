/**
 * The one error class of the library and the one table of its codes.
 *
 * Every refusal carries a stable `code`, says what was wrong, the value, and how to mend it.
 * `docs/errors.md` is generated from this table (`npm run docs:errors`); a test holds the two together.
 */
import { boundedText } from "./limits.ts";

/** Every error code with what it means and how to mend it. Codes never change their meaning. */
export const errorCatalogue = {
  // Schedules
  INVALID_CRON: ["A cron expression is malformed.", "Correct the field that the message names."],
  CRON_NEVER_MATCHES: ["A cron expression can never match a date.", "Choose a day that exists in the chosen months."],
  INVALID_TIME_ZONE: ["A time zone is not a known IANA name.", 'Use a name such as "Europe/Rome" or "UTC".'],
  INVALID_INTERVAL: [
    "An interval is not a positive whole number of milliseconds.",
    'Use a duration such as "90s" or "5m".',
  ],
  INVALID_INSTANT: [
    "A date or instant does not exist or lacks its offset.",
    'Use a Date or an ISO string such as "2026-01-31T09:00:00Z".',
  ],
  INVALID_DURATION: [
    "A duration cannot be read or is out of range.",
    'Use milliseconds, "90s", "5m", "1h30m" or ISO 8601 "PT5M".',
  ],
  INVALID_SCHEDULE: [
    "A schedule is not one that cron, interval, oneTime or immediate makes.",
    "Build it with one of these four functions.",
  ],

  // Tasks
  INVALID_TASK: [
    "A task definition has a missing, unknown or wrongly typed field.",
    "Correct the field that the message names.",
  ],
  INVALID_TASK_ID: ["A task id is empty, too long, or has control characters.", "Use 1 to 255 printable characters."],
  UNKNOWN_TASK_TYPE: [
    "No handler of this scheduler takes the task type.",
    "Register a handler, or name the type in `externalTaskTypes`.",
  ],
  INVALID_PAYLOAD: [
    "A payload was refused by the handler's schema or validate function.",
    "Correct the payload at the path that the message names.",
  ],
  PAYLOAD_NOT_JSON: [
    "A value cannot be stored as JSON.",
    "Use plain data: null, booleans, numbers, strings, arrays, objects, Date, bigint, Uint8Array.",
  ],
  PAYLOAD_TOO_LARGE: [
    "A payload or result exceeds its size limit.",
    "Store the bulk elsewhere and pass a reference, or raise the limit.",
  ],
  PAYLOAD_SEALED: [
    "What is sealed cannot be opened: the store has no codec, the codec has not the key, or the text was altered.",
    "Open the store with the codec, and with all keys that ever sealed for it.",
  ],
  CODEC_FAILED: [
    "The payload codec threw, or returned what it must not; nothing of the work was stored.",
    "See the cause; `seal` and `open` return texts, and no promises.",
  ],
  TASK_NOT_FOUND: ["No task has this id.", "Check the id, or list the tasks."],
  TASK_CANCELLED: ["The task was cancelled, and the command needs a live one.", "Schedule it again."],
  TASK_FINISHED: [
    "The task has ended, and the command needs a live one.",
    "Run it once more with runTaskNow, or schedule another definition.",
  ],
  TASK_RUNNING: [
    "The task is running, and the command needs a waiting one.",
    "Wait for the run to end, or cancel the task.",
  ],
  TASK_PAUSED: ["The task is paused, and the command needs an active one.", "Resume it first."],
  INVALID_FILTER: [
    "A filter or page has an unknown, reversed or out-of-range bound.",
    "Correct the bound that the message names.",
  ],

  // Handlers and configuration
  INVALID_HANDLER: [
    "A task handler or event handler lacks a part or has a wrong one.",
    "Correct the part that the message names.",
  ],
  DUPLICATE_HANDLER: ["Two handlers have the same task type or name.", "Keep one of them."],
  INVALID_OPTION: [
    "An option is unknown, of the wrong type or out of range.",
    "Correct the option that the message names.",
  ],
  RESERVED_EVENT_TYPE: ["An event type belongs to the scheduler itself.", "Choose another name for the event."],
  INVALID_EVENT: [
    "An event lacks a type, or its type is not a usable name.",
    "Give `eventType` a name of 1 to 255 printable characters.",
  ],
  EVENT_HANDLER_NOT_FOUND: [
    "No event handler of this scheduler has this name.",
    "Check the name against the registered event handlers.",
  ],
  DEAD_LETTER_NOT_FOUND: [
    "No dead letter has this id.",
    "List the dead letters; it may have been replayed or dropped.",
  ],

  // Outcomes that stand in a task's history
  HANDLER_FAILED: [
    "The handler threw or rejected.",
    "See the recorded message; the task retries while attempts remain.",
  ],
  HANDLER_RESULT_INVALID: [
    "The handler returned something that is no event and no outcome.",
    "Return { eventType, payload }, an outcome, or nothing.",
  ],
  TASK_TIMED_OUT: ["The handler did not finish within the task's timeout.", "Honour ctx.signal, or raise timeout."],
  CLAIM_LOST: [
    "The instance that ran the task stopped sending heartbeats, and its claim was taken over.",
    "Look for a crash, a suspend or a blocked event loop on that instance.",
  ],
  SHUTTING_DOWN: [
    "The scheduler is stopping and released what had not finished.",
    "Nothing: the task runs again soon.",
  ],

  // The store
  INVALID_LOCATION: [
    "The location of a store is not usable, or there is something where a backup is to go.",
    'For a store, pass a directory path, a postgres:// URL, or ":memory:"; for a backup, the path of a file that does not exist.',
  ],
  STORE_NOT_WRITABLE: [
    "The store's directory or file cannot be created or written.",
    "Check that it exists, is a directory, and its permissions.",
  ],
  STORE_NOT_FOUND: [
    "There is no store at the location, and it was to be opened only if there is one.",
    "Check the location, or open it without `create: false`.",
  ],
  STORE_OUTDATED: [
    "The store was written by an older version of this library, and was to be opened only as it is.",
    "Open it once without `migrate: false`.",
  ],
  STORE_NOT_AZOTH: [
    "The file is a database of another program, or no database at all.",
    "Point to another directory, or move the file away.",
  ],
  STORE_TOO_NEW: ["The store was written by a newer version of this library.", "Upgrade azoth-scheduler."],
  STORE_CORRUPT: [
    "The store's file is damaged or its contents contradict each other.",
    "Restore a backup; keep the damaged file for diagnosis.",
  ],
  STORE_BUSY: [
    "Another transaction held what this one needs for too long, or the two collided.",
    "Do it again; look for a long transaction elsewhere, or raise busyTimeout.",
  ],
  STORE_OVERLOADED: [
    "More writes were begun than the store keeps waiting; this one was not taken.",
    "Await earlier writes before you begin more, or raise maxQueuedBytes.",
  ],
  STORE_FULL: ["The disk is full; nothing of the commit was kept.", "Free space; the scheduler goes on by itself."],
  STORE_FAILED: ["The storage reported an I/O or SQL error; nothing of the commit was kept.", "See the cause."],
  STORE_UNREACHABLE: [
    "The database server cannot be reached, refuses the login, or was lost in the middle of a commit.",
    "Check the URL and the server; schedulers go on by themselves when it is back.",
  ],
  STORE_CLOSED: ["The store or scheduler is closed.", "Open it again."],
  STORE_UNFINISHED: [
    "The store is an unfinished copy of another one, and takes no writes before it is whole.",
    "Call copyLog again with the same two stores; or remove the copy, and go on with the other store.",
  ],
  COPY_REFUSED: [
    "A store cannot be copied: schedulers are at work on it, or the target is neither empty nor an unfinished copy of it.",
    "Stop the schedulers; copy to a store in a new place.",
  ],
  DRIVER_MISSING: [
    "The package that reaches the database is not installed.",
    "For SQLite use Node 22.13 or later, or install @photostructure/sqlite; for PostgreSQL install pg.",
  ],
  TRANSACTION_TIMEOUT: [
    "A transaction callback did not settle in time and was rolled back.",
    "Do slow work outside of the transaction, or raise transactionTimeout.",
  ],
  TRANSACTION_TOO_LARGE: [
    "A transaction, or a run of a handler, writes more than may be kept in memory until its commit.",
    "Divide the work among several transactions or tasks.",
  ],
  TRANSACTION_NESTED: [
    "A write to the store was begun inside of a transaction of the same store, which would wait for itself.",
    "Use the methods of the transaction that the callback is given.",
  ],
  TRANSACTION_CLOSED: [
    "A transaction was used after its callback had settled.",
    "Await every call inside of the callback.",
  ],
  INVALID_SQL: ["The user's SQL statement was refused by the database.", "See the cause for the database's words."],
  SCHEDULER_RUNNING: ["The scheduler is already running.", "Call run() once per Scheduler."],
  TEST_UNSETTLED: [
    "In a test, something goes on for ever without any time passing.",
    "Look for a handler that makes its task due again at once, or an event handler that feeds on its own events.",
  ],
} as const satisfies Record<string, readonly [meaning: string, mend: string]>;

/** A stable error code: a key of {@link errorCatalogue}. */
export type ErrorCode = keyof typeof errorCatalogue;

/** The longest piece of a user's value that an error message repeats, in characters. */
const quotedValueLimit = 80;

const hugeNumber = 10n ** 80n;

/**
 * The only error that this library throws or rejects with.
 * Compare `code`, never the message, which may be reworded at any time.
 */
export class AzothError extends Error {
  override readonly name = "AzothError";
  readonly code: ErrorCode;
  /** Facts for programs: the offending field, value, limits. Plain data; never a secret payload. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for an {@link AzothError}, of the given code if one is given. */
export function isAzothError(error: unknown, code?: ErrorCode): error is AzothError {
  try {
    return error instanceof AzothError && (code === undefined || error.code === code);
  } catch {
    // A revoked proxy refuses every question.
    return false;
  }
}

/** The same refusal, told as one of a part of something greater: "The handler of …: maxRetries must be …". */
export function within(whole: string, error: unknown, code?: ErrorCode): unknown {
  if (!isAzothError(error)) return error;
  const { cause, details } = error;
  return new AzothError(code ?? error.code, `${whole}: ${error.message}`, { cause, details });
}

/**
 * Renders any value for an error message: never throws, one line, bounded length.
 * Control characters are escaped, so that a hostile value cannot drive a terminal.
 */
export function quote(value: unknown): string {
  try {
    const text = typeof value === "string" ? JSON.stringify(value.slice(0, quotedValueLimit * 2)) : renderOther(value);
    return boundedText(escapeUnprintable(text), quotedValueLimit + 1);
  } catch {
    return "an unreadable value";
  }
}

/** Words that are not ours, for an error message: on one line, without control characters, of bounded length. */
export function oneLine(words: string, limit: number): string {
  const text = words.slice(0, limit * 4).replace(/\s+/gu, " ");
  return boundedText(escapeUnprintable(text.trim()), limit);
}

/** Also what turns the direction of writing, and what is no character at all. */
function escapeUnprintable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex}`;
  });
}

function renderOther(value: unknown): string {
  if (typeof value === "bigint") {
    // The decimal digits of a huge number take seconds.
    const tooLong = value > hugeNumber || value < -hugeNumber;
    return tooLong ? "a bigint of many digits" : `${value}n`;
  }
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : String(value.toISOString());
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The message of whatever was thrown. Reading a hostile object's fields may throw; this never does. */
export function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : quote(thrown);
  } catch {
    return "an error that cannot be read";
  }
}
