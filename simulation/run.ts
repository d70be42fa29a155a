/**
 * Lives, one after the other, for as long as it is told: `npm run torture -- --help`.
 *
 * Each life has a seed, which tells all of it. The first that shows a violation ends it all: its seed is printed, and the
 * shortest script that was found to show one as well.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { play, type Story } from "./life.ts";
import { liveOn } from "./lives.ts";
import type { Script } from "./script.ts";
import { shrink } from "./shrink.ts";

const usage = `npm run torture -- [options]

  --minutes <n>      how long to go on (1)
  --lives <n>        at most so many lives
  --seed <n>         of the first life; the next ones have the next numbers (SEED of the environment, else drawn; it is printed)
  --script <file>    instead: plays a script that was printed, and tells what comes of it
  --no-shrink        prints the first violation as it is
`;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: "1" },
      lives: { type: "string", default: "Infinity" },
      seed: { type: "string" },
      script: { type: "string" },
      "no-shrink": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.script !== undefined) {
    return tell(await play(JSON.parse(readFileSync(values.script, "utf8")) as Script));
  }
  const seed = Number(values.seed ?? process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const limitMs = Number(values.minutes) * 60_000;
  const mostLives = Number(values.lives);
  if (!Number.isSafeInteger(seed) || !(mostLives >= 1) || !(limitMs > 0)) {
    console.error(`--minutes, --seed and --lives take numbers.\n\n${usage}`);
    return 2;
  }
  console.log(`from seed ${seed}`);
  const startedAtMs = performance.now();
  const { failed, ...toll } = await liveOn(
    seed,
    (lives) => lives >= mostLives || performance.now() - startedAtMs >= limitMs,
  );
  const seconds = (performance.now() - startedAtMs) / 1_000;
  console.log(`${toll.lives} lives, ${Math.round(toll.days)} days, ${toll.events} events in ${seconds.toFixed(1)} s`);
  if (failed === null) return 0;
  console.log(`\nThe life of seed ${failed.seed} shows a violation; --seed ${failed.seed} --lives 1 repeats it.`);
  tell(failed.story);
  if (values["no-shrink"]) return 1;
  const fails = async (script: Script) => (await play(script)).violations.length > 0;
  const shortest = await shrink(failed.script, fails);
  console.log(`\nThe shortest script that was found to show one, for --script:\n${JSON.stringify(shortest, null, 1)}`);
  return tell(await play(shortest));
}

function tell({ violations }: Story): number {
  for (const violation of violations.slice(0, 20)) console.log(`- ${violation}`);
  if (violations.length > 20) console.log(`- and ${violations.length - 20} more`);
  return violations.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
