/**
 * UPDATE of the rows whose tasks went on: changed columns only, and one statement for all rows that change in the same
 * way. Of a batch that is claimed or recorded together, that is all of it.
 */
import type { TaskState } from "../../tasks/task-state.ts";
import { progressColumns, progressValues } from "../task-columns.ts";
import type { Connection, SqliteValue } from "./driver.ts";

/** A run takes its nominal time over from what was pending: said so in SQL, tasks of different times change in one way. */
const pendingTime = progressColumns.indexOf("scheduled_for_ms");
const takenOver = [progressColumns.indexOf("last_scheduled_for_ms"), progressColumns.indexOf("run_scheduled_for_ms")];

/** Statements by what they assign: parts of the SQL, as the columns have them. */
const texts = new Map<string, { readonly one: string; readonly many: string }>();

interface Group {
  /** The assignments; `?` stands for each of `values`. */
  readonly assignments: string;
  readonly values: readonly SqliteValue[];
  readonly seqs: number[];
}

export class ProgressUpdates {
  readonly #groups = new Map<string, Group>();

  /** @param before what the row holds */
  add(before: TaskState, after: TaskState): void {
    const old = progressValues(before);
    const now = progressValues(after);
    const pending = old[pendingTime];
    let key = "";
    for (let column = 0; column < now.length; column++) {
      if (now[column] === old[column]) continue;
      const taken = takenOver.includes(column) && now[column] === pending;
      key += taken ? `${column}<` : `${column}=${now[column]},`;
    }
    if (key === "") return;
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, groupOf(old, now, after.seq));
    else group.seqs.push(after.seq);
  }

  run(connection: Connection): void {
    for (const { assignments, values, seqs } of this.#groups.values()) {
      const { one, many } = textsOf(assignments);
      const [first] = seqs;
      if (seqs.length === 1 && first !== undefined) connection.run(one, ...values, first);
      else connection.run(many, ...values, `[${seqs.join(",")}]`);
    }
  }
}

function groupOf(old: readonly SqliteValue[], now: readonly SqliteValue[], seq: number): Group {
  const assignments: string[] = [];
  const values: SqliteValue[] = [];
  for (const [column, value] of now.entries()) {
    if (value === old[column]) continue;
    const name = progressColumns[column] ?? "";
    if (takenOver.includes(column) && value === old[pendingTime]) {
      assignments.push(`${name} = ${progressColumns[pendingTime]}`);
    } else {
      assignments.push(`${name} = ?`);
      values.push(value);
    }
  }
  return { assignments: assignments.join(", "), values, seqs: [seq] };
}

function textsOf(assignments: string): { readonly one: string; readonly many: string } {
  const known = texts.get(assignments);
  if (known !== undefined) return known;
  const update = `UPDATE azoth_tasks SET ${assignments} WHERE seq`;
  const made = { one: `${update} = ?`, many: `${update} IN (SELECT value FROM json_each(?))` };
  texts.set(assignments, made);
  return made;
}
