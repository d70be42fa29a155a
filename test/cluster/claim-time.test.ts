/** How long a claim outlives its owner, to the millisecond: on a clock that is moved by hand, with crashes for kills. */
import { immediate, taskHandler } from "azoth-scheduler";
import { createTestScheduler } from "azoth-scheduler/testing";
import { expect, test } from "vitest";

const claimMs = 30_000;

/** When the heartbeats of the two come, and when the first one dies, in milliseconds after the start of the first. */
test.each([
  { secondStartsAt: 1_000, diesAt: 12_000, lastBeatAt: 10_000 },
  { secondStartsAt: 7_000, diesAt: 12_000, lastBeatAt: 10_000 },
  { secondStartsAt: 9_999, diesAt: 19_999, lastBeatAt: 10_000 },
  { secondStartsAt: 10_500, diesAt: 20_001, lastBeatAt: 20_000 },
])("a killed scheduler's task is taken over as soon as its claim has run out: $diesAt", async (moment) => {
  let hangs = true;
  const job = taskHandler({
    taskType: "job",
    timeout: "10h",
    execute: () => (hangs ? new Promise<undefined>(() => {}) : undefined),
  });
  await using kit = await createTestScheduler({ handlers: [job], claimDuration: claimMs, patience: 0 });
  const startedAtMs = kit.clock.now();
  await kit.scheduler.scheduleTask({ taskId: "task", taskType: "job", schedule: immediate() });
  await kit.advance(moment.secondStartsAt);
  await kit.addScheduler();
  await kit.advance(moment.diesAt - moment.secondStartsAt);
  hangs = false;
  await kit.crash();
  await kit.advance("5m");
  const times = async (eventType: string) => {
    return (await kit.log({ eventTypes: [eventType] })).map(({ recordedAt }) => recordedAt.getTime() - startedAtMs);
  };
  // Silent for longer than the claim time: a millisecond after its end.
  expect(await times("TaskReleased")).toEqual([moment.lastBeatAt + claimMs + 1]);
  expect(await times("TaskStarted")).toEqual([0, moment.lastBeatAt + claimMs + 1]);
});

test("schedulers that live do not look more often for watching each other", async () => {
  await using kit = await createTestScheduler({ claimDuration: claimMs });
  await kit.advance("4s");
  await kit.addScheduler();
  await kit.advance("3s");
  await kit.addScheduler();
  const before = kit.commits;
  await kit.advance("10m");
  // One heartbeat each in ten seconds.
  expect(kit.commits - before).toBeLessThanOrEqual(3 * 60 + 3);
});
