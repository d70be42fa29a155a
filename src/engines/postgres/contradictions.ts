/** What the tables say of each other: the part of a proof that needs no replay. */
import type { Session } from "./session.ts";

/** The first place where the log or the counters contradict themselves, or null. Read it in one snapshot. */
export async function findContradiction(session: Session, schema: string): Promise<string | null> {
  const [row] = await session.rows(
    `SELECT coalesce((SELECT max(position) FROM ${schema}.azoth_events), 0),
       (SELECT min(position) FROM ${schema}.azoth_events),
       (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ${schema}.azoth_events_position_seq),
       greatest(coalesce((SELECT max(seq) FROM ${schema}.azoth_tasks), 0),
         coalesce((SELECT max(task) FROM ${schema}.azoth_events WHERE task IS NOT NULL), 0)),
       (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ${schema}.azoth_task_seq),
       (SELECT min(d.seq) FROM (SELECT seq FROM ${schema}.azoth_due UNION ALL SELECT seq FROM ${schema}.azoth_runs) d
        WHERE NOT EXISTS (SELECT 1 FROM ${schema}.azoth_tasks t WHERE t.seq = d.seq)
          AND NOT EXISTS (SELECT 1 FROM ${schema}.azoth_events e WHERE e.task = d.seq))`,
  );
  const [lastEvent, firstEvent, positions, lastTask, tasks, stray] = row as (number | null)[] as [
    number,
    number | null,
    number,
    number,
    number,
    number | null,
  ];
  if (firstEvent !== null && firstEvent < 1) return `the log has an event at position ${firstEvent}`;
  if (lastEvent > positions) return `the log has position ${lastEvent}, and only ${positions} were given out`;
  if (lastTask > tasks) return `task number ${lastTask} is in use, and only ${tasks} were given out`;
  // One that has events is found where the events are replayed.
  if (stray !== null) return `task number ${stray} is due or runs, and there is no such task`;
  return null;
}
