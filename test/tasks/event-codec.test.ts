/** Whatever is written to the log comes back as it was: each event type, with every field absent and present. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeJson } from "../../src/codec.ts";
import {
  decodeDefinition,
  decodeLifecycleData,
  encodeDefinition,
  encodeLifecycleData,
} from "../../src/tasks/event-codec.ts";
import { event, type LifecycleData, type LifecycleEvent, type LifecycleType } from "../../src/tasks/events.ts";
import { immediate } from "../../src/schedule/immediate.ts";
import { defaultRetryPolicy } from "../../src/tasks/retry-policy.ts";
import type { TaskDefinition } from "../../src/tasks/task-state.ts";
import { deepFreeze, definition, everyTenMinutes } from "./story.ts";

/** A few are as likely as all others together, because what equals the event's own instant is left out. */
const few = fc.integer({ min: 0, max: 2 });
const instant = fc.oneof(few, fc.integer({ min: -8.64e15, max: 8.64e15 }));
const eventInstant = fc.oneof(few, fc.integer({ min: 0, max: 3e14 }));
const text = fc.string({ unit: "grapheme", maxLength: 30 });
const count = fc.nat();
/** Fields that may be absent, as `exactOptionalPropertyTypes` has them: absent and not undefined. */
const parts = <T>(all: { [Key in keyof T]-?: fc.Arbitrary<T[Key]> }, required: (keyof T)[]): fc.Arbitrary<T> =>
  fc.record(all, { requiredKeys: required as never[] }) as unknown as fc.Arbitrary<T>;

const retryPolicy = fc.oneof(
  fc.constant(defaultRetryPolicy),
  fc.record({
    baseMs: count,
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    capMs: count,
    jitter: fc.constant(0.5),
  }),
);
const schedule = fc.oneof(
  fc.constant({ kind: "immediate" } as const),
  parts({ kind: fc.constant("interval" as const), everyMs: count, anchorMs: instant }, ["kind", "everyMs"]),
  fc.record({ kind: fc.constant("cron" as const), expression: text, timeZone: text }),
  parts(
    {
      kind: fc.constant("one-time" as const),
      atMs: instant,
      local: fc.record({ dateTime: text, timeZone: text }),
      dst: fc.constantFrom("gap" as const, "overlap" as const),
    },
    ["kind", "atMs"],
  ),
);
/** Usual values are as likely as others, because they are the ones that are left out. */
const definitions: fc.Arbitrary<TaskDefinition> = fc.record({
  schedule,
  priority: fc.oneof(fc.constant(0), fc.integer()),
  maxRetries: fc.oneof(fc.constant(3), count),
  retry: retryPolicy,
  timeoutMs: fc.oneof(fc.constant(300_000), count),
});
const payload = fc.oneof(fc.jsonValue(), fc.date({ noInvalidDate: true }), fc.bigInt(), fc.uint8Array());
const planned = parts<LifecycleData["TaskScheduled"]["next"]>(
  { scheduledForMs: instant, dst: fc.constantFrom("gap", "overlap"), dropped: count, tzdata: text },
  ["scheduledForMs"],
);
const failure = parts<NonNullable<LifecycleData["TaskExecuted"]["error"]>>(
  { code: text, message: text, name: text, stack: text },
  ["code", "message"],
);

