/** Progress bars: on a terminal, after a second, and gone at the end. */
import { ManualClock } from "azoth-scheduler/testing";
import { expect, test } from "vitest";
import type { Context } from "../../../src/cli/context.ts";
import { Progress } from "../../../src/cli/progress.ts";

/** What a bar of work that takes 1.5 s writes. */
function written({ isTTY, on }: { isTTY: boolean; on: boolean }): { early: string; late: string; end: string } {
  const clock = new ManualClock("2026-01-01T00:00:00Z");
  let text = "";
  const stream = { isTTY, columns: 80, write: (more: string) => (text += more) !== "", once: () => {}, off: () => {} };
  const progress = new Progress({ stderr: stream, clock } as unknown as Context, { on });
  const take = () => {
    const taken = text;
    text = "";
    return taken;
  };
  clock.jump("999ms");
  progress.show("copying", 1, 4);
  const early = take();
  clock.jump("501ms");
  progress.show("copying", 2, 4);
  const late = take();
  progress.end();
  return { early, late, end: take() };
}

test("a bar is shown on a terminal, after a second, and taken away at the end", () => {
  const { early, late, end } = written({ isTTY: true, on: true });
  expect(early).toBe("");
  expect(late).toContain("copying  [############------------] 50%  2 of 4  1.5s");
  expect(end).toBe("\r\u001b[2K");
});

test.each([
  { isTTY: false, on: true },
  { isTTY: true, on: false },
])("no bar is shown with %o", (where) => {
  expect(written(where)).toEqual({ early: "", late: "", end: "" });
});
