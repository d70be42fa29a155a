/** The backoff at its bounds: what may be asked for, and what comes of it. */
import { describe, expect, test } from "vitest";
import { isAzothError } from "../../src/errors.ts";
import { parseInteger } from "../../src/tasks/request.ts";
import { backoffMs, defaultRetryPolicy, type RetryOptions, resolveRetryPolicy } from "../../src/tasks/retry-policy.ts";

const resolve = (options: unknown) => resolveRetryPolicy(options as RetryOptions, defaultRetryPolicy);

const codeOf = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return isAzothError(error) ? error.code : error;
  }
  return "nothing was thrown";
};

describe("a retry policy", () => {
  test("has the defaults for what is not said", () => {
    expect(resolve(undefined)).toBe(defaultRetryPolicy);
    expect(resolve({})).toEqual(defaultRetryPolicy);
    expect(resolve({ base: "2m", factor: 3, cap: "1h", jitter: 0.5 })).toEqual({
      baseMs: 120_000,
      factor: 3,
      capMs: 3_600_000,
      jitter: 0.5,
    });
  });

  test("has a cap that is no less than a base of days", () => {
    expect(resolve({ base: "2d" })).toMatchObject({ baseMs: 172_800_000, capMs: 172_800_000 });
    expect(resolve({ base: "1h" })).toMatchObject({ capMs: 86_400_000 });
  });

  test.each([{ factor: 1 }, { factor: 100 }, { jitter: 0 }, { jitter: 1 }])("may have %j", (options) => {
    expect(resolve(options)).toMatchObject(options);
  });

  test.each([
    { factor: 0.99 },
    { factor: 100.01 },
    { factor: "2" },
    { factor: Number.NaN },
    { jitter: -0.01 },
    { jitter: 1.01 },
    { jitter: "0.5" },
    { delay: 5 },
  ])("is refused with %j", (options) => {
    expect(codeOf(() => resolve(options))).toBe("INVALID_TASK");
  });
});

describe("the delay", () => {
  test("of a base of nothing is nothing, after however many failures", () => {
    expect(backoffMs({ ...defaultRetryPolicy, baseMs: 0 }, 5_000, 0.5)).toBe(0);
  });

  test("grows to the cap and no further", () => {
    expect([1, 2, 3, 11, 12, 5_000].map((count) => backoffMs(defaultRetryPolicy, count, 0) / 60_000)).toEqual([
      1, 2, 4, 1_024, 1_440, 1_440,
    ]);
  });
});

test("a whole number may be each of its bounds, and nothing beyond", () => {
  expect([-2, 3].map((value) => parseInteger(value, "it", -2, 3))).toEqual([-2, 3]);
  for (const value of [-3, 4, 0.5, "0", Number.NaN]) {
    expect(codeOf(() => parseInteger(value, "it", -2, 3))).toBe("INVALID_TASK");
  }
});
