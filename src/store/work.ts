/**
 * A unit of work in progress: decides, evolves, and gathers what one commit will hold.
 *
 * Many callers' units share one Work (group commit); each can be undone alone, because nothing reaches
 * the engine before `flush`. Events get their positions there.
 */
import type { DecisionContext, TaskCommand } from "../tasks/command.ts";
import { decide } from "../tasks/decide.ts";
import { encodeLifecycleData } from "../tasks/event-codec.ts";
import type { LifecycleEvent } from "../tasks/events.ts";
import { evolve } from "../tasks/evolve.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { EngineTransaction, NewEvent, TaskChange } from "./engine.ts";

/** An event that waits for its position. */
export interface StagedEvent {
  readonly event: NewEvent;
  /** 0 until it was flushed. */
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

interface Undo {
  readonly seq: number;
  readonly taskId: string;
  readonly cached: TaskState | undefined;
  readonly wasDirty: boolean;
}

export class Work {
  readonly engine: EngineTransaction;
  readonly context: DecisionContext;
  /** Reads the draw anew for each decision. */
  readonly #draw: () => number;
  readonly #byId = new Map<string, TaskState | null>();
  /** States before this Work touched them, by internal number: what is to be saved. */
  readonly #before = new Map<number, TaskState | null>();
  readonly #after = new Map<number, TaskState>();
  /** States as they were read, by internal number. */
  readonly #read = new Map<number, TaskState>();
  #staged: StagedEvent[] = [];
  readonly #undo: Undo[] = [];
  #nextSeq = 0;
  #seqsLeft = 0;

  constructor(engine: EngineTransaction, context: Omit<DecisionContext, "draw">, draw: () => number) {
    this.engine = engine;
    this.#draw = draw;
    this.context = { ...context, draw: 0 };
  }

  /** Loads tasks in one go, so that later look-ups are answered from memory. */
  async preload(taskIds: readonly string[]): Promise<void> {
    const missing = taskIds.filter((id) => !this.#byId.has(id));
    if (missing.length === 0) return;
    for (const id of missing) this.#byId.set(id, null);
    this.know(await this.engine.lockTasks(missing));
  }

  async task(taskId: string): Promise<TaskState | null> {
    if (!this.#byId.has(taskId)) await this.preload([taskId]);
    return this.#byId.get(taskId) ?? null;
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
    if (missing.length > 0) this.know(await this.engine.lockTasksBySeq(missing));
  }

  /** A task by internal number, as this Work has it. */
  async taskBySeq(seq: number): Promise<TaskState | null> {
    await this.preloadBySeq([seq]);
    return this.#after.get(seq) ?? this.#read.get(seq) ?? null;
  }

  /** Declares that the id is new (it was just generated), which spares looking for it. */
  knowNew(taskId: string): void {
    this.#byId.set(taskId, null);
  }

  /** Draws numbers for new tasks ahead, so that a batch asks once. */
  async reserveSeqs(count: number): Promise<void> {
    if (this.#seqsLeft >= count) return;
    this.#nextSeq = await this.engine.drawTaskSeqs(count);
    this.#seqsLeft = count;
  }

  /** Decides and stages. @throws AzothError if the command does not fit; nothing is staged then. */
  async dispatch(state: TaskState | null, command: TaskCommand): Promise<Dispatched> {
    const events = decide(state, command, { ...this.context, draw: this.#draw() });
    if (events.length === 0 && state !== null) return { state, events, staged: [] };
    const seq = state?.seq ?? (await this.#newSeq());
    let next = state;
    const staged: StagedEvent[] = [];
    for (const event of events) {
      next = evolve(next, event, seq);
      staged.push(this.#stage(event, seq));
    }
    if (next === null) throw new TypeError("a decision without events for a task that does not exist");
    this.#put(state, next);
    return { state: next, events, staged };
  }

  /** Stages an event that is not of a task's lifecycle. */
  append(event: Omit<NewEvent, "atMs">): StagedEvent {
    const staged: StagedEvent = { event: { ...event, atMs: this.context.nowMs }, position: 0 };
    this.#staged.push(staged);
    return staged;
  }

  /** Writes what was staged; after it the engine's queries see it. */
  async flush(): Promise<void> {
    const staged = this.#staged;
    if (staged.length > 0) {
      this.#staged = [];
      const first = await this.engine.append(staged.map(({ event }) => event));
      for (const [index, entry] of staged.entries()) entry.position = first + index;
    }
    if (this.#before.size > 0) {
      const changes: TaskChange[] = [];
      for (const [seq, before] of this.#before) {
        const after = this.#after.get(seq);
        if (after !== undefined) changes.push({ before, after });
      }
      this.#before.clear();
      await this.engine.saveTasks(changes);
    }
  }

  /** Runs one caller's unit; what it staged is undone if it rejects. */
  async attempt<T>(unit: () => Promise<T>): Promise<T> {
    const events = this.#staged.length;
    const undo = this.#undo.length;
    try {
      return await unit();
    } catch (error) {
      this.#staged.length = Math.min(this.#staged.length, events);
      while (this.#undo.length > undo) this.#revert(this.#undo.pop());
      throw error;
    }
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
      this.#seqsLeft = 0;
      throw error;
    }
  }

  async #newSeq(): Promise<number> {
    await this.reserveSeqs(1);
    this.#seqsLeft--;
    return this.#nextSeq++;
  }

  #stage(event: LifecycleEvent, seq: number): StagedEvent {
    const { type, atMs, run } = event;
    const staged: StagedEvent = {
      event: { type, atMs, task: seq, run, data: encodeLifecycleData(event), meta: null },
      position: 0,
    };
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
