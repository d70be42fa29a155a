/**
 * Has a task become more expensive? `npm run bench:check`, in half a minute, on any machine and under any load:
 * exact counts, and processor time as a ratio to that of the bare loop. `-- --record` writes bench/limits.json anew.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { takeCensus } from "./counts.ts";
import { shortNumber } from "../markdown.ts";
import { judge, type Limits, limitsFrom, ratioOf, withinLimits } from "./limits.ts";
import { measureRatios } from "./ratios.ts";

const { values: options } = parseArgs({
  options: { record: { type: "boolean", default: false }, limits: { type: "string" } },
});
const root = dirname(createRequire(import.meta.url).resolve("azoth-scheduler/package.json"));
const limitsFile = options.limits ?? join(root, "bench/limits.json");

const directory = mkdtempSync(join(tmpdir(), "azoth-bench-check-"));
process.once("exit", () => rmSync(directory, { recursive: true, force: true }));

const census = await takeCensus(mkdtempSync(join(directory, "census-")));
const limits = options.record ? undefined : (JSON.parse(readFileSync(limitsFile, "utf8")) as Limits);
const ratios = await measureRatios(directory, (found) => limits !== undefined && withinLimits(limits, found));
console.log(
  `Processor time by that of the bare loop: to schedule ${shortNumber(ratioOf(ratios, "schedule"))}, to process ${shortNumber(ratioOf(ratios, "process"))}.`,
);
if (limits === undefined) {
  writeFileSync(limitsFile, `${JSON.stringify(limitsFrom(ratios, census), null, 2)}\n`);
  console.log(`Recorded in ${limitsFile}.`);
} else {
  const { failures, gains } = judge(limits, ratios, census);
  for (const gain of gains) console.log(`better: ${gain}`);
  for (const failure of failures) console.log(`WORSE: ${failure}`);
  if (gains.length > 0 && failures.length === 0) console.log("Keep what was gained: npm run bench:check -- --record");
  if (failures.length === 0) console.log("No task has become more expensive.");
  else
    console.log(
      "If this is the price of something wanted: npm run bench:check -- --record, and say why in the commit.",
    );
  process.exitCode = failures.length === 0 ? 0 : 1;
}
