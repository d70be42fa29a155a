/** What a file, its log and its counters say of each other: the part of a proof that needs no replay. */
import { answerApart } from "./apart.ts";
import type { Connection, SqliteDriver } from "./driver.ts";

/** Of a file up to this size, all of it is looked at within some milliseconds. */
const smallBytes = 2_000_000;

/** Also of the indexes: a task that is missing in the one of due tasks would never run, and nobody would notice. */
const soundness = "PRAGMA integrity_check(1)";

const logStand = `SELECT count(*) AS count, min(position) AS low, max(position) AS high,
    min(iif(json_valid(data), NULL, position)) AS unreadable,
    (SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events') AS given,
    (SELECT last FROM azoth_sequences WHERE name = 'holes') AS holes FROM azoth_events`;

interface LogStand {
  readonly count: number;
  readonly low: number | null;
  readonly high: number | null;
  /** The position of the first event that is no JSON. */
  readonly unreadable: number | null;
  readonly given: number | null;
  readonly holes: number | null;
}

const taskNumbers = `SELECT (SELECT last FROM azoth_sequences WHERE name = 'task') AS given,
    max(coalesce((SELECT max(seq) FROM azoth_tasks), 0),
      coalesce((SELECT max(task) FROM azoth_events WHERE task IS NOT NULL), 0)) AS used`;

const queries: readonly string[] = [soundness, logStand, taskNumbers];

/** The first row of a query. */
type Ask = <Row>(sql: string) => Row | undefined;

/** The first place where the file is damaged, or the log or the counters contradict themselves, or null. */
export async function findContradiction(
  connection: Connection,
  file: string,
  driver: SqliteDriver,
): Promise<string | null> {
  const answers = isSmall(connection) ? null : await answerApart(file, driver, queries);
  if (answers === null) return ofOneMoment(connection, () => judge((sql) => connection.get(sql)));
  return judge(<Row>(sql: string) => {
    const answer = answers[queries.indexOf(sql)];
    if (answer === undefined) return undefined;
    if ("error" in answer) throw answer.error;
    return answer.row as Row;
  });
}

function isSmall(connection: Connection): boolean {
  const sql = "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size";
  return (connection.get<{ bytes: number }>(sql)?.bytes ?? 0) <= smallBytes;
}

function ofOneMoment<T>(connection: Connection, work: () => T): T {
  connection.exec("BEGIN");
  try {
    return work();
  } finally {
    // There is nothing to commit, and it must not cover what went wrong.
    connection.rollBack();
  }
}

function judge(ask: Ask): string | null {
  const found = ask<{ integrity_check: string }>(soundness)?.integrity_check ?? "ok";
  if (found !== "ok") return found;
  const log = ask<LogStand>(logStand);
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
  const numbers = ask<{ given: number; used: number }>(taskNumbers);
  if (numbers !== undefined && numbers.used > numbers.given) {
    return `task number ${numbers.used} is in use, and only ${numbers.given} were given out`;
  }
  return null;
}
