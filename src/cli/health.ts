/** What `doctor` looks at: one function for each question, on the store's public side. */
import fs from "node:fs";
import path from "node:path";
import { type AzothDb, Scheduler, type SchedulerInstance, type StoreStatus, type SystemEventData } from "../index.ts";
import { count, escapeControls } from "./text.ts";
import { bytesText, duration } from "./times.ts";

/** What was found: fine, worth a look, or wrong. */
export interface Finding {
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  readonly message: string;
  readonly hint?: string;
}

export interface Patient {
  readonly db: AzothDb;
  readonly status: StoreStatus;
  /** With the types that it handles. */
  readonly living: readonly (SchedulerInstance & { readonly taskTypes: readonly string[] })[];
  readonly nowMs: number;
}

export async function examine(db: AzothDb): Promise<Patient> {
  const status = await db.status();
  const taskTypes = await taskTypesOf(db, status.instances);
  const living = status.instances
    .filter(({ silent }) => !silent)
    .map((instance) => ({ ...instance, taskTypes: taskTypes.get(instance.instance) ?? [] }));
  return { db, status, living, nowMs: db.clock.now() };
}

async function taskTypesOf(
  db: AzothDb,
  instances: readonly SchedulerInstance[],
): Promise<Map<number, readonly string[]>> {
  const wanted = new Set(instances.map(({ instance }) => instance));
  const found = new Map<number, readonly string[]>();
  if (wanted.size === 0) return found;
  for await (const { payload } of db.readLog({ eventTypes: ["SchedulerStarted"], latestFirst: true })) {
    const { instance, taskTypes } = payload as SystemEventData["SchedulerStarted"];
    if (wanted.has(instance)) found.set(instance, taskTypes);
    if (found.size === wanted.size) break;
  }
  return found;
}

/** In the order in which they are told. */
export const checks: readonly ((patient: Patient) => Promise<Finding> | Finding)[] = [
  checkSchema,
  checkClock,
  checkSchedulers,
  checkClaims,
  checkHandlers,
  checkOverdue,
  checkDisabled,
  checkEventHandlers,
  checkDeadLetters,
  checkDisk,
];

async function checkSchema({ db, status }: Patient): Promise<Finding> {
  const check = "schema";
  if (status.unfinished) {
    return problem(
      check,
      "This is an unfinished copy, and takes no writes.",
      "Repeat the `azoth-scheduler copy` that made it, or remove it.",
    );
  }
  const drift = await db.schemaDrift();
  if (drift === null) {
    return warning(check, `Version ${status.schemaVersion}; not compared, because this user may not make a schema.`);
  }
  if (drift.length === 0) return ok(check, `Version ${status.schemaVersion}, and as it should be.`);
  return problem(
    check,
    `Somebody changed the tables. ${drift.join(" ")}`,
    "Undo that by hand, or copy the store to a new place.",
  );
}

/** More than this is felt where people look at times. */
const clockToleranceMs = 1_000;

async function checkClock({ db, status, nowMs }: Patient): Promise<Finding> {
  const check = "clock";
  const { clockOffsetMs } = status;
  for await (const { recordedAt, position } of db.readLog({ latestFirst: true })) {
    const aheadMs = recordedAt.getTime() - nowMs;
    if (aheadMs <= clockToleranceMs) break;
    return problem(
      check,
      `The last event (${position}) is ${duration(aheadMs)} in the future: a clock was wrong then, or is now.`,
      "Look at the clock of this machine and of the schedulers'; see `timedatectl`.",
    );
  }
  if (Math.abs(clockOffsetMs) > clockToleranceMs) {
    const words = `This machine's clock is ${duration(Math.abs(clockOffsetMs))} ${clockOffsetMs > 0 ? "behind" : "ahead of"} the database's.`;
    return warning(check, words, "Schedulers correct for it; let NTP set the clock all the same.");
  }
  return ok(
    check,
    status.engine === "sqlite" ? "No event is in the future." : `${clockOffsetMs} ms from the database's.`,
  );
}

