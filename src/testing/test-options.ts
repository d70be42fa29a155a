/** The options of a test scheduler: whose they are, and the defaults that make idle time cheap. */
import { type Duration, parseDuration } from "../duration.ts";
import { AzothError, quote } from "../errors.ts";
import { readSafely } from "../names.ts";
import { seededRandom } from "../random.ts";
import { type Instant, parseInstant } from "../schedule/instant.ts";
import type { SchedulerOptions } from "../scheduler/options.ts";
import type { AnyTaskHandler } from "../scheduler/task-handler.ts";
import type { AzothDbOptions } from "../store/azoth-db.ts";

/** The options of a Scheduler and of its store, and those of the test itself. */
export interface TestSchedulerOptions<Handlers extends readonly AnyTaskHandler[] = readonly AnyTaskHandler[]>
  extends SchedulerOptions<Handlers>,
    Omit<AzothDbOptions, "clock" | "random"> {
  /** What the clock shows at first. Defaults to "2026-01-01T00:00:00Z". */
  readonly start?: Instant;
  /** ":memory:", a directory, or a postgres:// URL. Defaults to ":memory:". */
  readonly location?: string;
  /** Of all randomness: ids and jitter. Defaults to 1. */
  readonly seed?: number;
  /**
   * How long a handler or transaction that does real work, such as on files or sockets, is waited for in real time
   * at each step; 0 if none does. One that never settles costs this once. Defaults to "250ms".
   */
  readonly patience?: Duration;
  /**
   * The most rounds of the event loop that may follow each other without time passing; more are taken for a loop that
   * feeds on itself. Defaults to 10,000; raise it for a test that runs many thousands of tasks at one instant.
   */
  readonly maxRounds?: number;
  /** Defaults to "1h". */
  readonly pollInterval?: Duration;
  /** Defaults to "1h". */
  readonly claimDuration?: Duration;
  /** Defaults to 0: the kit tells each scheduler at once of the others' commits. With any other value they look themselves. */
  readonly noticeInterval?: Duration;
  /** Defaults to "normal": a test survives crashes of schedulers, not of the machine. */
  readonly durability?: "full" | "normal";
}

export interface TestSettings {
  readonly startMs: number;
  readonly location: string;
  readonly seed: number;
  readonly patienceMs: number;
  readonly maxRounds: number;
  readonly announcing: boolean;
  readonly db: Omit<AzothDbOptions, "clock" | "random">;
  readonly scheduler: SchedulerOptions;
}

const dbKeys: readonly string[] = [
  "durability",
  "busyTimeout",
  "transactionTimeout",
  "eventLoopBudget",
  "noticeInterval",
  "maxPayloadBytes",
  "maxQueuedBytes",
  "payloadCodec",
  "hashChain",
  "schema",
  "maxConnections",
  "sqliteDriver",
] satisfies (keyof AzothDbOptions)[];

const testKeys: readonly string[] = ["start", "location", "seed", "patience", "maxRounds"];

/** @throws AzothError INVALID_OPTION */
export function parseCount(count: unknown, what: string, low = 1): number {
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= low) return count;
  throw new AzothError("INVALID_OPTION", `${what} must be a whole number from ${low}, and is ${quote(count)}.`);
}

/** A copy of the fields, each read once; which there may be is for others to say. @throws AzothError INVALID_OPTION */
export function copyOptions<Options extends object>(options: Options, what: string): Options {
  return readSafely(what, "INVALID_OPTION", () => {
    if (typeof options === "object" && options !== null && !Array.isArray(options)) return { ...options };
    throw new AzothError("INVALID_OPTION", `${what} must be an object, and not ${quote(options)}.`);
  });
}

/** Sorts the options; unknown ones stay among the Scheduler's, which refuses them. @throws AzothError */
export function resolveTestOptions(given: TestSchedulerOptions): TestSettings {
  const options = copyOptions(given, "The options of createTestScheduler");
  const { start = "2026-01-01T00:00:00Z", location = ":memory:", seed = 1 } = options;
  const { patience = "250ms", maxRounds = 10_000 } = options;
  if (!Number.isSafeInteger(seed)) {
    throw new AzothError("INVALID_OPTION", `seed must be a whole number, and is ${quote(seed)}.`);
  }
  const isOfDb = ([key]: [string, unknown]) => dbKeys.includes(key);
  const entries = Object.entries(options).filter(([key]) => !testKeys.includes(key));
  return {
    startMs: parseInstant(start, "start"),
    location,
    seed,
    patienceMs: parseDuration(patience, { what: "patience" }),
    maxRounds: parseCount(maxRounds, "maxRounds"),
    announcing: parseDuration(options.noticeInterval ?? 0, { what: "noticeInterval" }) === 0,
    db: { durability: "normal", noticeInterval: 0, ...Object.fromEntries(entries.filter(isOfDb)) },
    scheduler: {
      pollInterval: "1h",
      claimDuration: "1h",
      ...Object.fromEntries(entries.filter((entry) => !isOfDb(entry))),
    },
  };
}

/** A stream of random numbers of its own for each process of a test. */
export function randomOf(seed: number, process: number): () => number {
  return seededRandom(Math.imul(seed, 0x9e3779b1) + process);
}
