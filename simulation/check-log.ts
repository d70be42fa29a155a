/**
 * What must hold of every log, whatever was killed, stopped, set or broken while it was written.
 *
 * It reads nothing but the log, event by event, and shares no code with what wrote it. What it keeps of a task is its own
 * idea of where the task stands.
 */
import type { LifecycleData, RecordedEvent } from "azoth-scheduler";
import { InstanceChecker } from "./check-instances.ts";
import { type Definition, isRecurring, ofUser, type Run, type Standing, standingOf, type Task } from "./known-task.ts";
import { occurrencesIn } from "./occurrences.ts";

/** How far apart counted occurrences and their sample may be, before counting stops. */
const countLimit = 1_000;

export interface LogOptions {
  /** "none": each position follows the one before; "holes": those of rolled back work are missing. */
  readonly positions: "none" | "holes";
  /** That of the schedulers. */
  readonly maxLostClaims: number;
}

export class LogChecker {
  readonly violations: string[] = [];
  readonly #tasks = new Map<string, Task>();
  readonly #options: LogOptions;
  #last = 0;
  /** A handler's own event, whose outcome has to follow in the same commit, and so at once. */
  #outcomeOf: RecordedEvent | undefined;
  readonly #counts = new Map<string, number>();
  readonly #instances = new InstanceChecker();

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** How many events of a type a task has. */
  count(taskId: string, type: string): number {
    return this.#counts.get(`${type} ${taskId}`) ?? 0;
  }