function checkSchedulers({ living }: Patient): Finding {
  const check = "schedulers";
  if (living.length === 0)
    return warning(
      check,
      "None is running: nothing starts.",
      "Start one with `azoth-scheduler run`, or your own program.",
    );
  const names = living.map(({ instance, name }) => `${instance} (${escapeControls(name)})`);
  return ok(
    check,
    `${count(living.length, "is", "are")} running: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}.`,
  );
}

async function checkClaims({ db, living, status, nowMs }: Patient): Promise<Finding> {
  const check = "claims";
  const rows = await db.query(
    "SELECT run_instance AS instance, count(*) AS held FROM azoth_tasks WHERE run_instance IS NOT NULL GROUP BY run_instance ORDER BY run_instance",
  );
  const alive = new Set(living.map(({ instance }) => instance));
  const stale = rows.filter(({ instance }) => !alive.has(Number(instance)));
  const held = rows.reduce((sum, row) => sum + Number(row["held"]), 0);
  if (stale.length === 0)
    return ok(
      check,
      held === 0 ? "No task is running." : `${count(held, "task")} running, all on schedulers that live.`,
    );
  const sentences = stale.map(({ instance, held }) => {
    const known = status.instances.find((one) => one.instance === Number(instance));
    const since =
      known === undefined ? "is gone" : `has been silent for ${duration(nowMs - known.lastHeardAt.getTime())}`;
    return `Scheduler ${String(instance)} ${since} and holds ${count(Number(held), "task")}.`;
  });
  const hint =
    living.length === 0
      ? "They run again as soon as a scheduler does."
      : "A running scheduler takes them over within its claim duration; look again in a minute.";
  return living.length === 0 ? problem(check, sentences.join(" "), hint) : warning(check, sentences.join(" "), hint);
}

/** Types of tasks that are to run at some time. */
async function pendingTypes(db: AzothDb): Promise<Map<string, number>> {
  const rows = await db.query(
    `SELECT n.name AS name, count(*) AS tasks FROM azoth_tasks t JOIN azoth_names n ON n.id = t.type
     WHERE t.due_at_ms IS NOT NULL GROUP BY n.name ORDER BY n.name`,
  );
  return new Map(rows.map(({ name, tasks }) => [String(name), Number(tasks)]));
}

async function checkHandlers({ db, living }: Patient): Promise<Finding> {
  const check = "handlers";
  const pending = await pendingTypes(db);
  if (living.length === 0)
    return ok(check, `${count(pending.size, "task type")} in use; no scheduler runs that could handle them.`);
  const handled = new Set(living.flatMap(({ taskTypes }) => taskTypes));
  const without = [...pending].filter(([type]) => !handled.has(type));
  if (without.length === 0) return ok(check, `Each of the ${count(pending.size, "task type")} in use has a handler.`);
  const list = without.map(([type, tasks]) => `${escapeControls(type)} (${count(tasks, "task")})`);
  return problem(
    check,
    `No running scheduler handles ${list.join(", ")}.`,
    "Deploy the handler, or cancel the tasks: `azoth-scheduler tasks list --type <type>`.",
  );
}

/** What is due for longer should have started: a scheduler looks every second. */
const overdueAfterMs = 60_000;

async function checkOverdue({ db, nowMs }: Patient): Promise<Finding> {
  const check = "overdue";
  const rows = await db.query(
    `SELECT n.name AS name, count(*) AS tasks, min(t.due_at_ms) AS since FROM azoth_tasks t JOIN azoth_names n ON n.id = t.type
     WHERE t.due_at_ms < ? GROUP BY n.name ORDER BY min(t.due_at_ms)`,
    [nowMs - overdueAfterMs],
  );
  if (rows.length === 0) return ok(check, `No task has waited for longer than ${duration(overdueAfterMs)}.`);
  const list = rows.map(
    ({ name, tasks, since }) =>
      `${count(Number(tasks), "task")} of type ${escapeControls(String(name))}, for up to ${duration(nowMs - Number(since))}`,
  );
  return problem(
    check,
    `Due and not started: ${list.join("; ")}.`,
    "See `azoth-scheduler tasks list --due-before now`, and `explain` one of them.",
  );
}

