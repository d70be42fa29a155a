/** Loggers: the four methods that are used of one, and the one place where signals become log lines. */
import type { Signal } from "./signals.ts";

type LogMethod = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** A structured logger; pino and its like fit. The library itself prints nothing. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const silence: LogMethod = () => {};

/** The default. */
export const silentLogger: Logger = { debug: silence, info: silence, warn: silence, error: silence };

/** A logger that adds the same fields to every line. */
export function withFields(logger: Logger, added: Readonly<Record<string, unknown>>): Logger {
  if (logger === silentLogger) return silentLogger;
  return {
    debug: (fields, message) => logger.debug({ ...added, ...fields }, message),
    info: (fields, message) => logger.info({ ...added, ...fields }, message),
    warn: (fields, message) => logger.warn({ ...added, ...fields }, message),
    error: (fields, message) => logger.error({ ...added, ...fields }, message),
  };
}

const lines: Readonly<Record<Signal["name"], readonly [level: keyof Logger, message: string]>> = {
  "scheduler.started": ["info", "scheduler started"],
  "scheduler.stopped": ["info", "scheduler stopped"],
  "scheduler.lost": ["warn", "a scheduler fell silent, and its tasks were taken over"],
  "scheduler.clock-differs": ["warn", "this machine's clock differs from the database's, which is followed"],
  "scheduler.declared-dead": ["warn", "this scheduler was taken for dead, and goes on under a new number"],
  "event-loop.blocked": ["warn", "the event loop stood still, and no heartbeat came from this scheduler"],
  "task.started": ["debug", "task started"],
  "task.succeeded": ["debug", "task succeeded"],
  "task.failed": ["warn", "task failed"],
  "task.snoozed": ["debug", "task snoozed"],
  "task.refused": ["warn", "a late result was refused"],
  "task.abandoned": ["error", "a handler ignored its abort signal and was abandoned"],
  "tasks.unhandled": ["warn", "overdue tasks have no handler on this scheduler"],
  "store.failed": ["error", "the store failed, and is tried again"],
  "event-handler.failed": ["warn", "an event handler failed"],
};

/** Writes a signal as a log line. */
export function logSignal(logger: Logger, signal: Signal): void {
  const [level, message] = lines[signal.name];
  const { name, ...fields } = signal;
  logger[level]({ signal: name, ...fields }, message);
}
