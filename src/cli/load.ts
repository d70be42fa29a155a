/** From the files of a command line to what they declare. */
import { realpathSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf } from "../errors.ts";
import { isConfigFile, readConfig } from "./config/read-config.ts";
import type { CrontabForm } from "./crontab/crontab.ts";
import { type ReadOptions, readCrontab } from "./crontab/read-crontab.ts";
import { type Declared, type DeclaredTask, WrongFile } from "./declared.ts";
import { CliError } from "./errors.ts";
import { plan, type Declarations, type Plan } from "./reconcile.ts";

export type FileForm = CrontabForm | "config";

/** One file, or directory, with what it declares. */
export interface Source {
  /** By which it is known in the store: the real path of the file, if nobody chose another. */
  readonly name: string;
  readonly declared: Declared;
}

export interface LoadOptions extends Omit<ReadOptions, "form"> {
  readonly form: FileForm | undefined;
  /** For one file. */
  readonly sourceName: string | undefined;
  /** The directory that relative paths begin at. */
  readonly directory: string;
}

/** @throws WrongFile with every mistake in every file; CliError if one is not there */
export async function load(files: readonly string[], options: LoadOptions): Promise<readonly Source[]> {
  const complaints: string[] = [];
  const sources: Source[] = [];
  for (const given of files) {
    const file = path.resolve(options.directory, given);
    try {
      sources.push({
        name: options.sourceName ?? nameOf(file),
        declared: await read(file, shown(file, options), options),
      });
    } catch (error) {
      if (!(error instanceof WrongFile)) throw cannotRead(given, error);
      complaints.push(...error.complaints);
    }
  }
  complaints.push(...doubled(sources));
  if (complaints.length > 0) throw new WrongFile(complaints);
  return sources;
}

async function read(file: string, shown: string, { form, ...options }: LoadOptions): Promise<Declared> {
  const isConfig = form === undefined ? isConfigFile(file) && !statSync(file).isDirectory() : form === "config";
  return isConfig
    ? await readConfig(shown)
    : readCrontab(shown, { ...options, form: form === "config" ? undefined : form });
}

/** As a person would write it; the process is in that directory. */
function shown(file: string, { directory }: LoadOptions): string {
  const relative = path.relative(directory, file);
  return relative.startsWith("..") ? file : relative;
}

function nameOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function cannotRead(file: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT")
    return new CliError("notFound", `There is no file ${file}.`, "Give the path of a crontab or of a configuration.");
  if (code === "EACCES") return new CliError("refused", `The file ${file} may not be read.`, "Check its permissions.");
  return error instanceof CliError || code === undefined
    ? error
    : new CliError("failed", `${file}: ${messageOf(error)}`);
}

/** Two files cannot have one task. */
function doubled(sources: readonly Source[]): string[] {
  const owners = new Map<string, string>();
  return sources.flatMap(({ name, declared }) =>
    declared.tasks.flatMap(({ request: { taskId } }) => {
      const owner = owners.get(taskId);
      owners.set(taskId, name);
      if (owner === undefined) return [];
      return [
        `${name}: the task ${taskId} is in ${owner === name ? "this file twice" : owner}; give it another id with "# azoth: id=…"`,
      ];
    }),
  );
}

export interface Wanted {
  readonly source: Source;
  readonly plan: Plan;
}

/** What each file wants of the store. @throws CliError if a task belongs to another file */
export function plansOf(sources: readonly Source[], declarations: Declarations): Wanted[] {
  return sources.map((source) => {
    const planned = plan(source.name, idsOf(source.declared.tasks), declarations);
    const [conflict] = planned.conflicts;
    if (conflict === undefined) return { source, plan: planned };
    throw new CliError(
      "refused",
      `The task ${conflict.taskId} of ${source.name} is declared by ${conflict.source} in this store.`,
      `If that is the same file in another place, run it with --source ${conflict.source}; else give the task another id.`,
    );
  });
}

function idsOf(tasks: readonly DeclaredTask[]): string[] {
  return tasks.map(({ request }) => request.taskId);
}
