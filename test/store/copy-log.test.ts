/** copyLog: everything goes over, in every direction; what is interrupted goes on; what would be wrong is refused. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type AnyTaskHandler,
  type AzothDb,
  type AzothDbOptions,
  type CopyProgress,
  copyLog,
  cron,
  eventHandler,
  fail,
  immediate,
  interval,
  oneTime,
  Scheduler,
  snooze,
  taskHandler,
} from "azoth-scheduler";
import { createTestScheduler, type TestScheduler, type TestSchedulerOptions } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { coreOf } from "../../src/store/azoth-db.ts";
import type { Counters, LoggedEvent, Snapshot } from "../../src/store/engine.ts";
import type { TaskState } from "../../src/tasks/task-state.ts";
import { engineUnderTest } from "../engine-under-test.ts";
import { freshUrl } from "../postgres/databases.ts";
import { eventsOf, openStore, scheduleMany, scratchDirectory } from "./scratch-stores.ts";
import { tamper } from "./tampering.ts";

type Kind = "sqlite" | "postgres";

/** Each project has its own part of them. */
const directions: readonly (readonly [from: Kind, to: Kind])[] =
  engineUnderTest === "sqlite"
    ? [["sqlite", "sqlite"]]
    : [
        ["sqlite", "postgres"],
        ["postgres", "sqlite"],
      ];

const placeOf = async (kind: Kind) => (kind === "sqlite" ? scratchDirectory() : await freshUrl());
const open = (location: string, options?: AzothDbOptions) =>
  openStore(location, { durability: "normal", noticeInterval: 0, ...options });
const openNew = async (kind: Kind) => await open(await placeOf(kind));

/** All that a store has to say, but for users' tables. */
interface Contents {
  readonly events: readonly LoggedEvent[];
  readonly tasks: readonly TaskState[];
  readonly rest: readonly unknown[];
  readonly counters: Counters;
}

async function contentsOf(db: AzothDb): Promise<Contents> {
  const { reads } = coreOf(db).engine;
  return await reads.snapshot(async (snapshot) => ({
    events: await allEvents(snapshot),
    tasks: await reads.findTasks({ afterSeq: 0, limit: 1_000_000 }),
    rest: [
      await snapshot.listInstances(),
      await snapshot.listCheckpoints(),
      await snapshot.listDeadLetters({ afterId: 0, limit: 1_000_000 }),
    ],
    counters: await snapshot.counters(),
  }));
}

const allEvents = (snapshot: Snapshot) => snapshot.readLog(0, Number.MAX_SAFE_INTEGER, 1_000_000);

async function expectSame(copy: AzothDb, source: AzothDb): Promise<void> {
  expect(await contentsOf(copy)).toEqual(await contentsOf(source));
  expect(await eventsOf(copy)).toEqual(await eventsOf(source));
  expect(await copy.lastPosition()).toBe(await source.lastPosition());
  expect(await copy.verify()).toMatchObject({ ok: true, difference: null });
}

/** Appends events, a thousand at a time. */
async function fill(db: AzothDb, count: number): Promise<void> {
  const { engine } = coreOf(db);
  const eventOf = (number: number) => {
    const data = JSON.stringify({ number, text: 'some "text"' });
    return { type: `filled ${number % 7}`, atMs: number, task: null, run: null, data, meta: null };
  };
  for (let done = 0; done < count; done += 1_000) {
    const length = Math.min(1_000, count - done);
    await engine.write((tx) => tx.append(Array.from({ length }, (_, each) => eventOf(done + each))));
  }
}

