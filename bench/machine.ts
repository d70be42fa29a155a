/** The machine, as far as it explains the numbers. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { percentile } from "./statistics.ts";
import { sqliteVersion } from "./systems/sqlite-driver.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly sqlite: string;
  /** The server's version and settings; null: none was needed. */
  readonly postgres: Readonly<Record<string, string>> | null;
  readonly fileSystem: string;
  /** How long it takes to make 4 KiB durable, in milliseconds. */
  readonly fdatasyncMs: { readonly p50: number; readonly p99: number };
  /** What else the machine was doing: the load average of the last minute. */
  readonly load: number;
}

export async function describeMachine(directory: string, postgres: Machine["postgres"]): Promise<Machine> {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: os.totalmem() / 2 ** 30,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.versions.node,
    sqlite: await sqliteVersion(),
    postgres,
    fileSystem: fileSystemOf(directory),
    fdatasyncMs: measureFdatasync(directory),
    load: loadAverage(),
  };
}

/** The load average of the last minute; 0 where the system does not tell it. */
export function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

/** Numbers that statfs gives, see statfs(2). */
const fileSystems = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0x794c7630, "overlay"],
  [0x6969, "nfs"],
  [0x01021994, "tmpfs: in memory, fsync costs nothing"],
]);

function fileSystemOf(directory: string): string {
  const { type } = statfsSync(directory);
  return fileSystems.get(type) ?? `type 0x${type.toString(16)}`;
}

/** Appends a page and makes it durable, as a commit does, a few hundred times. */
function measureFdatasync(directory: string): { p50: number; p99: number } {
  const own = mkdtempSync(join(directory, "fdatasync-"));
  const file = openSync(join(own, "pages"), "w");
  const page = Buffer.alloc(4_096, 1);
  const times: number[] = [];
  try {
    for (let count = 0; count < 300; count++) {
      writeSync(file, page);
      const startedMs = performance.now();
      fdatasyncSync(file);
      times.push(performance.now() - startedMs);
    }
  } finally {
    closeSync(file);
    rmSync(own, { recursive: true, force: true });
  }
  return { p50: percentile(times, 50), p99: percentile(times, 99) };
}
