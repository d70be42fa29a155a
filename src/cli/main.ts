#!/usr/bin/env node
/** The command `azoth-scheduler`: the process around the program. */
import { systemClock } from "../index.ts";
import type { Context } from "./context.ts";
import { runProgram } from "./program.ts";
import { hearSignals } from "./signals.ts";

const stopping = new AbortController();
/** Whoever read the output has gone: there is nothing left to do, and nothing wrong. */
let unread = false;

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    unread = true;
    stopping.abort();
  });
}

hearSignals(["SIGINT", "SIGTERM"], (name) => {
  if (stopping.signal.aborted) process.exit(name === "SIGINT" ? 130 : 143);
  stopping.abort();
});

const context: Context = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  timeZone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
  signal: stopping.signal,
};

const code = await runProgram(process.argv.slice(2), context);
process.exitCode = unread ? 0 : code;
