/** Shortens a script that shows a violation, as long as it shows one. */
import type { Script, Step } from "./script.ts";

/**
 * Leaves out steps, many at once at first and then fewer, and keeps what still fails.
 * @param fails plays a script, and tells whether it still shows a violation
 * @param isOver true once there is no time for more tries
 */
export async function shrink(
  script: Script,
  fails: (script: Script) => Promise<boolean>,
  isOver: () => boolean = () => false,
): Promise<Script> {
  let shortest = script;
  const tryWith = async (changed: Partial<Script>): Promise<boolean> => {
    const candidate = { ...shortest, ...changed };
    if (isOver() || !(await fails(candidate))) return false;
    shortest = candidate;
    return true;
  };
  for (let schedulers = 1; schedulers < shortest.schedulers; schedulers++) {
    if (await tryWith({ schedulers })) break;
  }
  for (let size = Math.ceil(shortest.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = shortest.steps.length - size; from > -size; from -= size) {
      await tryWith({ steps: shortest.steps.toSpliced(Math.max(0, from), size + Math.min(0, from)) });
    }
  }
  for (const [index, step] of shortest.steps.entries()) {
    const shorter = withRoundTime(step);
    if (shorter !== step) await tryWith({ steps: shortest.steps.with(index, shorter) });
  }
  return shortest;
}

/** A time that a person reads more easily. */
function withRoundTime(step: Step): Step {
  if (!("ms" in step)) return step;
  const minutes = Math.round(step.ms / 60_000);
  return { ...step, ms: minutes * 60_000 };
}
