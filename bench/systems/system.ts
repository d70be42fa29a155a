/** What is measured: ways to keep and run tasks, behind one face, so that every scenario is written once. */

export type EngineName = "sqlite" | "postgres" | "redis";

/** A system as a table names it. */
export interface SystemFacts {
  readonly label: string;
  readonly engine: EngineName;
  /** The fewest events that it writes for a task that lives; 0: it keeps no log. */
  readonly leastEvents: number;
  /** How it is set up, beyond its defaults. */
  readonly settings: string;
  /** Somebody else's: installed below bench/peers. */
  readonly peer?: true;
  /** Measured only when it is named. */
  readonly onRequest?: true;
}

const fourEvents = "four events a task";
/** A task that starts in the very transaction that claims it has no event for the claim. */
const azothDefaults = "defaults: durability full; three or four events a task";

export const systems = {
  "azoth-sqlite": { label: "azoth", engine: "sqlite", leastEvents: 3, settings: azothDefaults },
  "azoth-sqlite-normal": {
    label: "azoth, durability normal",
    engine: "sqlite",
    leastEvents: 3,
    settings: "no fsync at a commit",
    onRequest: true,
  },
  plainjob: {
    label: "plainjob",
    engine: "sqlite",
    leastEvents: 0,
    settings: "better-sqlite3; synchronous NORMAL (its own), a worker for each slot, each polls every 10 ms",
    peer: true,
  },
  "bare-loop": {
    label: "bare loop",
    engine: "sqlite",
    leastEvents: 4,
    settings: `${fourEvents}, synchronous FULL, one transaction a turn, claims 256 ahead`,
  },
  "bare-loop-normal": {
    label: "bare loop, synchronous NORMAL",
    engine: "sqlite",
    leastEvents: 4,
    settings: "the same without fsync at a commit",
    onRequest: true,
  },
  "one-insert-sqlite": {
    label: "one INSERT a commit",
    engine: "sqlite",
    leastEvents: 0,
    settings: "a table and its key, synchronous FULL: the rate at which the disk takes commits",
  },
  "azoth-postgres": { label: "azoth", engine: "postgres", leastEvents: 3, settings: azothDefaults },
  "graphile-worker": {
    label: "graphile-worker",
    engine: "postgres",
    leastEvents: 0,
    settings:
      "local queue of 500, completions and failures in batches, no log line for successes; polls every 2 s (its default)",
    peer: true,
  },
  "pg-boss": {
    label: "pg-boss",
    engine: "postgres",
    leastEvents: 0,
    settings: "batches of 500, burst while batches are full, NOTIFY, polls every 0.5 s",
    peer: true,
  },
  "bare-statements": {
    label: "bare statements",
    engine: "postgres",
    leastEvents: 4,
    settings: `${fourEvents}, batches of 1,000 through unnest, 2 connections`,
  },
  "one-insert-postgres": {
    label: "one INSERT a commit",
    engine: "postgres",
    leastEvents: 0,
    settings: "a table and its key, one client",
  },
  bullmq: {
    label: "BullMQ",
    engine: "redis",
    leastEvents: 0,
    settings: "the server of REDIS_URL, with its durability",
    peer: true,
  },
} as const satisfies Record<string, SystemFacts>;

export type SystemName = keyof typeof systems;

export const systemNames = Object.keys(systems) as readonly SystemName[];

export function factsOf(name: SystemName): SystemFacts {
  return systems[name];
}

/** Where a system keeps its tasks, and how many handlers it may run at one time. */
export interface Setting {
  /** A directory, or the URL of a database. */
  readonly location: string;
  readonly slots: number;
}

export interface BenchTask {
  /** Given back when the task runs. */
  readonly number: number;
  /** Absent: at once. */
  readonly dueAtMs?: number;
}

/** What a store holds. */
export interface Counts {
  /** Scheduled in all. */
  readonly tasks: number;
  /** Recorded as finished. */
  readonly finished: number;
  /** In the log; 0 where there is none. */
  readonly events: number;
}

/** A system on a fresh store. */
export interface OpenSystem {
  /** One call of a user's: resolves when the tasks are committed. */
  schedule(tasks: readonly BenchTask[]): Promise<void>;
  /** Begins to take tasks, and calls `onRun` in the handler of each: a handler that does nothing else and returns nothing. */
  start(onRun: (number: number) => void): Promise<void>;
  /** Takes nothing more; resolves when every result is recorded. */
  stop(): Promise<void>;
  /** Asked once, at the end. */
  count(): Promise<Counts>;
  close(): Promise<void>;
}
