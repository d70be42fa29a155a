/** What a request becomes: its wishes, and the defaults for the rest, however many requests came before. */
import { immediate, interval } from "azoth-scheduler";
import { expect, test } from "vitest";
import {
  builtInDefaults,
  resolveRequest,
  type ScheduleTaskRequest,
  type TaskDefaults,
} from "../../src/tasks/request.ts";

const limitsOf = (defaults: TaskDefaults) => ({ defaultsOf: () => defaults, payloads: { maxBytes: 1_000 } });
const plain = { schedule: immediate(), priority: 0, ...builtInDefaults };

test("jobs without wishes share one definition; one with a wish has its own, before and after them", () => {
  const limits = limitsOf({ ...builtInDefaults });
  const definitionOf = (wishes: Partial<ScheduleTaskRequest>) =>
    resolveRequest({ taskType: "job", schedule: immediate(), ...wishes }, limits).definition;
  const retry = { baseMs: 1_000, factor: 2, capMs: 86_400_000, jitter: 0 };
  for (let time = 0; time < 2; time++) {
    expect(definitionOf({ priority: 5 })).toEqual({ ...plain, priority: 5 });
    expect(definitionOf({ maxRetries: 7 })).toEqual({ ...plain, maxRetries: 7 });
    expect(definitionOf({ retry: { base: "1s" } })).toEqual({ ...plain, retry });
    expect(definitionOf({ timeout: "1s" })).toEqual({ ...plain, timeoutMs: 1_000 });
    expect(definitionOf({ schedule: interval("5m") })).toEqual({ ...plain, schedule: interval("5m") });
    expect(definitionOf({})).toEqual(plain);
  }
  expect(definitionOf({})).toBe(definitionOf({ priority: 0, maxRetries: builtInDefaults.maxRetries }));
});

test("each set of defaults has a definition of its own", () => {
  const request = { taskType: "job", schedule: immediate() };
  expect(resolveRequest(request, limitsOf({ ...builtInDefaults, timeoutMs: 5 })).definition.timeoutMs).toBe(5);
  expect(resolveRequest(request, limitsOf({ ...builtInDefaults, timeoutMs: 6 })).definition.timeoutMs).toBe(6);
});
