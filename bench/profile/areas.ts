/** Sorts stacks into the rooms of the house, by the files of the built package. */
import type { Frame, StackTime } from "./cpu-profile.ts";

/** Frames that only pass a statement on: who asked for it stands behind them. */
const carriers = new Set(["engines/sqlite/driver.js", "engines/sqlite/chunked-insert.js"]);

/** V8's entries that are no functions. */
const v8Entries = new Map([
  ["(garbage collector)", "garbage collection"],
  ["(idle)", "idle: waiting for timers or the next turn"],
  ["(program)", "native code outside of any function"],
]);

const ownArea = "the benchmark and the profiler";

const rooms: readonly (readonly [prefix: string, area: string])[] = [
  ["engines/sqlite/", "engines/sqlite/: rows to states and back, calling SQLite"],
  ["tasks/", "tasks/: the rules, and events as JSON"],
  ["store/", "store/: units of work, write queue"],
  ["scheduler/", "scheduler/: loop, runs, facade, the handler"],
  ["schedule/", "schedule/: next occurrences"],
  ["", "the bottom layer: codec, ids, names, clock"],
];

export interface Place {
  /** The room it is summed up under. */
  readonly area: string;
  /** The function itself. */
  readonly name: string;
}

export function placeOf({ frames }: StackTime): Place {
  const [top, caller] = frames;
  const entry = v8Entries.get(top.functionName);
  if (entry !== undefined) return { area: entry, name: top.functionName };
  const file = packageFile(top);
  if (file !== undefined) return { area: areaOfFile(file), name: `${top.functionName} ${file}:${top.line}` };
  if (top.url === "" && caller !== undefined && isSqlite(caller)) return placeInSqlite(frames);
  if (top.url.startsWith("node:")) {
    const area = top.url === "node:inspector" ? ownArea : "Node: promises, timers, streams";
    return { area, name: `${top.functionName} ${top.url}` };
  }
  const own = frames.map(packageFile).find((found) => found !== undefined);
  const name = caller === undefined ? top.functionName : `${top.functionName} ← ${caller.functionName}`;
  return { area: own === undefined ? ownArea : areaOfFile(own), name };
}

/** A call into SQLite: the native function says nothing, its callers tell what for. */
function placeInSqlite(frames: readonly Frame[]): Place {
  const asker = frames.find((frame) => {
    const file = packageFile(frame);
    return file !== undefined && !carriers.has(file);
  });
  if (asker === undefined) return { area: "SQLite: statements", name: "SQLite" };
  const file = packageFile(asker) ?? "";
  const commits = frames.some((frame) => {
    return packageFile(frame) === "engines/sqlite/driver.js" && frame.functionName === "commit";
  });
  const area = commits ? "SQLite: commit (write-ahead log, fsync)" : "SQLite: statements";
  return { area, name: `SQLite ← ${asker.functionName} ${file}:${asker.line}` };
}

function isSqlite(frame: Frame): boolean {
  return packageFile(frame)?.startsWith("engines/sqlite/") === true;
}

function areaOfFile(file: string): string {
  return rooms.find(([prefix]) => file.startsWith(prefix))?.[1] ?? file;
}

const dist = new URL(".", import.meta.resolve("azoth-scheduler")).href;

/** The path inside of the built package, if the frame is in it. */
function packageFile({ url }: Frame): string | undefined {
  return url.startsWith(dist) ? url.slice(dist.length) : undefined;
}
