/**
 * A unit of work in progress: decides, evolves, and gathers what one commit will hold.
 *
 * Many callers' units share one Work (group commit); each can be undone alone, because nothing reaches
 * the engine before `flush`. Events get their positions there.
 */
import { AzothError } from "../errors.ts";
import type { Pace } from "../pace.ts";
import type { DecisionContext, TaskCommand } from "../tasks/command.ts";
import { decide } from "../tasks/decide.ts";
import { encodeLifecycleData } from "../tasks/event-codec.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { evolve } from "../tasks/evolve.ts";
import { dueAtMs, type TaskState } from "../tasks/task-state.ts";
import type { EngineTransaction, LockedTasks, NewEvent, TaskChange } from "./engine.ts";
import type { Sealing } from "./sealing.ts";

/** An event that waits for its position. */
export interface StagedEvent {
  readonly event: NewEvent;
  /** 0 until it was flushed for its position. */
  position: number;
}

/** What `dispatch` brought about. */
export interface Dispatched {
  readonly state: TaskState;
  /** Empty if nothing changed. */
  readonly events: readonly LifecycleEvent[];
  /** The staged forms of `events`. */
  readonly staged: readonly StagedEvent[];
}

/** A task that a unit needs is held by another transaction: the unit has to wait for that one, and its commit must not. */
export class TaskHeld extends Error {
  override readonly name = "TaskHeld";
}

/** Rows that are written at once, at most: large enough for the engine's batches, and some milliseconds of work. */
const sliceSize = 512;

interface Undo {
  readonly seq: number;
  readonly taskId: string;
  readonly cached: TaskState | undefined;
  readonly wasDirty: boolean;
}

interface Outside {
  readonly context: Omit<DecisionContext, "draw">;
  readonly draw: () => number;
  readonly sealing: Sealing;
}

export class Work {
  readonly engine: EngineTransaction;
  readonly context: Omit<DecisionContext, "draw">;
  readonly sealing: Sealing;
  /** Tells whoever has much to do in one unit when to pause. */
  readonly pace: Pace;
  readonly #draw: () => number;
  readonly #byId = new Map<string, TaskState | null>();
  /** States before this Work touched them, by internal number: what is to be saved. */
  readonly #before = new Map<number, TaskState | null>();
  readonly #after = new Map<number, TaskState>();
  /** States as they were read, by internal number. */
  readonly #read = new Map<number, TaskState>();
  /** Ids and internal numbers of tasks that other transactions hold. */
  readonly #held = new Set<string | number>();
  #staged: StagedEvent[] = [];
  readonly #undo: Undo[] = [];
  readonly #dueTypes = new Set<string>();
  #finished = false;
  #drawnSeqs: readonly number[] = [];
  #usedSeqs = 0;

  /** @param outside what decisions may depend on; each draws a number anew */
  constructor(engine: EngineTransaction, { context, draw, sealing }: Outside, pace: Pace) {
    this.engine = engine;
    this.context = context;
    this.#draw = draw;
    this.sealing = sealing;
    this.pace = pace;
  }

  /** Types of tasks that became due, or may have. */
  get dueTypes(): ReadonlySet<string> {
    return this.#dueTypes;
  }