async function checkDisabled({ db }: Patient): Promise<Finding> {
  const check = "disabled";
  const { disabled, paused } = await new Scheduler(db).countTasks();
  const rest = paused === 0 ? "" : ` ${count(paused, "is", "are")} paused.`;
  if (disabled === 0) return ok(check, `No task has used up its attempts.${rest}`);
  return warning(
    check,
    `${count(disabled, "task")} used up all attempts.${rest}`,
    "See `azoth-scheduler tasks list --state disabled`, and `tasks resume` or `tasks cancel` them.",
  );
}

/** A handler whose events are rare stores its checkpoint this seldom. */
const usualLag = 20_000;

async function checkEventHandlers({ db, status }: Patient): Promise<Finding> {
  const check = "event handlers";
  const handlers = await new Scheduler(db).eventHandlers.list();
  if (handlers.length === 0) return ok(check, "There are none.");
  const lagOf = (position: number) => Math.max(0, status.lastPosition - position);
  const stopped = handlers.filter((handler) => handler.status === "stopped");
  const worst = handlers.toSorted((a, b) => a.position - b.position)[0];
  if (stopped.length > 0) {
    const list = stopped.map(
      ({ name, position, error }) =>
        `${escapeControls(name)} stands still before event ${position + 1}: ${escapeControls(error ?? "")}`,
    );
    return problem(check, `${list.join("; ")}.`, "Mend it, and let it go on with eventHandlers.resume().");
  }
  const retrying = handlers.filter((handler) => handler.status === "retrying");
  if (retrying.length > 0)
    return warning(
      check,
      `${retrying.map(({ name, attempts }) => `${escapeControls(name)} has failed ${attempts} times at one event`).join("; ")}.`,
    );
  if (worst !== undefined && lagOf(worst.position) > usualLag) {
    return warning(
      check,
      `${escapeControls(worst.name)} is ${count(lagOf(worst.position), "event")} behind.`,
      "See whether its process runs; it may be new.",
    );
  }
  return ok(check, `${count(handlers.length, "is", "are")} up to date.`);
}

async function checkDeadLetters({ db }: Patient): Promise<Finding> {
  const check = "dead letters";
  const letters = await new Scheduler(db).eventHandlers.deadLetters({ limit: 1_000 });
  if (letters.length === 0) return ok(check, "There are none.");
  const many = letters.length === 1_000 ? "At least " : "";
  return warning(
    check,
    `${many}${count(letters.length, "event")} could not be handled.`,
    "See `azoth-scheduler dead-letters list`.",
  );
}

/** Less than this is little for any store. */
const fewBytes = 200_000_000;

function checkDisk({ status }: Patient): Finding {
  const check = "disk";
  const size = bytesText(status.bytes);
  if (status.engine !== "sqlite")
    return ok(check, `The store takes ${size}; the server's disk cannot be seen from here.`);
  const { bavail, bsize } = fs.statfsSync(path.dirname(status.location));
  const free = bavail * bsize;
  const words = `${bytesText(free)} free; the store takes ${size}.`;
  // A rebuild and a backup need as much again.
  if (free < fewBytes) return problem(check, words, "Free space: without it nothing can be recorded.");
  return free < 2 * status.bytes
    ? warning(check, words, "A rebuild or a backup beside it needs as much as the store again.")
    : ok(check, words);
}

function ok(check: string, message: string): Finding {
  return { check, level: "ok", message };
}

function warning(check: string, message: string, hint?: string): Finding {
  return { check, level: "warning", message, ...(hint === undefined ? {} : { hint }) };
}

function problem(check: string, message: string, hint?: string): Finding {
  return { check, level: "problem", message, ...(hint === undefined ? {} : { hint }) };
}
