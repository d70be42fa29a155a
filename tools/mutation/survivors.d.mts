/** A mutant as Stryker reports it. */
export interface ReportedMutant {
  readonly location: {
    readonly start: { readonly line: number; readonly column: number };
    readonly end: { readonly line: number; readonly column: number };
  };
  readonly replacement: string;
  readonly status: string;
}

export interface Survivor {
  readonly file: string;
  readonly mutant: string;
}

/** Mutants of one file that survive for one reason. */
export interface Known {
  readonly file: string;
  readonly mutants: readonly string[];
  /** Null if nobody has looked yet. */
  readonly why: string | null;
}

export function describeMutant(source: string, mutant: Pick<ReportedMutant, "location" | "replacement">): string;
export function isCaught(mutant: Pick<ReportedMutant, "status">): boolean;
export function isSurvivor(mutant: Pick<ReportedMutant, "status">): boolean;
export function compare(
  survived: readonly Survivor[],
  known: readonly Known[],
  ranWhole: (file: string) => boolean,
): { added: Survivor[]; obsolete: Survivor[] };
export function updated(
  known: readonly Known[],
  change: { readonly added: readonly Survivor[]; readonly obsolete: readonly Survivor[] },
): Known[];
