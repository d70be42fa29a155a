/** An end that many wait for: what they wait for beside it, and that it keeps nothing of them. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Ending } from "../src/ending.ts";

test("whoever waits beside it has what they waited for, until it comes", async () => {
  const ending = new Ending();
  const mine = new Error("mine");
  const gone = new Error("gone");
  expect(await ending.orEnd(Promise.resolve(5))).toBe(5);
  await expect(ending.orEnd(Promise.reject(mine))).rejects.toBe(mine);
  const waiting = [ending.orEnd(new Promise(() => {})), ending.orEnd(nextTurn(5))];
  ending.end(gone);
  ending.end(mine);
  for (const each of waiting) await expect(each).rejects.toBe(gone);
  await expect(ending.orEnd(Promise.resolve(5))).rejects.toBe(gone);
  await expect(ending.orEnd(Promise.reject(mine))).rejects.toBe(gone);
});

test("it keeps nothing of what has settled", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const ending = new Ending();
  const values: WeakRef<object>[] = [];
  const settle = async (value: object) => {
    values.push(new WeakRef(value));
    await ending.orEnd(Promise.resolve(value));
  };
  for (let index = 0; index < 100; index++) await settle({ index });
  await nextTurn();
  collectGarbage();
  // The last may still be on the stack.
  expect(values.filter((value) => value.deref() !== undefined).length).toBeLessThan(10);
  ending.end(new Error("gone"));
});
