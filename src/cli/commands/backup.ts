/** `backup`, `restore`, `copy`: a store in another place. */
import fs from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { AzothDb, copyLog } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { whileWaiting, withProgress } from "../progress.ts";
import { locationOf, openStore, shownLocation, storeLocation, withStore } from "../store.ts";
import { count, escapeControls } from "../text.ts";
import { bytesText } from "../times.ts";

export function addBackup(program: Command, context: Context): void {
  program
    .command("backup")
    .summary("copy the store to a file while it is in use")
    .description(
      "Copy the store, as it is at one moment, to a new file. Schedulers may run. The file is a SQLite store, also of a store on PostgreSQL; tables of your own are in it only if the store is on SQLite.",
    )
    .argument("<file>", "the file to make; it must not exist")
    .action(action<object, readonly [file: string]>(context, backup));
  program
    .command("restore")
    .summary("make a store from a backup")
    .description(
      "Make the store anew from a backup, and verify it. There must be no store at --store yet: move the damaged one away first.",
    )
    .argument("<file>", "a file that backup made")
    .action(action<object, readonly [file: string]>(context, restore));
  program
    .command("copy")
    .summary("copy the store to another database")
    .description(
      "Copy the store to an empty place: from SQLite to PostgreSQL, back, or to another of the same kind. Stop all schedulers first. What was interrupted goes on with the same command. Tables of your own are not copied.",
    )
    .argument("<target>", "directory or postgres:// URL")
    .action(action<object, readonly [target: string]>(context, copy));
}

async function backup(call: Call<object, readonly [file: string]>): Promise<void> {
  const { output, context, args } = call;
  const file = path.resolve(context.cwd, args[0]);
  refuseUrl(args[0], "A backup goes to a file", "To copy a store to PostgreSQL, use `azoth-scheduler copy`.");
  await withStore(call, async (db) => {
    await whileWaiting(call, "backing up", db.backup(file));
    const { size } = fs.statSync(file);
    await output.answer({ file, bytes: size }, `Backed up to ${escapeControls(file)} (${bytesText(size)}).`);
  });
}

async function restore(call: Call<object, readonly [file: string]>): Promise<void> {
  const { output, context, args } = call;
  const file = path.resolve(context.cwd, args[0]);
  refuseUrl(args[0], "A backup is a file", "To copy a store from PostgreSQL, use `azoth-scheduler copy`.");
  refuseNoBackup(file);
  const location = storeLocation(call);
  const isUrl = location.includes("://");
  const restored = isUrl ? await restoreToServer(call, file, location) : await restoreToFile(call, file, location);
  const { tasks, events } = restored;
  await output.answer(
    { location: shownLocation(location), tasks, events },
    `Restored ${count(tasks, "task")} and ${count(events, "event")} to ${escapeControls(shownLocation(location))}, and verified them.`,
  );
}

/** The store bears its name only when it is proved whole. */
async function restoreToFile(call: Call, file: string, location: string): Promise<{ tasks: number; events: number }> {
  const target = path.join(location, storeFile);
  if (
    [target, `${target}-wal`].some((name) => fs.existsSync(name)) ||
    fs.statSync(location, { throwIfNoEntry: false })?.isFile() === true
  ) {
    throw new CliError(
      "refused",
      `There is a store at ${location} already.`,
      "Move it away first, or name another place with --store.",
    );
  }
  fs.mkdirSync(location, { recursive: true, mode: 0o700 });
  const workshop = fs.mkdtempSync(path.join(location, ".azoth-restore-"));
  try {
    const draft = path.join(workshop, storeFile);
    fs.copyFileSync(file, draft);
    fs.chmodSync(draft, 0o600);
    const proved = await prove(call, draft);
    // The store's own copying makes it durable, and never overwrites.
    await using db = await openStore(call, draft);
    await db.backup(target);
    return proved;
  } finally {
    fs.rmSync(workshop, { recursive: true, force: true });
  }
}

const storeFile = "azoth.db";

async function prove(call: Call, location: string): Promise<{ tasks: number; events: number }> {
  await using db = await openStore(call, location, { migrate: true });
  const { signal } = call.context;
  const verification = await withProgress(call, (progress) =>
    db.verify({ signal, onProgress: ({ done, total }) => progress.show("verifying", done, total) }),
  );
  if (verification.ok) return verification;
  const field = verification.difference?.field ?? "state";
  throw new CliError(
    "failed",
    `The backup is damaged: its ${field} does not follow from its log.`,
    "Take another backup.",
  );
}

async function restoreToServer(call: Call, file: string, location: string): Promise<{ tasks: number; events: number }> {
  const workshop = fs.mkdtempSync(path.join(path.dirname(file), ".azoth-restore-"));
  try {
    // Opening a store may change its file, and a backup stays as it is.
    const draft = path.join(workshop, storeFile);
    fs.copyFileSync(file, draft);
    await using from = await openStore(call, draft, { migrate: true });
    return await copyTo(call, from, location);
  } finally {
    fs.rmSync(workshop, { recursive: true, force: true });
  }
}

async function copy(call: Call<object, readonly [target: string]>): Promise<void> {
  const { output, context, args } = call;
  const target = locationOf(args[0], context.cwd);
  await withStore(call, async (from) => {
    const { tasks, events } = await copyTo(call, from, target);
    await output.answer(
      { target: shownLocation(target), tasks, events },
      `Copied ${count(tasks, "task")} and ${count(events, "event")} to ${escapeControls(shownLocation(target))}, and verified them.`,
    );
  });
}

const phases = { compare: "comparing", copy: "copying", rebuild: "rebuilding", verify: "verifying" } as const;

async function copyTo(call: Call, from: AzothDb, target: string): Promise<{ tasks: number; events: number }> {
  await using to = await AzothDb.open(target, { clock: call.context.clock });
  const { signal } = call.context;
  const copied = await withProgress(call, (progress) =>
    copyLog(from, to, { signal, onProgress: ({ phase, done, total }) => progress.show(phases[phase], done, total) }),
  );
  if (copied.verification.ok) return copied;
  throw new CliError(
    "failed",
    "The copy differs from what its log says.",
    "Run `azoth-scheduler verify` on both stores.",
  );
}

function refuseUrl(given: string, what: string, hint: string): void {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) throw new CliError("usage", `${what}, and not to or from a URL.`, hint);
}

/** @throws CliError if there is no backup, or it is a store in use: its latest commits may stand in its log */
function refuseNoBackup(file: string): void {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new CliError("notFound", `There is no file ${file}.`);
  if (!stat.isFile())
    throw new CliError("usage", `${file} is no file.`, "Name the file that `azoth-scheduler backup` made.");
  if ((fs.statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  throw new CliError(
    "refused",
    `${file} is a store in use, and no backup.`,
    "Make a backup of it with `azoth-scheduler backup`.",
  );
}
