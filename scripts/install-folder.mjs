/** Installs what only one command needs, below a folder with a lockfile of its own. Node's own modules only. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";

/** Runs `npm ci` in the folder if what is installed there is missing or older than its lockfile. */
export function installFolder(folder, what) {
  const installed = statSync(join(folder, "node_modules/.package-lock.json"), { throwIfNoEntry: false });
  if (installed !== undefined && installed.mtimeMs >= statSync(join(folder, "package-lock.json")).mtimeMs) return;
  console.log(`Installing ${what}...`);
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm?.endsWith("npm-cli.js") ? [process.execPath, npm] : ["npm"];
  const { status } = spawnSync(
    command,
    [...args, "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"],
    {
      cwd: folder,
      stdio: "inherit",
      shell: process.platform === "win32" && command === "npm",
    },
  );
  if (status !== 0) throw new Error(`${what} could not be installed.`);
}
