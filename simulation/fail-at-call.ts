/**
 * A scripted day, in which the store fails at one call: at each statement, each commit, in each way, one after the other.
 * Afterwards the store, opened anew, is whole, and what was acknowledged is there and gets done.
 */
import { type FaultyDriver, faultyDriver, resultCode } from "./faulty-driver.ts";
import { inMemory, Life } from "./life.ts";
import type { Script, Step } from "./script.ts";

/**
 * "error": the statement fails before it has done anything. "full": the disk is full, and the transaction ends by it.
 * "lost answer": the commit takes effect, and seems to fail. "death": the process ends before the statement; and "death
 * after commit": when the commit has taken effect, and before anybody hears of it.
 */
export const ways = ["error", "full", "lost answer", "death", "death after commit"] as const;
export type Way = (typeof ways)[number];

function isOfCommits(way: Way): boolean {
  return way === "lost answer" || way === "death after commit";
}

export interface Fault {
  readonly way: Way;
  /** The number of the statement or of the commit, from 0. */
  readonly call: number;
}

export interface DayStory {
  readonly violations: readonly string[];
  /** Statements and commits, up to the one that failed if one did. */
  readonly statements: number;
  readonly commits: number;
  /** How many events of each type the log has. */
  readonly counts: ReadonlyMap<string, number>;
}

const minute = 60_000;
const advance = (minutes: number): Step => ({ do: "advance", ms: minutes * minute });
const by = 0;

/** Short, because it is lived as often as it has statements. */
const steps: readonly Step[] = [
  { do: "schedule", task: "a", schedule: "every 10 min", maxRetries: 3, anew: false, by },
  { do: "schedule", task: "b", schedule: "now", maxRetries: 2, anew: false, by },
  advance(11),
  { do: "schedule", task: "a", schedule: "every 10 min", maxRetries: 3, anew: false, by },
  { do: "schedule", task: "c", schedule: "each 45 min, anchored", maxRetries: 2, anew: true, by },
  { do: "runTaskNow", task: "c", by },
  advance(12),
  { do: "pauseTask", task: "a", by },
  advance(21),
  { do: "resumeTask", task: "a", by },
  { do: "rebuild" },
  { do: "schedule", task: "d", schedule: "now", maxRetries: 1, anew: true, by },
  advance(15),
  { do: "cancelTask", task: "d", by },
  { do: "restart", which: 0 },
  {
    do: "at-once",
    commands: [
      { do: "schedule", task: "c", schedule: "each 7 h", maxRetries: 2, anew: true, by },
      { do: "runTaskNow", task: "b", by },
      { do: "resumeTask", task: "b", by },
    ],
  },
  advance(20),
  { do: "replay-dead-letters", by },
  advance(5),
];

/** What has to happen in the day, if nothing fails. */
export const dayHolds = [
  "TaskScheduled",
  "TaskStarted",
  "TaskSnoozed",
  "TaskCancelled",
  "TaskPaused",
  "TaskResumed",
  "TaskRunRequested",
  "OccurrencesSkipped",
  "SchedulerStopped",
  "EventDeadLettered",
  "DeadLetterReplayed",
  "TaskExecuted then retry",
  "TaskExecuted then disabled",
  "TaskExecuted then completed",
  "did",
] as const;

/** The first mood of the handlers from this one on in which the day has something of everything. */
export async function fullDay(mood: number): Promise<Script> {
  for (; ; mood++) {
    const script = { start: "2026-03-28T22:00:00Z", schedulers: 1, pace: 1, mood, steps };
    const { counts } = await playDay(script, null);
    if (dayHolds.every((what) => (counts.get(what) ?? 0) > 0)) return script;
  }
}

export async function playDay(script: Script, fault: Fault | null): Promise<DayStory> {
  const faulty = await faultyDriver();
  const life = await Life.begin(script, { ...inMemory, sqliteDriver: faulty.driver });
  const failing = new Failing(faulty, fault);
  try {
    for (const step of script.steps) {
      await life.take(step);
      if (failing.isDead) {
        failing.stop();
        await life.take({ do: "crash", which: 0 });
        await life.take({ do: "restart", which: 0 });
      }
      await life.promises.check();
    }
    failing.stop();
    await life.end();
  } catch (error) {
    life.promises.thrown(error);
  } finally {
    failing.stop();
    await life.close();
  }
  const { violations, counts } = life.promises;
  return { violations, counts, statements: failing.statements, commits: failing.commits };
}

/** Counts the statements, and lets one fail. */
class Failing {
  statements = 0;
  commits = 0;
  isDead = false;
  readonly #faulty: FaultyDriver;

  constructor(faulty: FaultyDriver, fault: Fault | null) {
    this.#faulty = faulty;
    faulty.plan = (sql) => {
      const isCommit = sql === "COMMIT";
      const [statement, commit] = [this.statements++, isCommit ? this.commits++ : -1];
      // Everything that a dead process would still have done.
      if (this.isDead) return { errcode: resultCode.ioError };
      if (fault === null) return undefined;
      const { way, call } = fault;
      if (call !== (isOfCommits(way) ? commit : statement)) return undefined;
      this.isDead = way === "death" || way === "death after commit";
      if (way === "full") return { errcode: resultCode.full, rollsBack: true };
      return { errcode: resultCode.ioError, afterwards: isOfCommits(way) };
    };
  }

  /** From now on all goes well. */
  stop(): void {
    this.isDead = false;
    this.#faulty.plan = undefined;
  }
}

/** Every fault of a day: so many as it has statements and commits. */
export async function faultsOf(day: Script): Promise<Fault[]> {
  const { statements, commits } = await playDay(day, null);
  return ways.flatMap((way) => {
    return Array.from({ length: isOfCommits(way) ? commits : statements }, (_, call) => ({ way, call }));
  });
}
