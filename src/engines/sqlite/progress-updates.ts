/**
 * UPDATE of the rows whose tasks went on: changed columns only, and one statement for all rows that change in the same
 * way. Of a batch that is claimed or recorded together, that is all of it.
 */
import type { TaskState } from "../../tasks/task-state.ts";
import { type ColumnValue, progressColumns, progressValues } from "../task-columns.ts";
import type { Connection } from "./driver.ts";

/** What becomes of a column: it stays, or takes over the nominal time that was pending, or gets a value. */
const stays = Symbol("stays");
const takesPending = Symbol("takes what was pending");
type Change = typeof stays | typeof takesPending | ColumnValue;

const pendingTime = progressColumns.indexOf("scheduled_for_ms");
/** A claim does so: said in SQL, tasks of different times change in one way. */
const takers = [progressColumns.indexOf("last_scheduled_for_ms"), progressColumns.indexOf("run_scheduled_for_ms")];

/** How many of the latest groups a change is compared with: a batch has few, or has hardly two changes of one kind. */
const comparedGroups = 4;

/** Rows that change in one way, by what each of `progressColumns` becomes. */
interface Group {
  readonly changes: readonly Change[];
  readonly seqs: number[];
}

/** Statements by what they assign. */
const texts = new Map<string, { readonly one: string; readonly many: string }>();

export class ProgressUpdates {
  readonly #groups: Group[] = [];

  /** @param before what the row holds */
  add(before: TaskState, after: TaskState): void {
    const changes = changesOf(progressValues(before), progressValues(after));
    if (changes.every((change) => change === stays)) return;
    const last = this.#groups.length - 1;
    for (let index = last; index >= 0 && index > last - comparedGroups; index--) {
      const group = this.#groups[index];
      if (group !== undefined && areEqual(group.changes, changes)) {
        group.seqs.push(after.seq);
        return;
      }
    }
    this.#groups.push({ changes, seqs: [after.seq] });
  }

  run(connection: Connection): void {
    for (const { changes, seqs } of this.#groups) {
      const { one, many } = textsOf(changes);
      const values = changes.filter((change): change is ColumnValue => typeof change !== "symbol");
      const [first] = seqs;
      if (seqs.length === 1 && first !== undefined) connection.run(one, ...values, first);
      else connection.run(many, ...values, `[${seqs.join(",")}]`);
    }
  }
}

function changesOf(old: readonly ColumnValue[], now: readonly ColumnValue[]): Change[] {
  return now.map((value, column): Change => {
    if (value === old[column]) return stays;
    return value === old[pendingTime] && takers.includes(column) ? takesPending : value;
  });
}

function areEqual(left: readonly Change[], right: readonly Change[]): boolean {
  for (let column = 0; column < left.length; column++) if (left[column] !== right[column]) return false;
  return true;
}

function textsOf(changes: readonly Change[]): { readonly one: string; readonly many: string } {
  const assignments: string[] = [];
  for (const [column, change] of changes.entries()) {
    const to = change === takesPending ? progressColumns[pendingTime] : "?";
    if (change !== stays) assignments.push(`${progressColumns[column]} = ${to}`);
  }
  const assigned = assignments.join(", ");
  const known = texts.get(assigned);
  if (known !== undefined) return known;
  const update = `UPDATE azoth_tasks SET ${assigned} WHERE seq`;
  const made = { one: `${update} = ?`, many: `${update} IN (SELECT value FROM json_each(?))` };
  texts.set(assigned, made);
  return made;
}
