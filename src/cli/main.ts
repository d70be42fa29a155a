#!/usr/bin/env node
/** The command `azoth-scheduler`: the process around the program. */
import { systemClock } from "../index.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { runProgram } from "./program.ts";
import { hearSignals } from "./signals.ts";

const stopping = new AbortController();
/** Whoever read the output has gone: there is nothing left to do, and nothing wrong. */
let unread = false;
/** What was to be said could not be: a full disk, for one. */
let unwritable = false;

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    stopping.abort();
    if (error.code === "EPIPE") unread = true;
    else unwritable = true;
    if (unwritable && stream === process.stdout) {
      process.stderr.write(`error: The output cannot be written: ${error.message}\n`);
    }
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
process.exitCode = unwritable ? exitCodes.failed.code : unread ? exitCodes.ok.code : code;
