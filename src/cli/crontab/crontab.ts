/** What a crontab says, as data; and what is wrong with it, with places. */

/** The nickname of a job that runs once at each start of the daemon, and at no other time. */
export const atStart = "@reboot";

/** What a line wants of this scheduler, and cron does not know: told in a comment above it. */
export interface Wishes {
  readonly id?: string;
  /** How many runs an occurrence gets before it counts as failed. */
  readonly attempts?: number;
  readonly timeoutMs?: number;
}

export interface CrontabJob {
  /** From 1. */
  readonly line: number;
  /** Fields with one blank between them, or a nickname in small letters. */
  readonly expression: string;
  /** From CRON_TZ; absent if the crontab does not say. */
  readonly timeZone?: string;
  /** In the form of /etc/crontab: who runs it. */
  readonly user?: { readonly name: string; readonly column: number };
  readonly command: string;
  /** What the command reads. */
  readonly input?: string;
  /** The variables that were set above it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly wishes: Wishes;
}

export interface CrontabProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface Crontab {
  readonly jobs: readonly CrontabJob[];
  /** What is wrong, in the order of the lines. A crontab with problems is not to be run. */
  readonly problems: readonly CrontabProblem[];
  /** What is accepted, and not as somebody could expect. */
  readonly notes: readonly CrontabProblem[];
}

/** "user": `crontab -e`; "system": with the user before the command, as in /etc/crontab. */
export type CrontabForm = "user" | "system";
