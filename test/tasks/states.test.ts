/** Every arrow of the state table in src/tasks/task-state.ts, and every refusal. */
import { immediate, oneTime } from "azoth-scheduler";
import { describe, expect, test } from "vitest";
import type { TaskCommand } from "../../src/tasks/command.ts";
import type { LifecycleEvent } from "../../src/tasks/events.ts";
import { evolve } from "../../src/tasks/evolve.ts";
import { dueAtMs, isEnabled, type Phase, stateNameOf } from "../../src/tasks/task-state.ts";
import { codeOf } from "../scheduler/support.ts";
import { at, definition, everyTenMinutes, failure, Story, success } from "./story.ts";

const oneOff = oneTime("2026-01-01T00:10:00Z");

/** A task in each phase, recurring and not. */
const inPhase = {
  waiting: () => Story.of(everyTenMinutes).at("00:05"),
  claimed: () => Story.of(everyTenMinutes).at("00:10").when({ kind: "claim", instance: 1 }),
  running: () => Story.of(everyTenMinutes).at("00:10").start(),
  completed: () => Story.of(oneOff).at("00:10").start().succeed(),
  disabled: () => Story.of(everyTenMinutes, { maxRetries: 1 }).at("00:10").start().fail(),
  cancelled: () => Story.of(everyTenMinutes).at("00:05").cancel(),
} satisfies Record<Phase, () => Story>;

const finish = (kind: "succeeded" | "failed" | "snoozed"): TaskCommand => ({
  kind: "finish",
  run: 1,
  instance: 1,
  outcome: kind === "succeeded" ? success : kind === "failed" ? failure : { kind, forMs: 1_000 },
});
const release: TaskCommand = { kind: "release", run: 1, because: "shutdown", detail: "", maxLostClaims: 10 };
const begin: TaskCommand = { kind: "begin", run: 1, startedAtMs: at("00:10:01") };
const lost: TaskCommand = { kind: "release", run: 1, because: "claim-lost", detail: "", maxLostClaims: 1 };
const schedule = (other: boolean): TaskCommand => ({
  kind: "schedule",
  taskId: "task",
  taskType: "job",
  definition: definition(everyTenMinutes, { priority: other ? 1 : 0 }),
  payload: "null",
});

test.each<[Phase, string, TaskCommand, string[], Phase]>([
  ["waiting", "start", { kind: "start", instance: 1 }, [], "waiting"],
  ["waiting", "cancel", { kind: "cancel", reason: "" }, ["TaskCancelled"], "cancelled"],
  ["waiting", "pause", { kind: "pause" }, ["TaskPaused"], "waiting"],
  ["waiting", "resume", { kind: "resume" }, [], "waiting"],
  ["waiting", "run-now", { kind: "run-now" }, ["TaskRunRequested"], "waiting"],
  ["waiting", "the same definition", schedule(false), [], "waiting"],
  ["waiting", "another definition", schedule(true), ["TaskScheduled"], "waiting"],
  ["waiting", "a stray result", finish("succeeded"), ["TaskResultRefused"], "waiting"],
  ["waiting", "a stray release", release, [], "waiting"],
  ["waiting", "claim", { kind: "claim", instance: 1 }, [], "waiting"],
  ["waiting", "a stray begin", begin, [], "waiting"],
  ["claimed", "start", { kind: "start", instance: 2 }, [], "claimed"],
  ["claimed", "claim", { kind: "claim", instance: 2 }, [], "claimed"],
  ["claimed", "begin", begin, ["TaskStarted"], "running"],
  ["claimed", "begin of another run", { ...begin, run: 2 }, [], "claimed"],
  ["claimed", "a result before the start", finish("succeeded"), ["TaskResultRefused"], "claimed"],
  ["claimed", "release", release, ["TaskReleased"], "waiting"],
  ["claimed", "the last of many lost claims", lost, ["TaskExecuted"], "waiting"],
  ["claimed", "cancel", { kind: "cancel", reason: "" }, ["TaskCancelled"], "cancelled"],
  ["claimed", "pause", { kind: "pause" }, ["TaskPaused"], "claimed"],
  ["claimed", "the same definition", schedule(false), [], "claimed"],
  ["claimed", "another definition", schedule(true), ["TaskScheduled"], "claimed"],
  ["running", "begin", begin, [], "running"],
  ["cancelled", "begin", begin, [], "cancelled"],
  ["running", "start", { kind: "start", instance: 1 }, [], "running"],
  ["running", "success", finish("succeeded"), ["TaskExecuted"], "waiting"],
  ["running", "failure", finish("failed"), ["TaskExecuted"], "waiting"],
  ["running", "snooze", finish("snoozed"), ["TaskSnoozed"], "waiting"],
  ["running", "release", release, ["TaskReleased"], "waiting"],
  ["running", "cancel", { kind: "cancel", reason: "" }, ["TaskCancelled"], "cancelled"],
  ["running", "pause", { kind: "pause" }, ["TaskPaused"], "running"],
  ["running", "resume", { kind: "resume" }, [], "running"],
  ["running", "the same definition", schedule(false), [], "running"],
  ["running", "another definition", schedule(true), ["TaskScheduled"], "running"],
  ["completed", "start", { kind: "start", instance: 1 }, [], "completed"],
  ["completed", "cancel", { kind: "cancel", reason: "" }, ["TaskCancelled"], "cancelled"],
  ["completed", "run-now", { kind: "run-now" }, ["TaskRunRequested"], "waiting"],
  ["completed", "another definition", schedule(true), ["TaskScheduled"], "waiting"],
  ["disabled", "start", { kind: "start", instance: 1 }, [], "disabled"],
  ["disabled", "cancel", { kind: "cancel", reason: "" }, ["TaskCancelled"], "cancelled"],
  ["disabled", "resume", { kind: "resume" }, ["TaskResumed"], "waiting"],
  ["disabled", "run-now", { kind: "run-now" }, ["TaskRunRequested"], "waiting"],
  ["disabled", "another definition", schedule(true), ["TaskScheduled"], "waiting"],
  ["cancelled", "start", { kind: "start", instance: 1 }, [], "cancelled"],
  ["cancelled", "cancel", { kind: "cancel", reason: "" }, [], "cancelled"],
  ["cancelled", "the same definition", schedule(false), ["TaskScheduled"], "waiting"],
  ["cancelled", "another definition", schedule(true), ["TaskScheduled"], "waiting"],
  ["cancelled", "a stray result", finish("succeeded"), ["TaskResultRefused"], "cancelled"],
])("%s, at %s", (phase, _, command, then, after) => {
  const story = inPhase[phase]().when(command);
  expect(story.then).toEqual(then);
  expect(story.task.phase).toBe(after);
});

