/** What happens in a life, as plain data: steps that can be printed, played again, and shortened. */
import { cron, immediate, interval, oneTime, type Schedule } from "azoth-scheduler";
import fc from "fast-check";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** By name, so that a script can be written down. Minutes are multiples of five: see occurrences.ts. */
export const schedules = {
  "every 10 min": cron("0 */10 * * * *"),
  "every 3 h": cron("0 0 */3 * * *"),
  "hourly in Kolkata": cron("0 30 * * * *", { timeZone: "Asia/Kolkata" }),
  "02:30 in Rome": cron("0 30 2 * * *", { timeZone: "Europe/Rome" }),
  "half-hours in Lord Howe": cron("0 */30 1,2 * * *", { timeZone: "Australia/Lord_Howe" }),
  "each 7 h": interval("7h"),
  "each 45 min, anchored": interval("45m", { anchor: "2026-03-27T22:05:00Z" }),
  "each 26 h": interval("26h"),
  once: oneTime("2026-03-29T00:30:00Z"),
  now: immediate(),
} as const satisfies Record<string, Schedule>;

export type ScheduleName = keyof typeof schedules;

export type Verb = "cancelTask" | "pauseTask" | "resumeTask" | "runTaskNow";
export type Order = "crash" | "restart" | "stop" | "suspend" | "resume";

export type Step =
  | { readonly do: "schedule"; readonly task: string; readonly schedule: ScheduleName; readonly maxRetries: number }
  | { readonly do: Verb; readonly task: string }
  | { readonly do: "advance" | "jump"; readonly ms: number }
  | { readonly do: Order; readonly which: number }
  /** A task is run, and then all schedulers but one fall silent: its result may come when another one runs the task. */
  | {
      readonly do: "fall-silent";
      readonly task: string;
      readonly which: number;
      readonly ms: number;
      readonly then: "resume" | "crash";
    }
  /** Not when all is at rest: between a claim and its start, or with a transaction open. */
  | { readonly do: "crash-amid"; readonly which: number; readonly ms: number; readonly rounds: number }
  | { readonly do: "fail-commits"; readonly count: number }
  | { readonly do: "rebuild" };

export interface Script {
  /** The clock at its beginning: some lives have the nights in which clocks are changed. */
  readonly start: string;
  readonly schedulers: number;
  /** What all time but that of the schedules is multiplied by: slow lives last for months. */
  readonly pace: number;
  /** The seed of what handlers do. */
  readonly mood: number;
  readonly steps: readonly Step[];
}

const task = fc.constantFrom("a", "b", "c", "d");
const which = fc.nat(2);
const ms = (min: number, max: number) => fc.integer({ min, max });

/** A step and how often it comes, against the others. */
function step(weight: number, parts: { readonly [Key in string]: fc.Arbitrary<unknown> }): fc.WeightedArbitrary<Step> {
  return { weight, arbitrary: fc.record(parts) as fc.Arbitrary<unknown> as fc.Arbitrary<Step> };
}

const names = Object.keys(schedules) as ScheduleName[];

const schedule = { do: fc.constant("schedule"), task, schedule: fc.constantFrom(...names), maxRetries: fc.nat(3) };

const steps: fc.Arbitrary<Step> = fc.oneof(
  step(6, schedule),
  step(8, { do: fc.constantFrom("pauseTask", "resumeTask", "resumeTask", "runTaskNow", "runTaskNow"), task }),
  step(1, { do: fc.constant("cancelTask"), task }),
  step(12, { do: fc.constant("advance"), ms: ms(0, hour) }),
  step(1, { do: fc.constant("jump"), ms: ms(-3 * hour, 5 * hour) }),
  step(1, { do: fc.constant("jump"), ms: ms(-2 * day, 9 * day) }),
  step(5, { do: fc.constantFrom("crash", "restart", "restart", "stop", "suspend", "resume"), which }),
  step(8, {
    do: fc.constant("fall-silent"),
    task,
    which,
    ms: ms(0, hour),
    then: fc.constantFrom("resume", "resume", "crash"),
  }),
  step(3, { do: fc.constant("crash-amid"), which, ms: ms(0, 2 * hour), rounds: ms(0, 100) }),
  step(1, { do: fc.constant("fail-commits"), count: ms(1, 4) }),
  step(1, { do: fc.constant("rebuild") }),
);

/** Lives of some hours to some months, which begin with some tasks. */
export const scripts: fc.Arbitrary<Script> = fc.record({
  pace: fc.constantFrom(1, 1, 1, 12, 60),
  start: fc.constantFrom(
    "2026-03-27T22:00:00Z",
    "2026-04-03T06:00:00Z",
    "2026-10-23T22:00:00Z",
    "2027-01-01T00:00:00Z",
  ),
  schedulers: fc.integer({ min: 1, max: 3 }),
  mood: fc.nat(1_000_000),
  steps: fc
    .tuple(
      fc.array(step(1, schedule).arbitrary, { minLength: 2, maxLength: 4 }),
      fc.array(steps, { minLength: 10, maxLength: 60, size: "max" }),
    )
    .map(([first, then]) => [...first, ...then]),
});
