/** Results held against the targets: for each of them a value or a ratio, with its bound. Pure. */
import type { ScenarioResult, SystemResult } from "./rounds.ts";
import type { Target } from "./scenarios/scenario.ts";
import { median, ratios, type Summary, summarize } from "./statistics.ts";
import { factsOf, type EngineName, type SystemName } from "./systems/system.ts";

export interface Reached extends Summary {
  readonly scenario: string;
  readonly engine: EngineName;
  readonly metric: string;
  /** What azoth's value is divided by; null: nothing. */
  readonly against: SystemName | null;
  readonly target: Target;
  readonly met: boolean;
}

const azothOn: Readonly<Record<EngineName, SystemName | null>> = {
  sqlite: "azoth-sqlite",
  postgres: "azoth-postgres",
  redis: null,
};

/** Of the targets whose systems were measured. */
export function reachedIn({ scenario, systems }: ScenarioResult): Reached[] {
  return scenario.targets.flatMap((target): Reached[] => {
    const own = valuesOf(systems, azothOn[target.engine], target.metric);
    if (own === undefined) return [];
    const against = target.against === undefined ? null : bestOf(systems, target, target.against);
    const reference = valuesOf(systems, against, target.metric);
    if (target.against !== undefined && reference === undefined) return [];
    const values = reference === undefined ? own : ratios(own, reference);
    const summary = summarize(values);
    const { engine, metric } = target;
    return [
      { scenario: scenario.name, engine, metric, against, target, ...summary, met: isMet(target, summary.median) },
    ];
  });
}

export function isMet(
  { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Target,
  value: number,
) {
  return value >= atLeast && value <= atMost;
}

/** The one that is the hardest to keep up with: the most where much is asked for, the least where little is. */
function bestOf(
  systems: readonly SystemResult[],
  { metric, atLeast }: Target,
  names: readonly SystemName[],
): SystemName | null {
  const measured = names.flatMap((name) => {
    const values = valuesOf(systems, name, metric);
    return values === undefined ? [] : [{ name, middle: median(values) }];
  });
  const sign = atLeast === undefined ? 1 : -1;
  const [best] = measured.toSorted((left, right) => sign * (left.middle - right.middle));
  return best?.name ?? null;
}

function valuesOf(
  systems: readonly SystemResult[],
  name: SystemName | null,
  metric: string,
): readonly number[] | undefined {
  return systems.find(({ system }) => system === name)?.rounds[metric];
}

/** "azoth ÷ plainjob", or "azoth". */
export function subjectOf({ against }: Reached): string {
  return against === null ? "azoth" : `azoth ÷ ${factsOf(against).label}`;
}
