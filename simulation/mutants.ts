/**
 * Breaks the built package on purpose, in one way at a time, and lets lives run on it: `npm run torture:mutants`.
 * Each has to be caught. What no simulation ever catches, it does not look at.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Edit {
  /** Of the built package. */
  readonly file: string;
  /** Occurs there once. */
  readonly from: string;
  readonly to: string;
}

interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const ownEvent = "{ ...event, task: state.seq, run: run.number, meta: null }";

const mutants: readonly Mutant[] = [
  {
    name: "no fence: whichever run ends, its outcome is recorded",
    edits: [
      {
        file: "tasks/decide-run.js",
        from: 'if (run === null || run.number !== command.run || state.phase !== "running") {',
        to: "if (run === null) {",
      },
    ],
  },
  {
    name: "a handler's event is committed after the outcome",
    edits: [
      { file: "scheduler/turn.js", from: `work.append(${ownEvent});`, to: `(work.later ??= []).push(${ownEvent});` },
      {
        file: "store/write-queue.js",
        from: "await work.preload(batch.flatMap(",
        to: "this.work = work; await work.preload(batch.flatMap(",
      },
      {
        file: "store/write-queue.js",
        from: "onCommit();\n        for (const [index",
        to: `const later = this.work.later ?? [];
        if (later.length > 0) await engine.write(async (transaction) => {
          const work = this.#workOn(transaction);
          for (const event of later) work.append(event);
          await work.finish();
        });
        onCommit();\n        for (const [index`,
      },
    ],
  },
  {
    name: "the fold reads the clock",
    edits: [
      { file: "tasks/evolve.js", from: "const updatedAtMs = event.atMs;", to: "const updatedAtMs = Date.now();" },
    ],
  },
  {
    name: "what a dead scheduler ran is not taken over",
    edits: [
      {
        file: "scheduler/membership.js",
        from: "for (const state of claimed)",
        to: "for (const state of claimed.slice(1))",
      },
    ],
  },
  {
    name: "a paused task is due",
    edits: [
      {
        file: "tasks/task-state.js",
        from: 'state.phase === "waiting" && !state.paused ? state.runAtMs',
        to: 'state.phase === "waiting" ? state.runAtMs',
      },
    ],
  },
  {
    name: "the first retry comes late",
    edits: [{ file: "tasks/retry-policy.js", from: "** (retryCount - 1)", to: "** retryCount" }],
  },
  {
    name: "nothing is said of occurrences that fell due during a run",
    edits: [{ file: "tasks/decide-run.js", from: '...skippedOccurrences(schedule, seam, nowMs, "running"),', to: "" }],
  },
  {
    name: "callers are told of a commit that failed",
    edits: [
      {
        file: "store/write-queue.js",
        from: "for (const waiting of batch)\n                    this.#reject(waiting, error);",
        to: "for (const waiting of batch) this.#resolve(waiting, {});",
      },
    ],
  },
  {
    name: "what has finished is forgotten when its commit fails",
    edits: [{ file: "scheduler/task-loop.js", from: "executor.returnReports(reports);", to: "" }],
  },
  {
    name: "a claim whose commit seemed to fail is not given back",
    edits: [{ file: "scheduler/task-loop.js", from: "await this.#release(unknown);", to: "void 0;" }],
  },
  {
    name: "what a handler wrote is kept, though its result is refused",
    edits: [{ file: "scheduler/turn.js", from: "if (!holdsClaim(state, run.number))", to: "if (false)" }],
  },
  {
    name: "what an event handler wrote before it failed is kept",
    edits: [
      {
        file: "subscriptions/delivery.js",
        from: "await work.attemptNested(() => this.#handle(work, event));",
        to: "await this.#handle(work, event);",
      },
    ],
  },
];

const root = join(import.meta.dirname, "../..");

/** A copy of the package and of the simulation, with one way of being broken. */
function makeCopy({ name, edits }: Mutant): string {
  const copy = mkdtempSync(join(tmpdir(), "azoth-mutant-"));
  for (const path of ["package.json", "dist"]) cpSync(join(root, path), join(copy, path), { recursive: true });
  cpSync(import.meta.dirname, join(copy, "simulation"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  for (const { file, from, to } of edits) {
    const path = join(copy, "dist", file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2) throw new Error(`"${name}" does not fit: ${file} has ${parts.length - 1} times ${from}`);
    writeFileSync(path, parts.join(to));
  }
  return copy;
}

/** Resolves with the life that caught it, or null. */
async function lifeThatCatches(mutant: Mutant, seed: number): Promise<string | null> {
  const copy = makeCopy(mutant);
  try {
    const args = [
      join(copy, "simulation/run.js"),
      "--seed",
      String(seed),
      "--lives",
      "2000",
      "--minutes",
      "3",
      "--first",
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let told = "";
    child.stdout.on("data", (data: Buffer) => {
      told += String(data);
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    const lives = /^\d+ lives/m.exec(told)?.[0];
    // What does not run at all is not caught, but broken in another way than was meant.
    if (lives === undefined) throw new Error(`"${mutant.name}" did not run:\n${told}`);
    return code === 1 ? lives : null;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const seed = Number(process.env.SIMULATION_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`from seed ${seed}`);
const waiting = [...mutants];
let survivors = 0;
const work = async () => {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const caught = await lifeThatCatches(mutant, seed);
    if (caught === null) survivors++;
    console.log(`${caught === null ? "SURVIVED" : `caught after ${caught}`}: ${mutant.name}`);
  }
};
await Promise.all([work(), work()]);
process.exitCode = survivors === 0 ? 0 : 1;
