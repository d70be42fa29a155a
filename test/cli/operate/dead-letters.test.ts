/** Events that an event handler put aside: listed, replayed and dropped from the command line, on each engine. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventHandler } from "azoth-scheduler";
import { expect, test } from "vitest";
import { createTestScheduler, newLocation } from "../../engine-under-test.ts";
import { scratchDirectory } from "../../store/scratch-directory.ts";
import { run } from "../command-line.ts";

test("lists, replays and drops dead letters", async () => {
  const [store, cwd] = [await newLocation({ shared: true }), scratchDirectory()];
  const fussy = eventHandler<number>({
    name: "fussy",
    eventType: "counted",
    onError: "dead-letter",
    handle: ({ payload }) => {
      throw new RangeError(`${payload} is bad`);
    },
  });
  await using kit = await createTestScheduler({ location: store, eventHandlers: [fussy] });
  await kit.db.transaction(async (tx) => {
    for (const payload of [1, 2]) await tx.append({ eventType: "counted", payload });
  });
  await kit.settle();
  const azoth = (...argv: string[]) => run(["--store", store, "dead-letters", ...argv], { cwd });
  const [first, second] = (await azoth("list", "--json")).objects.map(({ id }) => String(id));
  if (first === undefined || second === undefined) throw new Error("there are no dead letters");
  expect((await azoth("list")).lines).toHaveLength(3);
  expect((await azoth("list")).stdout).toContain("RangeError: 1 is bad");
  expect((await azoth("list", "--limit", "1")).stderr).toBe("1 dead letter shown, and there are more: see --limit.\n");
  expect((await azoth("list", "--handler", "another")).stderr).toBe("No dead letters.\n");

  const module = (body: string) =>
    `export default { name: "fussy", eventTypes: ["counted"], handle: () => { ${body} } };`;
  writeFileSync(join(cwd, "empty.mjs"), "export const nothing = 1;");
  expect((await azoth("replay", first, "--handlers", "empty.mjs")).code).toBe(2);
  writeFileSync(join(cwd, "fails.mjs"), module('throw new Error("again")'));
  const failed = await azoth("replay", first, "--handlers", "fails.mjs");
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("again");
  expect((await azoth("list", "--json")).objects).toHaveLength(2);
  writeFileSync(join(cwd, "works.mjs"), module(""));
  expect((await azoth("replay", first, "--handlers", "works.mjs")).stdout).toBe(`Dead letter ${first}: handled.\n`);
  expect((await azoth("drop", second, "--reason", "a test")).stdout).toBe(`Dead letter ${second}: dropped.\n`);
  expect((await azoth("list", "--json")).objects).toEqual([]);
  const log = await run(["--store", store, "events", "--type", "DeadLetterDropped"]);
  expect(log.stdout).toContain(`dead letter ${second} of fussy dropped: a test`);
});
