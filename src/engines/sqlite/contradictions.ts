/** What the tables say of each other: the part of a proof that needs no replay. */
import type { Connection } from "./driver.ts";

interface LogStand {
  readonly count: number;
  readonly low: number | null;
  readonly high: number | null;
  /** The position of the first event that is no JSON. */
  readonly unreadable: number | null;
  readonly given: number | null;
  readonly holes: number | null;
}

/** The first place where the log or the counters contradict themselves, or null. Read it in one snapshot. */
export function findContradiction(connection: Connection): string | null {
  const log = connection.get<LogStand>(
    `SELECT count(*) AS count, min(position) AS low, max(position) AS high,
       min(iif(json_valid(data), NULL, position)) AS unreadable,
       (SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events') AS given,
       (SELECT last FROM azoth_sequences WHERE name = 'holes') AS holes FROM azoth_events`,
  );
  const given = log?.given ?? 0;
  // Only a copy of a log that many could write at a time has holes, and it knows how many: a deletion makes one more.
  const holes = log?.holes ?? 0;
  if (log !== undefined && (log.count + holes !== given || (log.low ?? 1) < 1 || (log.high ?? 0) > given)) {
    const span = log.low === null ? "" : `, from position ${log.low} to ${log.high}`;
    const missing = holes === 0 ? "" : `, ${holes} of them without an event`;
    return `the log has ${log.count} events${span}, and ${given} positions were given out${missing}`;
  }
  const unreadable = log?.unreadable ?? null;
  if (unreadable !== null) return `the event at position ${unreadable} is no JSON`;
  const numbers = connection.get<{ given: number; used: number }>(
    `SELECT (SELECT last FROM azoth_sequences WHERE name = 'task') AS given,
       max(coalesce((SELECT max(seq) FROM azoth_tasks), 0), coalesce((SELECT max(task) FROM azoth_events WHERE task IS NOT NULL), 0)) AS used`,
  );
  if (numbers !== undefined && numbers.used > numbers.given) {
    return `task number ${numbers.used} is in use, and only ${numbers.given} were given out`;
  }
  return null;
}