/** Draws positions that no event gets, where the store has holes at all. */
async function makeHoles(db: AzothDb, count: number): Promise<void> {
  const undone = db.transaction(async (tx) => {
    for (let each = 0; each < count; each++) await tx.append({ eventType: "never" });
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
}

/** Copies as far as it is told, and breaks off. */
async function breakOff(from: AzothDb, to: AzothDb, phase: CopyProgress["phase"], done: number): Promise<void> {
  const broken = copyLog(from, to, {
    onProgress: (progress) => {
      if (progress.phase === phase && progress.done >= done) throw new Error("broken off");
    },
  });
  await expect(broken).rejects.toThrow("broken off");
}

const handlers = [
  taskHandler({ taskType: "report", execute: (ctx) => ({ eventType: "reported", payload: ctx.scheduledFor }) }),
  taskHandler({ taskType: "fail", execute: () => fail("no") }),
  taskHandler({ taskType: "throw", execute: () => Promise.reject(new Error("not\u0000yet")) }),
  taskHandler({ taskType: "snooze", execute: () => snooze("10h") }),
  taskHandler({ taskType: "long", execute: (ctx) => ctx.sleep("20h") }),
] as const;

const eventHandlers = [
  eventHandler({ name: "calm", eventType: "reported", handle: () => {} }),
  eventHandler({
    name: "fussy",
    eventType: "reported",
    handle: () => Promise.reject(new Error("bad")),
    onError: "dead-letter",
  }),
  eventHandler({
    name: "stubborn",
    eventType: "reported",
    handle: () => Promise.reject(new Error("bad")),
    onError: "stop",
  }),
];

async function openKit(location: string, more: TestSchedulerOptions = {}): Promise<TestScheduler> {
  const options = { handlers, eventHandlers, location, defaultRetry: { base: "5h", factor: 1 }, ...more } as const;
  return await createTestScheduler<readonly AnyTaskHandler[]>(options);
}

/** A store with tasks in every state, and a scheduler that was killed in the middle of them long ago. */
async function livedIn(location: string): Promise<TestScheduler> {
  const kit = await openKit(location);
  await makeHoles(kit.db, 3);
  for (const [taskType, schedule] of [
    ["report", immediate()],
    ["report", interval("25m")],
    ["report", cron("0 30 6 * * *", { timeZone: "Europe/Rome" })],
    ["report", oneTime("2026-02-01T00:00:00Z")],
    ["fail", immediate()],
    ["throw", interval("40m")],
    ["snooze", immediate()],
    ["long", immediate()],
  ] as const) {
    const taskId = `${taskType} ${schedule.kind}`;
    const payload = { of: taskId, text: 'é 🦊 "q" \u0000 \\' };
    await kit.scheduler.scheduleTask({ taskId, taskType, schedule, payload, timeout: "1d" });
  }
  for (const taskId of ["paused", "cancelled", "paused while it ran"]) {
    const taskType = taskId === "paused while it ran" ? "long" : "report";
    const schedule = interval("50m", { anchor: 0 });
    await kit.scheduler.scheduleTask({ taskId, taskType, schedule, priority: 7, timeout: "1d" });
  }
  await kit.scheduler.pauseTask("paused", "because");
  await kit.scheduler.cancelTask("cancelled", "because");
  await kit.advance("90m");
  await kit.scheduler.pauseTask("paused while it ran", "because");
  await kit.scheduler.scheduleTask({ taskId: "paused", taskType: "report", schedule: interval("55m"), priority: 8 });
  await kit.db.transaction((tx) => tx.append({ eventType: "mine", payload: new Date(0) }));
  await makeHoles(kit.db, 2);
  await kit.crash();
  kit.clock.pass(7_200_000);
  return kit;
}

describe.each(directions)("from %s to %s", (fromKind, toKind) => {
  test("everything goes over, and tasks go on where they were", async () => {
    await using kit = await livedIn(await placeOf(fromKind));
    const reader = new Scheduler(kit.db);
    const { tasks: before } = await reader.listTasks();
    const states = before.map(({ state }) => state);
    expect(new Set(states)).toEqual(new Set(["waiting", "paused", "running", "completed", "disabled", "cancelled"]));
    const place = await placeOf(toKind);
    const target = await open(place);
    const { tasks, events, verification } = await copyLog(kit.db, target);
    expect({ tasks, verification }).toMatchObject({ tasks: 11, verification: { ok: true, tasks: 11 } });
    expect(events).toBe((await eventsOf(kit.db)).length);
    await expectSame(target, kit.db);
    expect((await reader.getTask("report interval"))?.runs).toBe(3);

    await using home = await openKit(place, { start: new Date(kit.clock.now()) });
    // An instance of the old home is taken over from like any other; its numbers are not given out again.
    expect((await home.log({ eventTypes: ["SchedulerStarted"] })).map(({ payload }) => payload)).toMatchObject([
      { instance: 1 },
      { instance: 2 },
    ]);
    await home.advance("30m");
    const [lost] = await home.log({ eventTypes: ["SchedulerLost"] });
    expect(lost?.payload).toMatchObject({ instance: 1, by: 2 });
    const released = await home.log({ eventTypes: ["TaskReleased"] });
    expect(released.map(({ taskId, executionId }) => [taskId, executionId])).toEqual([
      ["long immediate", "8.1"],
      ["paused while it ran", "11.1"],
    ]);
    expect(await home.scheduler.getTask("long immediate")).toMatchObject({ state: "running", runs: 2 });
    expect((await home.scheduler.getTask("report interval"))?.runs).toBeGreaterThan(3);
    // The same definition changes nothing, as before.
    const again = { taskId: "report interval", taskType: "report", schedule: interval("25m"), timeout: "1d" } as const;
    const payload = { of: "report interval", text: 'é 🦊 "q" \u0000 \\' };
    expect(await home.scheduler.scheduleTask({ ...again, payload })).toMatchObject({ change: "unchanged" });
    const fresh = await home.scheduler.scheduleTask({ taskId: "fresh", taskType: "report", schedule: immediate() });
    expect(fresh).toMatchObject({ change: "new" });
    await home.advance("1d");
    const { executions } = await home.scheduler.history("report cron");
    expect(executions.map(({ scheduledFor }) => scheduledFor.toISOString())).toEqual(["2026-01-01T05:30:00.000Z"]);
    const status = await home.scheduler.eventHandlers.list();
    expect(status.map((each) => [each.name, each.status])).toEqual([
      ["calm", "active"],
      ["fussy", "active"],
      ["stubborn", "stopped"],
    ]);
    const [letter] = await home.scheduler.eventHandlers.deadLetters({ limit: 1 });
    await home.scheduler.eventHandlers.dropDeadLetter(letter?.id ?? 0, "because");
    expect(await home.db.verify()).toMatchObject({ ok: true, tasks: 12 });
    // The old home is as it was.
    expect((await reader.listTasks()).tasks).toEqual(before);
  });

  test("what is copied back is the same again, and so is a copy of the copy", async () => {
    await using kit = await livedIn(await placeOf(fromKind));
    const there = await openNew(toKind);
    const back = await openNew(fromKind);
    const thereAgain = await openNew(toKind);
    await copyLog(kit.db, there);
    await copyLog(there, back);
    await copyLog(back, thereAgain);
    for (const copy of [there, back, thereAgain]) await expectSame(copy, kit.db);
    const next = (await contentsOf(kit.db)).counters.positions + 1;
    for (const db of [there, back, thereAgain, kit.db]) {
      expect(await db.transaction((tx) => tx.append({ eventType: "next" }))).toBe(next);
      expect(await db.verify()).toMatchObject({ ok: true });
      expect(await db.lastPosition()).toBe(next);
    }
  });

  test("an empty store becomes an empty store", async () => {
    const source = await openNew(fromKind);
    const target = await openNew(toKind);
    expect(await copyLog(source, target)).toEqual({
      tasks: 0,
      events: 0,
      verification: { ok: true, tasks: 0, events: 0, difference: null },
    });
    await expectSame(target, source);
    expect(await target.transaction((tx) => tx.append({ eventType: "first" }))).toBe(1);
  });

  test("a store whose only transaction was undone goes on with its numbers", async () => {
    const source = await openNew(fromKind);
    await makeHoles(source, 4);
    const target = await openNew(toKind);
    await copyLog(source, target);
    await expectSame(target, source);
    const first = fromKind === "postgres" ? 5 : 1;
    expect(await target.transaction((tx) => tx.append({ eventType: "first" }))).toBe(first);
    expect(await target.verify()).toMatchObject({ ok: true });
  });

  test("a copy that was killed goes on, wherever that was", async () => {
    if (!existsSync(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))) {
      throw new Error("dist is missing: npm test builds it before it runs vitest.");
    }
    const fromPlace = await placeOf(fromKind);
    const source = await open(fromPlace);
    await makeHoles(source, 2);
    await fill(source, 3_500);
    await makeHoles(source, 2);
    await scheduleMany(source, 600);
    const place = await placeOf(toKind);
    for (const death of [
      { phase: "copy", done: 1 },
      { phase: "copy", done: 3_000 },
      { phase: "compare", done: 2_000 },
      { phase: "rebuild", done: 1 },
      { phase: "verify", done: 1 },
      "somewhere",
    ] as const) {
      expect(await copyAndDie(fromPlace, place, death), JSON.stringify(death)).toBe("SIGKILL");
      const target = await open(place);
      await expect(target.transaction((tx) => tx.append({ eventType: "mine" }))).rejects.toMatchObject({
        code: "STORE_UNFINISHED",
      });
      await target.close();
    }
    const target = await open(place);
    const progress: CopyProgress[] = [];
    await copyLog(source, target, { onProgress: (each) => void progress.push(each) });
    await expectSame(target, source);
    // What was there is not copied again.
    expect(progress.filter(({ phase }) => phase === "copy")).toEqual([]);
    expect(progress[0]).toEqual({ phase: "compare", done: 1_000, total: 4_100 });
  });

  test("what was copied and altered is refused, and the copy is left as it is", async () => {
    const source = await openNew(fromKind);
    await fill(source, 3_000);
    await makeHoles(source, 2);
    await fill(source, 500);
    const place = await placeOf(toKind);
    const target = await open(place);
    await breakOff(source, target, "copy", 2_000);
    const { data } = (await contentsOf(target)).events[1_499] ?? {};
    for (const [alter, undo, position, altered = position] of [
      ["data = '{}'", `data = '${data}'`, 1_500],
      ["at_ms = at_ms + 1", "at_ms = at_ms - 1", 1],
      ["version = 2", "version = 1", 2_000],
      ["run = 5", "run = NULL", 7],
      ["task = 5", "task = NULL", 8],
      ["meta = '{}'", "meta = NULL", 9],
      ["type = type + 1", "type = type - 1", 1_994],
      ["position = 2003", "position = 1000", 1_000, 2_003],
    ] as const) {
      const at = (statement: string, here: number) => `UPDATE azoth_events SET ${statement} WHERE position = ${here}`;
      await tamper(place, at(alter, position));
      const { events } = await contentsOf(target);
      const refused = copyLog(source, target);
      await expect(refused, alter).rejects.toMatchObject({ code: "COPY_REFUSED", details: { position } });
      expect((await contentsOf(target)).events).toEqual(events);
      await tamper(place, at(undo, altered));
    }
    await tamper(place, "DELETE FROM azoth_events WHERE position = 1234");
    await expect(copyLog(source, target)).rejects.toMatchObject({ code: "COPY_REFUSED", details: { position: 1_234 } });
    expect((await contentsOf(target)).events).toHaveLength(1_999);
  });

  test("an unfinished copy takes no writes, and no scheduler", async () => {
    const source = await openNew(fromKind);
    await fill(source, 1_500);
    await scheduleMany(source, 10);
    const place = await placeOf(toKind);
    const target = await open(place);
    // Whoever has the target open from before is refused as well.
    const early = await open(place);
    await breakOff(source, target, "copy", 1_000);
    for (const db of [early, await open(place), target]) {
      const scheduler = new Scheduler(db, { handlers: [taskHandler({ taskType: "work", execute: () => {} })] });
      const work = { taskType: "work", schedule: immediate() } as const;
      for (const refused of [
        () => scheduler.start(),
        () => scheduler.scheduleTask(work),
        () => db.transaction((tx) => tx.append({ eventType: "mine" })),
        () => db.transaction((tx) => tx.scheduleTask(work)),
      ]) {
        const error = await refused().catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ name: "AzothError", code: "STORE_UNFINISHED" });
        expect((error as Error).message).toMatch(/unfinished copy of another.*call copyLog again/i);
      }
      expect(await scheduler.listTasks()).toMatchObject({ tasks: [] });
    }
    expect((await contentsOf(target)).events).toHaveLength(1_000);
    await copyLog(source, target);
    await expectSame(early, source);
    await early.transaction((tx) => tx.append({ eventType: "mine" }));
  });

  test("a copy that comes late changes nothing any more", async () => {
    const source = await openNew(fromKind);
    await fill(source, 10);
    const target = await openNew(toKind);
    await copyLog(source, target);
    const before = await contentsOf(target);
    const { engine } = coreOf(target);
    const [event] = before.events;
    if (event === undefined) throw new Error("nothing was copied");
    const busy = { name: "AzothError", code: "STORE_BUSY" };
    const late = { ...event, position: 11 };
    await expect(engine.write((tx) => tx.appendCopied(10, [late]), { patient: true })).rejects.toMatchObject(busy);
    const counters = { positions: 5, tasks: 0, instances: 0 };
    await expect(engine.write((tx) => tx.setCounters(counters), { patient: true })).rejects.toMatchObject(busy);
    await expect(engine.write((tx) => tx.endCopy([]), { patient: true })).rejects.toMatchObject(busy);
    expect(await contentsOf(target)).toEqual(before);
    const halfway = await openNew(toKind);
    await breakOff(source, halfway, "copy", 10);
    for (const after of [0, 9, 11]) {
      const appending = coreOf(halfway).engine.write((tx) => tx.appendCopied(after, [late]), { patient: true });
      await expect(appending, String(after)).rejects.toMatchObject(busy);
    }
  });

  test("what the source gets meanwhile comes over as well", async () => {
    const source = await openNew(fromKind);
    await fill(source, 2_500);
    await scheduleMany(source, 600);
    const target = await openNew(toKind);
    const grown = new Set<string>();
    const growing: Promise<unknown>[] = [];
    const { events } = await copyLog(source, target, {
      onProgress: ({ phase }) => {
        if (grown.has(phase)) return;
        grown.add(phase);
        growing.push(scheduleMany(source, 3), makeHoles(source, 1));
      },
    });
    await Promise.all(growing);
    expect([...grown]).toEqual(["copy", "compare", "rebuild", "verify"]);
    expect(events).toBe(2_500 + 600 + 12);
    await expectSame(target, source);
  });

  test("thirty thousand events take as long at the end as at the beginning", async () => {
    const source = await openNew(fromKind);
    await fill(source, 30_000);
    const target = await openNew(toKind);
    const times: number[] = [];
    const { events } = await copyLog(source, target, {
      onProgress: ({ phase }) => void (phase === "copy" && times.push(performance.now())),
    });
    expect(events).toBe(30_000);
    const steps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(times).toHaveLength(30);
    // The quickest of each: those that the machine left alone.
    expect(Math.min(...steps.slice(-10))).toBeLessThan(3 * Math.min(...steps.slice(0, 10)) + 5);
  });
});

