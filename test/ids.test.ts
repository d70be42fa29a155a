/** Generated ids: UUIDs of version 7 that sort in the order of their making. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IdGenerator } from "../src/ids.ts";
import { parseName } from "../src/names.ts";
import { seededRandom, systemRandom } from "../src/random.ts";
import { fcParameters } from "./input/arbitrary-garbage.ts";

const start = Date.parse("2026-01-01T00:00:00Z");
const timeOf = (id: string) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
const isSorted = (ids: readonly string[]) => ids.every((id, index) => index === 0 || (ids[index - 1] ?? "") < id);

describe("a generated id", () => {
  test("has the layout of RFC 9562, section 5.7", () => {
    const ids = new IdGenerator(systemRandom);
    for (let count = 0; count < 10_000; count++) {
      // 48 bits of time, version 7, 12 bits, variant 10, 62 bits.
      expect(ids.next(start + (count >> 3))).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });

  test.each([0, 1, 0xffff_ffff, start, 2 ** 48 - 2])("begins with the instant of its making: %d", (nowMs) => {
    const id = new IdGenerator(systemRandom).next(nowMs);
    expect(timeOf(id)).toBe(nowMs);
  });

  test.each<[string, () => number, string]>([
    ["least", () => 0, "-8000-000000000000"],
    ["greatest", () => 1 - 2 ** -53, "-bfff-ffffffffffff"],
  ])("keeps its layout with the %s random number", (_, random, end) => {
    expect(new IdGenerator(random).next(start)).toBe(`019b76da-a800-7000${end}`);
  });

  test("is a task id that the door would let pass", () => {
    const id = new IdGenerator(systemRandom).next(start);
    expect(parseName(id, "taskId", "INVALID_TASK_ID")).toBe(id);
  });

  test("is the same again from the same seed", () => {
    const make = (seed: number) => new IdGenerator(seededRandom(seed)).next(start);
    expect(make(1)).toBe(make(1));
    expect(make(1)).not.toBe(make(2));
  });
});

describe("generated ids", () => {
  test("sort in the order of their making, whatever the clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5_000, max: 5_000 }), { maxLength: 200 }), (jumps) => {
        const ids = new IdGenerator(systemRandom);
        let nowMs = start;
        const made = jumps.map((jump) => ids.next((nowMs += jump)));
        expect(isSorted(made)).toBe(true);
      }),
      fcParameters(300),
    );
  });

  test("sort within one millisecond, and go on into the next ones when its counter is full", () => {
    const ids = new IdGenerator(systemRandom);
    const made = Array.from({ length: 10_000 }, () => ids.next(start));
    expect(isSorted(made)).toBe(true);
    expect(new Set(made).size).toBe(10_000);
    expect(made.map(timeOf).filter((time) => time === start)).toHaveLength(4_096);
    expect(timeOf(made.at(-1) ?? "")).toBe(start + 2);
    expect(ids.next(start + 1) > (made.at(-1) ?? "")).toBe(true);
    expect(timeOf(ids.next(start + 3))).toBe(start + 3);
  });

  test("sort when the clock goes back by hours, and keep the time they had", () => {
    const ids = new IdGenerator(systemRandom);
    const before = ids.next(start);
    const made = Array.from({ length: 100 }, (_, minute) => ids.next(start - 7_200_000 + minute * 60_000));
    expect(isSorted([before, ...made])).toBe(true);
    expect(made.map(timeOf)).toEqual(made.map(() => start));
  });

  test("of two generators at one instant differ", () => {
    const [one, two] = [new IdGenerator(systemRandom), new IdGenerator(systemRandom)];
    const made = Array.from({ length: 5_000 }, () => [one.next(start), two.next(start)]).flat();
    expect(new Set(made).size).toBe(10_000);
  });

  test("are unique with random numbers that never change: the counter sees to it", () => {
    const ids = new IdGenerator(() => 0.5);
    expect(new Set(Array.from({ length: 10_000 }, () => ids.next(start))).size).toBe(10_000);
  });
});
