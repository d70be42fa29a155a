/**
 * Random lives, and at every moment of them what is promised holds: the short form of `npm run torture`.
 *
 * A failure names its seed. SEED=… repeats it, RUNS=… multiplies the number of lives.
 */
import { expect, test } from "vitest";
import { liveOn, scriptOf } from "../../simulation/lives.ts";
import { engineUnderTest, newLocation, rowNumber } from "../engine-under-test.ts";
import { propertyTimeoutMs, runs } from "../scheduler/support.ts";

test(
  "whatever happens, the log and the state agree, nothing runs twice or is lost, and what is due runs in the end",
  async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const startedAtMs = performance.now();
    // Each life has thousands of statements, and those of a server are a hundred times slower.
    const lives = (engineUnderTest === "postgres" ? 1 : 6) * runs;
    const toll = await liveOn(
      seed,
      (done) => done >= lives || performance.now() - startedAtMs > propertyTimeoutMs / 2,
      {
        newLocation,
        rowNumber,
        positions: engineUnderTest === "postgres" ? "holes" : "none",
      },
    );
    const { failed } = toll;
    expect(failed?.story.violations ?? [], `SEED=${failed?.seed} ${JSON.stringify(failed?.script)}`).toEqual([]);
    expect(toll.events).toBeGreaterThan(0);
  },
  propertyTimeoutMs,
);

test("a seed tells all of a life", async () => {
  const [once, again] = [await liveOn(4711, (done) => done === 1), await liveOn(4711, (done) => done === 1)];
  expect(again).toEqual(once);
  expect(scriptOf(4711)).toEqual(scriptOf(4711));
  expect(scriptOf(4712)).not.toEqual(scriptOf(4711));
});
