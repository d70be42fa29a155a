/** What `run` does: reads the files, and checks them, tries them on the store, or keeps them until it is told to stop. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { isAzothError } from "../errors.ts";
import { AzothDb } from "../index.ts";
import type { Call } from "./action.ts";
import { Daemon, isChange, storeOptions, summary } from "./daemon.ts";
import { WrongFile } from "./declared.ts";
import { CliError, Ended, withoutPassword } from "./errors.ts";
import { besideIt } from "./invocation.ts";
import { Live } from "./live.ts";
import { type FileForm, type LoadOptions, load, type Source } from "./load.ts";
import { Output } from "./output.ts";
import type { Changed } from "./reconcile.ts";
import { takeSignals } from "./signals.ts";
import { openStore, shownLocation, storeLocation, storeVariable } from "./store.ts";
import { count, escapeControls, padEnd } from "./text.ts";
import { dateTime } from "./times.ts";
import { Users } from "./users.ts";

export interface RunOptions {
  readonly check?: boolean;
  readonly dryRun?: boolean;
  readonly format?: FileForm | "crontab";
  readonly source?: string;
  readonly cwd?: string;
  readonly preserveEnv?: boolean;
  readonly drainTime?: number;
}

type RunCall = Call<RunOptions, readonly [files: readonly string[]]>;

export async function run(call: RunCall): Promise<void> {
  const { context, options, args } = call;
  const [files] = args;
  if (options.source !== undefined && files.length > 1) {
    throw new CliError(
      "usage",
      "--source names one file, and there are several.",
      "Run them one by one, or leave it out.",
    );
  }
  // The lines of a daemon that is stopping are still to be written.
  const output = new Output({ ...context, signal: new AbortController().signal }, { json: options.json === true });
  const users = Users.ofThisMachine();
  const loading = loadOptions(call, users);
  const sources = await load(files, loading).catch((error: unknown) => refuse(error, output));
  for (const { declared } of sources)
    for (const note of declared.notes) await output.note(`note: ${escapeControls(note)}`);
  const surroundings = {
    clock: context.clock,
    env: context.env,
    cwd: loading.cwd ?? context.cwd,
    identityOf: users.identityOf,
  };
  const live = new Live(output, context);
  const drainTimeMs = options.drainTime;
  const daemonOf = (db: AzothDb) =>
    new Daemon(db, sources, { live, surroundings, load: () => load(files, loading), drainTimeMs });
  if (options.check === true || options.dryRun === true) {
    await using db = await openForTrial(call, sources);
    const changed = await daemonOf(db).declare(false, true);
    return await (options.check === true ? tellChecked(changed, output) : tellTrial(changed, call, output));
  }
  const location = storeLocation(call);
  await using db = await AzothDb.open(location, { clock: context.clock, ...storeOptions(sources) });
  // Not before: a store that is refused leaves nothing behind.
  if (options.cwd !== undefined) mkdirSync(path.resolve(context.cwd, options.cwd), { recursive: true });
  const stopped = () => live.say({ event: "stopped" }, "Stopped. Started again, it goes on from here.");
  const daemon = daemonOf(db);
  const after = await db.lastPosition();
  // Until the daemon takes the signals over, they end up here.
  if (context.signal.aborted) return await stopped();
  const changed = await daemon.declare(false);
  if (context.signal.aborted) return await stopped();
  const release = takeSignals((name) => daemon.hear(name));
  const unread = () => daemon.hear("SIGTERM");
  context.signal.addEventListener("abort", unread, { once: true });
  try {
    const inPeace = await daemon.run(after, () => tellStart({ changed, sources, location, call, output }));
    await stopped();
    if (!inPeace) throw new Ended("interrupted");
  } finally {
    context.signal.removeEventListener("abort", unread);
    release();
  }
}

function loadOptions({ context, options }: RunCall, users: Users): LoadOptions {
  const { format, source, cwd, preserveEnv = false } = options;
  return {
    users,
    timeZone: context.timeZone,
    tz: context.env["TZ"],
    preserveEnv,
    cwd: cwd === undefined ? undefined : path.resolve(context.cwd, cwd),
    form: format === "crontab" ? "user" : format,
    sourceName: source,
    directory: context.cwd,
  };
}

async function refuse(error: unknown, output: Output): Promise<never> {
  if (!(error instanceof WrongFile)) throw error;
  // They quote what is wrong, and that may be a URL.
  const complaints = error.complaints.map(withoutPassword);
  for (const complaint of complaints) await output.note(output.colors.red(complaint));
  const message = `${count(complaints.length, "mistake")}; nothing was started or changed.`;
  throw new CliError("usage", message, undefined, complaints);
}

/** The store as it is, or an empty one if there is none: to look at must not make one. */
async function openForTrial(call: RunCall, sources: readonly Source[]): Promise<AzothDb> {
  const options = storeOptions(sources);
  const { clock } = call.context;
  if (call.options.check === true) return await AzothDb.open(":memory:", { clock, ...options });
  try {
    return await openStore(call, storeLocation(call), options);
  } catch (error) {
    if (!isAzothError(error, "STORE_NOT_FOUND")) throw error;
    return await AzothDb.open(":memory:", { clock, ...options });
  }
}

async function tellChecked(changed: readonly Changed[], output: Output): Promise<void> {
  await output.answer({ ok: true, tasks: changed.length }, `Fine: ${count(changed.length, "task")}.`);
}

async function tellTrial(changed: readonly Changed[], { context }: RunCall, output: Output): Promise<void> {
  if (output.json) {
    for (const one of changed) await output.object(one);
    return;
  }
  for (const one of changed) await output.line(changeLine(one, context.timeZone));
  await output.line(`Would be ${summary(changed)}. Nothing was changed.`);
}

function changeLine({ taskId, change, nextRunAt }: Changed, timeZone: string): string {
  const next = nextRunAt === null ? "" : `next ${dateTime(nextRunAt, timeZone)}`;
  return `${padEnd(change, 10)} ${padEnd(escapeControls(taskId), 32)} ${next}`.trimEnd();
}

interface Start {
  readonly changed: readonly Changed[];
  readonly sources: readonly Source[];
  readonly location: string;
  readonly call: RunCall;
  readonly output: Output;
}

async function tellStart({ changed, sources, location, call, output }: Start): Promise<void> {
  const files = sources.map(({ name }) => name);
  const value = {
    event: "started",
    pid: process.pid,
    files,
    store: shownLocation(location),
    changes: changed.filter(isChange),
  };
  await output.answer(value, async () => {
    const { bold, dim } = output.colors;
    await output.line(`${bold(files.map(escapeControls).join(", "))}: ${summary(changed)}`);
    await output.line(dim(`store ${escapeControls(shownLocation(location))}; process ${process.pid}; Ctrl-C stops it`));
    const { timeZone } = call.context;
    for (const one of changed) await output.line(changeLine(one, timeZone));
    const { options, context } = call;
    const store = options.store ?? context.env[storeVariable];
    const [, script = ""] = process.argv;
    await output.line(dim(besideIt({ script, cwd: context.cwd, store }, ["tasks list", "events --follow"])));
    await output.line();
  });
}