describe.each(directions)("a copy from %s to %s is refused", (fromKind, toKind) => {
  const refusal = { name: "AzothError", code: "COPY_REFUSED" };

  test("while schedulers are at work on the source, by name", async () => {
    const fromPlace = await placeOf(fromKind);
    await using kit = await openKit(fromPlace, { name: "web-1", claimDuration: "30s" });
    await kit.addScheduler({ name: "web-2", claimDuration: "30s" });
    const target = await openNew(toKind);
    await expect(copyLog(kit.db, target)).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(/"web-1" \(instance 1, .*"web-2" \(instance 2, .*30000 ms/) as string,
    });
    await kit.stop();
    await expect(copyLog(kit.db, target)).rejects.toThrow(/at work on the source: "web-2"/);
    // Nothing was changed: the target is as good as new.
    await target.transaction((tx) => tx.append({ eventType: "mine" }));
  });

  test("if a scheduler starts on the source meanwhile", async () => {
    const source = await openNew(fromKind);
    await fill(source, 1_200);
    const target = await openNew(toKind);
    const scheduler = new Scheduler(source, { name: "eager", handlers: [] });
    let started: Promise<unknown> | undefined;
    const copying = copyLog(source, target, { onProgress: () => void (started ??= scheduler.start()) });
    await expect(copying).rejects.toMatchObject({ ...refusal, message: expect.stringContaining("eager") as string });
    await started;
    await scheduler.stop();
    await copyLog(source, target);
    await expectSame(target, source);
  });

  test("if the target is in use", async () => {
    const source = await openNew(fromKind);
    await fill(source, 20);
    const used = await openNew(toKind);
    await fill(used, 20);
    const before = await contentsOf(used);
    await expect(copyLog(source, used)).rejects.toMatchObject({ ...refusal, details: { events: 20 } });
    const finished = await openNew(toKind);
    await copyLog(source, finished);
    await expect(copyLog(source, finished)).rejects.toMatchObject(refusal);
    for (const db of [used, finished]) await db.transaction((tx) => tx.append({ eventType: "mine" }));
    expect((await contentsOf(used)).events.slice(0, -1)).toEqual(before.events);
  });

  test("if the target is an unfinished copy of another store", async () => {
    const [source, other, short] = [await openNew(fromKind), await openNew(fromKind), await openNew(fromKind)];
    await fill(source, 2_000);
    await other.transaction((tx) => tx.append({ eventType: "other" }));
    await fill(other, 2_000);
    await fill(short, 10);
    const target = await openNew(toKind);
    await breakOff(source, target, "copy", 1_000);
    await expect(copyLog(other, target)).rejects.toMatchObject({ ...refusal, details: { position: 1 } });
    const difference = { position: expect.any(Number) as number };
    await expect(copyLog(short, target)).rejects.toMatchObject({ ...refusal, details: difference });
    await copyLog(source, target);
    expect((await eventsOf(target)).map(({ payload }) => payload)).toEqual(
      (await eventsOf(source)).map(({ payload }) => payload),
    );
  });

  test("if the source is an unfinished copy itself", async () => {
    const source = await openNew(fromKind);
    await fill(source, 1_500);
    const halfway = await openNew(fromKind);
    await breakOff(source, halfway, "copy", 1_000);
    const target = await openNew(toKind);
    await expect(copyLog(halfway, target)).rejects.toMatchObject({ name: "AzothError", code: "STORE_UNFINISHED" });
    await target.transaction((tx) => tx.append({ eventType: "mine" }));
  });

  test("to the store itself, and to what is no store", async () => {
    const place = await placeOf(fromKind);
    const source = await open(place);
    await expect(copyLog(source, source)).rejects.toMatchObject(refusal);
    await expect(copyLog(source, await open(place))).rejects.toMatchObject(refusal);
    for (const wrong of [undefined, null, {}, place] as unknown[]) {
      const invalid = { name: "AzothError", code: "INVALID_OPTION" };
      await expect(copyLog(source, wrong as AzothDb)).rejects.toMatchObject(invalid);
      await expect(copyLog(wrong as AzothDb, source)).rejects.toMatchObject(invalid);
    }
    for (const wrong of [null, 5, { onProgress: 5 }, { signal: 5 }, { batch: 5 }]) {
      const copying = copyLog(source, await open(await placeOf(toKind)), wrong as object);
      await expect(copying).rejects.toMatchObject({ name: "AzothError", code: "INVALID_OPTION" });
    }
  });

  test("if the log of the source cannot be folded; and the target stays unfinished", async () => {
    const place = await placeOf(fromKind);
    const source = await open(place);
    await scheduleMany(source, 5);
    await tamper(place, `UPDATE azoth_events SET data = '{}' WHERE position = 3`);
    const target = await openNew(toKind);
    await expect(copyLog(source, target)).rejects.toMatchObject({ name: "AzothError", code: "STORE_CORRUPT" });
    const writing = target.transaction((tx) => tx.append({ eventType: "mine" }));
    await expect(writing).rejects.toMatchObject({ code: "STORE_UNFINISHED" });
  });

  test("when it is told to stop, and goes on later", async () => {
    const source = await openNew(fromKind);
    await fill(source, 2_500);
    const target = await openNew(toKind);
    const stopping = new AbortController();
    const reason = new Error("enough");
    const stopped = copyLog(source, target, {
      signal: stopping.signal,
      onProgress: ({ done }) => void (done >= 2_000 && stopping.abort(reason)),
    });
    await expect(stopped).rejects.toBe(reason);
    await expect(copyLog(source, target, { signal: stopping.signal })).rejects.toBe(reason);
    await copyLog(source, target);
    await expectSame(target, source);
  });

  test("beside another copy to the same place, of which one ends well", async () => {
    const source = await openNew(fromKind);
    await fill(source, 4_500);
    await scheduleMany(source, 700);
    const place = await placeOf(toKind);
    const targets = [await open(place), await open(place), await open(place)];
    const settled = await Promise.allSettled(targets.map((target) => copyLog(source, target)));
    for (const each of settled) {
      const isRefused = each.status === "rejected";
      // Behind the others, it may find a store that is finished.
      if (isRefused) expect(["STORE_BUSY", "COPY_REFUSED"]).toContain((each.reason as { code?: unknown }).code);
    }
    const last = await open(place);
    if (settled.every(({ status }) => status === "rejected")) await copyLog(source, last);
    await expectSame(last, source);
  });
});

