/** An event loop that stands still is told of, with for how long; one that goes on is not. */
import { AzothDb, type Logger, Scheduler, type Signal } from "azoth-scheduler";
import { expect, test } from "vitest";
import { LoopWatch } from "../../src/scheduler/loop-watch.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";

test("a look that comes late tells by how much, from a third of the claim time on", () => {
  const signals: Signal[] = [];
  const telemetry = new Telemetry(undefined, (signal) => signals.push(signal));
  const watch = new LoopWatch({ telemetry, instance: () => 7, claimMs: 900, worthTellingMs: 300 });
  let nowMs = 5_000;
  const lookAfter = (ms: number) => {
    nowMs += ms;
    return watch.look(nowMs);
  };
  expect(lookAfter(0)).toBe(75);
  for (const ms of [75, 80, 75 + 299, 0, 75]) expect(lookAfter(ms)).toBe(75);
  expect(signals).toEqual([]);
  lookAfter(75 + 300);
  lookAfter(75);
  lookAfter(75 + 2_000.4);
  expect(signals).toEqual([
    { name: "event-loop.blocked", instance: 7, blockedMs: 300, claimMs: 900 },
    { name: "event-loop.blocked", instance: 7, blockedMs: 2_000, claimMs: 900 },
  ]);
});

test("a scheduler tells its listener and its logger", async () => {
  await using db = await AzothDb.open(await newLocation());
  const signals: Signal[] = [];
  const warnings: (readonly [fields: object, message: string])[] = [];
  const ignore = () => {};
  const warn: Logger["warn"] = (fields, message) => warnings.push([fields, message]);
  const scheduler = new Scheduler(db, {
    claimDuration: "600ms",
    logger: { debug: ignore, info: ignore, warn, error: ignore },
    onSignal: (signal) => signals.push(signal),
  });
  await scheduler.start();
  await new Promise((resolve) => setTimeout(resolve, 20));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 450);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await scheduler.stop();
  const told = signals.find(({ name }) => name === "event-loop.blocked");
  expect(told, engineUnderTest).toMatchObject({ claimMs: 600 });
  const [fields, message] = warnings.find(([, message]) => message.startsWith("the event loop")) ?? [];
  expect(fields).toMatchObject({ signal: "event-loop.blocked", claimMs: 600 });
  expect(message).toBe("the event loop stood still, and no heartbeat came from this scheduler");
});
