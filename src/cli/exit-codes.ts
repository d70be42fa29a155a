/** What the process's exit code says. Programs rely on these numbers: they keep their meaning. */
import type { ErrorCode } from "../index.ts";

export interface ExitMeaning {
  readonly code: number;
  readonly meaning: string;
}

/** Every exit code with its meaning; docs/cli.md is made from it. */
export const exitCodes = {
  ok: { code: 0, meaning: "Done." },
  failed: { code: 1, meaning: "It failed, or what was to be proved is not so (`verify`, `doctor`)." },
  usage: { code: 2, meaning: "Wrong usage: an unknown command or option, or a value that cannot be read." },
  notFound: { code: 3, meaning: "What was named is not there: a store, a task, a dead letter, an event handler." },
  refused: { code: 4, meaning: "It is there, and what was asked is not possible in its present state." },
  interrupted: { code: 130, meaning: "Ctrl-C before the end." },
} as const satisfies Record<string, ExitMeaning>;

export type ExitName = keyof typeof exitCodes;

const notFound: readonly ErrorCode[] = [
  "STORE_NOT_FOUND",
  "TASK_NOT_FOUND",
  "DEAD_LETTER_NOT_FOUND",
  "EVENT_HANDLER_NOT_FOUND",
];

const refused: readonly ErrorCode[] = [
  "TASK_CANCELLED",
  "TASK_FINISHED",
  "TASK_RUNNING",
  "TASK_PAUSED",
  "COPY_REFUSED",
  "STORE_NOT_AZOTH",
  "STORE_OUTDATED",
  "STORE_TOO_NEW",
  "STORE_UNFINISHED",
  "SCHEDULER_RUNNING",
];

const usage: readonly ErrorCode[] = [
  "CRON_NEVER_MATCHES",
  "PAYLOAD_NOT_JSON",
  "PAYLOAD_TOO_LARGE",
  "RESERVED_EVENT_TYPE",
  "UNKNOWN_TASK_TYPE",
  "DUPLICATE_HANDLER",
];

/** The exit that an error of the library leads to. */
export function exitOf(code: ErrorCode): ExitName {
  if (notFound.includes(code)) return "notFound";
  if (refused.includes(code)) return "refused";
  return usage.includes(code) || code.startsWith("INVALID_") ? "usage" : "failed";
}
