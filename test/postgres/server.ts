/**
 * A PostgreSQL server of the tests' own, from nothing to nothing: it makes its data, listens on a unix socket only, and
 * is gone when this process is, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { account } from "./account.ts";
import { findBinaries, placeBinaries } from "./binaries.ts";
import { childrenOf, livingOf } from "./process-table.ts";
import { ServerDirectory } from "./server-directory.ts";

export interface ServerOptions {
  /** Further settings, as in postgresql.conf; they win over those of the tests. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** PostgreSQL's own words: wait for the clients, end their sessions, or end without a checkpoint, so that the next start recovers. */
export type StopMode = "smart" | "fast" | "immediate";

const signals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** Nothing here has to survive the machine; a killed server recovers all the same. */
const testSettings = {
  listen_addresses: "",
  fsync: "off",
  full_page_writes: "off",
  max_connections: 200,
  max_prepared_transactions: 10,
  // In files of its directory, which go with it also when it was killed.
  dynamic_shared_memory_type: "mmap",
} as const;

const port = 5432;
const deadlineMs = 30_000;

/** Makes a server with empty data, and starts it. @throws Error with the end of its log if it does not start */
export async function startServer(options: ServerOptions = {}): Promise<PostgresServer> {
  const server = new PostgresServer(new ServerDirectory(), options);
  try {
    await server.initialize();
    await server.start();
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

export class PostgresServer implements AsyncDisposable {
  /** For `pg`: the superuser "postgres" in the database "postgres". */
  readonly url: string;
  readonly #directory: ServerDirectory;
  readonly #settings: readonly string[];
  #postmaster: ChildProcess | undefined;

  /** @internal */
  constructor(directory: ServerDirectory, { settings = {} }: ServerOptions) {
    this.#directory = directory;
    const all = { ...testSettings, unix_socket_directories: `"${directory.path}"`, port, ...settings };
    this.#settings = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.url = `postgres://postgres@localhost:${port}/postgres?host=${encodeURIComponent(directory.path)}`;
  }

  /** The process id of the postmaster while it runs. */
  get pid(): number | undefined {
    return this.#postmaster?.pid;
  }

  /** The directory that holds everything of this server. */
  get directory(): string {
    return this.#directory.path;
  }

  /** @internal */
  async initialize(): Promise<void> {
    const args = ["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"];
    const initdb = this.#spawn("initdb", [...args, "--no-instructions", "-D", this.#directory.data]);
    await once(initdb, "exit");
    this.#directory.guard(undefined);
    if (initdb.exitCode !== 0) throw this.#failure("initdb failed");
  }

  /** Starts it again on the same data; after `kill` and `stop("immediate")` it recovers. */
  async start(): Promise<void> {
    if (this.#postmaster !== undefined) throw new Error("The server runs already.");
    const postmaster = this.#spawn("postgres", ["-D", this.#directory.data, ...this.#settings]);
    this.#postmaster = postmaster;
    // A forgotten server does not keep this process from ending.
    postmaster.unref();
    postmaster.once("exit", () => {
      this.#postmaster = undefined;
      this.#directory.guard(undefined);
    });
    const startedAtMs = performance.now();
    while (!this.#isReady()) {
      if (this.#postmaster === undefined) throw this.#failure("The server ended while it started");
      if (performance.now() - startedAtMs > deadlineMs) throw this.#failure(`No server after ${deadlineMs} ms`);
      await sleep(5);
    }
  }

  /** Stops it, if it runs; the data stay. */
  async stop(mode: StopMode = "fast"): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster === undefined) return;
    const exited = exitOf(postmaster);
    postmaster.kill(signals[mode]);
    await exited;
  }

  /** `kill -9` of all its processes at once, as the machine's memory killer might. */
  async kill(): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster?.pid === undefined) return;
    const exited = exitOf(postmaster);
    // A stopped postmaster starts no further processes while they are counted.
    postmaster.kill("SIGSTOP");
    const children = childrenOf(postmaster.pid);
    for (const pid of [...children, postmaster.pid]) process.kill(pid, "SIGKILL");
    await exited;
    // The data are free only when nobody is left.
    while (livingOf(children).length > 0) await sleep(5);
  }

  /** Ends it at once, and removes its data. */
  async dispose(): Promise<void> {
    await this.stop("immediate");
    await this.#directory.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #spawn(program: "initdb" | "postgres", args: readonly string[]): ChildProcess {
    const binaries = findBinaries();
    if (binaries === null) throw new Error("There is no PostgreSQL for this platform.");
    const folder = placeBinaries(binaries, this.#directory.binariesCopy);
    const log = openSync(this.#directory.log, "a");
    const child = spawn(join(folder, "bin", program), args, {
      ...account(),
      cwd: this.#directory.path,
      // Nothing of this process's environment: it may have variables for other servers of PostgreSQL.
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
      // A session of its own: Ctrl-C in the terminal is not for the server.
      detached: true,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#directory.guard(child.pid);
    return child;
  }

  /** The first line of the file is the process, its eighth the state. */
  #isReady(): boolean {
    const file = join(this.#directory.data, "postmaster.pid");
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    return Number(lines[0]) === this.pid && lines[7]?.trim() === "ready";
  }

  #failure(what: string): Error {
    const log = readFileSync(this.#directory.log, "utf8").trimEnd().split("\n");
    return new Error([`${what}. The end of its log:`, ...log.slice(-20)].join("\n"));
  }
}

function exitOf(child: ChildProcess): Promise<unknown> {
  child.ref();
  return once(child, "exit");
}
