/**
 * The temporary directory of a server, with its data, socket and log; and the guard that removes it.
 *
 * The guard is a small shell process that reads from a pipe which only this process holds. However this process ends,
 * also by `kill -9`, the pipe ends with it: the guard then ends the server and removes the directory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { account } from "./account.ts";

/**
 * The guard is told on each line which process to end, or none; then it reads the end of the pipe. A server's last act
 * is to remove its file; to look at the process alone would be to wait until somebody takes note of its end.
 */
const guardScript = `
while read -r line; do process=$line; done
if [ -n "$process" ] && kill -QUIT "$process"; then
  tries=0
  while kill -0 "$process" && [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 120 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
  kill -KILL "$process"
fi
rm -rf "$1"
`;

const prefix = "azoth-pg-";
const staleAfterMs = 3_600_000;

/** The most bytes that a socket's path may have on every system. */
const socketPathLimit = 100;

export class ServerDirectory {
  readonly path: string;
  readonly #guard: ChildProcess & { stdin: Writable };
  readonly #guardEnded: Promise<unknown>;

  constructor() {
    this.path = mkdtempSync(join(baseDirectory(), `${prefix}${process.pid}-`));
    const { uid, gid } = account();
    if (uid !== undefined && gid !== undefined) chownSync(this.path, uid, gid);
    // A session of its own: Ctrl-C in the terminal is not for the guard.
    this.#guard = spawn("/bin/sh", ["-c", guardScript, "guard", this.path], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#guardEnded = once(this.#guard, "exit");
    // Neither keeps this process from ending; a guard that was killed has no use for words.
    this.#guard.unref();
    (this.#guard.stdin as Writable & { unref(): void }).unref();
    this.#guard.stdin.on("error", () => {});
  }

  get data(): string {
    return join(this.path, "data");
  }

  get log(): string {
    return join(this.path, "log");
  }

  get binariesCopy(): string {
    return join(this.path, "postgres");
  }

  /** The process that ends if this one ends; undefined for none. */
  guard(pid: number | undefined): void {
    this.#guard.stdin.write(`${pid ?? ""}\n`);
  }

  async remove(): Promise<void> {
    this.#guard.ref();
    this.#guard.stdin.end();
    await this.#guardEnded;
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The temporary directory of this machine, unless a server could not work there. */
function baseDirectory(): string {
  const socket = join(tmpdir(), `${prefix}1234567-123456/.s.PGSQL.5432`);
  const fits = Buffer.byteLength(socket) <= socketPathLimit;
  return fits && (account().uid === undefined || isOpenToAll(tmpdir())) ? tmpdir() : "/tmp";
}

/** Whether everybody may pass through the directory and all those above it. */
function isOpenToAll(directory: string): boolean {
  const parent = dirname(directory);
  return (statSync(directory).mode & 0o001) !== 0 && (parent === directory || isOpenToAll(parent));
}

/**
 * Removes what guards left that were themselves killed. A server that still runs there notices that its files
 * are gone, and ends within a minute.
 */
export function removeStaleDirectories(base: string = baseDirectory()): void {
  for (const name of readdirSync(base)) {
    const owner = new RegExp(`^${prefix}(\\d+)-\\w{6}$`).exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    try {
      // The age spares those of processes that cannot be seen from here, such as of other containers.
      const path = join(base, name);
      if (Date.now() - statSync(path).mtimeMs > staleAfterMs) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another user's, or another run is faster.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
