/** The contract of `watch`: who is told of whose commits. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { Engine } from "../../src/store/engine.ts";
import { until } from "../store/scratch-stores.ts";
import { connectMany } from "./open-write.ts";
import { append, type ContractSubject, newEvent, range } from "./subject.ts";

/** An engine that is told often may begin by telling once, so as to miss nothing. */
const atFirst = 1;

interface Watch {
  /** How often it was told. */
  readonly told: number;
  /** Resolves when it is told after `count` times. */
  more(count: number): Promise<void>;
  stop(): void;
}

function watch(engine: Engine): Watch {
  let told = 0;
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
  const stop = engine.watch(() => void told++, pause);
  onTestFinished(stop);
  return {
    get told() {
      return told;
    },
    more: (count) => until(() => told > count, "it is told of a commit"),
    stop,
  };
}

/** Runs something, and waits until a watch was told of it. */
async function seenBy(watch: Watch, work: () => Promise<unknown>): Promise<void> {
  const { told } = watch;
  await work();
  await watch.more(told);
}

export function watchContract(subject: ContractSubject): void {
  describe("watch", () => {
    test("is told of every commit of others, whatever they wrote", async () => {
      const [engine, other] = await connectThree(subject);
      const watching = watch(engine);
      for (const _ of range(1, 3)) {
        await seenBy(watching, () => append(other, [newEvent("a")]));
        await seenBy(watching, () => other.write((tx) => tx.drawTaskSeqs(1).then(() => tx.append([newEvent("b")]))));
      }
    });

    test("is not told of commits of its own, nor of what was rolled back", async () => {
      const [engine, other, third] = await connectThree(subject);
      const [watching, observer] = [watch(engine), watch(third)];
      await seenBy(watching, () => append(other, [newEvent("foreign")]));
      const before = watching.told;
      for (const _ of range(1, 10)) {
        await seenBy(observer, () => append(engine, [newEvent("own")]));
        const refused = other.write(async (tx) => {
          await tx.append([newEvent("lost")]);
          throw new Error("rolled back");
        });
        await expect(refused).rejects.toThrow("rolled back");
      }
      await seenBy(watching, () => append(other, [newEvent("foreign")]));
      expect(watching.told - before).toBeLessThanOrEqual(1 + atFirst);
    });

    test("is told nothing after it was stopped, and can be begun again", async () => {
      const [engine, other, third] = await connectThree(subject);
      const [stopped, observer] = [watch(engine), watch(third)];
      await seenBy(stopped, () => append(other, [newEvent("a")]));
      stopped.stop();
      const { told } = stopped;
      for (const _ of range(1, 5)) await seenBy(observer, () => append(other, [newEvent("b")]));
      expect(stopped.told).toBe(told);
      const again = watch(engine);
      await seenBy(again, () => append(other, [newEvent("c")]));
      stopped.stop();
      await seenBy(again, () => append(other, [newEvent("d")]));
      expect(stopped.told).toBe(told);
    });
  });
}

async function connectThree(subject: ContractSubject): Promise<readonly [Engine, Engine, Engine]> {
  const [one, two, three] = await connectMany(subject, 3);
  if (one === undefined || two === undefined || three === undefined) throw new Error("Three engines were asked for.");
  return [one, two, three];
}
