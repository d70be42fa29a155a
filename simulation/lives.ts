/** Lives by their seeds: a seed tells the script, and what handlers do. */
import fc from "fast-check";
import { inMemory, type LifeOptions, play, type Story } from "./life.ts";
import { type Script, scripts } from "./script.ts";

export function scriptOf(seed: number): Script {
  const [script] = fc.sample(scripts, { seed, numRuns: 1 });
  if (script === undefined) throw new TypeError("no script was drawn");
  return script;
}

export interface Toll {
  readonly lives: number;
  readonly days: number;
  readonly events: number;
  readonly failed: { readonly seed: number; readonly script: Script; readonly story: Story } | null;
}

/** Plays lives until one shows a violation, or there were enough of them. */
export async function liveOn(
  firstSeed: number,
  isEnough: (lives: number) => boolean,
  options: LifeOptions = inMemory,
): Promise<Toll> {
  const toll = { lives: 0, days: 0, events: 0 };
  for (let seed = firstSeed; !isEnough(toll.lives); seed++) {
    const script = scriptOf(seed);
    const story = await play(script, options);
    toll.lives++;
    toll.days += story.days;
    toll.events += story.events;
    if (story.violations.length > 0) return { ...toll, failed: { seed, script, story } };
  }
  return { ...toll, failed: null };
}
