/** Which tasks to list. */
import { AzothError, quote } from "../errors.ts";
import { defaultPageSize, maxPageSize } from "../limits.ts";
import { isPrintable, parseName, readFields, readSafely } from "../names.ts";
import { type Instant, parseInstant } from "../schedule/instant.ts";
import type { TaskQuery } from "../store/engine.ts";
import type { TaskInfo } from "../store/task-info.ts";
import { type TaskStateName, taskStateNames } from "../tasks/task-state.ts";

/** The conditions are joined by "and". */
export interface TaskFilter {
  /** True: tasks that will run again without anybody's doing. False: paused and ended ones. */
  readonly enabled?: boolean;
  readonly state?: TaskStateName | readonly TaskStateName[];
  readonly taskType?: string;
  /** Only tasks whose id begins with this. */
  readonly idPrefix?: string;
  /** Only waiting tasks that are due at or after this instant. */
  readonly dueFrom?: Instant;
  /** Only waiting tasks that are due before this instant. */
  readonly dueUntil?: Instant;
  /** At most so many, 1 to 1,000; fewer where payloads are long. Defaults to 100. */
  readonly limit?: number;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string;
}

/** One page of a listing, oldest task first. */
export interface TaskPage {
  readonly tasks: readonly TaskInfo[];
  /** Pass it as `cursor` to get the next page; null on the last one. */
  readonly nextCursor: string | null;
}

const keys = ["enabled", "state", "taskType", "idPrefix", "dueFrom", "dueUntil", "limit", "cursor"];

/** @throws AzothError INVALID_FILTER, INVALID_INSTANT */
export function parseTaskFilter(filter: TaskFilter): TaskQuery {
  const fields = readFields<TaskFilter>(filter, keys, "The task filter", "INVALID_FILTER");
  const { enabled, taskType, idPrefix, limit = defaultPageSize, cursor, dueFrom, dueUntil } = fields;
  if (enabled !== undefined && typeof enabled !== "boolean")
    throw invalid(`has enabled: ${quote(enabled)}, which is no boolean`);
  if (taskType !== undefined) parseName(taskType, "The task filter's taskType", "INVALID_FILTER");
  if (idPrefix !== undefined && !(typeof idPrefix === "string" && isPrintable(idPrefix)))
    throw invalid(`has idPrefix: ${quote(idPrefix)}, which no id begins with`);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxPageSize) {
    throw invalid(`has limit: ${quote(limit)}; it takes a whole number from 1 to ${maxPageSize}`);
  }
  const dueFromMs = dueFrom === undefined ? undefined : parseInstant(dueFrom, "dueFrom");
  const dueUntilMs = dueUntil === undefined ? undefined : parseInstant(dueUntil, "dueUntil");
  if (dueFromMs !== undefined && dueUntilMs !== undefined && dueFromMs > dueUntilMs) {
    throw invalid(`has dueFrom after dueUntil: ${quote(dueFrom)} > ${quote(dueUntil)}`);
  }
  const states = readSafely("The task filter's state", "INVALID_FILTER", () => parseStates(fields.state));
  return {
    afterSeq: cursor === undefined ? 0 : parseCursor(cursor),
    limit,
    ...(enabled === undefined ? {} : { enabled }),
    ...(states === undefined ? {} : { states }),
    ...(taskType === undefined ? {} : { taskType }),
    ...(idPrefix === undefined || idPrefix === "" ? {} : { idPrefix }),
    ...(dueFromMs === undefined ? {} : { dueFromMs }),
    ...(dueUntilMs === undefined ? {} : { dueUntilMs }),
  };
}

function parseStates(state: TaskFilter["state"]): readonly TaskStateName[] | undefined {
  if (state === undefined) return undefined;
  const states: readonly unknown[] = Array.isArray(state) ? state : [state];
  const wrong = states.findIndex((name) => !(taskStateNames as readonly unknown[]).includes(name));
  if (wrong !== -1) throw invalid(`has state: ${quote(states[wrong])}; it takes ${taskStateNames.join(", ")}`);
  return [...states] as readonly TaskStateName[];
}

function parseCursor(cursor: unknown): number {
  if (typeof cursor === "string" && /^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw invalid(`has cursor: ${quote(cursor)}, which no listing returned`);
}

function invalid(what: string): AzothError {
  return new AzothError("INVALID_FILTER", `The task filter ${what}.`);
}