  /** Where the tasks stand by their log, by their ids. */
  standings(): Map<string, Standing> {
    const standings = new Map<string, Standing>();
    for (const [taskId, task] of this.#tasks) standings.set(taskId, standingOf(task));
    return standings;
  }

  readAll(events: Iterable<RecordedEvent>): this {
    for (const event of events) this.read(event);
    return this;
  }

  read(event: RecordedEvent): void {
    const { position, eventType, taskId, executionId } = event;
    const say = (what: string) => {
      this.violations.push(
        `${position} ${eventType} of ${taskId ?? "no task"} (run ${executionId ?? "none"}): ${what}`,
      );
    };
    if (position <= this.#last || (this.#options.positions === "none" && position !== this.#last + 1))
      say(`after ${this.#last}`);
    this.#last = position;
    if (taskId === undefined) return this.#instances.follow(event, (instance) => this.#runsOf(instance), say);
    const key = `${eventType} ${taskId}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.#holdTogether(event, say);
    if (eventType === "TaskScheduled") return this.#schedule(taskId, event, say);
    const task = this.#tasks.get(taskId);
    if (task === undefined) return say("before it was scheduled");
    this.#follow(task, event, say);
  }

  #runsOf(instance: number): string[] {
    const runs = [...this.#tasks.values()].map(({ run }) => run);
    return runs.filter((run) => run?.instance === instance).map((run) => run?.executionId ?? "");
  }

  /** What must hold when the faults have stopped, and everything had time to be done. */
  end(nowMs: number): void {
    for (const [taskId, task] of this.#tasks) {
      const say = (what: string) => this.violations.push(`in the end, ${taskId}: ${what}`);
      if (task.run !== null) say(`run ${task.run.executionId} goes on`);
      if (task.state !== "waiting" || task.paused) continue;
      if (task.runAtMs <= nowMs) say(`due since ${shown(task.runAtMs)}, and did not run`);
      else this.#account(task, Math.min(task.scheduledForMs ?? nowMs, nowMs), say);
    }
  }

  /** A handler's own event, and its success, are in one commit: nothing may come between them. */
  #holdTogether(event: RecordedEvent, say: (what: string) => void): void {
    const awaited = this.#outcomeOf;
    this.#outcomeOf = undefined;
    if (awaited !== undefined) {
      const { success } = event.payload as { success?: boolean };
      const follows = event.executionId === awaited.executionId && event.eventType === "TaskExecuted";
      if (!follows || success !== true)
        say(`${awaited.eventType} of run ${awaited.executionId} has no success beside it`);
    }
    if (event.eventType === "did") this.#outcomeOf = event;
  }

  #schedule(taskId: string, event: RecordedEvent, say: (what: string) => void): void {
    const definition = event.payload as Definition;
    const atMs = event.recordedAt.getTime();
    const { because, next } = definition;
    const known = this.#tasks.get(taskId);
    const expected = known === undefined ? "new" : known.state === "cancelled" ? "revived" : "replaced";
    if (because !== expected) say(`${because}, and it is ${expected}`);
    const keepsSchedule =
      known !== undefined &&
      because === "replaced" &&
      JSON.stringify(known.definition.schedule) === JSON.stringify(definition.schedule);
    if (because === "replaced" && known !== undefined) {
      if (ofUser(known.definition) === ofUser(definition)) say("nothing of it has changed");
      if (keepsSchedule && isRecurring(definition.schedule)) this.#expectKept(known, definition, say);
    }
    if (known !== undefined && because === "replaced" && !keepsSchedule) this.#account(known, atMs, say);
    const task: Task = {
      definition,
      anchorMs: definition.anchorMs ?? atMs,
      run: known?.run ?? null,
      latestRun: known?.latestRun ?? 0,
      state: "waiting",
      paused: because === "replaced" && (known?.paused ?? false),
      scheduledForMs: next.scheduledForMs,
      runAtMs: next.scheduledForMs,
      failures: 0,
      lostClaims: 0,
      accountedToMs: keepsSchedule && known !== undefined ? known.accountedToMs : atMs,
      skipped: keepsSchedule && known !== undefined ? known.skipped : [],
      nominalMs: Number.NEGATIVE_INFINITY,
      succeeded: false,
    };
    // Nothing is counted while a task is disabled, nor before a kept occurrence that another clock has chosen.
    if (keepsSchedule && known?.state === "disabled") task.accountedToMs = atMs;
    this.#tasks.set(taskId, task);
    const { schedule } = definition;
    if (schedule.kind === "immediate" || schedule.kind === "one-time") {
      const onceMs = schedule.kind === "immediate" ? atMs : schedule.atMs;
      if (next.scheduledForMs !== onceMs) say(`for ${shown(next.scheduledForMs)}, and not for ${shown(onceMs)}`);
    } else if (!keepsSchedule) this.#expectNext(task, next.scheduledForMs, atMs, say);
  }

  /** Where only the rest of a definition changes, what is pending stays, and an interval keeps its phase. */
  #expectKept(known: Task, { schedule, anchorMs, next }: Definition, say: (what: string) => void): void {
    const isAnchored = schedule.kind !== "interval" || schedule.anchorMs !== undefined;
    if (!isAnchored && anchorMs !== known.anchorMs) say(`anchored at ${shown(anchorMs)}, not ${shown(known.anchorMs)}`);
    if (known.scheduledForMs !== null && next.scheduledForMs !== known.scheduledForMs)
      say(`for ${shown(next.scheduledForMs)}, and ${shown(known.scheduledForMs)} was pending`);
  }

  #follow(task: Task, event: RecordedEvent, say: (what: string) => void): void {
    const { eventType, executionId = "", recordedAt } = event;
    const atMs = recordedAt.getTime();
    const { run } = task;
    const ownRun = run?.executionId === executionId ? run : null;
    switch (eventType) {
      case "TaskClaimed":
      case "TaskStarted": {
        const { scheduledForMs, attempt } = event.payload as LifecycleData["TaskStarted"];
        if (ownRun !== null && !ownRun.started && eventType === "TaskStarted") ownRun.started = true;
        else this.#begin(task, event, say);
        if (attempt !== task.failures + 1 && task.run?.definition === task.definition) {
          say(`attempt ${attempt} after ${task.failures} failures`);
        }
        if (eventType !== "TaskStarted") return;
        if (scheduledForMs < task.nominalMs) say(`nominal ${shown(scheduledForMs)} after ${shown(task.nominalMs)}`);
        if (scheduledForMs === task.nominalMs && task.succeeded) say("its occurrence has succeeded before");
        if (task.run?.definition === task.definition) {
          task.nominalMs = scheduledForMs;
          task.succeeded = false;
        }
        return;
      }
      case "TaskExecuted":
        if (ownRun === null) return say(holderOf(run));
        task.run = null;
        return this.#end(task, ownRun, event, say);
      case "TaskSnoozed":
      case "TaskReleased": {
        if (ownRun === null) return say(holderOf(run));
        task.run = null;
        const isLost = (event.payload as { readonly because?: string }).because === "claim-lost";
        task.lostClaims = isLost ? task.lostClaims + 1 : eventType === "TaskSnoozed" ? 0 : task.lostClaims;
        if (isLost && task.lostClaims >= this.#options.maxLostClaims) say(`after ${task.lostClaims} lost claims`);
        const { reason = "" } = event.payload as { readonly reason?: string };
        const askedMs = milliseconds(/^for (\d+) ms$/, reason);
        if (askedMs !== null && (event.payload as { untilMs?: number }).untilMs !== atMs + askedMs)
          say(`not ${reason}`);
        if (ownRun.definition !== task.definition) return;
        const { untilMs, runAtMs } = event.payload as { readonly untilMs?: number; readonly runAtMs?: number };
        task.scheduledForMs = ownRun.scheduledForMs;
        task.runAtMs = untilMs ?? runAtMs ?? Number.NaN;
        return;
      }
      case "TaskCancelled":
        task.state = "cancelled";
        task.run = null;
        task.scheduledForMs = null;
        return;
      case "TaskPaused":
        if (task.paused) say("it is paused already");
        task.paused = true;
        return;
      case "TaskResumed": {
        const { runAtMs, next } = event.payload as LifecycleData["TaskResumed"];
        if (task.state === "disabled") {
          task.failures = 0;
          task.accountedToMs = Math.max(task.accountedToMs, Math.min(atMs, next?.scheduledForMs ?? atMs) - 1);
        }
        if (task.paused && runAtMs !== undefined && runAtMs <= atMs && this.#isOnSchedule(task))
          say("what fell due while it was paused runs at once");
        if (next !== undefined && isRecurring(task.definition.schedule) && next.scheduledForMs <= atMs)
          say(`next is ${shown(next.scheduledForMs)}`);
        task.paused = false;
        if (runAtMs === undefined) return;
        task.state = "waiting";
        task.runAtMs = runAtMs;
        task.scheduledForMs = next?.scheduledForMs ?? task.scheduledForMs ?? runAtMs;
        return;
      }
      case "TaskRunRequested": {
        const { scheduledForMs, runAtMs } = event.payload as LifecycleData["TaskRunRequested"];
        if (run !== null) say(holderOf(run));
        if (task.scheduledForMs !== null && scheduledForMs !== task.scheduledForMs && this.#runsAsItself(task, atMs))
          say(`for ${shown(scheduledForMs)}, and ${shown(task.scheduledForMs)} was pending`);
        task.lostClaims = 0;
        if (task.state !== "waiting") {
          task.failures = 0;
          task.accountedToMs = Math.max(task.accountedToMs, scheduledForMs - 1);
        }
        task.state = "waiting";
        task.scheduledForMs = scheduledForMs;
        task.runAtMs = runAtMs;
        return;
      }
      case "OccurrencesSkipped":
        return this.#skip(task, event.payload as LifecycleData["OccurrencesSkipped"], say);
      case "TaskResultRefused":
        if (ownRun !== null) say("it holds the claim");
        return;
      default:
    }
  }

  #begin(task: Task, event: RecordedEvent, say: (what: string) => void): void {
    const { scheduledForMs, instance } = event.payload as LifecycleData["TaskStarted"];
    const { executionId = "", recordedAt } = event;
    if (!this.#instances.lives(instance)) say(`instance ${instance} does not live`);
    if (task.run !== null) say(holderOf(task.run));
    if (task.state !== "waiting" || task.paused) say(`it is ${task.paused ? "paused" : task.state}`);
    const number = Number(executionId.split(".")[1]);
    if (!(number > task.latestRun)) say(`run ${number} after run ${task.latestRun}`);
    if (scheduledForMs !== task.scheduledForMs)
      say(`for ${shown(scheduledForMs)}, and ${shown(task.scheduledForMs)} was pending`);
    if (recordedAt.getTime() < task.runAtMs) say(`before ${shown(task.runAtMs)}`);
    this.#account(task, scheduledForMs - 1, say);
    task.accountedToMs = Math.max(task.accountedToMs, scheduledForMs);
    task.latestRun = number;
    const started = event.eventType === "TaskStarted";
    task.run = { executionId, instance, scheduledForMs, definition: task.definition, started };
    task.scheduledForMs = null;
  }

  #end(task: Task, run: Run, event: RecordedEvent, say: (what: string) => void): void {
    const data = event.payload as LifecycleData["TaskExecuted"];
    const atMs = event.recordedAt.getTime();
    const { definition } = task;
    const { lostClaims } = task;
    task.lostClaims = 0;
    // A claim that was lost too often is a failure, and the only one that needs no start.
    const isLost = data.error?.code === "CLAIM_LOST";
    if (!run.started && !isLost) say("it never started");
    if (isLost && lostClaims + 1 < this.#options.maxLostClaims) say(`after ${lostClaims + 1} lost claims`);
    if (run.definition !== definition) {
      if (data.then !== "superseded") say(`${data.then}, and its definition was replaced`);
      return;
    }
    if (data.success) {
      task.failures = 0;
      task.succeeded = true;
      const recurring = isRecurring(definition.schedule);
      if (data.then !== (recurring ? "next" : "completed")) say(`then ${data.then}`);
      task.state = recurring ? "waiting" : "completed";
      task.paused &&= recurring;
      const next = data.next?.scheduledForMs ?? null;
      task.scheduledForMs = next;
      task.runAtMs = next ?? atMs;
      // One late run stands for all that was missed.
      if (next !== null) this.#expectNext(task, next, Math.max(atMs, run.scheduledForMs), say);
      return;
    }
    task.failures++;
    if (data.retryCount !== task.failures) say(`failure ${data.retryCount} is number ${task.failures}`);
    const isLast = task.failures >= definition.maxRetries;
    if (data.then === "disabled") {
      if (!isLast && data.error?.message === "failed")
        say(`disabled at failure ${task.failures} of ${definition.maxRetries}`);
      task.state = "disabled";
      return;
    }
    if (data.then !== "retry" || isLast)
      return say(`then ${data.then} at failure ${task.failures} of ${definition.maxRetries}`);
    const { baseMs, factor, capMs } = definition.retry;
    const delayMs = Math.min(capMs, baseMs * factor ** (task.failures - 1));
    const retryAtMs = data.retryAtMs ?? Number.NaN;
    if (!(retryAtMs >= atMs)) say(`again at ${shown(retryAtMs)}`);
    const askedMs =
      data.error?.message === "failed" ? delayMs : milliseconds(/^again in (\d+) ms$/, data.error?.message);
    if (askedMs !== null && retryAtMs !== atMs + askedMs) say(`again after ${retryAtMs - atMs} ms, not ${askedMs}`);
    if (data.error?.message === "for good") say("it failed for good");
    task.scheduledForMs = run.scheduledForMs;
    task.runAtMs = retryAtMs;
  }

  #skip(task: Task, data: LifecycleData["OccurrencesSkipped"], say: (what: string) => void): void {
    const { firstMs, lastMs, count, atLeast = false, sampleMs } = data;
    const { schedule } = task.definition;
    if (!isRecurring(schedule)) return say("the schedule does not recur");
    const found = occurrencesIn(schedule, task.anchorMs, firstMs - 1, lastMs);
    const counted = atLeast ? countLimit : found.length;
    if (count !== counted || found[0] !== firstMs || (!atLeast && found.at(-1) !== lastMs)) {
      say(`${count} from ${shown(firstMs)} to ${shown(lastMs)}, where ${found.length} are`);
    }
    if (sampleMs.some((at, index) => at !== found[index])) say("its sample is of other instants");
    task.skipped.push([firstMs, atLeast ? Number.POSITIVE_INFINITY : lastMs]);
  }

  /** All occurrences up to an instant have run, or were skipped and said so. */
  #account(task: Task, untilMs: number, say: (what: string) => void): void {
    const { schedule } = task.definition;
    if (isRecurring(schedule) && untilMs > task.accountedToMs && task.state === "waiting") {
      const due = occurrencesIn(schedule, task.anchorMs, task.accountedToMs, untilMs);
      const silent = due.filter((at) => !task.skipped.some(([first, last]) => at >= first && at <= last));
      if (silent.length > 0) say(`nothing is said of ${silent.length} occurrences, the first at ${shown(silent[0])}`);
    }
    task.accountedToMs = Math.max(task.accountedToMs, untilMs);
    task.skipped = task.skipped.filter(([, last]) => last > task.accountedToMs);
  }

  /** Whether what is pending is what a run by hand runs: only a recurring task whose time has not come runs once more. */
  #runsAsItself({ definition, failures, scheduledForMs }: Task, atMs: number): boolean {
    return failures > 0 || !isRecurring(definition.schedule) || (scheduledForMs ?? atMs) <= atMs;
  }

  /** Whether what is pending is an occurrence, and neither a retry nor a run that was asked for by hand. */
  #isOnSchedule({ definition: { schedule }, anchorMs, scheduledForMs, failures }: Task): boolean {
    if (scheduledForMs === null || failures > 0) return false;
    return occurrencesIn(schedule, anchorMs, scheduledForMs - 1, scheduledForMs).length > 0;
  }

  #expectNext(task: Task, nextMs: number, afterMs: number, say: (what: string) => void): void {
    const [first] = occurrencesIn(task.definition.schedule, task.anchorMs, afterMs, nextMs);
    if (first !== nextMs) say(`next is ${shown(nextMs)}, and after ${shown(afterMs)} there is ${shown(first)}`);
  }
}

function holderOf(run: Run | null): string {
  return run === null ? "nothing runs" : `run ${run.executionId} holds the claim`;
}

/** The number in what a handler has said of its outcome. */
function milliseconds(pattern: RegExp, said = ""): number | null {
  const found = pattern.exec(said)?.[1];
  return found === undefined ? null : Number(found);
}

function shown(atMs: number | null | undefined): string {
  return atMs === null || atMs === undefined || !Number.isFinite(atMs) ? "nothing" : new Date(atMs).toISOString();
}
