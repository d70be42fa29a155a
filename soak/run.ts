/**
 * Loads that are larger than any day's, with figures: `npm run soak -- --help`.
 *
 * Ends with 1 if a task was lost or run twice, the store is not whole, or memory grows with what has been done.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { freshDatabase, provideServer } from "../bench/postgres.ts";
import { fanOut, flood, manyTasks, type Outcome, sameSecond, virtualTime } from "./loads.ts";

const usage = `npm run soak -- [options]

  --tasks <n>          through one store; the other loads are scaled to it (1000000)
  --minutes <n>        of real time under steady load (10)
  --engine <name>      sqlite or postgres (sqlite)
  --load <name>        only this one; may be repeated: many-tasks, same-second, fan-out, flood, virtual-hour, real-time
  --dir <directory>    where the stores are made (the system's directory for temporary files)

  DATABASE_URL         a PostgreSQL server to use, instead of one that is started; databases are made there and dropped
`;

type Load = (location: string) => Promise<Outcome>;

function loadsFor(tasks: number, minutes: number): Readonly<Record<string, Load>> {
  const tenth = Math.max(100, Math.round(tasks / 10));
  return {
    "many-tasks": (location) => manyTasks(location, { tasks }),
    "same-second": (location) => sameSecond(location, { tasks: tenth, occurrences: 2 }),
    "fan-out": (location) => fanOut(location, { depth: Math.floor(Math.log10(Math.max(100, tasks))) - 1 }),
    flood: (location) => flood(location, { calls: tasks, maxQueuedBytes: 100 * tasks }),
    "virtual-hour": (location) =>
      virtualTime(location, { tasks: Math.max(1, Math.round(tasks / 10_000)), minutes: 60 }),
    "real-time": (location) => manyTasks(location, { ms: minutes * 60_000 }),
  };
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      tasks: { type: "string", default: "1000000" },
      minutes: { type: "string", default: "10" },
      engine: { type: "string", default: "sqlite" },
      load: { type: "string", multiple: true },
      dir: { type: "string", default: os.tmpdir() },
      help: { type: "boolean", default: false },
    },
  });
  const tasks = Number(values.tasks);
  const minutes = Number(values.minutes);
  const loads = loadsFor(tasks, minutes);
  const chosen = values.load ?? Object.keys(loads);
  const known = chosen.every((name) => loads[name] !== undefined) && ["sqlite", "postgres"].includes(values.engine);
  if (values.help || !known || !Number.isSafeInteger(tasks) || tasks < 1_000 || !(minutes > 0)) {
    (values.help ? console.log : console.error)(usage);
    return values.help ? 0 : 2;
  }
  const directory = mkdtempSync(path.join(values.dir, "azoth-soak-"));
  const server = values.engine === "postgres" ? await provideServer(directory) : null;
  if (values.engine === "postgres" && server === null) throw new Error("There is no PostgreSQL to use.");
  let violations = 0;
  try {
    for (const name of chosen) {
      const database = server === null ? null : await freshDatabase(server.url);
      const location = database?.url ?? path.join(directory, name);
      const outcome = await loads[name]?.(location);
      tell(name, outcome);
      violations += outcome?.violations.length ?? 0;
      if (database === null) rmSync(location, { recursive: true, force: true });
      else await database.drop();
    }
  } finally {
    await server?.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
  return violations === 0 ? 0 : 1;
}

function tell(name: string, outcome: Outcome | undefined): void {
  const figures = Object.entries(outcome?.figures ?? {}).map(([what, value]) => `${what} ${value}`);
  console.log(`${name}: ${figures.join(", ")}`);
  for (const violation of outcome?.violations ?? []) console.log(`- BROKEN: ${violation}`);
}

process.exitCode = await main(process.argv.slice(2));
