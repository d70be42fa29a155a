/**
 * Runs commands on a checkout in which nothing may be installed yet.
 *
 *     node scripts/with-dependencies.mjs <command> [then <command>]... [further arguments of the last command]
 *
 * Plain JavaScript and Node's own modules only: it runs before `npm ci` has. It installs when node_modules is missing
 * or older than package-lock.json, then runs each command until one fails; its exit code is that of the last one run.
 * A last command of the form `node <file>` runs in this process, so that signals reach it directly (see hearSignals).
 */
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Signals that repeat within this time are one signal: a terminal and npm each deliver Ctrl-C. */
const repeatedSignalMs = 1000;

async function main() {
  const commands = splitCommands(process.argv.slice(2));
  if (commands.length === 0) {
    console.error("Usage: node scripts/with-dependencies.mjs <command> [then <command>]...");
    return 2;
  }
  if (!isInstalled()) {
    console.error("Installing the development dependencies (npm ci); this happens once, and again when they change.");
    const exitCode = await run(npmCommand("ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"));
    if (exitCode !== 0) return exitCode;
  }
  const last = commands.pop();
  for (const command of commands) {
    const exitCode = await run(command);
    if (exitCode !== 0) return exitCode;
  }
  return isNodeFile(last) ? await runHere(last) : await run(last);
}

/** Cuts the arguments at each word `then`. */
function splitCommands(words) {
  const commands = [[]];
  for (const word of words) {
    if (word === "then") commands.push([]);
    else commands.at(-1).push(word);
  }
  return commands.filter((command) => command.length > 0);
}

/** npm writes node_modules/.package-lock.json when an installation is complete. */
function isInstalled() {
  const installed = statSync(join(root, "node_modules/.package-lock.json"), { throwIfNoEntry: false });
  return installed !== undefined && installed.mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

/** The npm that started this script, else the one on the PATH. */
function npmCommand(...args) {
  const npm = process.env.npm_execpath;
  return npm?.endsWith("npm-cli.js") ? [process.execPath, npm, ...args] : ["npm", ...args];
}

/** Runs one command with this terminal; resolves with its exit code. */
function run([command, ...args]) {
  return new Promise((done) => {
    const child = spawn(command === "node" ? process.execPath : command, args, {
      cwd: root,
      stdio: "inherit",
      shell: process.platform === "win32" && command !== "node",
      env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}` },
    });
    const forward = (signal) => {
      // A terminal sends Ctrl-C to the child as well.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    const finish = (exitCode) => {
      for (const signal of signals) process.off(signal, forward);
      done(exitCode);
    };
    for (const signal of signals) process.on(signal, forward);
    child.once("error", (error) => {
      console.error(`Cannot run ${command}: ${error.message}`);
      finish(127);
    });
    child.once("exit", (exitCode, signal) => finish(exitCode ?? 128 + constants.signals[signal]));
  });
}

function isNodeFile([command, file]) {
  return command === "node" && file !== undefined && !file.startsWith("-");
}

/** Runs a JavaScript file in this process, as `node <file>` would. */
async function runHere([, file, ...args]) {
  process.chdir(root);
  process.argv = [process.execPath, resolve(file), ...args];
  hearSignals("SIGINT");
  hearSignals("SIGTERM");
  await import(pathToFileURL(process.argv[1]).href);
  return undefined; // The program sets its own exit code, now or later.
}

/**
 * Makes a signal that arrives several times at once harmless to a program that listens once.
 * A program that does not listen ends as it would without this; a signal sent again later ends it when nobody listens any more.
 */
function hearSignals(signal) {
  let heardAtMs;
  process.on(signal, () => {
    const others = process.listenerCount(signal) > 1;
    const nowMs = performance.now();
    if (others) heardAtMs ??= nowMs;
    else if (heardAtMs === undefined || nowMs - heardAtMs > repeatedSignalMs)
      process.exit(128 + constants.signals[signal]);
  });
}

const exitCode = await main();
if (exitCode !== undefined) process.exitCode = exitCode;