test.each<[Phase, TaskCommand["kind"], string]>([
  ["claimed", "run-now", "TASK_RUNNING"],
  ["running", "run-now", "TASK_RUNNING"],
  ["completed", "pause", "TASK_FINISHED"],
  ["completed", "resume", "TASK_FINISHED"],
  ["disabled", "pause", "TASK_FINISHED"],
  ["cancelled", "pause", "TASK_CANCELLED"],
  ["cancelled", "resume", "TASK_CANCELLED"],
  ["cancelled", "run-now", "TASK_CANCELLED"],
])("%s refuses %s with %s", (phase, kind, code) => {
  expect(inPhase[phase]().refusal({ kind } as TaskCommand)).toBe(code);
});

test.each<TaskCommand["kind"]>(["cancel", "pause", "resume", "run-now", "start", "finish", "release"])(
  "a task that does not exist refuses %s",
  (kind) => {
    expect(new Story().refusal({ kind, run: 1, outcome: success } as TaskCommand)).toBe("TASK_NOT_FOUND");
  },
);

describe("what is derived from a state", () => {
  test("only a waiting task that is not paused is due", () => {
    expect(dueAtMs(inPhase.waiting().task)).toBe(at("00:10"));
    expect(dueAtMs(inPhase.waiting().pause().task)).toBeNull();
    for (const phase of ["claimed", "running", "completed", "disabled", "cancelled"] as const) {
      expect(dueAtMs(inPhase[phase]().task), phase).toBeNull();
    }
  });

  test("the state's name tells paused from waiting, and a paused task that runs is running", () => {
    expect(stateNameOf(inPhase.waiting().task)).toBe("waiting");
    expect(stateNameOf(inPhase.waiting().pause().task)).toBe("paused");
    expect(stateNameOf(inPhase.running().pause().task)).toBe("running");
  });

  test("enabled means that it runs again without anybody's doing", () => {
    expect(isEnabled(inPhase.waiting().task)).toBe(true);
    expect(isEnabled(inPhase.claimed().task)).toBe(true);
    expect(isEnabled(inPhase.running().task)).toBe(true);
    expect(isEnabled(inPhase.running().pause().task)).toBe(false);
    expect(isEnabled(inPhase.waiting().pause().task)).toBe(false);
    for (const phase of ["completed", "disabled", "cancelled"] as const) {
      expect(isEnabled(inPhase[phase]().task), phase).toBe(false);
    }
  });
});

test("a claimed run starts when it has begun, whatever was scheduled in its place, and its time counts from there", () => {
  const story = inPhase.claimed().when(schedule(true)).at("00:10:03").when(begin);
  expect(story.task.run).toMatchObject({ number: 1, startedAtMs: at("00:10:01"), attempt: 1, revision: 1 });
  const [executed] = story.succeed().last;
  expect(executed).toMatchObject({ type: "TaskExecuted", data: { durationMs: 2_000, then: "superseded" } });
});

test("a log that does not begin with TaskScheduled is refused as damaged", () => {
  const [started] = Story.of(immediate()).start().last;
  expect(started?.type).toBe("TaskStarted");
  expect(codeOf(() => evolve(null, started as LifecycleEvent, 1))).toBe("STORE_CORRUPT");
});