  /** Loads tasks in one go, so that later look-ups are answered from memory. */
  async preload(taskIds: readonly string[]): Promise<void> {
    const missing = taskIds.filter((id) => !this.#byId.has(id));
    if (missing.length === 0) return;
    for (const id of missing) this.#byId.set(id, null);
    this.#take(await this.engine.lockTasks(missing));
  }

  /** @throws TaskHeld */
  async task(taskId: string): Promise<TaskState | null> {
    await this.preload([taskId]);
    return this.loaded(taskId);
  }

  /** A task that was preloaded, as this Work has it. @throws TaskHeld */
  loaded(taskId: string): TaskState | null {
    const state = this.#byId.get(taskId);
    if (state === undefined) throw new TypeError(`task ${taskId} was not loaded`);
    if (this.#held.has(taskId)) throw new TaskHeld();
    return state;
  }

  /** Takes in states that were read and locked in this transaction; what this Work has changed wins. */
  know(states: readonly TaskState[]): TaskState[] {
    return states.map((state) => {
      const current = this.#after.get(state.seq) ?? state;
      this.#read.set(state.seq, state);
      this.#byId.set(state.taskId, current);
      return current;
    });
  }

  /** Loads tasks by internal number in one go. */
  async preloadBySeq(seqs: readonly number[]): Promise<void> {
    const missing = seqs.filter((seq) => !this.#read.has(seq) && !this.#after.has(seq));
    if (missing.length > 0) this.#take(await this.engine.lockTasksBySeq(missing));
  }

  /** A task that was preloaded by its internal number, as this Work has it. @throws TaskHeld */
  loadedBySeq(seq: number): TaskState | null {
    if (this.#held.has(seq)) throw new TaskHeld();
    return this.#after.get(seq) ?? this.#read.get(seq) ?? null;
  }

  /** Sees to it that there are internal numbers for so many new tasks, which is to be done before they are dispatched. */
  async reserveSeqs(count: number): Promise<void> {
    const left = this.#drawnSeqs.slice(this.#usedSeqs);
    if (left.length >= count) return;
    this.#drawnSeqs = [...left, ...(await this.engine.drawTaskSeqs(count - left.length))];
    this.#usedSeqs = 0;
  }

  /** Decides and stages. @throws AzothError if the command does not fit; nothing is staged then. */
  dispatch(state: TaskState | null, command: TaskCommand): Dispatched {
    this.#refuseFinished();
    const { nowMs, tzdata } = this.context;
    const events = decide(state, command, { nowMs, tzdata, draw: this.#draw() });
    if (events.length === 0 && state !== null) return { state, events, staged: [] };
    const seq = state?.seq ?? this.#newSeq();
    let next = state;
    const staged: StagedEvent[] = [];
    for (const event of events) {
      next = evolve(next, event, seq);
      const { type, atMs, run } = event;
      staged.push(this.#stage({ type, atMs, task: seq, run, data: encodeLifecycleData(event), meta: null }));
    }
    if (next === null) throw new TypeError("a decision without events for a task that does not exist");
    this.#put(state, next);
    return { state: next, events, staged };
  }

  /** Stages an event that is not of a task's lifecycle. */
  append(event: Omit<NewEvent, "atMs">): StagedEvent {
    this.#refuseFinished();
    return this.#stage({ ...event, atMs: this.context.nowMs });
  }

  /** Writes what was staged, and tells the positions of its events. */
  async flushForPositions(): Promise<void> {
    const staged = this.#staged;
    this.#staged = [];
    const positions = await this.engine.append(staged.map(({ event }) => event));
    for (const [index, entry] of staged.entries()) entry.position = positions[index] ?? 0;
    await this.flush();
  }

  /** Writes what was staged at last: what comes after it is refused, because it would not be written. */
  async finish(): Promise<void> {
    this.#finished = true;
    await this.flush();
  }

  #refuseFinished(): void {
    if (!this.#finished) return;
    throw new AzothError("TRANSACTION_CLOSED", "The transaction has ended. Await every call inside of its callback.");
  }

  /** Writes what was staged; after it the engine's queries see it. */
  async flush(): Promise<void> {
    const staged = this.#staged;
    if (staged.length > 0) {
      this.#staged = [];
      await this.#inSlices(
        staged.map(({ event }) => event),
        (events) => this.engine.post(events),
      );
    }
    if (this.#before.size > 0) {
      const changes: TaskChange[] = [];
      for (const [seq, before] of this.#before) {
        const after = this.#after.get(seq);
        if (after !== undefined) changes.push({ before, after });
      }
      this.#before.clear();
      await this.#inSlices(changes, (slice) => this.engine.saveTasks(slice));
    }
  }

  async #inSlices<Item>(items: readonly Item[], write: (slice: readonly Item[]) => Promise<void>): Promise<void> {
    for (let from = 0; from < items.length; from += sliceSize) {
      await write(items.length <= sliceSize ? items : items.slice(from, from + sliceSize));
      if (this.pace.isSpent) await this.pace.pause();
    }
  }

  /** Runs one caller's unit; what it staged is undone if it rejects. */
  async attempt<T>(unit: () => Promise<T>): Promise<T> {
    const undo = this.#mark();
    try {
      return await unit();
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** As `attempt`, for what waits for nothing. */
  attemptNow<T>(unit: () => T): T {
    const undo = this.#mark();
    try {
      return unit();
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Returns what undoes everything that is staged from now on. */
  #mark(): () => void {
    const events = this.#staged.length;
    const undo = this.#undo.length;
    return () => {
      this.#staged.length = Math.min(this.#staged.length, events);
      while (this.#undo.length > undo) this.#revert(this.#undo.pop());
    };
  }

  /** As `attempt`, for units that also write through the engine: those writes are undone as well. */
  async attemptNested<T>(unit: () => Promise<T>): Promise<T> {
    await this.flush();
    try {
      return await this.attempt(() =>
        this.engine.nested(async () => {
          const result = await unit();
          await this.flush();
          return result;
        }),
      );
    } catch (error) {
      // Numbers that were drawn inside went back with the rest.
      this.#drawnSeqs = [];
      this.#usedSeqs = 0;
      throw error;
    }
  }

  #newSeq(): number {
    const seq = this.#drawnSeqs[this.#usedSeqs++];
    if (seq === undefined) throw new TypeError("no number was reserved for a new task");
    return seq;
  }

  #take({ tasks, held }: LockedTasks<string | number>): void {
    this.know(tasks);
    for (const key of held) this.#held.add(key);
  }

  /** Everything that goes into the log comes by here. */
  #stage(event: NewEvent): StagedEvent {
    const staged: StagedEvent = { event: this.sealing.sealEvent(event), position: 0 };
    this.#staged.push(staged);
    return staged;
  }

  #put(before: TaskState | null, after: TaskState): void {
    const { seq, taskId } = after;
    const wasDirty = this.#before.has(seq);
    this.#undo.push({ seq, taskId, cached: this.#byId.get(taskId) ?? before ?? undefined, wasDirty });
    if (!wasDirty) this.#before.set(seq, before);
    this.#after.set(seq, after);
    this.#byId.set(taskId, after);
    const due = dueAtMs(after);
    if (due !== null && due <= this.context.nowMs) this.#dueTypes.add(after.taskType);
  }

  #revert(undo: Undo | undefined): void {
    if (undo === undefined) return;
    const { seq, taskId, cached, wasDirty } = undo;
    if (!wasDirty) this.#before.delete(seq);
    this.#byId.set(taskId, cached ?? null);
    if (cached === undefined) this.#after.delete(seq);
    else this.#after.set(seq, cached);
  }
}
