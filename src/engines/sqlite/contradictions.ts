/** What the tables say of each other, and what a row says of itself: the parts of a proof that need no replay. */
import type { Contradiction, SqlValue } from "../../store/engine.ts";
import type { Connection } from "./driver.ts";

/** The first place where the log or the counters contradict themselves, or null. Read it in one snapshot. */
export function findContradiction(connection: Connection): string | null {
  const log = connection.get<{ count: number; low: number | null; high: number | null; given: number | null }>(
    `SELECT count(*) AS count, min(position) AS low, max(position) AS high,
       (SELECT seq FROM sqlite_sequence WHERE name = 'azoth_events') AS given FROM azoth_events`,
  );
  const given = log?.given ?? 0;
  if (log !== undefined && (log.count !== given || (log.low ?? 1) !== 1 || (log.high ?? 0) !== given)) {
    const span = log.low === null ? "" : `, from position ${log.low} to ${log.high}`;
    return `the log has ${log.count} events${span}, and ${given} positions were given out`;
  }
  const unreadable = connection.get<{ position: number }>(
    "SELECT min(position) AS position FROM azoth_events WHERE NOT json_valid(data) HAVING position IS NOT NULL",
  );
  if (unreadable !== undefined) return `the event at position ${unreadable.position} is no JSON`;
  const numbers = connection.get<{ given: number; used: number }>(
    `SELECT (SELECT last FROM azoth_sequences WHERE name = 'task') AS given,
       max(coalesce((SELECT max(seq) FROM azoth_tasks), 0), coalesce((SELECT max(task) FROM azoth_events), 0)) AS used`,
  );
  if (numbers !== undefined && numbers.used > numbers.given) {
    return `task number ${numbers.used} is in use, and only ${numbers.given} were given out`;
  }
  return null;
}

/** What each column of the task table says, by the name of the state's field. */
const fieldOf = (column: string): string => {
  if (column.startsWith("run_") && column !== "run_at_ms") return "run";
  return column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
};

/** The first column of a row that is not what its state makes it. */
export function contradictionIn(
  columns: readonly string[],
  row: Readonly<Record<string, SqlValue>>,
  expected: readonly SqlValue[],
): Omit<Contradiction, "seq" | "taskId"> | undefined {
  for (const [index, column] of columns.entries()) {
    const stored = row[column] ?? null;
    if (stored !== expected[index]) return { field: fieldOf(column), expected: expected[index], stored };
  }
  return undefined;
}
