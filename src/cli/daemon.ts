/**
 * The daemon: a scheduler with the built-in task types that keeps the tasks of some files.
 *
 *   first INT or TERM   takes nothing more, and waits for what runs, at most the drain time
 *   second              ends what runs
 *   HUP                 reads the files again; if they are wrong, everything stays as it is
 */
import { AzothDb, type AzothDbOptions, type RecordedEvent, Scheduler, type TaskInfo } from "../index.ts";
import { messageOf } from "../errors.ts";
import { type DeclaredSettings, type DeclaredTask, WrongFile } from "./declared.ts";
import { httpHandler } from "./handlers/http.ts";
import { shellHandler } from "./handlers/shell.ts";
import type { Surroundings } from "./handlers/surroundings.ts";
import type { Live } from "./live.ts";
import { plansOf, type Source } from "./load.ts";
import { type Changed, readDeclarations, reconcile } from "./reconcile.ts";
import type { SignalName } from "./signals.ts";
import { count } from "./text.ts";

export interface DaemonOptions {
  readonly live: Live;
  readonly surroundings: Surroundings;
  readonly load: () => Promise<readonly Source[]>;
  /** Undefined: what the files say, else a minute. */
  readonly drainTimeMs: number | undefined;
}

const defaultDrainTimeMs = 60_000;
/** A terminal and the program that started this one may each deliver one Ctrl-C. */
const repeatedSignalMs = 300;
/** Longer than a command has from TERM to KILL. */
const gracePeriod = "11s";

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #db: AzothDb;
  readonly #scheduler: Scheduler;
  #sources: readonly Source[];
  #firstSignalMs: number | undefined;
  #reloading: Promise<void> = Promise.resolve();
  #aborted = false;

  constructor(db: AzothDb, sources: readonly Source[], options: DaemonOptions) {
    this.#db = db;
    this.#sources = sources;
    this.#options = options;
    this.#scheduler = schedulerFor(db, sources, options.surroundings);
  }

  /** Makes the store's tasks those of the files, and tells what changed. */
  async declare(again: boolean, dryRun = false): Promise<Changed[]> {
    const wanted = plansOf(this.#sources, await readDeclarations(this.#db));
    const changed: Changed[] = [];
    for (const { source, plan } of wanted) {
      const { name, declared } = source;
      const of = { scheduler: this.#scheduler, source: name, tasks: declared.tasks, plan, again, dryRun };
      changed.push(...(await reconcile(of)));
    }
    return changed;
  }

  /** Runs until it is told to stop, and resolves with false if it was told twice. */
  async run(after: number, onStart: () => Promise<void>): Promise<boolean> {
    await this.#goOnAll();
    await this.#runAtStart();
    if (this.#firstSignalMs !== undefined) return true;
    const { stopped } = await this.#scheduler.start();
    await onStart();
    const following = new AbortController();
    let shown = after;
    const follow = async () => {
      for await (const event of this.#db.subscribe({ after, signal: following.signal })) {
        await this.#tell(event);
        shown = event.position;
      }
    };
    const followed = follow();
    await Promise.race([stopped, followed]);
    await stopped;
    await this.#reloading;
    following.abort();
    await followed;
    for await (const event of this.#db.readLog({ after: shown })) await this.#tell(event);
    return !this.#aborted;
  }

  hear(name: SignalName): void {
    const { live, surroundings } = this.#options;
    if (name === "SIGHUP") {
      this.#reloading = this.#reloading.then(() => this.#reload());
      return;
    }
    const nowMs = surroundings.clock.now();
    if (this.#firstSignalMs === undefined) {
      this.#firstSignalMs = nowMs;
      void live.say({ event: "stopping", signal: name }, `${name}: waits for what runs; another one ends it.`);
      void this.#scheduler.stop({ gracePeriod: this.#drainTimeMs });
    } else if (Math.abs(nowMs - this.#firstSignalMs) > repeatedSignalMs) {
      if (this.#aborted) process.exit(130);
      this.#aborted = true;
      void live.say({ event: "aborting", signal: name }, `${name} again: ends what runs.`);
      void this.#scheduler.stop({ gracePeriod: 0 });
    }
  }

  get #drainTimeMs(): number {
    const { drainTimeMs } = this.#options;
    return (
      drainTimeMs ??
      this.#sources.find(({ declared }) => declared.drainTimeMs !== undefined)?.declared.drainTimeMs ??
      defaultDrainTimeMs
    );
  }

  get #tasks(): DeclaredTask[] {
    return this.#sources.flatMap(({ declared }) => declared.tasks);
  }

  async #reload(): Promise<void> {
    const { live, load } = this.#options;
    const before = this.#sources;
    try {
      this.#sources = await load();
      const changed = await this.declare(true);
      await live.say({ event: "reloaded", changes: changed.filter(isChange) }, `Read again: ${summary(changed)}.`);
    } catch (error) {
      this.#sources = before;
      const complaints = error instanceof WrongFile ? error.complaints : [messageOf(error)];
      const words = ["Read again, and nothing was changed, because of this:", ...complaints.map((line) => `  ${line}`)];
      await live.say({ event: "reload-refused", complaints }, words.join("\n"));
    }
  }

  async #tell(event: RecordedEvent): Promise<void> {
    const { eventType, taskId = "", payload } = event;
    const isEnd = eventType === "TaskExecuted" && (payload as { then?: unknown }).then === "disabled";
    const task = isEnd ? this.#tasks.find(({ request }) => request.taskId === taskId) : undefined;
    const resumed = task === undefined ? null : await this.#goOn(task);
    await this.#options.live.show(event, resumed === null ? {} : { nextRunAt: resumed.nextRunAt });
  }

  /** What an earlier daemon left disabled when it ended. */
  async #goOnAll(): Promise<void> {
    for (const task of this.#tasks) await this.#goOn(task);
  }

  /**
   * As with cron, a job that fails today runs tomorrow: a recurring task whose attempts are used up goes on with its next
   * occurrence. One whose handler gave up for good does not.
   */
  async #goOn({ request: { taskId, schedule }, disableAfterRetries }: DeclaredTask): Promise<TaskInfo | null> {
    if (disableAfterRetries || (schedule.kind !== "cron" && schedule.kind !== "interval")) return null;
    const task = await this.#scheduler.getTask(taskId);
    if (task?.state !== "disabled" || task.retryCount < task.maxRetries) return null;
    return await this.#scheduler.resumeTask(taskId);
  }

  /** Those that an earlier start has run; new ones are due as it is. */
  async #runAtStart(): Promise<void> {
    for (const { request, atStart } of this.#tasks) {
      if (!atStart) continue;
      const task = await this.#scheduler.getTask(request.taskId);
      if (task?.state === "completed" || task?.state === "disabled") await this.#scheduler.runTaskNow(request.taskId);
    }
  }
}

