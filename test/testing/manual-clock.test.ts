import { ManualClock } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { codeOf } from "../scheduler/support.ts";

const start = "2026-01-01T00:00:00Z";
const startMs = Date.parse(start);

/** Notes when each sleep ended, by the clock. */
function sleeps(clock: ManualClock): {
  ended: string[];
  sleep: (name: string, ms: number, signal?: AbortSignal) => void;
} {
  const ended: string[] = [];
  const sleep = (name: string, ms: number, signal?: AbortSignal) => {
    void clock.sleep(ms, signal).then(() => ended.push(`${name}@${clock.now() - startMs}`));
  };
  return { ended, sleep };
}

describe("a manual clock", () => {
  test("stands still until it is advanced", async () => {
    const clock = new ManualClock(start);
    expect(clock.now()).toBe(startMs);
    await clock.advance("1h");
    expect(clock.now()).toBe(startMs + 3_600_000);
  });

  test("wakes sleepers by deadline, and those of one deadline in the order of their falling asleep", async () => {
    const clock = new ManualClock(start);
    const { ended, sleep } = sleeps(clock);
    sleep("c", 300);
    sleep("a1", 100);
    sleep("b", 200);
    sleep("a2", 100);
    await clock.advance(250);
    expect(ended).toEqual(["a1@100", "a2@100", "b@200"]);
    await clock.advance(50);
    expect(ended.at(-1)).toBe("c@300");
    expect(clock.sleeperCount).toBe(0);
  });

  test("lets whoever wakes fall asleep again before more time passes", async () => {
    const clock = new ManualClock(start);
    const rounds: number[] = [];
    void (async () => {
      for (;;) {
        await clock.sleep(1_000);
        rounds.push(clock.now() - startMs);
      }
    })();
    await clock.advance("5s");
    expect(rounds).toEqual([1_000, 2_000, 3_000, 4_000, 5_000]);
  });

  test("wakes at once by an aborted signal, and does not fall asleep with one", async () => {
    const clock = new ManualClock(start);
    const { ended, sleep } = sleeps(clock);
    const controller = new AbortController();
    sleep("aborted", 1_000, controller.signal);
    controller.abort();
    sleep("late", 1_000, controller.signal);
    sleep("none", 0);
    await clock.advance(0);
    expect(ended).toEqual(["aborted@0", "late@0", "none@0"]);
    expect(clock.sleeperCount).toBe(0);
  });

  test("shortens sleeps to a day, as the machine's clock does", async () => {
    const clock = new ManualClock(start);
    const { ended, sleep } = sleeps(clock);
    sleep("week", 7 * 86_400_000);
    await clock.advance("2d");
    expect(ended).toEqual(["week@86400000"]);
  });

  test.each([
    ["forwards", "5h"],
    ["backwards", -5 * 3_600_000],
  ])("that is set %s wakes nobody and delays nobody", async (_, by) => {
    const clock = new ManualClock(start);
    let woken = false;
    void clock.sleep(60_000).then(() => {
      woken = true;
    });
    clock.jump(by);
    await clock.advance(59_999);
    expect(woken).toBe(false);
    await clock.advance(1);
    expect(woken).toBe(true);
  });

  test("can be set to an instant", async () => {
    const clock = new ManualClock(start);
    await clock.advance("1h");
    clock.set("2030-05-05T05:05:05Z");
    expect(new Date(clock.now()).toISOString()).toBe("2030-05-05T05:05:05.000Z");
    await clock.advance("5s");
    expect(new Date(clock.now()).toISOString()).toBe("2030-05-05T05:05:10.000Z");
  });

  test("refuses a start without offset, and time that runs backwards", async () => {
    expect(codeOf(() => new ManualClock("2026-01-01T00:00:00"))).toBe("INVALID_INSTANT");
    await expect(new ManualClock(start).advance(-1)).rejects.toMatchObject({ code: "INVALID_DURATION" });
  });
});
