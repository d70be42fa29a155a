/** The short form of `npm run torture:calls`: some of the calls of a day, others each time. SEED=… repeats them. */
import { seededRandom } from "azoth-scheduler/testing";
import { expect, test } from "vitest";
import { dayHolds, faultsOf, fullDay, playDay, ways } from "../../simulation/fail-at-call.ts";
import { propertyTimeoutMs, runs } from "../scheduler/support.ts";

test(
  "whichever call of a day fails, and however, the store is whole, and what was acknowledged is done",
  async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const day = await fullDay(Math.floor(random() * 1_000));
    const faults = await faultsOf(day);
    for (const way of ways) {
      const ofWay = faults.filter((fault) => fault.way === way);
      expect(ofWay.length).toBeGreaterThan(dayHolds.length);
      for (let tried = 0; tried < 3 * runs; tried++) {
        const fault = ofWay[Math.floor(random() * ofWay.length)] ?? null;
        const { violations } = await playDay(day, fault);
        expect(violations, `SEED=${seed}, mood ${day.mood}, ${JSON.stringify(fault)}`).toEqual([]);
      }
    }
  },
  propertyTimeoutMs,
);
