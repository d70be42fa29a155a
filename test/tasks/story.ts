/**
 * Given events, when a command, then events: a task's life told in a few lines.
 *
 * Everything that goes into `decide` and `evolve` is frozen to the bottom, so that every story is also a proof
 * that they change nothing they are given.
 */
import { cron, interval, type Schedule } from "azoth-scheduler";
import { AzothError } from "../../src/errors.ts";
import type { Outcome, TaskCommand } from "../../src/tasks/command.ts";
import { decide } from "../../src/tasks/decide.ts";
import type { LifecycleEvent } from "../../src/tasks/events.ts";
import { evolve } from "../../src/tasks/evolve.ts";
import { defaultRetryPolicy } from "../../src/tasks/retry-policy.ts";
import type { TaskDefinition, TaskState } from "../../src/tasks/task-state.ts";

/** A day on which nothing happens to any clock. */
export const midnightMs = Date.parse("2026-01-01T00:00:00Z");

/** The instant of a time of that day, such as "00:10" or "00:10:00.001"; "+1 00:10" is on the next day. */
export function at(time: string): number {
  const [, days = "0", clock = ""] = /^(?:([+-]\d+) )?(.*)$/.exec(time) ?? [];
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(":").map(Number);
  return midnightMs + Number(days) * 86_400_000 + Math.round((hours * 3_600 + minutes * 60 + seconds) * 1_000);
}

export const everyTenMinutes = cron("0 */10 * * * *");
export const everyTenMinutesByInterval = interval("10m");

export function definition(schedule: Schedule, parts: Partial<TaskDefinition> = {}): TaskDefinition {
  return { schedule, priority: 0, maxRetries: 3, retry: defaultRetryPolicy, timeoutMs: 300_000, ...parts };
}

export const success: Outcome = { kind: "succeeded" };
export const failure: Outcome = { kind: "failed", error: { code: "HANDLER_FAILED", message: "no" }, retry: "backoff" };

type EventParts = Readonly<Record<string, unknown>>;

export class Story {
  readonly log: LifecycleEvent[] = [];
  state: TaskState | null = null;
  #nowMs = midnightMs;
  #draw = 0;

  static of(schedule: Schedule, parts: Partial<TaskDefinition> = {}, time = "00:00"): Story {
    return new Story().at(time).schedule(schedule, parts);
  }

  at(time: string): this {
    this.#nowMs = at(time);
    return this;
  }

  /** The next random numbers. */
  draw(draw: number): this {
    this.#draw = draw;
    return this;
  }

  schedule(schedule: Schedule, parts: Partial<TaskDefinition> & { payload?: string; taskType?: string } = {}): this {
    const { payload = "null", taskType = "job", ...rest } = parts;
    return this.when({ kind: "schedule", taskId: "task", taskType, definition: definition(schedule, rest), payload });
  }

  start(instance = 1): this {
    return this.when({ kind: "start", instance });
  }

  /** Ends the present run, or the one with this number. */
  finish(outcome: Outcome, run = this.task.runs): this {
    return this.when({ kind: "finish", run, instance: 1, outcome });
  }

  succeed(): this {
    return this.finish(success);
  }

  fail(): this {
    return this.finish(failure);
  }

  release(because: "shutdown" | "claim-lost", maxLostClaims = 10): this {
    return this.when({ kind: "release", run: this.task.runs, because, detail: "so it was", maxLostClaims });
  }

  cancel(): this {
    return this.when({ kind: "cancel", reason: "no longer needed" });
  }

  pause(): this {
    return this.when({ kind: "pause" });
  }

  resume(): this {
    return this.when({ kind: "resume" });
  }

  runNow(): this {
    return this.when({ kind: "run-now" });
  }

  when(command: TaskCommand): this {
    this.last = this.#decide(command);
    for (const event of this.last) {
      this.state = deepFreeze(evolve(this.state, event, 1));
      this.log.push(event);
    }
    return this;
  }

  /** The code with which a command is refused; fails if it is not. */
  refusal(command: TaskCommand): string {
    try {
      this.#decide(command);
    } catch (error) {
      if (error instanceof AzothError) return error.code;
      throw error;
    }
    throw new Error(`${command.kind} was not refused`);
  }

  /** The events of the latest command. */
  last: readonly LifecycleEvent[] = [];

  /** Their types. */
  get then(): string[] {
    return this.last.map(({ type }) => type);
  }

  /** The data of the only event of this type among the latest. */
  data(type: LifecycleEvent["type"]): EventParts {
    const found = this.last.filter((event) => event.type === type);
    if (found.length !== 1) throw new Error(`${found.length} events of type ${type} among ${this.then.join(", ")}`);
    return found[0]?.data as unknown as EventParts;
  }

  get task(): TaskState {
    if (this.state === null) throw new Error("there is no task yet");
    return this.state;
  }

  #decide(command: TaskCommand): readonly LifecycleEvent[] {
    const context = { nowMs: this.#nowMs, tzdata: "2026a", draw: this.#draw };
    return deepFreeze(decide(this.state, deepFreeze(command), deepFreeze(context)));
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
