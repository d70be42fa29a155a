/** `doctor` finds each thing that is wrong, and nothing in a healthy store. */
import { cron, taskHandler } from "azoth-scheduler";
import type { TestScheduler } from "azoth-scheduler/testing";
import { describe, expect, test } from "vitest";
import { createTestScheduler, engineUnderTest, newLocation } from "../../engine-under-test.ts";
import { tamper } from "../../store/tampering.ts";
import { run } from "../command-line.ts";

const work = taskHandler({ taskType: "work", execute: () => undefined });
const slow = taskHandler({ taskType: "slow", execute: (ctx) => ctx.sleep("10h") });
const broken = taskHandler({
  taskType: "broken",
  execute: () => {
    throw new Error("no luck");
  },
});
const handlers = [work, slow, broken] as const;
type Kit = TestScheduler<typeof handlers>;

const schedule = async (kit: Kit, taskType: "work" | "slow" | "broken") => {
  await kit.scheduler.scheduleTask({
    taskId: "t",
    taskType,
    schedule: cron("0 0 * * * *"),
    maxRetries: 0,
    timeout: "1d",
  });
};

interface Illness {
  readonly check: string;
  readonly level: "warning" | "problem";
  readonly message: RegExp;
  readonly arrange: (kit: Kit, location: string) => Promise<void>;
}

const illnesses: readonly Illness[] = [
  {
    check: "schema",
    level: "problem",
    message: /^Somebody changed the tables\. /,
    arrange: async (_, location) => await tamper(location, "ALTER TABLE azoth_names ADD COLUMN mine TEXT"),
  },
  {
    check: "clock",
    level: "problem",
    message: /^The last event \(\d+\) is 2h in the future/,
    arrange: async (kit) => {
      await schedule(kit, "work");
      kit.clock.jump(-7_200_000);
    },
  },
  {
    check: "schedulers",
    level: "warning",
    message: /^None is running/,
    arrange: async (kit) => await kit.stop(),
  },
  {
    check: "claims",
    level: "problem",
    message: /^Scheduler 1 has been silent for 3h.* and holds 1 task\.$/,
    arrange: async (kit) => {
      await schedule(kit, "slow");
      await kit.advance("1h");
      await kit.crash();
      await kit.advance("3h");
    },
  },
  {
    check: "handlers",
    level: "problem",
    message: /^No running scheduler handles work \(1 task\)\.$/,
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.addScheduler({ handlers: [slow] });
      await kit.stop();
    },
  },
  {
    check: "overdue",
    level: "problem",
    message: /^Due and not started: 1 task of type work, for up to 2h\.$/,
    arrange: async (kit) => {
      await schedule(kit, "work");
      await kit.stop();
      await kit.advance("3h");
    },
  },
  {
    check: "disabled",
    level: "warning",
    message: /^1 task used up all attempts\.$/,
    arrange: async (kit) => {
      await schedule(kit, "broken");
      await kit.advance("1h");
    },
  },
];

async function doctor(kit: Kit, store: string) {
  const answer = await run(["doctor", "--json"], { clock: kit.clock, store });
  return { ...answer, findings: answer.objects };
}

describe("doctor", () => {
  test("finds nothing in a healthy store, and says so", async () => {
    const location = await newLocation({ shared: true });
    await using kit = await createTestScheduler({ handlers, location });
    await schedule(kit, "work");
    await kit.advance("90m");
    const { code, findings } = await doctor(kit, location);
    const elsewhere = engineUnderTest === "postgres" ? ["clock"] : ["disk"];
    expect(findings.filter(({ check, level }) => level !== "ok" && !elsewhere.includes(String(check)))).toEqual([]);
    expect(code).toBe(findings.some(({ level }) => level === "problem") ? 1 : 0);
    expect(new Set(findings.map(({ check }) => check)).size).toBe(10);
  });

  test.each(illnesses)("finds what is wrong: $check", async ({ check, level, message, arrange }) => {
    const location = await newLocation({ shared: true });
    await using kit = await createTestScheduler({ handlers, location });
    await arrange(kit, location);
    const { code, findings } = await doctor(kit, location);
    expect(findings.find((finding) => finding["check"] === check)).toMatchObject({
      level,
      message: expect.stringMatching(message) as string,
    });
    expect(code).toBe(findings.some((finding) => finding["level"] === "problem") ? 1 : 0);
    const { stdout } = await run(["doctor"], { clock: kit.clock, store: location, columns: 80 });
    expect(stdout).toMatch(new RegExp(`^${level === "problem" ? "PROBLEM" : level}  ${check}`, "m"));
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });
});
