/** The processes of this machine: whose child each is, and whether it has ended. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

interface Process {
  readonly pid: number;
  readonly parent: number;
}

/** The living children of a process. */
export function childrenOf(pid: number): number[] {
  return processes()
    .filter(({ parent }) => parent === pid)
    .map((child) => child.pid);
}

/** Those that still live. */
export function livingOf(pids: readonly number[]): number[] {
  const living = new Set(processes().map(({ pid }) => pid));
  return pids.filter((pid) => living.has(pid));
}

/** All but zombies. Small images of Linux have no `ps`. */
function processes(): Process[] {
  const rows = existsSync("/proc/self/stat") ? rowsOfProc() : rowsOfPs();
  return rows
    .filter(([, , state]) => state?.startsWith("Z") === false)
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

/** Rows of pid, parent, state. */
function rowsOfProc(): (string | undefined)[][] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      // "1234 (name, which may hold anything) S 1 …"
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return [[pid, parent, state]];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
}

function rowsOfPs(): (string | undefined)[][] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" });
  return stdout.split("\n").map((line) => line.trim().split(/\s+/));
}
