/**
 * docs/lifecycle.md names every arrow between states, and no other.
 *
 * The arrows are found by walking the rules: from a task that does not exist, every command at every state that
 * can be reached, for tasks of each kind of schedule.
 */
import { AzothError, cron, immediate, interval, type Schedule } from "azoth-scheduler";
import { expect, test } from "vitest";
import type { TaskCommand } from "../../src/tasks/command.ts";
import { decide } from "../../src/tasks/decide.ts";
import { isLifecycleType } from "../../src/tasks/events.ts";
import { evolve } from "../../src/tasks/evolve.ts";
import { builtInDefaults } from "../../src/tasks/request.ts";
import { stateNameOf, type TaskState } from "../../src/tasks/task-state.ts";
import { fencesOf, readPage, tableRows } from "./markdown.ts";

const page = "docs/lifecycle.md";
const startMs = Date.parse("2026-01-01T00:00:00Z");
const stepMs = 7_200_000;

function scheduling(schedule: Schedule): TaskCommand {
  const definition = { ...builtInDefaults, maxRetries: 2, schedule, priority: 0 };
  return { kind: "schedule", taskId: "task", taskType: "type", definition, payload: "null" };
}

function commandsFor(state: TaskState | null): TaskCommand[] {
  const run = state?.runs ?? 0;
  const error = { code: "HANDLER_FAILED", message: "" };
  return [
    scheduling(immediate()),
    scheduling(interval("1h")),
    scheduling(cron("0 0 * * * *")),
    { kind: "cancel", reason: "" },
    { kind: "pause" },
    { kind: "resume" },
    { kind: "run-now" },
    { kind: "start", instance: 1 },
    { kind: "claim", instance: 1 },
    { kind: "begin", run, startedAtMs: state?.updatedAtMs ?? 0 },
    { kind: "finish", run, instance: 1, outcome: { kind: "succeeded" } },
    { kind: "finish", run, instance: 1, outcome: { kind: "failed", error, retry: "backoff" } },
    { kind: "finish", run, instance: 1, outcome: { kind: "failed", error, retry: "never" } },
    { kind: "finish", run, instance: 1, outcome: { kind: "snoozed", forMs: 1 } },
    { kind: "finish", run: run - 1, instance: 1, outcome: { kind: "succeeded" } },
    { kind: "release", run, because: "shutdown", detail: "", maxLostClaims: 2 },
    { kind: "release", run, because: "claim-lost", detail: "", maxLostClaims: 2 },
    { kind: "handler-settled", run, how: "settled", afterSignalMs: 1 },
  ];
}

/** What of a state can make a difference to which arrows leave it. */
function shapeOf(state: TaskState): string {
  const { phase, paused, retryCount, lostClaims, definition, run, revision } = state;
  return JSON.stringify([phase, paused, retryCount, lostClaims, definition.schedule.kind, run?.revision === revision]);
}

function walk(): Set<string> {
  const arrows = new Set<string>();
  const seen = new Set<string>();
  const open: { state: TaskState | null; nowMs: number }[] = [{ state: null, nowMs: startMs }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    // Soon enough for nothing to be due, and late enough for everything.
    for (const nowMs of [next.nowMs + 1, next.nowMs + stepMs]) {
      for (const command of commandsFor(next.state)) {
        const after = follow(next.state, command, nowMs, arrows);
        if (after === null || seen.has(shapeOf(after))) continue;
        seen.add(shapeOf(after));
        open.push({ state: after, nowMs });
      }
    }
  }
  return arrows;
}

/** Notes the arrows that a command takes, and returns where it leads; null if it was refused or changed nothing. */
function follow(before: TaskState | null, command: TaskCommand, nowMs: number, arrows: Set<string>): TaskState | null {
  try {
    let state = before;
    for (const event of decide(before, command, { nowMs, tzdata: "", draw: 0 })) {
      const from = state === null ? "new" : stateNameOf(state);
      state = evolve(state, event, 1);
      arrows.add(`${from} ${event.type} ${stateNameOf(state)}`);
    }
    return state;
  } catch (error) {
    if (error instanceof AzothError) return null;
    throw error;
  }
}

/** The arrows of the page's first table: from, event, to; several states are separated by commas. */
function describedArrows(): string[] {
  const rows = tableRows(readPage(page)).filter(([, event = ""]) => isLifecycleType(event.replaceAll("`", "")));
  return rows.flatMap(([from = "", event = "", to = ""]) =>
    from.split(", ").flatMap((one) => {
      const targets = to === "the same" ? [one] : to.split(", ");
      return targets.map((target) => `${one} ${event.replaceAll("`", "")} ${target}`);
    }),
  );
}

/** The arrows of the diagram, which leaves out those that lead back to their own state. */
function drawnArrows(): string[] {
  const diagram = fencesOf(page).find(({ language }) => language === "mermaid")?.text ?? "";
  return [...diagram.matchAll(/^ *(\S+) --> (\w+): (.+)$/gm)].flatMap(([, from = "", to = "", events = ""]) =>
    events.split(", ").map((event) => `${from === "[*]" ? "new" : from} ${event} ${to}`),
  );
}

test("the table has every arrow, and each is one that the rules take", () => {
  expect(describedArrows().toSorted()).toEqual([...walk()].toSorted());
});

test("the diagram shows the table's arrows between different states", () => {
  const moving = describedArrows().filter((arrow) => !/^(\w+) \w+ \1$/.test(arrow));
  expect(drawnArrows().toSorted()).toEqual(moving.toSorted());
});
