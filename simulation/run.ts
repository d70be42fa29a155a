/**
 * Lives, one after the other, for as long as it is told: `npm run torture -- --help`.
 *
 * Each life has a seed, which tells all of it. Of each that shows a violation the seed is printed, and the shortest script
 * that was found to show one as well; then the next life begins.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { play, type Story } from "./life.ts";
import { type Failed, liveOn, type Toll } from "./lives.ts";
import type { Script } from "./script.ts";
import { shrink } from "./shrink.ts";

const usage = `npm run torture -- [options]

  --minutes <n>      how long to go on (1); 600 is a night
  --lives <n>        at most so many lives
  --seed <n>         of the first life; the next ones have the next numbers (SIMULATION_SEED of the environment, else drawn; it is printed)
  --script <file>    instead: plays a script that was printed, and tells what comes of it
  --first            ends with the first violation, and prints it as it is

It exits with 1 if any life has shown a violation.
`;

/** How long the search for a shorter script may take. */
const shrinkMs = 120_000;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: "1" },
      lives: { type: "string", default: "Infinity" },
      seed: { type: "string" },
      script: { type: "string" },
      first: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.script !== undefined) {
    const { violations } = await play(JSON.parse(readFileSync(values.script, "utf8")) as Script);
    tell(violations);
    return violations.length === 0 ? 0 : 1;
  }
  const seed = Number(values.seed ?? process.env.SIMULATION_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const limitMs = Number(values.minutes) * 60_000;
  const mostLives = Number(values.lives);
  if (!Number.isSafeInteger(seed) || !(mostLives >= 1) || !(limitMs > 0)) {
    console.error(`--minutes, --seed and --lives take numbers.\n\n${usage}`);
    return 2;
  }
  console.log(`from seed ${seed}`);
  const startedAtMs = performance.now();
  const toll = await liveOn({
    firstSeed: seed,
    isEnough: ({ lives, failed }) =>
      lives >= mostLives || performance.now() - startedAtMs >= limitMs || (values.first && failed.length > 0),
    onFailed: async (failed) => {
      console.log(`\nThe life of seed ${failed.seed} shows a violation; --seed ${failed.seed} --lives 1 repeats it.`);
      tell(failed.story.violations);
      if (!values.first) await tellShortest(failed);
    },
  });
  tellToll(toll, (performance.now() - startedAtMs) / 1_000);
  return toll.failed.length === 0 ? 0 : 1;
}

async function tellShortest({ script }: Failed): Promise<void> {
  const untilMs = performance.now() + shrinkMs;
  const fails = async (shorter: Script) => (await play(shorter)).violations.length > 0;
  const shortest = await shrink(script, fails, () => performance.now() > untilMs);
  console.log(`\nThe shortest script that was found to show one, for --script:\n${JSON.stringify(shortest, null, 1)}`);
  tell((await play(shortest)).violations);
}

function tell(violations: Story["violations"]): void {
  for (const violation of violations.slice(0, 20)) console.log(`- ${violation}`);
  if (violations.length > 20) console.log(`- and ${violations.length - 20} more`);
}

function tellToll({ lives, days, events, figures, failed }: Toll, seconds: number): void {
  const perMinute = Math.round((days / seconds) * 60);
  console.log(
    `${lives} lives, ${Math.round(days)} days, ${events} events in ${seconds.toFixed(1)} s: ${perMinute} days a minute`,
  );
  const counts = Object.entries(figures).map(([what, count]) => `${count} ${what}`);
  console.log(`${counts.join(", ")}; ${failed.length} lives with violations`);
}

const exitCode = await main(process.argv.slice(2));
// A life that did not come to its end goes on: it must not keep the process.
process.exit(exitCode);