function schedulerFor(db: AzothDb, sources: readonly Source[], surroundings: Surroundings): Scheduler {
  const declared = sources.map(({ declared }) => declared);
  return new Scheduler(db, {
    gracePeriod,
    ...(Object.assign({}, ...declared.map(({ settings }) => settings)) as DeclaredSettings),
    handlers: [shellHandler(surroundings), httpHandler(surroundings), ...declared.flatMap(({ handlers }) => handlers)],
    eventHandlers: declared.flatMap(({ eventHandlers }) => eventHandlers),
  });
}

/** What the files want of the store when it is opened. */
export function storeOptions(sources: readonly Source[]): AzothDbOptions {
  return Object.assign({}, ...sources.map(({ declared }) => declared.store)) as AzothDbOptions;
}

export function isChange({ change }: Changed): boolean {
  return change !== "unchanged";
}

/** "4 tasks: 2 new, 2 unchanged". */
export function summary(changed: readonly Changed[]): string {
  const kinds = ["new", "replaced", "revived", "later", "unchanged", "cancelled"] as const;
  const parts = kinds.flatMap((kind) => {
    const number = changed.filter(({ change }) => change === kind).length;
    return number === 0 ? [] : [`${number} ${kind === "later" ? "at the next start" : kind}`];
  });
  const declared = changed.filter(({ change }) => change !== "cancelled").length;
  return [count(declared, "task"), ...(parts.length === 0 ? [] : [parts.join(", ")])].join(": ");
}
