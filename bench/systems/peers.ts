/**
 * Other people's systems. They are installed below bench/peers, from a lockfile of their own, when they are first measured;
 * the project itself never needs them, neither at run time nor to be compiled: each adapter declares the members that it uses.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** The checkout, wherever this file was compiled to. */
const root = dirname(createRequire(import.meta.url).resolve("azoth-scheduler/package.json"));

export const peersDirectory = join(root, "bench/peers");

export function peersAreInstalled(): boolean {
  const installed = statSync(join(peersDirectory, "node_modules/.package-lock.json"), { throwIfNoEntry: false });
  return installed !== undefined && installed.mtimeMs >= statSync(join(peersDirectory, "package-lock.json")).mtimeMs;
}

/** Installs them if they are not there, or not these; false if that fails, after npm has said why. */
export function installPeers(): boolean {
  if (peersAreInstalled()) return true;
  console.error("Installing the other systems below bench/peers (npm ci); better-sqlite3 may have to be compiled.");
  const npm = process.env["npm_execpath"];
  const [command, ...args] = npm?.endsWith("npm-cli.js") === true ? [process.execPath, npm] : ["npm"];
  const options = ["--no-audit", "--no-fund", "--loglevel=error"];
  const { status } = spawnSync(command ?? "npm", [...args, "ci", ...options], {
    cwd: peersDirectory,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && args.length === 0,
  });
  return status === 0;
}

/** As `import`, from where they are installed. */
export async function importPeer(name: string): Promise<unknown> {
  const { load } = (await import(pathToFileURL(join(peersDirectory, "load.mjs")).href)) as {
    load: (name: string) => Promise<unknown>;
  };
  return await load(name);
}

/** The versions that are measured. */
export function peerVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(join(peersDirectory, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>;
  };
  return manifest.dependencies[name] ?? "";
}