describe.runIf(engineUnderTest === "sqlite")("a file that contradicts itself", () => {
  test("is not copied", async () => {
    const source = await openNew("sqlite");
    await fill(source, 20);
    await tamper(source.location, "DELETE FROM azoth_events WHERE position = 7");
    const target = await openNew("sqlite");
    await expect(copyLog(source, target)).rejects.toMatchObject({
      code: "STORE_CORRUPT",
      message: expect.stringContaining("19 events") as string,
    });
    await target.transaction((tx) => tx.append({ eventType: "mine" }));
  });
});

describe.runIf(engineUnderTest === "postgres")("a SQLite copy of a log with holes", () => {
  async function withHoles(): Promise<{ source: AzothDb; copy: AzothDb }> {
    const source = await openNew("postgres");
    await makeHoles(source, 2);
    await fill(source, 30);
    await makeHoles(source, 3);
    await scheduleMany(source, 5);
    await makeHoles(source, 4);
    const copy = await openNew("sqlite");
    await copyLog(source, copy);
    return { source, copy };
  }

  test("knows them, and finds every deletion nevertheless", async () => {
    const { copy } = await withHoles();
    expect((await eventsOf(copy)).map(({ position }) => position)).toEqual([
      ...Array.from({ length: 30 }, (_, index) => 3 + index),
      ...Array.from({ length: 5 }, (_, index) => 36 + index),
    ]);
    expect(await copy.lastPosition()).toBe(40);
    expect(await copy.transaction((tx) => tx.append({ eventType: "next" }))).toBe(45);
    expect(await copy.lastPosition()).toBe(45);
    expect(await copy.verify()).toMatchObject({ ok: true });
    await copy.backup(`${scratchDirectory()}/backup.db`);
    for (const position of [3, 17, 45]) {
      await tamper(copy.location, `CREATE TABLE kept AS SELECT * FROM azoth_events WHERE position = ${position}`);
      await tamper(copy.location, `DELETE FROM azoth_events WHERE position = ${position}`);
      const stored = expect.stringMatching(/35 events, .* 45 positions were given out, 9 of them/) as string;
      expect(await copy.verify()).toMatchObject({ ok: false, difference: { field: "file", stored } });
      await tamper(copy.location, "INSERT INTO azoth_events SELECT * FROM kept; DROP TABLE kept");
      expect(await copy.verify()).toMatchObject({ ok: true });
    }
    await tamper(copy.location, "UPDATE azoth_events SET position = 0 WHERE position = 3");
    expect(await copy.verify()).toMatchObject({ ok: false, difference: { field: "file" } });
  });

  test("is followed over them, by pages in both directions", async () => {
    const { source, copy } = await withHoles();
    const seen: number[] = [];
    const stopping = new AbortController();
    for await (const { position } of copy.subscribe({ signal: stopping.signal })) {
      seen.push(position);
      if (position === 40) void copy.transaction((tx) => tx.append({ eventType: "next" }));
      if (position === 45) stopping.abort();
    }
    expect(seen).toEqual([...(await eventsOf(source)).map(({ position }) => position), 45]);
    const { reads } = coreOf(copy).engine;
    const page = await reads.readEvents({ afterPosition: 0, beforePosition: 41, limit: 7, scanLimit: 1_000 });
    expect(page.events.map(({ position }) => position)).toEqual([40, 39, 38, 37, 36, 32, 31]);
  });
});

