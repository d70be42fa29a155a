/** Holds a life to what is promised: its log, its rows, what callers were told, and what event handlers made of it. */
import { createHash } from "node:crypto";
import { type AzothDb, isAzothError, type LifecycleData, type RecordedEvent } from "azoth-scheduler";
import type { Did } from "./cast.ts";
import { LogChecker, type LogOptions } from "./check-log.ts";

/** A command that was acknowledged, the event that it has to have left, and how many there were before. */
interface Acknowledged {
  readonly task: string;
  readonly eventType: string;
  readonly before: number;
}

export interface PromisesOptions extends LogOptions {
  readonly db: AzothDb;
  /** Executions whose handlers have returned. */
  readonly returned: ReadonlySet<string>;
}

/** As the column numbers them. */
const phases = ["waiting", "running", "completed", "disabled", "cancelled", "claimed"];

/** Checks between two that read everything and fold it: those take longer, the longer the life. */
const checksPerReplay = 5;

export class Promises {
  /** How many events of each type were read, and of each way in which a run ended. */
  readonly counts: Map<string, number> = new Map();
  position = 0;
  /** Of all events, in their order. */
  readonly #hash = createHash("sha256");
  readonly #options: PromisesOptions;
  readonly #checker: LogChecker;
  readonly #violations: string[] = [];
  #acknowledged: Acknowledged[] = [];
  readonly #successes = new Set<string>();
  /** The executions of the events of handlers, in their order. */
  readonly #did: string[] = [];
  /** Payloads of tasks that successful runs have scheduled, and those that are in the log. */
  readonly #wanted = new Set<string>();
  readonly #scheduled = new Set<string>();
  #checks = 0;

  constructor(options: PromisesOptions) {
    this.#options = options;
    this.#checker = new LogChecker(options);
  }

  get violations(): readonly string[] {
    return [...this.#violations, ...this.#checker.violations];
  }

  /** Tells two logs apart, whatever it is in which they differ. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** What a command may be refused with is no violation, and anything else is. Resolves with undefined if it was refused. */
  async expectedly<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isAzothError(error) || !expected.has(error.code)) this.thrown(error);
      return undefined;
    }
  }

  thrown(error: unknown): void {
    this.#say(`thrown: ${String(error)}`);
  }

  /** @param act resolves with whether anything was changed */
  async command(task: string, eventType: string, act: () => Promise<boolean>): Promise<void> {
    // Of the log as it was last read: what was acknowledged since then is counted beside it.
    const before = this.#checker.count(task, eventType);
    const changed = await this.expectedly(act);
    if (changed === true) this.#acknowledged.push({ task, eventType, before });
  }

  async read(): Promise<void> {
    for await (const event of this.#options.db.readLog({ after: this.position })) this.#take(event);
  }

  /** What holds at every moment at which all is at rest. */
  async check(): Promise<void> {
    const acknowledged = this.#acknowledged;
    this.#acknowledged = [];
    await this.read();
    for (const { task, eventType, before } of acknowledged) {
      const since = acknowledged.filter((other) => {
        return other.task === task && other.eventType === eventType && other.before >= before;
      });
      const found = this.#checker.count(task, eventType) - before;
      if (found < since.length)
        this.#say(`${since.length} acknowledged ${eventType} of ${task}, and ${found} are in the log`);
    }
    if (this.#checks++ % checksPerReplay === 0) await this.checkRows();
  }

  async checkRows(): Promise<void> {
    await this.#checkStandings();
    const { ok, difference } = await this.#options.db.verify();
    if (!ok) this.#say(`the log and the rows differ: ${JSON.stringify(difference)}`);
    this.#compareSorted("the rows of successes", await this.column("SELECT execution FROM successes"), this.#successes);
    this.#compareSorted("tasks scheduled by successful runs", this.#scheduled, this.#wanted);
  }

  /** What holds when the faults have stopped, and everything had time to be done. */
  async end(nowMs: number): Promise<void> {
    await this.check();
    await this.checkRows();
    this.#checker.end(nowMs);
    const ledger = await this.column("SELECT execution FROM ledger ORDER BY entry");
    this.#compare("the rows of an event handler", ledger, this.#did);
    const audit = await this.column("SELECT execution FROM audit");
    this.#compareSorted("the rows of an event handler that fails", audit, this.#did);
  }

  /** The rows against what the checker makes of the log by itself: a fold that is wrong is wrong in a replay, too. */
  async #checkStandings(): Promise<void> {
    const rows = await this.#options.db.query("SELECT id, phase, paused, due_at_ms AS due FROM azoth_tasks");
    const found = rows.map(({ id, phase, paused, due }) => {
      const state = phase === 0 && Number(paused) === 1 ? "paused" : phases[Number(phase)];
      return `${String(id)} ${state} ${due === null ? "at no time" : Number(due)}`;
    });
    const wanted = [...this.#checker.standings()].map(([taskId, { state, runAtMs }]) => {
      return `${taskId} ${state} ${runAtMs ?? "at no time"}`;
    });
    this.#compareSorted("the rows of tasks", found, wanted);
  }

  overdue(taskId: string, state: string): void {
    this.#say(`in the end, ${taskId} is ${state}`);
  }

  async column(sql: string): Promise<string[]> {
    return (await this.#options.db.query(sql)).map(({ execution }) => String(execution));
  }

  #take(event: RecordedEvent): void {
    this.#checker.read(event);
    this.#hash.update(JSON.stringify(event));
    this.position = event.position;
    const { eventType, executionId = "" } = event;
    this.#count(eventType);
    if (eventType === "did") {
      const did = event.payload as Did;
      this.#did.push(did.executionId);
      for (const payload of did.scheduled) this.#wanted.add(payload);
    }
    if (eventType === "TaskScheduled") {
      const { payload } = event.payload as { payload?: unknown };
      if (typeof payload === "string" && payload.includes("/")) this.#scheduled.add(payload);
    }
    if (eventType !== "TaskExecuted") return;
    const { success, then } = event.payload as LifecycleData["TaskExecuted"];
    this.#count(`TaskExecuted then ${then}`);
    if (!success) return;
    this.#successes.add(executionId);
    // A handler that succeeds returns an event.
    if (this.#did.at(-1) !== executionId) this.#say(`run ${executionId} succeeded, and its event is missing`);
    if (!this.#options.returned.has(executionId))
      this.#say(`run ${executionId} succeeded, and its handler has not returned`);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #compareSorted(what: string, found: Iterable<string>, wanted: Iterable<string>): void {
    this.#compare(what, [...found].toSorted(), [...wanted].toSorted());
  }

  #compare(what: string, found: readonly string[], wanted: readonly string[]): void {
    if (found.join(" ") !== wanted.join(" "))
      this.#say(`${what}: there are ${found.join(" ")}, and by the log ${wanted.join(" ")}`);
  }

  #say(what: string): void {
    this.#violations.push(what);
  }
}

const expected: ReadonlySet<string> = new Set([
  "TASK_NOT_FOUND",
  "TASK_FINISHED",
  "TASK_CANCELLED",
  "TASK_RUNNING",
  "TASK_PAUSED",
  "STORE_FAILED",
  "STORE_FULL",
  "STORE_CLOSED",
]);
