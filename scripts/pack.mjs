/** Packs the package as npm would publish it (prepack builds it first), at the path given. */
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, process.argv[2]);
const npm = process.env.npm_execpath;
const [command, ...args] = npm?.endsWith("npm-cli.js") ? [process.execPath, npm] : ["npm"];

mkdirSync(dirname(target), { recursive: true });
const { status, stdout, stderr } = spawnSync(
  command,
  [...args, "pack", "--json", "--pack-destination", dirname(target)],
  { cwd: root, encoding: "utf8" },
);
if (status === 0) {
  // What prepack prints comes before the JSON.
  const [packed] = JSON.parse(stdout.slice(stdout.search(/^\[$/m)));
  renameSync(join(dirname(target), packed.filename), target);
  console.log(`${packed.entryCount} files, ${packed.unpackedSize} bytes unpacked`);
} else {
  console.error(`${stdout}\n${stderr}`);
  process.exitCode = 1;
}
