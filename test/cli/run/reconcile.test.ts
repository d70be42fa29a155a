/** What a file declares and what it declared before decide what is cancelled, refused and recorded: the laws of that. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Declarations, plan } from "../../../src/cli/reconcile.ts";

const numRuns = 200;

// Few names, so that files often have the same.
const source = fc.constantFrom("one", "two", "three");
const taskIds: fc.Arbitrary<string[]> = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"));
const declarations: fc.Arbitrary<Declarations> = fc
  .uniqueArray(fc.tuple(source, taskIds), { selector: ([name]) => name })
  .map((entries) => new Map(entries));

const sorted = (ids: Iterable<string>) => [...ids].toSorted();

describe("a plan", () => {
  test("cancels what was declared before and is not any more, and nothing else", () => {
    const property = fc.property(source, taskIds, declarations, (name, ids, stored) => {
      const before = stored.get(name) ?? [];
      const { cancel } = plan(name, ids, stored);
      const kept = before.filter((id) => ids.includes(id));
      expect(sorted([...cancel, ...kept])).toEqual(sorted(before));
      expect(cancel.filter((id) => ids.includes(id))).toEqual([]);
    });
    fc.assert(property, { numRuns });
  });

  test("keeps the tasks in the order of the file, whatever is stored", () => {
    const property = fc.property(source, taskIds, declarations, (name, ids, stored) => {
      expect(plan(name, ids, stored).taskIds).toEqual(ids);
    });
    fc.assert(property, { numRuns });
  });

  test("is a change if and only if the file declares other tasks than before, in whatever order", () => {
    const property = fc.property(source, taskIds, declarations, (name, ids, stored) => {
      const same = sorted(stored.get(name) ?? []).join(" ") === sorted(ids).join(" ");
      expect(plan(name, ids, stored).changes).toBe(!same);
    });
    fc.assert(property, { numRuns });
  });

  test("is no change twice", () => {
    const property = fc.property(source, taskIds, declarations, (name, ids, stored) => {
      const after = new Map([...stored, [name, plan(name, ids, stored).taskIds]]);
      for (const order of [ids, ids.toReversed()]) {
        expect(plan(name, order, after)).toMatchObject({ cancel: [], changes: false });
      }
    });
    fc.assert(property, { numRuns });
  });

  test("conflicts with each other file that has one of its tasks, and never with itself", () => {
    const property = fc.property(source, taskIds, declarations, (name, ids, stored) => {
      const expected = [...stored].flatMap(([other, theirs]) =>
        other === name ? [] : theirs.filter((id) => ids.includes(id)).map((id) => `${id} of ${other}`),
      );
      const found = plan(name, ids, stored).conflicts.map((conflict) => `${conflict.taskId} of ${conflict.source}`);
      expect(sorted(found)).toEqual(sorted(expected));
    });
    fc.assert(property, { numRuns });
  });
});

test("file after file, with conflicts refused, no task ever has two owners or is cancelled by one that has it not", () => {
  const property = fc.property(fc.array(fc.tuple(source, taskIds), { maxLength: 12 }), (runs) => {
    const stored = new Map<string, readonly string[]>();
    for (const [name, ids] of runs) {
      const planned = plan(name, ids, stored);
      for (const id of planned.cancel) {
        expect([...stored].filter(([, theirs]) => theirs.includes(id)).map(([owner]) => owner)).toEqual([name]);
      }
      if (planned.conflicts.length === 0) stored.set(name, planned.taskIds);
      const owned = [...stored.values()].flat();
      expect(new Set(owned).size).toBe(owned.length);
    }
  });
  fc.assert(property, { numRuns });
});
