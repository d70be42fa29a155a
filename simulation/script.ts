/** What happens in a life, as plain data: steps that can be printed, played again, and shortened. */
import { cron, immediate, interval, oneTime, type Schedule } from "azoth-scheduler";
import fc from "fast-check";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Of lives of hours and days. Minutes are multiples of five: see occurrences.ts. */
const dense = {
  "every 10 min": cron("0 */10 * * * *"),
  "every 3 h": cron("0 0 */3 * * *"),
  "hourly in Kolkata": cron("0 30 * * * *", { timeZone: "Asia/Kolkata" }),
  "half-hours in Lord Howe": cron("0 */30 1,2 * * *", { timeZone: "Australia/Lord_Howe" }),
  "each 7 h": interval("7h"),
  "each 45 min, anchored": interval("45m", { anchor: "2026-03-27T22:05:00Z" }),
} as const satisfies Record<string, Schedule>;

/** Of all lives, and the only ones of those that last for months. */
const sparse = {
  "02:30 in Rome": cron("0 30 2 * * *", { timeZone: "Europe/Rome" }),
  "Sundays at 02:15 in Lord Howe": cron("0 15 2 * * 0", { timeZone: "Australia/Lord_Howe" }),
  "midnight of the first in St John's": cron("0 0 0 1 * *", { timeZone: "America/St_Johns" }),
  "each 26 h": interval("26h"),
  "each week, anchored": interval("7d", { anchor: "2026-03-22T02:30:00Z" }),
  once: oneTime("2026-03-29T00:30:00Z"),
  now: immediate(),
} as const satisfies Record<string, Schedule>;

/** By name, so that a script can be written down. */
export const schedules: Readonly<Record<ScheduleName, Schedule>> = { ...dense, ...sparse };

export type ScheduleName = keyof typeof dense | keyof typeof sparse;

export type Verb = "cancelTask" | "pauseTask" | "resumeTask" | "runTaskNow";
export type Order = "crash" | "restart" | "stop" | "suspend" | "resume";

/** What a caller asks for. `by` is the number of a scheduler. */
export type Command =
  | {
      readonly do: "schedule";
      readonly task: string;
      readonly schedule: ScheduleName;
      readonly maxRetries: number;
      /** A payload of its own, so that it is never what is there already. */
      readonly anew: boolean;
      readonly by: number;
    }
  | { readonly do: Verb; readonly task: string; readonly by: number };

export type Step =
  | Command
  /** All of them before any is answered. */
  | { readonly do: "at-once"; readonly commands: readonly Command[] }
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
  /** Not when all is at rest, but at one of its calls to the store: in a transaction, before a commit or before its answer. */
  | { readonly do: "crash-at-call"; readonly which: number; readonly calls: number; readonly ms: number }
  /** The same, but at any round of the event loop. */
  | { readonly do: "crash-amid"; readonly which: number; readonly ms: number; readonly rounds: number }
  /** Commits fail: nothing of them is kept, or everything and only the answer is lost. */
  | { readonly do: "fail-commits" | "lose-answers"; readonly count: number }
  /** The same while time passes, so that it is the schedulers' own commits that fail, and not a caller's. */
  | { readonly do: "storm"; readonly count: number; readonly kept: boolean; readonly ms: number }
  /** From now on, storage takes so long whenever time passes. */
  | { readonly do: "slow-storage"; readonly ms: number }
  | { readonly do: "replay-dead-letters"; readonly by: number }
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

/** Lives this slow have schedules of their own: with others, they would be nothing but runs. */
const slowPace = 60;

/** The names of the schedules that tasks have in lives of a pace. */
export function scheduleNames(pace: number): readonly ScheduleName[] {
  return Object.keys(pace < slowPace ? schedules : sparse) as ScheduleName[];
}

const task = fc.constantFrom("a", "b", "c", "d");
const which = fc.nat(2);
const ms = (min: number, max: number) => fc.integer({ min, max });

/** A step and how often it comes, against the others. */
function step<Of = Step>(weight: number, parts: { readonly [Key in string]: fc.Arbitrary<unknown> }): Weighted<Of> {
  return { weight, arbitrary: fc.record(parts) as fc.Arbitrary<unknown> as fc.Arbitrary<Of> };
}
type Weighted<Of> = fc.WeightedArbitrary<Of>;

function scriptsOf(pace: number): fc.Arbitrary<Script> {
  const schedule = {
    do: fc.constant("schedule"),
    task,
    schedule: fc.constantFrom(...scheduleNames(pace)),
    maxRetries: fc.nat(4),
    anew: fc.boolean(),
    by: which,
  };
  const verb = {
    do: fc.constantFrom("pauseTask", "resumeTask", "resumeTask", "runTaskNow", "runTaskNow"),
    task,
    by: which,
  };
  const cancel = { do: fc.constant("cancelTask"), task, by: which };
  const command = fc.oneof(step<Command>(6, schedule), step<Command>(8, verb), step<Command>(1, cancel));
  const storm = step(2, { do: fc.constant("storm"), count: ms(1, 3), kept: fc.boolean(), ms: ms(0, hour) });
  const steps = fc.oneof<Weighted<Step>[]>(
    storm,
    { weight: 15, arbitrary: command },
    step(2, { do: fc.constant("at-once"), commands: fc.array(command, { minLength: 2, maxLength: 5 }) }),
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
    step(4, { do: fc.constant("crash-at-call"), which, calls: ms(1, 150), ms: ms(0, 2 * hour) }),
    step(1, { do: fc.constant("crash-amid"), which, ms: ms(0, 2 * hour), rounds: ms(0, 100) }),
    step(2, { do: fc.constantFrom("fail-commits", "lose-answers"), count: ms(1, 4) }),
    step(1, { do: fc.constant("slow-storage"), ms: ms(0, 4 * minute) }),
    step(1, { do: fc.constant("slow-storage"), ms: fc.constant(0) }),
    step(1, { do: fc.constant("replay-dead-letters"), by: which }),
    step(1, { do: fc.constant("rebuild") }),
  );
  return fc.record({
    pace: fc.constant(pace),
    start: fc.constantFrom(
      "2026-03-28T22:00:00Z",
      "2026-04-04T10:00:00Z",
      "2026-10-03T10:00:00Z",
      "2026-10-24T22:00:00Z",
      "2026-12-31T22:00:00Z",
    ),
    schedulers: fc.integer({ min: 1, max: 3 }),
    mood: fc.nat(1_000_000),
    steps: fc
      .tuple(
        fc.array(step(1, schedule).arbitrary, { minLength: 2, maxLength: 4 }),
        fc.array(steps, { minLength: 10, maxLength: 60, size: "max" }),
        // Whatever a storm leaves behind, a later death would heal: some lives end with storms.
        fc.array(storm.arbitrary, { maxLength: 8, size: "max" }),
      )
      .map(([first, then, last]) => [...first, ...then, ...last]),
  });
}

/** Lives of some hours to a year, which begin with some tasks. */
export const scripts: fc.Arbitrary<Script> = fc.oneof(
  { weight: 3, arbitrary: scriptsOf(1) },
  { weight: 1, arbitrary: scriptsOf(12) },
  { weight: 2, arbitrary: scriptsOf(slowPace) },
  { weight: 2, arbitrary: scriptsOf(6 * slowPace) },
);
