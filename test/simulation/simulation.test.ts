/**
 * Random lives, and at every moment of them what is promised holds: the short form of `npm run torture`.
 *
 * A failure names its seed. SEED=… repeats it, RUNS=… multiplies the number of lives.
 */
import { expect, test } from "vitest";
import { play } from "../../simulation/life.ts";
import { liveOn, scriptOf } from "../../simulation/lives.ts";
import type { Script } from "../../simulation/script.ts";
import { engineUnderTest, newLocation, rowNumber } from "../engine-under-test.ts";
import { propertyTimeoutMs, runs } from "../scheduler/support.ts";

test(
  "whatever happens, the log and the state agree, nothing runs twice or is lost, and what is due runs in the end",
  async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const startedAtMs = performance.now();
    // Each life has thousands of statements, and those of a server are a hundred times slower.
    const most = (engineUnderTest === "postgres" ? 1 : 12) * runs;
    const { failed, events } = await liveOn({
      firstSeed: seed,
      isEnough: ({ lives, failed }) =>
        lives >= most || failed.length > 0 || performance.now() - startedAtMs > propertyTimeoutMs / 2,
      life: { newLocation, rowNumber, positions: engineUnderTest === "postgres" ? "holes" : "none" },
    });
    expect(failed[0]?.story.violations ?? [], `SEED=${failed[0]?.seed} ${JSON.stringify(failed[0]?.script)}`).toEqual(
      [],
    );
    expect(events).toBeGreaterThan(0);
  },
  propertyTimeoutMs,
);

test("a seed tells all of a life: a second time, it has the same log byte by byte", async () => {
  const once = async () => await play(scriptOf(4711));
  const story = await once();
  expect(story.events).toBeGreaterThan(0);
  expect(await once()).toEqual(story);
  expect((await play(scriptOf(4712))).digest).not.toBe(story.digest);
  expect(scriptOf(4711)).toEqual(scriptOf(4711));
  expect(scriptOf(4712)).not.toEqual(scriptOf(4711));
});

/** Scripts that have shown a violation once, shortened. */
const mended: readonly { readonly name: string; readonly script: Script }[] = [
  {
    name: "who was taken for dead, and whose new number got lost with the answer to a commit, waits for the next one",
    script: {
      pace: 1,
      start: "2026-03-28T22:00:00Z",
      schedulers: 2,
      mood: 88215,
      steps: [
        { do: "schedule", task: "a", schedule: "hourly in Kolkata", maxRetries: 3, anew: false, by: 1 },
        { do: "suspend", which: 0 },
        { do: "advance", ms: 1980000 },
        { do: "suspend", which: 1 },
        { do: "storm", count: 2, kept: true, ms: 2340000 },
        { do: "fall-silent", task: "a", which: 1, ms: 0, then: "crash" },
      ],
    },
  },
];

test.each(mended)("$name", async ({ script }) => {
  expect((await play(script)).violations).toEqual([]);
});
