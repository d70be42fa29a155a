/**
 * A process of its own that copies one store to another, and dies as by `kill -9` where it is told to. It imports the
 * built package, as a user does.
 *
 * Its argument is a JSON object { from, to, phase, done }: locations, and the progress at which it dies; without a
 * phase it copies to the end. It prints "copying" when it has begun, and exits with 0.
 */
import { AzothDb, copyLog } from "../../dist/index.js";

const { from, to, phase, done } = JSON.parse(process.argv[2]);
process.stdout._handle?.setBlocking?.(true);

const source = await AzothDb.open(from, { durability: "normal" });
const target = await AzothDb.open(to, { durability: "normal" });
let begun = false;
await copyLog(source, target, {
  onProgress: (progress) => {
    if (!begun) console.log("copying");
    begun = true;
    if (progress.phase === phase && progress.done >= done) process.kill(process.pid, "SIGKILL");
  },
});
await source.close();
await target.close();
