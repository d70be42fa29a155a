/** A store with a table of the user's own beside it, and a scheduler whose runs can be waited for. */
import { AzothDb, type AzothError, isAzothError, type RecordedEvent, Scheduler, taskHandler } from "azoth-scheduler";
import { Client, type ClientConfig } from "pg";
import { onTestFinished } from "vitest";
import { freshUrl } from "../../postgres/databases.ts";

/** A task of the type "job" that was run. */
export interface Run {
  readonly taskId: string;
  readonly payload: unknown;
  readonly atMs: number;
}

export interface Shop {
  readonly url: string;
  /** The store's schema, where the user's table `orders` is as well. */
  readonly schema: string;
  readonly db: AzothDb;
  /** Takes the types "job" and "strict", the latter with a payload of { to: string }. */
  readonly scheduler: Scheduler;
  /** The runs so far. */
  readonly runs: readonly Run[];
  /** Resolves when the task has been run. */
  ran(taskId: string): Promise<Run>;
  /** The notes of the orders that were committed, in order. */
  notes(): Promise<string[]>;
  /** All that was committed to the log, but for the lives of schedulers. */
  log(): Promise<RecordedEvent[]>;
  /** A client of its own, which goes with the test. */
  connect(config?: ClientConfig): Promise<Client>;
}

/** A scheduler with these hears of others' commits by notices alone: it does not look, and writes nothing of its own that would wake it. */
export const quiet = {
  db: { noticeInterval: "1h" },
  scheduler: { pollInterval: "30s", claimDuration: "10m" },
} as const;

/** Opens a store that goes with the test. */
export async function openShop(): Promise<Shop> {
  const url = await freshUrl();
  const schema = new URL(url).searchParams.get("schema") ?? "";
  const db = await AzothDb.open(url, { ...quiet.db, busyTimeout: "2s" });
  onTestFinished(() => db.close());

  const runs: Run[] = [];
  const waiting = new Set<() => void>();
  const job = taskHandler({
    taskType: "job",
    execute: ({ taskId }, payload: unknown) => {
      runs.push({ taskId, payload, atMs: Date.now() });
      for (const look of waiting) look();
    },
  });
  const strict = taskHandler({
    taskType: "strict",
    validate: (payload) => typeof (payload as { to?: unknown } | null)?.to === "string",
    execute: () => {},
  });
  const scheduler: Scheduler = new Scheduler(db, { handlers: [job, strict], ...quiet.scheduler });
  onTestFinished(() => scheduler.stop());

  const connect = async (config: ClientConfig = {}): Promise<Client> => {
    const client = new Client({ connectionString: url, ...config });
    // A test may let the server end it.
    client.on("error", () => {});
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  };

  await (await connect()).query("CREATE TABLE orders (id serial PRIMARY KEY, note text NOT NULL)");
  return {
    url,
    schema,
    db,
    scheduler,
    runs,
    connect,
    ran: (taskId) =>
      new Promise((resolve) => {
        const look = () => {
          const run = runs.find((one) => one.taskId === taskId);
          if (run === undefined) return;
          waiting.delete(look);
          resolve(run);
        };
        waiting.add(look);
        look();
      }),
    notes: async () => {
      const rows = await db.query("SELECT note FROM orders ORDER BY id");
      return rows.map(({ note }) => note as string);
    },
    log: async () => {
      const events: RecordedEvent[] = [];
      for await (const event of db.readLog()) {
        if (!event.eventType.startsWith("Scheduler")) events.push(event);
      }
      return events;
    },
  };
}

/** The AzothError that a promise rejects with; fails if it rejects with anything else or resolves. */
export async function rejectionOf(promise: Promise<unknown>): Promise<AzothError> {
  try {
    await promise;
  } catch (error) {
    if (isAzothError(error)) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** The code of that error. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  return (await rejectionOf(promise)).code;
}

/** What it resolves with, or the code of the AzothError that it rejects with. */
export async function outcomeOf<T>(promise: Promise<T>): Promise<T | string> {
  try {
    return await promise;
  } catch (error) {
    if (isAzothError(error)) return error.code;
    throw error;
  }
}

/** Far enough for no test to come there. */
export const never = new Date("2100-01-01T00:00:00Z");
