/** The soak's loads, small: `npm run soak` has them large. What they find broken here is broken there. */
import { describe, expect, test } from "vitest";
import { MemoryWatch } from "../../soak/figures.ts";
import { fanOut, flood, manyTasks, sameSecond, virtualTime } from "../../soak/loads.ts";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";

const small = engineUnderTest === "postgres";

describe("a soak", () => {
  test.each([
    ["many tasks", (location: string) => manyTasks(location, { tasks: small ? 3_000 : 30_000 })],
    [
      "tasks of the same second",
      (location: string) => sameSecond(location, { tasks: small ? 300 : 3_000, occurrences: 1 }),
    ],
    ["a fan-out", (location: string) => fanOut(location, { depth: small ? 2 : 3 })],
    ["a flood", (location: string) => flood(location, { calls: small ? 2_000 : 10_000, maxQueuedBytes: 1_000_000 })],
    ["a while of virtual time", (location: string) => virtualTime(location, { tasks: 5, minutes: small ? 1 : 2 })],
  ])("of %s finds nothing broken", async (_, load) => {
    const { figures, violations } = await load(await newLocation({ shared: true }));
    expect(violations, JSON.stringify(figures)).toEqual([]);
  });
});

describe("the watch over memory", () => {
  const watched = (grow: (kept: unknown[]) => void): MemoryWatch => {
    const memory = new MemoryWatch();
    const kept: unknown[] = [];
    for (let sample = 0; sample < 8; sample++) {
      grow(kept);
      memory.sample(sample * 1_000);
    }
    return memory;
  };

  test("tells what stays of each task", () => {
    const leaking = watched((kept) => kept.push(Array.from({ length: 400_000 }, (_, index) => index + 0.5)));
    expect(leaking.violations()).toEqual([
      expect.stringMatching(/^the heap has grown by \d+(\.\d+)? MiB over 5000 tasks$/),
    ]);
  });

  test("lets pass what comes and goes", () => {
    const flat = watched(() => void Array.from({ length: 400_000 }, (_, index) => index + 0.5));
    expect(flat.violations()).toEqual([]);
  });
});
