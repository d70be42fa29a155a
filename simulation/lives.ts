/** Lives by their seeds: a seed tells the script, and what handlers do. */
import fc from "fast-check";
import { type Figures, inMemory, type LifeOptions, play, type Story } from "./life.ts";
import { type Script, scripts } from "./script.ts";

export function scriptOf(seed: number): Script {
  const [script] = fc.sample(scripts, { seed, numRuns: 1 });
  if (script === undefined) throw new TypeError("no script was drawn");
  return script;
}

export interface Failed {
  readonly seed: number;
  readonly script: Script;
  readonly story: Story;
}

export interface Toll {
  readonly lives: number;
  readonly days: number;
  readonly events: number;
  /** What has happened in all of them. */
  readonly figures: Figures;
  /** The lives that showed a violation. */
  readonly failed: readonly Failed[];
}

export interface LivesOptions {
  readonly firstSeed: number;
  /** Asked before each life. */
  readonly isEnough: (toll: Toll) => boolean;
  /** Told of each life that showed a violation, and waited for. */
  readonly onFailed?: (failed: Failed) => Promise<void>;
  readonly life?: LifeOptions;
}

/** Plays lives, the next seed for each, until there were enough of them. */
export async function liveOn({ firstSeed, isEnough, onFailed, life = inMemory }: LivesOptions): Promise<Toll> {
  let toll: Toll = { lives: 0, days: 0, events: 0, figures: {}, failed: [] };
  for (let seed = firstSeed; !isEnough(toll); seed++) {
    const script = scriptOf(seed);
    const story = await play(script, life);
    const failed = story.violations.length > 0 ? { seed, script, story } : null;
    toll = {
      lives: toll.lives + 1,
      days: toll.days + story.days,
      events: toll.events + story.events,
      figures: sumOf(toll.figures, story.figures),
      failed: failed === null ? toll.failed : [...toll.failed, failed],
    };
    if (failed !== null) await onFailed?.(failed);
  }
  return toll;
}

function sumOf(figures: Figures, more: Figures): Figures {
  const sum: Record<string, number> = { ...figures };
  for (const [what, count] of Object.entries(more)) sum[what] = (sum[what] ?? 0) + count;
  return sum;
}
