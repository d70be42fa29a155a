/** What a store tells those who look after it: where it stands, who works on it, and what was changed of its tables. */
import { describe, expect, test } from "vitest";
import { createTestScheduler, engineUnderTest, newLocation } from "../engine-under-test.ts";
import { openStore } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

describe("status", () => {
  test("of a new store", async () => {
    const db = await openStore();
    const status = await db.status();
    expect(status).toEqual({
      engine: engineUnderTest,
      location: db.location,
      schemaVersion: expect.any(Number) as number,
      bytes: expect.any(Number) as number,
      lastPosition: 0,
      clockOffsetMs: expect.any(Number) as number,
      unfinished: false,
      instances: [],
    });
    expect(status.bytes).toBeGreaterThan(10_000);
    expect(status.schemaVersion).toBeGreaterThanOrEqual(1);
  });

  test("tells of schedulers that live, that fell silent, and that have stopped", async () => {
    const kit = await createTestScheduler({ name: "first", claimDuration: "15s", start: "2026-01-01T00:00:00Z" });
    await kit.settle();
    const [first] = (await kit.db.status()).instances;
    expect(first).toMatchObject({ name: "first", claimMs: 15_000, silent: false });
    expect(first?.lastHeardAt).toEqual(new Date("2026-01-01T00:00:00Z"));
    await kit.crash();
    await kit.advance("16s");
    expect((await kit.db.status()).instances).toMatchObject([{ name: "first", silent: true }]);
    await kit.restart();
    await kit.advance("20s");
    const { instances } = await kit.db.status();
    expect(instances).toMatchObject([{ name: "first", silent: false }]);
    expect(instances[0]?.instance).not.toBe(first?.instance);
    await kit.stop();
    expect((await kit.db.status()).instances).toEqual([]);
  });
});

describe("schemaDrift", () => {
  test("finds nothing in a store that is as it was made, or was rebuilt", async () => {
    const db = await openStore();
    expect(await db.schemaDrift()).toEqual([]);
    await db.rebuild();
    await db.rebuild();
    expect(await db.schemaDrift()).toEqual([]);
  });

  test("names what is missing, changed or too much, and changes nothing", async () => {
    const location = await newLocation({ shared: true });
    const db = await openStore(location);
    await tamper(location, "DROP INDEX azoth_tasks_by_id");
    await tamper(location, "CREATE INDEX azoth_tasks_by_id ON azoth_tasks (type)");
    await tamper(location, "DROP INDEX azoth_events_by_task");
    await tamper(location, "ALTER TABLE azoth_events ADD COLUMN comment TEXT");
    await tamper(location, "DROP TABLE azoth_dead_letters");
    await tamper(location, "ALTER TABLE azoth_chain RENAME COLUMN hash TO link");
    const drift = await db.schemaDrift();
    expect(drift).toEqual([
      "The column azoth_chain.hash is missing.",
      "The column azoth_chain.link is not one of the store's.",
      "The table azoth_dead_letters is missing.",
      "The column azoth_events.comment is not one of the store's.",
      "The index azoth_events_by_task is missing.",
      expect.stringMatching(/^The index azoth_tasks_by_id is over .*type.*, and should be over .*id.*\.$/),
    ]);
    expect(await db.schemaDrift()).toEqual(drift);
  });
});