const data: { [Type in LifecycleType]: fc.Arbitrary<LifecycleData[Type]> } = {
  TaskScheduled: fc.record({
    taskId: text,
    taskType: text,
    definition: definitions,
    payload: payload.map((value) => encodeJson(value, { what: "payload", maxBytes: 1e9 })),
    revision: few,
    because: fc.constantFrom("new", "replaced", "revived"),
    next: planned,
  }),
  TaskClaimed: fc.record({ scheduledForMs: instant, attempt: few, instance: count }),
  TaskStarted: fc.record({ scheduledForMs: instant, attempt: few, instance: count }),
  TaskExecuted: parts<LifecycleData["TaskExecuted"]>(
    {
      success: fc.boolean(),
      durationMs: few,
      then: fc.constantFrom("completed", "next", "retry", "disabled", "superseded"),
      next: planned,
      retryAtMs: instant,
      retryCount: count,
      error: failure,
      handlerUnsettled: fc.boolean(),
    },
    ["success", "durationMs", "then"],
  ),
  TaskSnoozed: parts<LifecycleData["TaskSnoozed"]>({ untilMs: instant, reason: text }, ["untilMs"]),
  TaskReleased: fc.record({
    because: fc.constantFrom("shutdown", "claim-lost"),
    instance: count,
    detail: text,
    runAtMs: instant,
  }),
  TaskCancelled: fc.record({ reason: text, wasRunning: fc.boolean() }),
  TaskPaused: parts<LifecycleData["TaskPaused"]>({ reason: text }, []),
  TaskResumed: parts<LifecycleData["TaskResumed"]>({ runAtMs: instant, next: planned }, []),
  TaskRunRequested: fc.record({ scheduledForMs: instant, runAtMs: instant }),
  TaskResultRefused: fc.record({
    because: fc.constantFrom("cancelled", "claim-lost"),
    instance: count,
    success: fc.boolean(),
  }),
  TaskHandlerSettled: fc.record({ how: fc.constantFrom("settled", "abandoned"), afterSignalMs: count }),
  OccurrencesSkipped: parts<LifecycleData["OccurrencesSkipped"]>(
    {
      because: fc.constantFrom("missed", "running", "retrying", "paused"),
      count,
      atLeast: fc.boolean(),
      firstMs: instant,
      lastMs: instant,
      sampleMs: fc.array(instant, { maxLength: 10 }),
    },
    ["because", "count", "firstMs", "lastMs", "sampleMs"],
  ),
};

test.each(Object.keys(data) as LifecycleType[])("%s comes back as it was written", (type) => {
  const arbitrary = data[type] as fc.Arbitrary<LifecycleData[LifecycleType]>;
  fc.assert(
    fc.property(arbitrary, eventInstant, (written, atMs) => {
      const event = deepFreeze({ type, data: written, atMs, run: null }) as unknown as LifecycleEvent;
      const stored = encodeLifecycleData(event);
      expect(decodeLifecycleData(type, stored, atMs)).toEqual(written);
      // One text for one meaning: what was read is written the same.
      const again = { ...event, data: decodeLifecycleData(type, stored, atMs) } as LifecycleEvent;
      expect(encodeLifecycleData(again)).toBe(stored);
    }),
  );
});

test("definitions come back as they were, and equal ones have equal texts", () => {
  fc.assert(
    fc.property(definitions, (definition) => {
      const text = encodeDefinition(deepFreeze(definition));
      expect(decodeDefinition(text)).toEqual(definition);
      expect(encodeDefinition(decodeDefinition(text))).toBe(text);
      expect(encodeDefinition(structuredClone(definition))).toBe(text);
    }),
  );
});

test("the usual values take no room", () => {
  expect(encodeDefinition(definition(everyTenMinutes))).toBe(JSON.stringify({ schedule: everyTenMinutes }));
  expect(encodeDefinition(definition(immediate()))).toBe("{}");
  const atMs = 1_000;
  const life: LifecycleEvent[] = [
    event(
      "TaskScheduled",
      {
        taskId: "a",
        taskType: "b",
        definition: definition(immediate()),
        payload: "null",
        revision: 1,
        because: "new",
        next: { scheduledForMs: atMs },
      },
      atMs,
    ),
    event("TaskStarted", { scheduledForMs: atMs - 5, attempt: 1, instance: 7 }, atMs, 1),
    event("TaskExecuted", { success: true, durationMs: 0, then: "completed" }, atMs, 1),
  ];
  expect(life.map(encodeLifecycleData)).toEqual([
    '{"taskId":"a","taskType":"b","payload":null}',
    '{"lateMs":5,"instance":7}',
    "{}",
  ]);
});

test("a payload is a part of the stored JSON, so that SQL can look into it", () => {
  const event = {
    type: "TaskScheduled",
    atMs: 0,
    run: null,
    data: {
      taskId: "a",
      taskType: "b",
      definition: definition(everyTenMinutes, { priority: 5 }),
      payload: '{"region":"eu"}',
      revision: 1,
      because: "new",
      next: { scheduledForMs: 0 },
    },
  } as const;
  expect(JSON.parse(encodeLifecycleData(event))).toMatchObject({ priority: 5, payload: { region: "eu" } });
});

test.each(['{"payload": "canary"', '"canary"', '{"payload": "canary"}'])(
  "the damaged data %j is not repeated",
  (damaged) => {
    const read = () => decodeLifecycleData("TaskScheduled", damaged, 0);
    expect(read).toThrow(expect.objectContaining({ code: "STORE_CORRUPT" }) as Error);
    expect(read).not.toThrow("canary");
  },
);