describe.runIf(engineUnderTest === "postgres")("a transaction that is open on the source", () => {
  test("is waited for", async () => {
    const source = await openNew("postgres");
    await fill(source, 100);
    const target = await openNew("sqlite");
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let hasBegun: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    const open = source.transaction(async (tx) => {
      await tx.append({ eventType: "early" });
      hasBegun();
      await held;
    });
    await begun;
    await fill(source, 10);
    const copying = copyLog(source, target);
    expect(await Promise.race([copying.then(() => "copied"), new Promise((resolve) => setTimeout(resolve, 200))])).toBe(
      undefined,
    );
    release();
    await open;
    expect(await copying).toMatchObject({ events: 111 });
    await expectSame(target, source);
  });
});

/** In a process of its own; resolves with the signal or code that ended it. */
async function copyAndDie(
  from: string,
  to: string,
  death: { readonly phase: string; readonly done: number } | "somewhere",
): Promise<unknown> {
  const script = fileURLToPath(new URL("copying-process.mjs", import.meta.url));
  const config = JSON.stringify({ from, to, ...(death === "somewhere" ? {} : death) });
  const child = spawn(process.execPath, [script, config], { stdio: ["ignore", "pipe", "inherit"] });
  if (death === "somewhere") child.stdout.once("data", () => child.kill("SIGKILL"));
  else child.stdout.resume();
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return signal ?? code;
}
