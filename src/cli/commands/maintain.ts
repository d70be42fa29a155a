/** `init`, `migrate`, `verify`, `rebuild`: a store and its proof. */
import type { Command } from "commander";
import { AzothDb, type ChainHead, isAzothError, type Verification } from "../../index.ts";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { CliError, Ended } from "../errors.ts";
import { valueText } from "../output.ts";
import { withProgress } from "../progress.ts";
import { openStore, shownLocation, storeLocation, withStore } from "../store.ts";
import { count, escapeControls } from "../text.ts";

export function addMaintenance(program: Command, context: Context): void {
  program
    .command("init")
    .summary("make a store")
    .description("Make a store, if it is not there. On PostgreSQL, the tables are made in a schema of their own.")
    .action(action(context, init));
  program
    .command("migrate")
    .summary("bring the tables of an older version up to date")
    .description(
      "Bring the tables of an older version up to date. On PostgreSQL, schedulers of the version before go on working meanwhile; on SQLite, stop them first.",
    )
    .action(action(context, migrate));
  program
    .command("verify")
    .summary("prove that the stored state follows from the log")
    .description(
      "Replay the whole log, compare every task with what is stored, and check the hash chain if there is one. Changes nothing; schedulers may run. Exit code 1 if there is a difference.",
    )
    .option(
      "--chain-head <position:hash>",
      "a head of the hash chain that was kept elsewhere: all up to it must be as it was",
    )
    .action(action<{ chainHead?: string }>(context, verify));
  program
    .command("rebuild")
    .summary("make the stored state anew from the log")
    .description("Replay the whole log into fresh tables, and swap them in. Schedulers may run meanwhile.")
    .action(action(context, rebuild));
}

async function init(call: Call): Promise<void> {
  const location = storeLocation(call);
  const clock = call.context.clock;
  const made = await AzothDb.open(location, { create: false, migrate: false, clock }).then(
    async (db) => await db.close().then(() => false),
    async (error: unknown) => {
      if (!isAzothError(error, "STORE_NOT_FOUND")) throw error;
      await (await AzothDb.open(location, { clock })).close();
      return true;
    },
  );
  const shown = escapeControls(shownLocation(location));
  await call.output.answer(
    { location: shownLocation(location), made },
    made ? `Made a store at ${shown}.` : `There is a store at ${shown} already; nothing was changed.`,
  );
}

async function migrate(call: Call): Promise<void> {
  const location = storeLocation(call);
  const before = await schemaVersionOf(call, location);
  await using db = await openStore(call, location, { migrate: true });
  const { schemaVersion } = await db.status();
  const text =
    before === schemaVersion
      ? `The schema is up to date: version ${schemaVersion}.`
      : `The schema was brought from version ${before} to ${schemaVersion}.`;
  await call.output.answer({ from: before, to: schemaVersion }, text);
}

async function schemaVersionOf(call: Call, location: string): Promise<number> {
  try {
    await using db = await openStore(call, location);
    return (await db.status()).schemaVersion;
  } catch (error) {
    if (isAzothError(error, "STORE_OUTDATED")) return Number(error.details["version"]);
    throw error;
  }
}

async function verify(call: Call<{ chainHead?: string }>): Promise<void> {
  const { options, context, output } = call;
  const chainHead = options.chainHead === undefined ? undefined : parseHead(options.chainHead);
  await withStore(call, async (db) => {
    const verification = await withProgress(call, (progress) =>
      db.verify({
        signal: context.signal,
        ...(chainHead === undefined ? {} : { chainHead }),
        onProgress: ({ done, total }) => progress.show("verifying", done, total),
      }),
    );
    await output.answer(verification, () => tellVerification(call, verification));
    if (!verification.ok) throw new Ended("failed");
  });
}

/** What a verification found, for people. */
export async function tellVerification({ output }: Call, verification: Verification): Promise<void> {
  const { ok, tasks, events, difference, chain } = verification;
  const { green, red } = output.colors;
  if (ok) {
    await output.line(`${green("Right:")} ${count(tasks, "task")} follow from ${count(events, "event")} of the log.`);
    if (chain !== undefined) await output.line(`The hash chain holds up to ${chain.position}:${chain.hash}`);
    return;
  }
  await output.line(red("Different: the stored state does not follow from the log."));
  if (difference === null) return;
  const { taskId, position, field, replayed, stored } = difference;
  if (taskId !== undefined) await output.line(`  task      ${escapeControls(taskId)}`);
  if (position !== undefined) await output.line(`  position  ${position}`);
  await output.line(`  field     ${escapeControls(field)}`);
  await output.line(`  replayed  ${valueText(replayed)}`);
  await output.line(`  stored    ${valueText(stored)}`);
  const chained = field === "chain" || field === "chainHead" || field === "file" || field === "log";
  await output.line(
    chained
      ? "Keep the store as it is, and restore a backup."
      : "`azoth-scheduler rebuild` makes the state anew from the log.",
  );
}

function parseHead(text: string): ChainHead {
  const [, position, hash] = /^(\d{1,15}):([0-9a-f]{64})$/i.exec(text.trim()) ?? [];
  if (position !== undefined && hash !== undefined) return { position: Number(position), hash: hash.toLowerCase() };
  const hint = "Give it as `verify` prints it: a position, a colon, and 64 hexadecimal digits.";
  throw new CliError("usage", `--chain-head is ${JSON.stringify(text.slice(0, 100))}.`, hint);
}

async function rebuild(call: Call): Promise<void> {
  const { context, output } = call;
  await withStore(call, async (db) => {
    const rebuilt = await withProgress(call, (progress) =>
      db.rebuild({
        signal: context.signal,
        onProgress: ({ done, total }) => progress.show("rebuilding", done, total),
      }),
    );
    await output.answer(rebuilt, `Rebuilt ${count(rebuilt.tasks, "task")} from ${count(rebuilt.events, "event")}.`);
  });
}
